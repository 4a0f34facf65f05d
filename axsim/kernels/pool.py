"""One pool of threads for all CPU kernels."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from queue import SimpleQueue
from typing import Any

import torch

# Work of fewer nanoseconds is done before another thread has woken up.
WORTH_A_THREAD = 100_000


class _Turn:
    """What one helper is asked to do; it comes in time, or it is not needed."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.error: BaseException | None = None
        self._begun, self._ended = threading.Lock(), threading.Lock()
        self._ended.acquire()

    def serve(self) -> None:
        """In the helper: does the work, unless the caller has finished it."""
        if self._begun.acquire(blocking=False):
            try:
                self.work()
            except BaseException as error:  # The caller raises it.
                self.error = error
            finally:
                self._ended.release()

    def close(self) -> None:
        """In the caller: waits for a helper that has begun, and stops one that has not.

        Raises:
            BaseException: what the helper met.
        """
        if not self._begun.acquire(blocking=False):
            self._ended.acquire()
        if self.error is not None:
            raise self.error


@cache
def _helpers() -> SimpleQueue[_Turn]:
    """Where helpers wait for turns. Handing over to an executor takes twice as long."""
    turns = SimpleQueue[_Turn]()

    def help() -> None:
        while True:
            turns.get().serve()

    for _ in range(os.cpu_count() or 1):
        threading.Thread(target=help, name="axsim", daemon=True).start()
    return turns


# Threads do not survive a fork; the child makes its own when it first needs them.
os.register_at_fork(after_in_child=_helpers.cache_clear)


def threads_for(nanoseconds: float) -> int:
    """How many threads are worth work that takes one of them so long, roughly."""
    return torch.get_num_threads() if nanoseconds >= WORTH_A_THREAD else 1


def together(work: Callable[[], Any], threads: int) -> None:
    """Calls `work()` in this thread and in others that come before it has returned.

    The calling thread takes part, so that several callers cannot wait for each other.

    Args:
        work: shares its tasks among all who call it, and releases the GIL.
        threads: of them, this one included.
    """
    turns = [_Turn(work) for _ in range(threads - 1)]
    for turn in turns:
        _helpers().put(turn)
    try:
        work()
    finally:
        for turn in turns:
            turn.close()


def run(work: Callable[[int, int], Any], tasks: int, nanoseconds: float) -> None:
    """Calls `work(first, last)` over ranges that cover `tasks`, on torch's threads.

    Args:
        work: releases the GIL.
        tasks: their number.
        nanoseconds: what all of them take, roughly.
    """
    threads = min(threads_for(nanoseconds), tasks)
    if threads <= 1:
        work(0, tasks)
        return
    ranges = _ranges(tasks, threads)

    def drain() -> None:
        # `next` on a list's iterator is atomic: every range is taken once.
        for first, last in iter(lambda: next(ranges, None), None):
            work(first, last)

    together(drain, threads)


def _ranges(tasks: int, threads: int) -> Iterator[tuple[int, int]]:
    """Ranges of falling size: few hand-overs, and all threads end together."""
    ranges, first = list[tuple[int, int]](), 0
    while first < tasks:
        last = first + max(1, (tasks - first) // (2 * threads))
        ranges.append((first, last))
        first = last
    return iter(ranges)
