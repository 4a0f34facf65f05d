"""Nothing: the tensor is made again when it is needed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...errors import OperandError
from ..codec import NO_HINTS, Bits, Codec, Hints, Packed, form_of


@dataclass(frozen=True)
class Recompute(Codec):
    """Keeps nothing and makes the tensor again from what is kept anyway.

    Exact as far as the computation repeats itself, in 0 bytes.

    Example:
        >>> import torch
        >>> x = torch.tensor([-1.0, 2.0])
        >>> packed = Recompute().encode(x.relu(), hints=Hints(again=x.relu))
        >>> packed.decode(), packed.nbytes
        (tensor([0., 2.]), 0)
    """

    lossless = True

    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Keeps how the tensor is made.

        Raises:
            OperandError: where the hints do not say how.
        """
        if hints.again is None:
            raise OperandError(
                "nothing says how to make the tensor again; pass Hints(again=...)."
            )
        return Packed(self, (), form_of(x), hints=Hints(again=hints.again))

    def decode(self, packed: Packed) -> Tensor:
        """The tensor, made again."""
        again = packed.hints.again
        if again is None:
            raise OperandError("codes without the function that makes the tensor.")
        return again().detach()
