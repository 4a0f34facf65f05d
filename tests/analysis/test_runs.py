"""Runs of a sweep: their ranking, their table, and what a front makes of them."""

from __future__ import annotations

import builtins
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import axsim as ax
from axsim.analysis.front import pareto_front
from axsim.analysis.run import Run
from axsim.analysis.run_front import run_tradeoff
from tests.analysis.sweeping import sweep, truncated


@pytest.fixture(scope="module")
def runs() -> ax.Runs:
    return sweep([truncated(dropped) for dropped in (0, 4, 6, 8, 10)])


def changed(run: Run, **fields: Any) -> Run:
    return replace(run, **fields)


def made(run: Run, *rows: tuple[str, float, float | None]) -> ax.Runs:
    """Runs by table, accuracy and energy."""
    return ax.Runs(
        changed(run, table=table, accuracy=accuracy, energy=energy, table_hash=table)
        for table, accuracy, energy in rows
    )


def test_ranked_by_accuracy_then_by_energy(runs: ax.Runs) -> None:
    mixed = made(runs[0], ("a", 0.5, 1), ("b", 0.9, 5), ("c", 0.9, None),
                 ("d", 0.9, 4))  # fmt: skip
    failed = changed(runs[0], table="e", accuracy=None, error="TableError: no")
    every = ax.Runs([*mixed, failed])
    assert [run.table for run in every.ranked] == ["d", "b", "c", "a"]
    assert [run.table for run in every.failed] == ["e"]
    assert len(every) == 5 and every[4] is failed and [*every[:2]] == [*mixed[:2]]


def test_the_later_row_of_one_key_counts(runs: ax.Runs) -> None:
    later = changed(runs[0], seconds=9.0)
    assert [*ax.Runs([runs[0], runs[1], later])] == [later, runs[1]]


def test_printed_it_is_a_ranked_table(runs: ax.Runs) -> None:
    rows = made(runs[0], ("poor", 0.5, 100), ("best", 0.975, 123456.4))
    failed = changed(runs[0], table="bad", accuracy=None, error="TableError: no")
    lines = str(ax.Runs([*rows, failed])).splitlines()
    assert lines[0] == "Sequential, on TensorDataset: 40 images, float accuracy 80.00 %"
    assert lines[1].split() == ["table", "accuracy", "%", "95", "%", "interval",
                                "agreement", "%", "MAE", "%", "energy"]  # fmt: skip
    assert lines[3].split()[:3] == ["1", "best", "97.50"]
    assert lines[3].endswith("123,456") and lines[4].split()[1] == "poor"
    assert lines[5:] == [
        "energy: products of a sample, in exact 8x8 products; power: a model",
        "failed (1):",
        "  bad: TableError: no",
    ]
    assert str(ax.Runs([])) == "no runs"
    assert repr(ax.Runs([*rows, failed])) == "<Runs: 3 tables, 1 failed>"


def test_what_has_no_price_is_said(runs: ax.Runs) -> None:
    part = ax.Runs(changed(run, priced=0.875) for run in runs)
    assert str(part).splitlines()[-1] == (
        "energy: products of a sample, in exact 8x8 products (without 12.5 %, whose "
        "power nobody gave); power: a model"
    )


def test_energies_in_two_units_say_whose_they_are(runs: ax.Runs) -> None:
    first, second = made(runs[0], ("first", 0.9, 5), ("second", 0.8, 7))
    milliwatts = {"energy_unit": "mW × products", "cost_origin": "a lab"}
    assert str(ax.Runs([first, changed(second, **milliwatts)])).splitlines()[-2:] == [
        "energy of 'first': products of a sample, in exact 8x8 products; power: "
        "a model",
        "energy of 'second': products of a sample, in mW × products; power: a lab",
    ]


def test_runs_that_do_not_compare_are_printed_apart(runs: ax.Runs) -> None:
    other = changed(runs[0], model="other", weights_hash="1")
    both = ax.Runs([runs[0], other, runs[1]])
    assert [[run.model for run in group] for group in both.groups()] == [
        ["Sequential", "Sequential"],
        ["other"],
    ]
    assert str(both).count("float accuracy") == 2


