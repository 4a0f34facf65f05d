"""Multiply-accumulates by forward hooks, without computing anything."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor, nn


def count_macs(network: nn.Module, *shape: int) -> dict[str, int]:
    """MACs of each convolution and linear layer for one image."""
    macs: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(layer: nn.Module, _: Any, output: Tensor) -> None:
            weight: Any = layer.weight
            # Every output element takes one row of the weight.
            macs[name] = macs.get(name, 0) + output.numel() * prod(weight.shape[1:])

        return hook

    layers = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    hooks = [layer.register_forward_hook(count(name)) for name, layer in layers.items()]
    # Meta tensors have shapes and no numbers.
    network.to("meta").eval()(torch.empty(1, *shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return macs
