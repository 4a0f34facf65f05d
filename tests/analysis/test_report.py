"""Reports: what stands on the page, and that the page stands alone."""

from __future__ import annotations

import base64
import importlib.util
import itertools
import re
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import axsim as ax
from axsim.analysis.neighbours import neighbours
from axsim.tables.cost import Cost
from tests.analysis.reading import Document, parse
from tests.conftest import random_multiplier


def written(
    subject: ax.Multiplier | list[ax.Multiplier], folder: Path
) -> tuple[str, Document]:
    page = ax.report(subject, folder / "page.html").read_text(encoding="utf-8")
    return page, parse(page)


@pytest.fixture(scope="module")
def truncated(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Document]:
    mul = ax.load_multiplier("mul8u_trunc_6")
    return written(mul, tmp_path_factory.mktemp("report"))


def test_the_page_of_a_table_shows_its_figures(
    truncated: tuple[str, Document],
) -> None:
    page, document = truncated
    mul = ax.load_multiplier("mul8u_trunc_6")
    m = mul.metrics()
    cells = document.text("td")
    shown = dict(itertools.pairwise(cells))
    assert shown["MAE"] == f"{m.mae:.4g} ({m.mae_percent:.3g} %)"
    assert shown["WCE"] == f"{m.wce} ({m.wce_percent:.3g} %)"
    assert shown["bias"] == f"{m.bias:.4g} ({m.bias_percent:.3g} %)"
    assert shown["EP"] == f"{m.ep_percent:.4g} %"
    assert shown["rank of the error"] == str(mul.rank)
    assert shown["sha256"] == mul.sha256
    assert mul.cost is not None
    assert shown["power"] == f"{mul.cost.power:.4g} × exact 8x8"
    assert shown["cost by"] == mul.cost.origin
    assert "integer factors U·B of 6 terms in int8 and int8" in page
    assert document.text("h1") == ["mul8u_trunc_6"]
    near = {each.entry.name for each in neighbours(mul)}
    assert near and near | {"mul8u_trunc_6 (this table)"} <= set(cells)
    assert f"axsim {ax.__version__}, " in document.text("footer")[0]


def test_four_plots_have_captions_and_other_text(
    truncated: tuple[str, Document],
) -> None:
    _, document = truncated
    captions = document.text("figcaption")
    assert len(captions) == 4
    assert document.attributes("img", "alt") == captions
    assert all(len(caption) > 60 for caption in captions)


def test_the_page_loads_nothing_and_runs_nothing(
    truncated: tuple[str, Document],
) -> None:
    page, document = truncated
    assert len(page) < 1_500_000
    assert not document.tags() & {"script", "link", "iframe", "object", "embed", "base"}
    for source in document.attributes("img", "src"):
        assert source.startswith("data:image/svg+xml;base64,")
        picture = base64.b64decode(source.partition(",")[2]).decode()
        outside = re.findall(r"""(?:href|src)=["'](?!#|data:)([^"']*)""", picture)
        assert outside == [] and "<script" not in picture
    without_pictures = re.sub(r'src="data:[^"]*"', "", page)
    assert "http://" not in without_pictures and "https://" not in without_pictures
    assert "url(" not in without_pictures and "@import" not in without_pictures


def test_the_same_table_gives_the_same_pictures(
    truncated: tuple[str, Document], tmp_path: Path
) -> None:
    again = written(ax.load_multiplier("mul8u_trunc_6"), tmp_path)[1]
    assert again.attributes("img", "src") == truncated[1].attributes("img", "src")


