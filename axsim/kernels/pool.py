"""How kernels use several threads: torch's own, or helpers where it has none."""

# pyright: basic

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import torch

from . import team
from .compiled import compiled, named_after
from .stages import board, report, take, wait
from .team import call_in_team

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


def together(function: Any) -> Callable[..., None]:
    """What calls a function in several threads at once.

    Args:
        function: compiled, returns nothing; it shares its tasks among all who call it,
            and nobody waits for a thread that has not come.

    Returns:
        Calls `function(*arguments)` as `call(threads, *arguments)`: in torch's own
        threads, or in this one and in helpers where torch has none.
    """

    def enter(address: int, threads: int, *arguments: Any) -> None:
        if call_in_team(address, threads, function, arguments):
            raise MemoryError("no memory for the working space of a kernel.")

    entry = compiled(named_after(function, enter))

    def call(threads: int, *arguments: Any) -> None:
        address = team.start() if threads > 1 else 0
        if address or threads == 1:
            entry(address, threads, *arguments)
        else:
            with_helpers(lambda: entry(0, 1, *arguments), threads)

    return call


def over_ranges(function: Any) -> Callable[..., None]:
    """What calls a function for ranges that cover a number of tasks.

    Args:
        function: compiled, returns nothing; takes the first task and the one after the
            last before its arguments.

    Returns:
        `call(tasks, nanoseconds, *arguments)`, with the time of all tasks, roughly.
    """

    def drain(board: Any, tasks: int, threads: int, arguments: Any) -> None:
        first, last = take(board, 0, tasks, threads)
        while first < last:
            function(first, last, *arguments)
            report(board, 0, last - first)
            first, last = take(board, 0, tasks, threads)
        wait(board, 0, tasks)

    shared = together(compiled(named_after(function, drain)))

    def call(tasks: int, nanoseconds: float, *arguments: Any) -> None:
        threads = max(1, min(threads_for(nanoseconds), tasks))
        shared(threads, board(1), tasks, threads, arguments)

    return call


def with_helpers(work: Callable[[], Any], threads: int) -> None:
    """Calls `work()` in this thread and in helpers that come before it has returned.

    The calling thread takes part, so that several callers cannot wait for each other.
    """
    turns = [_Turn(work) for _ in range(threads - 1)]
    for turn in turns:
        _helpers().put(turn)
    try:
        work()
    finally:
        for turn in turns:
            turn.close()
