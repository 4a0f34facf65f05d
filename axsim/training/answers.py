"""A network in eval mode, and what it says of a batch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..nn.fitting import fitting


def answer(net: nn.Module, images: Tensor, views: int = 1) -> Tensor:  # (N, classes)
    """What a network says of some images, float32 on the CPU.

    Args:
        net: in eval mode.
        images: (N, C, H, W) where the network is, or (N, views, C, H, W).
        views: of each image; the outputs of more than one are averaged.
    """
    # Not inference mode: what a layer caches here may be trained with later.
    with torch.no_grad(), fitting(net, images):
        if views == 1:
            return logits_of(net, images).float().cpu()
        every = logits_of(net, images.flatten(0, 1)).float()
        return every.unflatten(0, (-1, views)).mean(1).cpu()


def logits_of(net: nn.Module, images: Tensor) -> Tensor:
    """The network's outputs.

    Raises:
        ModelError: where they are no tensor.
    """
    given: Any = net(images)
    if not isinstance(given, Tensor):
        raise ModelError(
            f"{type(net).__name__} gives a {type(given).__name__}; needed is one "
            "tensor, (images, classes). Wrap it in a module that returns its logits."
        )
    return given


def views_of(data: Any) -> int:
    """How many views of an image a sample of this data set, or loader of it, has."""
    while hasattr(data, "dataset"):
        data = data.dataset
    return getattr(data, "views", 1)


@contextmanager
def eval_mode(net: nn.Module | None) -> Generator[None]:
    """The network in eval mode, and each of its modules afterwards as it was."""
    modes = {} if net is None else {each: each.training for each in net.modules()}
    if net is not None:
        net.eval()
    try:
        yield
    finally:
        if net is not None:
            net.train(modes[net])
        for module, training in modes.items():
            module.training = training


def check_finite(net: nn.Module, logits: Tensor) -> None:
    """Refuses answers that are NaN or infinite.

    Raises:
        ModelError: with the first such sample.
    """
    wrong = (~logits.isfinite()).any(1).nonzero().flatten()
    if len(wrong):
        first = logits[wrong[0]]
        raise ModelError(
            f"{type(net).__name__} gives outputs that are not finite for "
            f"{len(wrong):,} of {len(logits):,} samples, first for sample "
            f"{int(wrong[0])} "
            f"({first[~first.isfinite()][0].item()}). Look at its weights, and at the "
            "data for values that are not finite."
        )
