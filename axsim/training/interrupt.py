"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def finish_step(wanted: bool = True) -> Generator[Callable[[], bool]]:
    """Gives a question for between steps: whether Ctrl-C was pressed since.

    A second Ctrl-C interrupts at once. Python hands signals to its main thread alone;
    elsewhere, or where it is not wanted, the answer is always no.

    Args:
        wanted: whether Ctrl-C is to wait at all.
    """
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def press(number: int, frame: FrameType | None) -> None:
        del number, frame
        pressed.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, press)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
