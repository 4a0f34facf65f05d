"""Threads that share work: every task once, every stage before the next."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.errors import BackendError
from axsim.kernels import convolve, factored, ops, pool, reference, stages, team
from axsim.kernels.compiled import allocating, compiled
from axsim.tables.files import load_multiplier


@pytest.fixture
def shared_by_three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three threads for any work, and passes of few units."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    monkeypatch.setattr(pool, "WORTH_A_THREAD", 0)
    monkeypatch.setattr(convolve, "PASS_BYTES", 3000)
    _forget_plans()
    yield
    torch.set_num_threads(before)
    _forget_plans()


def _forget_plans() -> None:
    convolve.plan.cache_clear()
    factored.plan_of.cache_clear()


@pytest.mark.parametrize("path", ["gather", "shuffle", "factored"])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("has_team", [True, False])
def test_threads_and_passes_do_not_change_sums(
    path: str,
    groups: int,
    has_team: bool,
    shared_by_three: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_team:
        monkeypatch.setattr(team, "start", lambda: 0)
    mul = load_multiplier("mul8u_trunc_4")
    codes = np.random.default_rng(0).integers(0, 256, 4000, np.uint8)
    x = codes[: 9 * 4 * 64].reshape(9, 4, 8, 8)
    w = codes[-6 * (4 // groups) * 9 :].reshape(6, 4 // groups, 3, 3)
    settings = {"padding": 1, "groups": groups, "pad_code": 3}
    expected = reference.lut_conv2d(x, w, mul, **settings)  # type: ignore[arg-type]
    operands = torch.from_numpy(x), torch.from_numpy(w)
    try:
        found = [
            ops.lut_conv2d(*operands, mul, **settings, backend=path)  # type: ignore[arg-type]
            for _ in range(20)
        ]
    except BackendError as error:
        pytest.skip(str(error))
    assert all(np.array_equal(sums.numpy(), expected) for sums in found)


@compiled
def _mark(first: int, last: int, done: Any, marker: Any) -> None:  # pragma: no cover
    for task in range(first, last):
        done[task] += marker


mark_all = pool.over_ranges(_mark)


@settings(max_examples=30, deadline=None)
@given(tasks=st.integers(0, 300), threads=st.integers(1, 5), has_team=st.booleans())
def test_every_task_is_run_once(tasks: int, threads: int, has_team: bool) -> None:
    done = np.zeros(tasks, np.int64)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if not has_team:
                patch.setattr(team, "start", lambda: 0)
            mark_all(tasks, 1e9, done, 1)
    finally:
        torch.set_num_threads(before)
    assert (done == 1).all()


@pytest.mark.skipif(sys.platform != "linux", reason="torch's team is used on Linux")
def test_threads_are_those_of_torch(shared_by_three: None) -> None:
    assert team.start() > 0
    torch.ones(1 << 20).exp_()
    threads = Path("/proc/self/task")
    before = sorted(threads.iterdir())
    mark_all(100, 1e9, np.zeros(100, np.int64), 1)
    assert sorted(threads.iterdir()) == before


def test_want_of_memory_is_an_error_not_a_wrong_sum() -> None:
    for threads in (1, 2):
        with pytest.raises(MemoryError, match="working space"):
            allocate(threads, 1 << 61)


@allocating
def _allocate(count: int) -> None:  # pragma: no cover
    space = np.empty(count, np.int8)
    space[0] = 1


allocate = pool.together(_allocate)


def test_error_of_a_helper_reaches_the_caller() -> None:
    caller, helped = threading.get_ident(), threading.Event()

    def work() -> None:
        if threading.get_ident() != caller:
            helped.set()
            raise ArithmeticError("in a helper")
        assert helped.wait(10)

    with pytest.raises(ArithmeticError, match="in a helper"):
        pool.with_helpers(work, 2)


def test_a_helper_that_comes_late_has_nothing_to_do() -> None:
    ran: list[int] = []

    def work() -> None:
        ran.append(threading.get_ident())

    for _ in range(200):
        ran.clear()
        pool.with_helpers(work, 2)
        assert threading.get_ident() in ran
        assert len(ran) <= 2


@compiled
def _pass_stages(
    board: Any, tasks: int, threads: int, done: Any, seen: Any
) -> None:  # pragma: no cover
    """Each task marks itself and looks how many of the stage before are marked."""
    for stage in range(len(seen)):
        first, last = stages.take(board, stage, tasks, threads)
        while first < last:
            for task in range(first, last):
                done[stage, task] += 1
                before = 0
                for other in range(tasks if stage else 0):
                    before += done[stage - 1, other]
                seen[stage, task] = before
            stages.report(board, stage, last - first)
            first, last = stages.take(board, stage, tasks, threads)
        stages.wait(board, stage, tasks)


def test_no_stage_begins_before_the_one_before_it_is_done() -> None:
    count, tasks, threads = 12, 37, 4
    for _ in range(20):
        board = stages.board(count)
        done, seen = np.zeros((2, count, tasks), np.int64)
        with ThreadPoolExecutor(threads) as callers:
            jobs = [
                callers.submit(_pass_stages, board, tasks, threads, done, seen)
                for _ in range(threads)
            ]
            for job in jobs:
                job.result()
        assert (done == 1).all()
        assert (seen[1:] == tasks).all()