def test_rows_are_flat_dictionaries(runs: ax.Runs, tmp_path: Path) -> None:
    rows = runs.to_dicts()
    assert [row["accuracy"] for row in rows] == [run.accuracy for run in runs]
    assert all(isinstance(v, int | float | str | None) for v in rows[0].values())
    file = tmp_path / "runs.jsonl"
    file.write_text("".join(f"{run.line()}\n" for run in runs))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines == rows
    assert [*ax.Runs.read(file)] == [*runs]


def test_pandas_where_it_is_installed(
    runs: ax.Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = runs.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["energy"]) == [run.energy for run in runs]

    load = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ax.BackendError, match=r"Install axsim\[notebook\], or use"):
        runs.to_pandas()


def test_a_file_without_runs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ax.DataError, match=r"runs: .*none.jsonl cannot be read"):
        ax.Runs.read(tmp_path / "none.jsonl")


def test_tables_are_found_by_their_content(runs: ax.Runs) -> None:
    assert runs.multiplier(runs[1]) == truncated(4)
    alone = ax.Runs([*runs])
    assert alone.multiplier(runs[1]) is None
    shipped = ax.load_multiplier("mul8u_trunc_6")
    (run,) = sweep([shipped])
    assert alone.multiplier(run) == shipped
    # Another table under a shipped name is not taken for it.
    assert alone.multiplier(changed(run, table="mul8u_trunc_4")) is None


def test_the_front_is_whom_nothing_beats(runs: ax.Runs) -> None:
    mixed = made(runs[0], ("a", 0.5, 1), ("b", 0.9, 5), ("c", 0.9, 4), ("d", 0.6, 7))
    found = run_tradeoff(mixed)
    assert [found.names[i] for i in found.front] == ["a", "c"]
    assert dict(zip(found.names, found.quality, strict=True)) == pytest.approx(
        {"a": 50, "b": 90, "c": 90, "d": 60}
    )
    assert (found.unit, found.origin, found.left_out) == (
        "exact 8x8 products", "a model", 0,
    )  # fmt: skip
    by_loss = run_tradeoff(runs, "power", "loss")
    powers = [run.power or 0.0 for run in runs.ranked]
    expected = pareto_front(powers, [run.loss or 0.0 for run in runs.ranked])
    assert np.array_equal(by_loss.front, expected)
    assert by_loss.unit == "× exact 8x8"


def test_what_cannot_be_drawn_is_named(runs: ax.Runs) -> None:
    run = runs[0]
    other = changed(run, table="o", model="other")
    foundry = changed(run, table="f", cost_origin="a foundry")
    bare = changed(run, table="bare", cost_origin="", power=None, energy=None)
    failed = changed(run, accuracy=None, error="x")
    cases: list[tuple[list[Run], dict[str, str], str]] = [
        ([run, other], {}, "runs are of 2 networks, data sets or recipes, which do"),
        ([], {}, "of 0 runs none has an accuracy."),
        ([failed], {}, "of 1 runs none has an accuracy."),
        ([run], {"origin": "who"}, "none has an accuracy and a cost of origin='who'."),
        ([run], {"cost": "enrgy"}, "cost='enrgy'; choose one of energy, power, area"),
        ([run], {"quality": "mae"}, "quality='mae'; choose one of accuracy, agreement"),
        ([run, foundry], {}, "costs of different origins or units do not compare: "
         "'a model' in × exact 8x8 ('mul8u_cut0'); 'a foundry'"),
        ([run, bare], {}, "no power is known for 'bare'"),
        ([run, changed(run, table="uncounted", energy=None)], {},
         "no energy is known for 'uncounted'"),
        ([run, changed(run, table="half", priced=0.5)], {}, "the energies of "
         "'mul8u_cut0' and 'half' are of 100.0 and 50.0 % of the products, so they"),
        ([run], {"cost": "delay"}, "no delay is known for 'mul8u_cut0'"),
    ]  # fmt: skip
    for rows, options, message in cases:
        with pytest.raises(ax.TableError) as refused:
            run_tradeoff(ax.Runs(rows), **options)
        assert message in str(refused.value)
    left = run_tradeoff(ax.Runs([run, foundry, failed]), origin="a foundry")
    assert left.names == ["f"]
    assert left.left_out == 1
