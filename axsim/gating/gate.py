"""The gate: the answer to "which products are computed at all?"."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import NoneType

from ..errors import ConversionError, wrong_type
from ..tables.multiplier import Multiplier
from .decision import Decision
from .split import Split
from .threshold import Threshold


@dataclass(frozen=True)
class Gate:
    """y = B + m(B) * R: the base B of a layer always, the rest R where m opens.

    Args:
        split: what is base and what is rest; `Bits` or `Channels`.
        decide: where the gate opens; `Threshold`, or an oracle.
        rest: the table of the rest's products; by default that of the layer.

    Raises:
        ConversionError: for an argument of another type.

    Example:
        >>> from axsim.gating.channels import Channels
        >>> print(Gate(Channels(4)))
        1 of 4 channel groups first; threshold
    """

    split: Split
    decide: Decision = field(default_factory=Threshold)
    rest: Multiplier | None = None

    def __post_init__(self) -> None:
        load = "ax.load_multiplier('mul8u_exact')"
        problem = (
            wrong_type("Gate: split", self.split, (Split,), "Bits(4)")
            or wrong_type("Gate: decide", self.decide, (Decision,), "Threshold()")
            or wrong_type("Gate: rest", self.rest, (Multiplier, NoneType), load)
        )
        if problem:
            raise ConversionError(problem)

    def __str__(self) -> str:
        words = [str(self.split), str(self.decide)]
        words += [] if self.rest is None else [f"rest on {self.rest.name}"]
        return "; ".join(words)
