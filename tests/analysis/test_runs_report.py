"""The page of a sweep: what stands on it, and that it stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

import axsim as ax
from axsim.analysis.run_front import run_tradeoff
from tests.analysis.reading import Document, parse
from tests.analysis.sweeping import sweep, tables, truncated

WORDS = {"model": "a net", "data": "some data", "command": "axsim sweep --model a"}


@pytest.fixture(scope="module")
def runs() -> ax.Runs:
    return sweep(tables(), words=WORDS)


@pytest.fixture(scope="module")
def written(
    runs: ax.Runs, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Document]:
    path = tmp_path_factory.mktemp("page") / "report.html"
    page = ax.report(runs, path, command="axsim report runs.jsonl").read_text("utf-8")
    return page, parse(page)


def test_the_ranking_is_on_the_page(
    runs: ax.Runs, written: tuple[str, Document]
) -> None:
    _, document = written
    assert document.text("h1") == ["a net under 8 tables"]
    cells = document.text("td")
    places = [cells.index(run.table) for run in runs.ranked]
    assert places == sorted(places)
    best = runs.ranked[0]
    row = cells[places[0] - 1 : places[0] + 11]
    assert row[0] == "1"
    assert row[2:7] == [
        best.operands,
        f"{100 * (best.accuracy or 0):.2f}",
        f"{100 * (best.low or 0):.2f}..{100 * (best.high or 0):.2f}",
        f"{100 * (best.agreement or 0):.2f}",
        f"{best.loss:.4f}",
    ]
    assert row[11] == f"{best.energy:,.0f}"


def test_the_summary_names_the_cheapest_that_loses_little(
    runs: ax.Runs, written: tuple[str, Document]
) -> None:
    good = [run for run in runs.ranked if (run.accuracy or 0) >= 0.79]
    cheapest = min(good, key=lambda run: run.energy or 0)
    lead = written[1].text("p")[0]
    assert lead.startswith("a net, on some data: 40 images, float accuracy 80.00 %. ")
    assert f"{len(good)} of 8 tables lose at most one point." in lead
    assert f"The cheapest of them is {cheapest.table}: " in lead


def test_energies_in_two_units_have_no_cheapest(runs: ax.Runs, tmp_path: Path) -> None:
    mixed = [replace(run, energy_unit=run.table) for run in runs]
    page = ax.report(ax.Runs(mixed), tmp_path / "mixed.html").read_text("utf-8")
    assert "lose at most one point." in page and "The cheapest of" not in page


def test_the_tables_of_the_fronts_are_drawn_and_linked(
    runs: ax.Runs, written: tuple[str, Document]
) -> None:
    _, document = written
    front: set[str] = set()
    for group in (runs, ax.Runs(runs[:4])):
        found = run_tradeoff(group)
        front |= {found.names[i] for i in found.front}
    assert 0 < len(front) < 8
    assert set(document.text("a")) == front
    targets = {link[1:] for link in document.attributes("a", "href")}
    assert targets <= set(document.attributes("div", "id"))
    # Two fronts, of all tables and of the 8x8 ones, and the heatmaps.
    assert len(document.attributes("img", "src")) == 2 + len(front)
    assert "Tables of 8×8 and 5×5 bits:" in document.text("p")
    assert "Tables of 8×8 bits:" in document.text("p")


def test_how_it_was_made_is_said(written: tuple[str, Document], runs: ax.Runs) -> None:
    page, document = written
    cells = document.text("td")
    facts = {cells[i]: cells[i + 1 : i + 3] for i, c in enumerate(cells) if c}
    assert facts["command"][0] == "axsim sweep --model a"
    assert facts["network"] == ["a net", f"weights {runs[0].weights_hash}"]
    assert facts["data"][1] == f"40 images, hash {runs[0].data_hash}"
    assert facts["seed"][0] == "0"
    assert facts["versions"][0] == f"axsim {ax.__version__}, torch {runs[0].torch}"
    assert document.text("code") == ["axsim report runs.jsonl"]
    assert not document.tags() & {"script", "link", "iframe", "object", "embed", "base"}
    bare = re.sub(r'src="data:[^"]*"', "", page)
    assert "http://" not in bare and "https://" not in bare


def test_tables_that_are_not_at_hand_are_named(runs: ax.Runs, tmp_path: Path) -> None:
    document = parse(
        ax.report(ax.Runs([*runs]), tmp_path / "r.html").read_text("utf-8")
    )
    assert any(text.startswith("Not at hand, so not drawn: ") for text in
               document.text("p"))  # fmt: skip
    assert len(document.attributes("img", "src")) == 2


def test_failures_strangers_and_markup(runs: ax.Runs, tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>$"
    bad = replace(runs[0], table=evil, accuracy=None, error=f"TableError: {evil}")
    bare = replace(runs[1], table="bare", power=None, energy=None, cost_origin="")
    page = ax.report(ax.Runs([*runs, bad, bare]), tmp_path / "r.html").read_text(
        "utf-8"
    )
    document = parse(page)
    assert "script" not in document.tags()
    assert document.text("li") == [f"{evil}: TableError: {evil}"]
    assert "Without an energy, as no power is known: 'bare'." in document.text("p")


def test_only_failures(runs: ax.Runs, tmp_path: Path) -> None:
    bad = replace(runs[0], accuracy=None, low=None, high=None, loss=None,
                  agreement=None, energy=None, error="TableError: x")  # fmt: skip
    document = parse(ax.report(ax.Runs([bad]), tmp_path / "r.html").read_text("utf-8"))
    assert document.text("h2") == ["Failed", "How this was made"]


def test_costs_of_two_origins_have_two_plots(runs: ax.Runs, tmp_path: Path) -> None:
    foreign = [replace(run, table=f"f{i}", cost_origin="a foundry")
               for i, run in enumerate(runs[:3])]  # fmt: skip
    both = ax.Runs([*runs[:4], *foreign])
    document = parse(ax.report(both, tmp_path / "r.html").read_text("utf-8"))
    assert len([t for t in document.text("p") if t.startswith("Tables of")]) == 2


def test_several_sweeps_have_a_section_each(runs: ax.Runs, tmp_path: Path) -> None:
    other = [replace(run, model="other") for run in sweep([truncated(2)], seed=1)]
    both = ax.Runs([*runs, *other])
    document = parse(ax.report(both, tmp_path / "r.html").read_text("utf-8"))
    assert document.text("h1") == [
        "2 sweeps", "a net under 8 tables", "other under 1 table",
    ]  # fmt: skip
    with pytest.raises(ax.TableError, match="there are no runs; sweep at least one"):
        ax.report(ax.Runs([]), tmp_path / "r.html")
