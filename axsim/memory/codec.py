"""What every codec of saved tensors offers, and what it makes of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ..errors import OperandError


class Form(NamedTuple):
    """Shape, strides and type of a tensor without gaps in memory."""

    shape: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype

    def empty(self, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
        """A tensor of this form, its elements not set."""
        return torch.empty_strided(
            self.shape, self.stride, dtype=dtype or self.dtype, device=device
        )


class Norm(NamedTuple):
    """The scale and shift of the batch norm that made a tensor."""

    weight: Tensor
    bias: Tensor


class Window(NamedTuple):
    """The windows of a pooling layer, and the size of its input's planes."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass(frozen=True)
class Hints:
    """What the layer that saves a tensor knows and a codec may need.

    Args:
        key: of the random stream, from `Stream.key`.
        norm: for codes of a batch norm's output.
        window: for indices of a pooling layer.
        again: makes the tensor once more, from what is kept anyway.
        total: sum of the bits of all samples; without it a GPU is waited for.
    """

    key: int = 0
    norm: Norm | None = None
    window: Window | None = None
    again: Callable[[], Tensor] | None = None
    total: int | None = None


NO_HINTS = Hints()
Bits = int | Tensor


@dataclass(frozen=True)
class Packed:
    """A tensor as a codec keeps it.

    Args:
        codec: that decodes it.
        payload: all tensors that are kept, and nothing else is.
        form: of the tensor that comes back.
        bits: width of a code where all have the same; 0 where the payload says it.
        hints: what decoding needs besides.
        why_raw: why the tensor itself is kept instead of codes; empty where it is not.
    """

    codec: Codec
    payload: tuple[Tensor, ...]
    form: Form
    bits: int = 0
    hints: Hints = NO_HINTS
    why_raw: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes kept, metadata included."""
        return sum(t.numel() * t.element_size() for t in self.payload)

    @property
    def bits_per_element(self) -> float:
        """Bits kept for an element, metadata included."""
        return 8 * self.nbytes / max(1, self.form.shape.numel())

    def decode(self) -> Tensor:
        """The tensor, or what its codes stand for; as often as asked."""
        return self.codec.decode(self)

    def moved(self, payload: Sequence[Tensor]) -> Packed:
        """The same codes in other memory."""
        return replace(self, payload=tuple(payload))


class Codec(ABC):
    """Encodes a tensor into fewer bytes and back.

    A codec is a frozen dataclass in a file of its own: two methods and three facts.

    Attributes:
        widths: the bits it takes; empty where they are not a choice.
        lossless: whether what it decodes is the tensor.
        unbiased: whether the mean of what it decodes is the tensor.
    """

    widths: ClassVar[range] = range(0)
    lossless: ClassVar[bool] = False

    @property
    def unbiased(self) -> bool:
        return self.lossless

    @abstractmethod
    def encode(self, x: Tensor, bits: Bits = 0, hints: Hints = NO_HINTS) -> Packed:
        """Packs a tensor.

        Args:
            x: of any layout.
            bits: width of a code, or one for each sample or channel.
            hints: what the layer knows of the tensor.
        """

    @abstractmethod
    def decode(self, packed: Packed) -> Tensor:
        """A new tensor of the form of the one that was packed."""

    def check_bits(self, bits: Bits) -> None:
        """Refuses widths that the codec does not have.

        Those that lie on another device are not looked at, which would wait for it.

        Raises:
            OperandError: naming the widths that it has.
        """
        if isinstance(bits, Tensor) and bits.device.type != "cpu":
            return
        found = [bits] if isinstance(bits, int) else bits.unique().tolist()
        wrong = [b for b in found if b not in self.widths]
        if wrong:
            raise OperandError(
                f"bits={', '.join(map(str, wrong))}; {type(self).__name__} has codes "
                f"of {self.widths[0]} to {self.widths[-1]} bits. Choose one of these."
            )


def dense(x: Tensor) -> Tensor:
    """The tensor without its history, without gaps in memory, copied only if it must.

    Channels-last and other orders of dimensions are kept as they are.
    """
    x = x.detach()
    order = sorted(range(x.dim()), key=x.stride, reverse=True)
    return x if x.permute(order).is_contiguous() else x.contiguous()


def form_of(x: Tensor) -> Form:
    """The form of a tensor."""
    return Form(x.shape, x.stride(), x.dtype)
