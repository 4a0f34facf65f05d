"""The account of every byte that is kept for the backward pass, over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..console import text_table
from .codec import Packed


class Moment(NamedTuple):
    """What is kept after something was saved or let go.

    Args:
        slot: what it was.
        kept: bytes kept for all slots.
        exact: bytes that the tensors themselves would take.
    """

    slot: str
    kept: int
    exact: int


@dataclass
class Line:
    """What one slot saved in a step.

    Args:
        slot: its name.
        codec: class of the codec.
        elements: of all tensors it saved.
        kept: bytes.
        exact: bytes of the tensors themselves.
        shared: tensors that were kept already for another slot.
        spared: bytes that these would take.
        square, error: squared norms of the tensors and of their errors, where the
            store measures errors.
        raw: why tensors were kept as they are, and how many.
    """

    slot: str
    codec: str
    elements: int = 0
    kept: int = 0
    exact: int = 0
    shared: int = 0
    spared: int = 0
    square: float = 0.0
    error: float = 0.0
    raw: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def bits(self) -> float:
        """Bits kept for an element."""
        return 8 * self.kept / max(1, self.elements)

    @property
    def relative_error(self) -> float:
        """Norm of the errors, relative to that of the tensors; 0 where not measured."""
        return (self.error / self.square) ** 0.5 if self.square else 0.0


class Ledger:
    """Counts bytes as they are kept and let go, for the current step and the last.

    Attributes:
        kept, exact: bytes at present: kept, and of the tensors themselves.
    """

    def __init__(self) -> None:
        self.kept = 0
        self.exact = 0
        self.last = list[Moment]()
        self.last_lines = dict[tuple[str, str], Line]()
        self._moments = list[Moment]()
        self._lines = dict[tuple[str, str], Line]()

    @property
    def moments(self) -> list[Moment]:
        """The changes of the current step, or of the last where it has none yet."""
        return self._moments or self.last

    @property
    def lines(self) -> list[Line]:
        """A line for each slot and codec of the current step, or of the last one."""
        return list((self._lines or self.last_lines).values())

    @property
    def peak(self) -> Moment:
        """The moment with most bytes kept."""
        return max(self.moments, key=lambda m: m.kept, default=Moment("", 0, 0))

    def add(self, slot: str, packed: Packed, exact: int) -> Line:
        """Enters a tensor that is kept from now on; the line it counts in."""
        line = self._line(slot, type(packed.codec).__name__)
        line.elements += packed.form.shape.numel()
        line.kept += packed.nbytes
        line.exact += exact
        if packed.why_raw:
            line.raw[packed.why_raw] = line.raw.get(packed.why_raw, 0) + 1
        self._change(slot, packed.nbytes, exact)
        return line

    def share(self, slot: str, codec: str, spared: int) -> None:
        """Enters a tensor that was kept already, and the bytes this spares."""
        line = self._line(slot, codec)
        line.shared += 1
        line.spared += spared

    def give_up(self, slot: str, codec: str, spared: int) -> None:
        """Enters that what another slot keeps takes the place of a tensor's codes."""
        self.share(slot, codec, spared)
        self._line(slot, codec).kept -= spared

    def remove(self, slot: str, kept: int, exact: int) -> None:
        """Enters that a tensor was let go."""
        self._change(slot, -kept, -exact)

    def end_step(self) -> None:
        """Begins the account of the next step."""
        self.last, self.last_lines = self._moments, self._lines
        self._moments, self._lines = [], {}

    def __str__(self) -> str:
        head = ("slot", "codec", "elements", "bits", "bytes", "share", "error",
                "shared", "raw")  # fmt: skip
        total = max(1, sum(line.kept for line in self.lines))
        rows = [
            (line.slot, line.codec, f"{line.elements:,}", f"{line.bits:.2f}",
             f"{line.kept:,}", f"{line.kept / total:.1%}",
             f"{line.relative_error:.2%}" if line.square else "", line.shared,
             ", ".join(f"{n} {why}" for why, n in line.raw.items()))
            for line in self.lines
        ]  # fmt: skip
        peak = self.peak
        return (
            f"{text_table(rows, head, left=('slot', 'codec', 'raw'))}\n\n"
            f"most kept at once: {peak.kept:,} bytes; the tensors themselves: "
            f"{max((m.exact for m in self.moments), default=0):,}"
        )

    def _line(self, slot: str, codec: str) -> Line:
        return self._lines.setdefault((slot, codec), Line(slot, codec))

    def _change(self, slot: str, kept: int, exact: int) -> None:
        self.kept += kept
        self.exact += exact
        self._moments.append(Moment(slot, self.kept, self.exact))
