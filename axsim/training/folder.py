"""The files of a run, from which it goes on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import TrainingError
from ..zoo.checkpoint import read_metadata, read_weights, write_tensors


class RunFolder:
    """A folder with the state of a run, its weights and its log.

    `state.safetensors` is all that a run needs to go on; replacing it is the moment at
    which an epoch counts. `last.safetensors` and `best.safetensors` hold weights alone
    and `log.jsonl` a line for each event. What was written of an epoch that did not
    count is written again, the same, when the run goes on.

    Args:
        path: made where it is not there.
        writes: whether this process is the one that writes.

    Raises:
        TrainingError: where the folder cannot be made.
    """

    def __init__(self, path: Path, writes: bool) -> None:
        self.path = path
        self.writes = writes
        self.state = path / "state.safetensors"
        self.log_file = path / "log.jsonl"
        if not writes:
            return
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise TrainingError(f"out={path} cannot be made: {problem}.") from problem
        # A process that was killed while it wrote leaves half a file.
        for part in path.glob(".*.part"):
            part.unlink(missing_ok=True)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and progress of the state, where there is one.

        Raises:
            TrainingError: where the file is not the state of a run.
        """
        if not self.state.exists():
            return None
        progress = read_metadata(self.state).get("progress")
        if progress is None:
            raise TrainingError(f"resume: {self.state} is not the state of a run.")
        return read_weights(self.state), json.loads(progress)

    def save(self, tensors: dict[str, Tensor], progress: dict[str, Any]) -> None:
        """Replaces the state as a whole."""
        if self.writes:
            progress = {**progress, "log_bytes": self.log_bytes}
            write_tensors(tensors, self.state, {"progress": json.dumps(progress)})

    def save_weights(
        self, name: str, weights: dict[str, Tensor], words: dict[str, str]
    ) -> None:
        """Writes weights alone, as `last` or `best`."""
        if self.writes:
            write_tensors(weights, self.path / f"{name}.safetensors", words)

    @property
    def log_bytes(self) -> int:
        """The length of the log."""
        return self.log_file.stat().st_size

    def begin_log(self, keep: int) -> None:
        """Drops the lines after the first `keep` bytes, which will come again."""
        if self.writes:
            with self.log_file.open("ab") as log:
                log.truncate(keep)

    def log(self, event: str, **row: Any) -> None:
        """Appends a line."""
        if self.writes:
            # Opened for each line: whoever follows the log sees it whole, at once.
            with self.log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps({"event": event, **row}) + "\n")
