"""What convolutions and linear layers keep: their input, or the codes of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from ...memory.codecs.bit_mask import BitMask
from ...memory.codecs.identity import Identity
from ...memory.codecs.lossless import Lossless
from ...memory.kept import Alias, Blank, Kept, parameter_of, same
from ...memory.policy import Gradients
from ...memory.store import Handle
from ..product import Operand
from .keeper import Keeper

BYTE = 8


class ProductInput:
    """What one call of a layer saves.

    Args:
        keeper: of the layer.
        layer: a convolution or a linear layer.
        x: its input.
    """

    def __init__(self, keeper: Keeper, layer: nn.Module, x: Tensor) -> None:
        weight: Any = layer.weight
        self.keeper = keeper
        self.frozen = not weight.requires_grad
        self.shapes = _either_way(weight.shape)
        # Reflected and other borders are an operation of their own.
        self.bordered = getattr(layer, "padding_mode", "zeros") != "zeros"
        self.x = x
        self.handle: Handle | None = None

    def pack(self, t: Tensor) -> Kept:
        """The weight as it is, the input as the layer's codec has it."""
        if self._is_weight(t):
            return Alias(t)
        if self.frozen or (self.bordered and same(t, self.x)):
            return Blank(t)
        self.handle = self._kept(t)
        return self.handle

    def _is_weight(self, t: Tensor) -> bool:
        if same(t, self.x):
            return False
        return t.shape in self.shapes or parameter_of(t) is not None

    def _kept(self, t: Tensor) -> Handle:
        codec = self.keeper.saved.codec
        if t.dtype == self.x.dtype:
            return self.keeper.keep(t, codec)
        # Autocast casts the input anew for every layer; what it casts is the same.
        handle = self.keeper.keep(self.x, codec)
        read, shape, dtype = handle.read, t.shape, t.dtype
        return handle.view(lambda packed: read(packed).to(dtype).reshape(shape))


def keep_input(
    keeper: Keeper, layer: nn.Module, forward: Callable[[], Tensor], x: Tensor
) -> Tensor:
    """The layer's output by torch's own operation, its input kept as answered."""
    call = ProductInput(keeper, layer, x)
    with keeper.around(layer.training, call.pack):
        y = forward()
    shapes = call.shapes

    def sort(inputs: Any, outputs: Any) -> Gradients:
        # The weight comes behind the input in every operation.
        present = (g for g in reversed(inputs) if g is not None)
        return Gradients(outputs[0], next(g for g in present if g.shape in shapes))

    keeper.watch(y, call.handle, sort)
    return y


def keep_codes(
    keeper: Keeper, training: bool, *activations: Operand, masks: bool = False
) -> AbstractContextManager[Any]:
    """A context for a product on codes: it keeps those of activations in their width.

    Args:
        keeper: of the layer.
        training: whether the layer trains.
        activations: the operands that are no weights.
        masks: whether other tensors of bools are masks of the output.
    """

    def pack(t: Tensor) -> Kept:
        for operand in activations:
            bits = operand.scheme.bits
            if same(t, operand.raw):
                codec = Identity() if bits == BYTE else Lossless()
                return keeper.keep_exactly(t, codec, "matmul_in", bits)
            if operand.inside is not None and same(t, operand.inside):
                return keeper.keep_exactly(t, BitMask(), "mask", 1)
        if masks and t.dtype == torch.bool:
            return keeper.keep_exactly(t, BitMask(), "mask", 1)
        return Alias(t)

    return keeper.around(training, pack)


def _either_way(shape: torch.Size) -> tuple[torch.Size, torch.Size]:
    """A linear layer saves its weight transposed."""
    return shape, shape[::-1]
