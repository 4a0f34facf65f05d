"""A sweep against one evaluation at a time; its file against crashes and strangers."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import axsim as ax
from axsim.tables.cost import Cost
from tests.analysis.sweeping import (
    PRODUCTS,
    calibration,
    dataset,
    fatal,
    figures,
    images,
    network,
    slowly,
    sweep,
    tables,
    truncated,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs() -> ax.Runs:
    return sweep(tables())


def told(log: list[tuple[int, int, str]]) -> Any:
    return lambda *said: log.append(said)


def test_each_row_is_what_one_evaluation_says(runs: ax.Runs) -> None:
    net, data = network(), dataset()
    exact = ax.evaluate(net, data)
    assert [run.table for run in runs] == [mul.name for mul in tables()]
    assert len({run.loss for run in runs}) == len(runs)
    for run, mul in zip(runs, tables(), strict=True):
        alone = ax.approximate(net, mul, calibration=calibration())
        found = ax.evaluate(alone, data, exact=exact)
        assert run.accuracy == found.accuracy
        assert (run.low, run.high) == found.interval
        assert run.loss == found.loss
        assert run.agreement == found.agreement
        assert run.n == 40 and run.float_accuracy == exact.accuracy == 0.8
        m = mul.metrics()
        assert (run.mae, run.wce, run.mre_percent) == (m.mae, m.wce, m.mre_percent)
        assert mul.cost is not None and mul.cost.power is not None
        assert run.products == PRODUCTS
        assert run.energy == pytest.approx(PRODUCTS * mul.cost.power)
        assert run.energy_unit == "exact 8x8 products"
        assert run.error is None and run.seconds > 0
        assert run.exact == (m.ep == 0)


def test_the_model_and_the_random_generator_are_left_alone() -> None:
    net = network()
    before = {name: each.clone() for name, each in net.state_dict().items()}
    state = torch.random.get_rng_state()
    ax.sweep(net, tables()[0], dataset(), calibration=calibration())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(each, before[n]) for n, each in net.state_dict().items())
    assert type(net[1]) is nn.Linear


def test_shipped_tables_bear_their_family() -> None:
    found = sweep(ax.multipliers("mul8u_loa_[46]"))
    assert [run.family for run in found] == ["loa", "loa"]
    assert {run.cost_origin for run in found} == {"axsim unit-gate model"}


def test_a_failing_table_is_a_row_with_its_error(tmp_path: Path) -> None:
    def awkward(mul: ax.Multiplier) -> Any:
        if mul.name == "mul8u_cut1":
            return [ax.Rule("nowhere", mul)]
        if mul.name == "mul8u_cut2":
            raise MemoryError("none left")
        return mul

    out = tmp_path / "runs.jsonl"
    muls = [truncated(dropped) for dropped in range(4)]
    found = sweep(muls, recipe=awkward, out=out)
    assert [run.accuracy is None for run in found] == [False, True, True, False]
    refused, failed = found.failed
    assert refused.error and refused.error.startswith(
        "ConversionError: rule 'nowhere' matched no layer"
    )
    assert failed.error == "MemoryError: none left"
    assert refused.energy is refused.loss is refused.products is None
    # What axsim refuses it would refuse again; memory may be there next time.
    log: list[tuple[int, int, str]] = []
    again = sweep(muls, recipe=awkward, out=out, progress=told(log))
    assert log[0] == (3, 4, "") and len(log) == 2
    assert [run.error for run in again] == [run.error for run in found]
    assert len(out.read_text().splitlines()) == 5
    assert len(ax.Runs.read(out)) == 4


def test_a_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    out, log = tmp_path / "new" / "runs.jsonl", []
    muls = tables()
    first = sweep(muls[:3], out=out)
    before = out.read_bytes()
    found = sweep(muls, out=out, progress=told(log))
    assert [said[:2] for said in log] == [(done, 8) for done in range(3, 9)]
    assert log[1][2] == f"{muls[3].name} {100 * (found[3].accuracy or 0):.2f} %"
    assert out.read_bytes().startswith(before)
    assert [*found[:3]] == [*first]
    assert [*ax.Runs.read(out)] == [*found]
    whole = out.read_bytes()
    assert [*sweep(muls[2:5], out=out, batch_size=7)] == [*found[2:5]]
    assert out.read_bytes() == whole


def other_weights() -> dict[str, Any]:
    return {"model": network(seed=9)}


def other_structure() -> dict[str, Any]:
    net = network()
    net[2] = nn.LeakyReLU(0.5)
    return {"model": net}


def other_image() -> dict[str, Any]:
    x, labels = dataset().tensors
    return {"data": TensorDataset(x + torch.eye(4)[3] * 1e-3, labels)}


def other_label() -> dict[str, Any]:
    x, labels = dataset().tensors
    return {"data": TensorDataset(x, (labels + (torch.arange(40) == 17)) % 3)}


@pytest.mark.parametrize(
    "change",
    [
        other_weights,
        other_structure,
        other_image,
        other_label,
        lambda: {"calibration": calibration()[:1]},
        lambda: {"seed": 1},
        lambda: {"recipe": lambda mul: ax.Product(mul, row="weight")},  # pyright: ignore
        lambda: {"muls": [replace(truncated(3), name="mul8u_cut0")]},
    ],
)
def test_whatever_changes_the_result_is_another_row(
    change: Any, tmp_path: Path
) -> None:
    out = tmp_path / "runs.jsonl"
    same: dict[str, Any] = {"model": network(), "data": dataset()}
    same |= {"muls": [truncated(0)], "calibration": calibration(), "out": out}
    for options in ({**same}, {**same, **change()}):
        model, muls, data = (options.pop(key) for key in ("model", "muls", "data"))
        ax.sweep(model, muls, data, **options)
    assert len(out.read_text().splitlines()) == 2
    assert len(ax.Runs.read(out)) == 2


def test_one_table_under_two_names_is_computed_once(tmp_path: Path) -> None:
    mul = truncated(3)
    calls: list[str] = []

    def counted(mul: ax.Multiplier) -> ax.Multiplier:
        calls.append(mul.name)
        return mul

    twin = replace(mul, name="twin")
    dear = replace(mul, name="dear", cost=Cost("a foundry", power=0.5))
    found = sweep([mul, twin, dear, mul], recipe=counted, out=tmp_path / "r.jsonl")
    assert [run.table for run in found] == ["mul8u_cut3", "twin", "dear"]
    assert len({run.loss for run in found}) == 1
    assert found[2].energy == PRODUCTS * 0.5
    assert found[2].energy_unit == "mW × products"
    # `twin` is asked for its rules, but never evaluated.
    assert calls.count("twin") < calls.count("dear")


@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(share=st.floats(0, 1))
def test_a_file_torn_anywhere_is_repaired(share: float, tmp_path: Path) -> None:
    muls = [truncated(dropped) for dropped in range(3)]
    whole = tmp_path / "whole.jsonl"
    expected = sweep(muls, out=whole)
    torn = tmp_path / "torn.jsonl"
    content = whole.read_bytes()
    torn.write_bytes(content[: int(share * len(content))])
    kept = torn.read_bytes().count(b"\n")
    assert len(ax.Runs.read(torn)) == kept
    log: list[tuple[int, int, str]] = []
    found = sweep(muls, out=torn, progress=told(log))
    assert log[0] == (kept, 3, "")
    assert [*map(figures, found)] == [*map(figures, expected)]
    assert [*ax.Runs.read(torn)] == [*found]
    assert torn.read_bytes().splitlines()[:kept] == content.splitlines()[:kept]


SCRIPT = """
import sys, torch
from tests.analysis.sweeping import slowly, sweep, truncated
torch.set_num_threads(1)
sweep([truncated(k) for k in range(8)], out=sys.argv[1], recipe=slowly)
"""


def test_a_sweep_that_is_killed_loses_and_repeats_nothing(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        for _ in range(12000):
            if out.exists() and out.read_bytes().count(b"\n") >= 3:
                break
            assert child.poll() is None
            time.sleep(0.005)
    finally:
        child.kill()
    assert child.wait() == -9, "the sweep was over before it was killed"
    left = out.read_bytes()
    kept = left.count(b"\n")
    assert 3 <= kept < 8
    # Killed in the middle of a line, whatever the moment above was.
    out.write_bytes(left + left.splitlines()[0][:200])
    muls, log = [truncated(k) for k in range(8)], []
    found = sweep(muls, out=out, progress=told(log))
    assert log[0] == (kept, 8, "") and len(log) == 1 + 8 - kept
    rows = out.read_bytes()
    assert rows.startswith(left[: left.rindex(b"\n") + 1])
    names = [json.loads(line)["table"] for line in rows.splitlines()]
    assert names == [mul.name for mul in muls]
    assert [*map(figures, found)] == [*map(figures, sweep(muls))]


forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def pool(workers: int = 2) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(workers, mp_context=context)


@forks
def test_processes_give_the_same_rows(runs: ax.Runs, tmp_path: Path) -> None:
    # Two threads here, which the forked children do not have.
    torch.set_num_threads(2)
    out = tmp_path / "runs.jsonl"
    with pool() as executor:
        found = sweep(tables(), executor=executor, out=out)
        assert [*map(figures, found)] == [*map(figures, runs)]
        again = sweep(tables(), executor=executor, out=out)
    assert [*again] == [*found]
    assert {run.table for run in ax.Runs.read(out)} == {run.table for run in runs}


def test_threads_give_the_same_rows(runs: ax.Runs) -> None:
    with ThreadPoolExecutor(3) as executor:
        found = sweep(tables(), executor=executor)
    assert [*map(figures, found)] == [*map(figures, runs)]


@forks
def test_a_lost_worker_is_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_PARENT", str(os.getpid()))
    out = tmp_path / "runs.jsonl"
    with (
        pool(1) as executor,
        pytest.raises(ax.BackendError, match=r"a worker was lost .*BrokenProcessPool"),
    ):
        sweep(tables(), recipe=fatal, executor=executor, out=out)
    assert out.read_text() == ""
    assert len(sweep(tables(), recipe=slowly, out=out)) == 8


def test_what_cannot_be_sent_is_said() -> None:
    with (
        ThreadPoolExecutor(1) as executor,
        pytest.raises(
            ax.BackendError, match=r"cannot be sent to another process .*top level"
        ),
    ):
        sweep(tables(), recipe=lambda mul: mul, executor=executor)


def refusal(out: Path) -> str:
    try:
        sweep(tables()[:1], out=out)
    except ax.DataError as refused:
        return str(refused)
    return ""


@forks
def test_two_processes_do_not_share_a_file(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    refusals: list[str] = []

    def meanwhile(*_: Any) -> None:
        with pool(1) as executor:
            refusals.append(executor.submit(refusal, out).result())

    sweep(tables()[:1], out=out, progress=meanwhile)
    wanted = f"out: another sweep is writing to {out}. Wait for it, or name another "
    assert refusals == [f"{wanted}file."] * 2
    assert refusal(out) == ""
    assert len(ax.Runs.read(out)) == 1


@pytest.mark.parametrize(
    "content", [b"hello", b"a,b\n1,2\n", b'{"axsim": "0.1"}\n', b"[1]\n", b"\x00\xff"]
)
def test_the_file_of_somebody_else_stays_as_it_is(
    content: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "results.csv"
    out.write_bytes(content)
    with pytest.raises(ax.DataError, match=r"results.csv .*Name the file that a sweep"):
        sweep(tables()[:1], out=out)
    assert out.read_bytes() == content
    with pytest.raises(ax.DataError, match="Name the file that a sweep wrote"):
        ax.Runs.read(out)


def nan_images() -> TensorDataset:
    x, labels = dataset().tensors
    return TensorDataset(torch.where(x > 2, math.nan, x), labels)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"muls": []}, ax.TableError, "no multipliers were given; name at least one"),
        ({"muls": ["mul8u_exact"]}, ax.TableError, "is a str, not a multiplier; load"),
        ({"data": TensorDataset(torch.ones(0, 1, 4, 4), torch.ones(0))}, ax.DataError,
         "is empty"),
        ({"data": []}, ax.DataError, "data is empty; there is nothing to evaluate"),
        ({"data": TensorDataset(torch.ones(4, 1, 4, 4))}, ax.DataError,
         "without labels; needed are samples"),
        ({"data": iter([])}, ax.DataError, "gone through only once; give a data set"),
        ({"data": nan_images()}, ax.ModelError, "not finite for"),
        ({"data": DataLoader(dataset(), 8, shuffle=True)}, ax.DataError,
         "in another order, or are others, each time; .* shuffle=False"),
        ({"calibration": []}, ax.CalibrationError, "no batches came; give at least"),
        ({"calibration": ["x"]}, ax.CalibrationError, "a batch is a str; give tensors"),
        ({"words": {"modle": "x"}}, ax.DataError,
         "words: 'modle'; they are model, recipe, data, command"),
        ({"batch_size": 0}, ax.DataError, "batch_size=0; it is at least 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_named(
    options: dict[str, Any], kind: type[ax.AxsimError], message: str, tmp_path: Path
) -> None:
    rest: dict[str, Any] = {"muls": tables()[:1], "data": dataset(), **options}
    rest.setdefault("calibration", calibration())
    muls, data, out = rest.pop("muls"), rest.pop("data"), tmp_path / "runs.jsonl"
    with pytest.raises(kind, match=message):
        ax.sweep(network(), muls, data, out=out, **rest)
    assert not out.exists()


def test_nan_in_calibration_is_the_error_of_the_rows() -> None:
    wrong = images(4)
    wrong[1, 0, 2, 3] = math.nan
    (run,) = sweep(tables()[:1], calibration=[wrong])
    assert run.error and "CalibrationError: '1.input' met 1 NaN" in run.error


def dynamic(mul: ax.Multiplier) -> ax.LayerSpec:
    if mul.name == "mul8s_cut0":
        raise ValueError("not this one")
    return ax.LayerSpec(ax.Quant(dynamic=True), mul)


def test_without_calibration_only_dynamic_ranges_will_do() -> None:
    message = r"2 ranges, such as that of '1.input', are not known. Give batches"
    with pytest.raises(ax.CalibrationError, match=message):
        sweep(tables(), calibration=512)
    net, data = network(), dataset()
    muls = [truncated(0, signed=True), truncated(5)]
    failed, run = ax.sweep(net, muls, data, recipe=dynamic)
    assert failed.error == "ValueError: not this one"
    alone = ax.evaluate(ax.approximate(net, dynamic(muls[1])), data)
    assert run.loss == alone.loss


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ax.DataError, match=r"out: .*runs.jsonl cannot be written"):
        sweep(tables()[:1], out=tmp_path / "file" / "runs.jsonl")
