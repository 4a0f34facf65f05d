"""One pool of threads for all CPU kernels; they share work by ranges."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import Any

import torch

# Ranges a thread takes on average: enough to even out a slow neighbour.
RANGES_PER_THREAD = 4


@cache
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="axsim")


# Threads do not survive a fork; the child makes its own when it first needs them.
os.register_at_fork(after_in_child=_executor.cache_clear)


def run(work: Callable[[int, int], Any], tasks: int) -> None:
    """Calls `work(first, last)` over ranges that cover `tasks`, on torch's threads.

    The calling thread takes part, so that several callers cannot wait for each other.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads <= 1:
        work(0, tasks)
        return
    ranges = min(tasks, threads * RANGES_PER_THREAD)
    ticket = count()

    def drain() -> None:
        while (i := next(ticket)) < ranges:
            work(tasks * i // ranges, tasks * (i + 1) // ranges)

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
