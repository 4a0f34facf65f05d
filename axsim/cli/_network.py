"""The network that a command works on: built, filled, converted."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn
from torch.utils.data import Dataset, Subset

import axsim as ax

from ..errors import ModelError
from ..zoo.checkpoint import read_metadata, read_weights
from ..zoo.data.loader import make_loader
from ._answers import Answers

# What the ranges of a converted network end with in a state dict.
RANGES = ".input_quantizer.scale"


@dataclass(frozen=True)
class Prepared:
    """A network, and what it was before.

    Args:
        net: converted where that was asked for.
        converted: whether it was.
        origin: the network before conversion, where its weights are its own; those of
            a checkpoint that was trained on a table are not.
    """

    net: nn.Module
    converted: bool
    origin: nn.Module | None


def prepare(
    model: str, options: dict[str, object], weights: str | None, answers: Answers,
    data: str, data_options: dict[str, object],
) -> Prepared:  # fmt: skip
    """Builds a network, fills it, and converts it as the answers say.

    The weights of a converted network come with their ranges; for others the training
    images give them.

    Raises:
        ModelError: where weights of a converted network come without the answers, or
            a folder that has them comes with others.
    """
    net = ax.build_network(model, **options)
    rules = answers.rules()
    if weights is not None and Path(weights).is_dir():
        if rules is not None:
            raise ModelError(
                f"weights: the folder {weights} says itself how its network is "
                f"converted; leave out {answers.words}."
            )
        return Prepared(ax.load_network(weights, net), True, None)
    file = ax.shipped_weights(model) if weights == "shipped" else weights
    ranged = file is not None and any(k.endswith(RANGES) for k in read_weights(file))
    if file is not None and not ranged:
        ax.load_weights(net, file)
    if rules is None:
        if ranged:
            raise ModelError(_lacks_answers(Path(str(file))))
        return Prepared(net, False, None)
    train = ax.load_data(data, "train", **data_options)
    batches = make_loader(spread(train, answers.calibrate))
    converted = ax.approximate(net, rules, calibration=batches)
    if file is not None and ranged:
        ax.load_weights(converted, file)
    return Prepared(converted, True, None if ranged else net)


def spread(data: Dataset[Any], count: int) -> Subset[Any]:
    """So many samples from all over a data set, which may be sorted by class."""
    size = len(cast(Sized, data))
    count = min(count, size)
    return Subset(data, [size * place // count for place in range(count)])


def _lacks_answers(file: Path) -> str:
    words = read_metadata(file).get("answers") if _is_safetensors(file) else None
    told = f": {words}" if words else ", such as --multiplier NAME"
    return (
        f"weights: {file.name} is of a converted network; say how it was converted, "
        f"with the options of axsim train{told}. Or give the folder 'network' beside "
        "it."
    )


def _is_safetensors(file: Path) -> bool:
    return file.suffix == ".safetensors"
