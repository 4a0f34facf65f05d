"""One pool of threads for all CPU kernels; they share work by ranges."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

# Work of fewer nanoseconds is done before another thread has woken up.
WORTH_A_THREAD = 100_000


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="axsim")


# Threads do not survive a fork; the child makes its own when it first needs them.
os.register_at_fork(after_in_child=_executor.cache_clear)


def run(work: Callable[[int, int], Any], tasks: int, nanoseconds: float) -> None:
    """Calls `work(first, last)` over ranges that cover `tasks`, on torch's threads.

    The calling thread takes part, so that several callers cannot wait for each other.

    Args:
        work: releases the GIL.
        tasks: their number.
        nanoseconds: what all of them take, roughly.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads <= 1 or nanoseconds < WORTH_A_THREAD:
        work(0, tasks)
        return
    ranges = _ranges(tasks, threads)

    def drain() -> None:
        # `next` on a list's iterator is atomic: every range is taken once.
        for first, last in iter(lambda: next(ranges, None), None):
            work(first, last)

    helpers: list[Future[None]] = [
        _executor().submit(drain) for _ in range(threads - 1)
    ]
    try:
        drain()
    finally:
        for helper in helpers:
            # A helper that never started has nothing left to do.
            if not helper.cancel():
                helper.result()


def _ranges(tasks: int, threads: int) -> Iterator[tuple[int, int]]:
    """Ranges of falling size: few hand-overs, and all threads end together."""
    ranges, first = list[tuple[int, int]](), 0
    while first < tasks:
        last = first + max(1, (tasks - first) // (2 * threads))
        ranges.append((first, last))
        first = last
    return iter(ranges)
