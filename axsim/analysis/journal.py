"""The file of a sweep: a line for each run, whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError
from .run import ADVICE, MARK, Run, parse_run


class Journal:
    """Runs in a file, to which one process at a time may append.

    A line that was torn by a crash is taken off when the file is opened again.

    Args:
        path: of the file, which is made where it is missing, as is its folder.

    Raises:
        DataError: where it cannot be written, is no file of runs, or another sweep
            is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("a+b")
        except OSError as problem:
            raise DataError(f"out: {path} cannot be written: {problem}.") from problem
        try:
            self._lock()
            # Through this very file: closing another one of it would end the lock.
            self._repair()
            self._file.seek(0)
            self.runs = [*_parsed(self._file.read().decode(errors="replace"), path)]
        except BaseException:
            self._file.close()
            raise

    def append(self, run: Run) -> None:
        """Writes a run, to last even if the machine fails now."""
        self._file.write(f"{run.line()}\n".encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Lets others write."""
        self._file.close()

    def _lock(self) -> None:
        """Keeps other processes out until this one closes the file, or is killed.

        A lock of `flock` would be inherited by workers, and outlive a killed sweep.
        """
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            # Some file systems have no locks; nothing else is wrong with them.
            if problem.errno in (errno.EACCES, errno.EAGAIN):
                raise DataError(
                    f"out: another sweep is writing to {self.path}. Wait for it, or "
                    "name another file."
                ) from problem

    def _repair(self) -> None:
        """Ends the file with a whole line; a torn one is no loss, it is run again."""
        self._file.seek(0)
        content = self._file.read()
        whole, newline, torn = content.rpartition(b"\n")
        if not torn:
            return
        mark = MARK.encode()
        if not (torn.startswith(mark) or mark.startswith(torn)):
            raise DataError(f"out: {self.path} is no file of runs. {ADVICE}")
        self._file.truncate(len(whole) + len(newline))


def read_runs(path: Path) -> list[Run]:
    """The runs of a file, without a last line that is not complete.

    Raises:
        DataError: where it cannot be read, or a line is none of a sweep.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as problem:
        raise DataError(f"runs: {path} cannot be read: {problem}.") from problem
    return [*_parsed(text, path)]


def _parsed(text: str, path: Path) -> Iterator[Run]:
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1], 1):
        yield parse_run(line, f"runs: line {number} of {path}")
    torn = lines[-1]
    if torn and not (torn.startswith(MARK) or MARK.startswith(torn)):
        parse_run(torn, f"runs: line {len(lines)} of {path}")
