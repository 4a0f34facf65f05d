"""A readable error where a network does not take the images of a data set."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from torch import Tensor, nn

from ..errors import ModelError

# What torch's messages about shapes have in common.
WORDS = (
    "expected input",
    "shapes cannot be multiplied",
    "size of tensor",
    "ernel size",
)


@contextmanager
def fitting(net: nn.Module, images: Tensor) -> Generator[None]:
    """A context for a call of a network with some images.

    Raises:
        ModelError: where torch says that their shapes do not fit.
    """
    try:
        yield
    except RuntimeError as problem:
        first = str(problem).partition("\n")[0]
        if not any(word in first for word in WORDS):
            raise
        raise ModelError(
            f"{type(net).__name__} does not take images of shape "
            f"{tuple(images.shape[1:])} ({first.rstrip('.')}). Choose a network for "
            "such images, or build it for them, as with channels=1."
        ) from problem
