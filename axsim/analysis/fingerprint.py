"""Hashes of what a result depends on, by which a sweep knows its rows again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn, uint8

from .. import __version__
from ..tables.multiplier import Multiplier
from ..training.batches import batches_of, unpack
from .run import HASH_LENGTH

# Where an object lies says nothing of what it is.
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def hash_network(net: nn.Module) -> str:
    """Of structure, parameters and buffers."""
    state = hashlib.sha256(ADDRESS.sub("", repr(net)).encode())
    for name, tensor in net.state_dict().items():
        # A module's extra state may be anything.
        part = tensor if isinstance(tensor, Tensor) else repr(tensor)
        state.update(name.encode())
        _add(state, part)
    return state.hexdigest()[:HASH_LENGTH]


def hash_data(data: Any, batch_size: int) -> tuple[str, NDArray[np.int64]]:
    """Of all images and labels in order, however they are batched; and the labels.

    Raises:
        DataError: where the data is empty or has no labels.
    """
    pixels = hashlib.sha256()
    labels: list[NDArray[np.int64]] = []
    for batch in batches_of(data, batch_size):
        images, wanted = unpack(batch)
        for image in images:
            _add(pixels, image)
        labels.append(wanted.cpu().numpy())
    found = np.concatenate(labels) if labels else np.empty(0, np.int64)
    pixels.update(found.tobytes())
    return pixels.hexdigest()[:HASH_LENGTH], found


def hash_batches(batches: Iterable[Tensor]) -> str:
    """Of tensors in their order, such as a calibration."""
    state = hashlib.sha256()
    for batch in batches:
        _add(state, batch)
    return state.hexdigest()[:HASH_LENGTH]


def hash_settings(
    mul: Multiplier, recipe: Callable[[Multiplier], Any], calibration: str, seed: int
) -> str:
    """Of everything else: version of axsim, seed, hash of the calibration, rules."""
    text = f"{__version__} {seed} {calibration} {rules_text(mul, recipe)}"
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def rules_text(mul: Multiplier, recipe: Callable[[Multiplier], Any]) -> str:
    """The rules that a recipe makes for a table, without the table's own name.

    A recipe that fails has the failure as its text: the table's row will say it.
    """
    try:
        text = repr(recipe(mul))
    except Exception as problem:
        text = f"{type(problem).__name__}: {problem}"
    return ADDRESS.sub("", text.replace(repr(mul), "TABLE"))


def _add(state: Any, part: Tensor | str) -> None:
    """Adds a tensor's type, shape and bits, or a text."""
    if isinstance(part, str):
        state.update(part.encode())
        return
    state.update(f"{part.dtype} {tuple(part.shape)}".encode())
    state.update(part.detach().cpu().contiguous().flatten().view(dtype=uint8).numpy())