def test_text_from_files_is_escaped_everywhere(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>&\"$"
    table = random_multiplier(1, (4, 4)).table
    muls = [
        ax.Multiplier.from_array(
            table, signed=False, name=f"{evil}{i}", source=f"{evil}.bin",
            cost=Cost(evil, power=1.0 + i, basis=evil, units=(evil, evil, evil)),
        )
        for i in range(2)
    ]  # fmt: skip
    for subject in (muls[0], muls):
        page, document = written(subject, tmp_path)
        assert "script" not in document.tags() and "<script" not in page
        assert any(evil in text for text in document.text("td"))


@pytest.mark.parametrize(
    ("bits", "signed"),
    [((8, 8), True), ((8, 4), False), ((4, 4), True), ((1, 1), False)],
)
def test_tables_of_all_kinds(
    bits: tuple[int, int], signed: bool, tmp_path: Path
) -> None:
    mul = random_multiplier(2, bits, (signed, signed), spread=2)
    page, document = written(mul, tmp_path)
    assert mul.operands in document.text("p")[0]
    assert "unknown" in document.text("td")
    assert len(document.attributes("img", "src")) == 4
    assert "nobody published one, and none is made up" in page


def test_an_exact_table(tmp_path: Path) -> None:
    page, document = written(ax.load_multiplier("mul8u_exact"), tmp_path)
    assert document.text("p")[0].endswith("every product is exact.")
    assert "plain matrix products give its results" in page


def test_without_lattice_reduction_the_rank_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec

    def without_flint(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "flint" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_flint)
    mul = ax.Multiplier.from_function(
        lambda a, b: a * b & ~17, signed=False, bits=(5, 5), name="own"
    )
    page, document = written(mul, tmp_path)
    cells = document.text("td")
    assert cells[cells.index("rank of the error") + 1] == str(mul.rank)
    assert "its exact factors need python-flint" in page


def test_several_tables_are_compared_by_error(tmp_path: Path) -> None:
    names = ["mul8u_trunc_6", "mul8u_exact", "mul8u_loa_6"]
    muls = [ax.load_multiplier(name) for name in names]
    page, document = written(muls, tmp_path)
    links = document.attributes("a", "href")
    assert links == ["#table-0", "#table-1", "#table-2"]
    assert document.text("a") == ["mul8u_exact", "mul8u_loa_6", "mul8u_trunc_6"]
    assert document.attributes("summary", "id") == [link[1:] for link in links]
    assert document.text("summary") == document.text("a")
    assert len(document.attributes("img", "src")) == 1 + 3 * 4
    assert muls[0].cost is not None
    assert f"{muls[0].cost.power:.3g} × exact 8x8" in document.text("td")
    assert document.text("h1") == ["3 multipliers compared"]
    assert "nobody published" not in page


def test_of_many_tables_only_the_heatmaps_are_drawn(tmp_path: Path) -> None:
    muls = [random_multiplier(i, (3, 3)) for i in range(9)]
    page, document = written(muls, tmp_path)
    assert len(document.attributes("img", "src")) == 9
    assert "only the heatmaps are drawn" in page


def test_costs_of_two_origins_are_not_drawn_together(tmp_path: Path) -> None:
    modelled = [ax.load_multiplier(f"mul8u_{name}") for name in ("exact", "trunc_6")]
    foreign = replace(modelled[1], name="foreign", cost=Cost("a foundry", power=0.2))
    bare = random_multiplier(3)
    _, document = written([*modelled, foreign, bare], tmp_path)
    assert len(document.attributes("img", "src")) == 1 + 4 * 4
    alone = "Without a power that compares with another's: 'foreign', 'random_3'."
    assert alone in document.text("p")
    cells = document.text("td")
    assert "0.2 mW" in cells and "1 × exact 8x8" in cells


def test_each_origin_has_its_plot_and_a_missing_power_is_said(tmp_path: Path) -> None:
    costs = [
        Cost(origin, power=power, area=1.0)
        for origin in ("here", "there")
        for power in (0.1, 0.2, None)
    ]
    muls = [
        replace(random_multiplier(i, (2, 2)), cost=cost) for i, cost in enumerate(costs)
    ]
    _, document = written(muls, tmp_path)
    assert len(document.attributes("img", "src")) == 2 + 6 * 4
    alone = document.text("p")[0]
    assert alone.startswith("Without a power")
    assert set(re.findall(r"'(\w+)'", alone)) == {"random_2", "random_5"}


def test_paths_that_cannot_be_a_page_are_refused(tmp_path: Path) -> None:
    mul = random_multiplier(0, (2, 2))
    with pytest.raises(ax.TableError, match=r"'t.bin' does not end in .html.*'t.html'"):
        ax.report(mul, tmp_path / "t.bin")
    (tmp_path / "file").write_text("")
    with pytest.raises(ax.TableError, match="cannot be written"):
        ax.report(mul, tmp_path / "file" / "page.html")
    with pytest.raises(ax.TableError, match="no multipliers were given"):
        ax.report([], tmp_path / "page.html")
    with pytest.raises(ax.TableError, match="'m' is a str, not a multiplier; load"):
        ax.report("mul8u_trunc_6", tmp_path / "page.html")  # pyright: ignore[reportArgumentType]
    assert ax.report(mul, tmp_path / "new" / "page.html").exists()
