"""The network that a command works on: built, filled, converted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

import axsim as ax

from ..errors import ModelError
from ._answers import Answers


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
    if rules is None:
        if file is not None:
            ax.load_weights(net, file)
        return Prepared(net, False, None)
    ranged = False
    if file is not None:
        try:
            ax.load_weights(net, file)
        except ModelError:
            # Perhaps those of a converted network, which fit the converted one alone.
            ranged = True
    images = ax.load_data(data, "train", **data_options)
    batches = ax.calibration_images(images, answers.calibrate)
    converted = ax.approximate(net, rules, calibration=batches)
    if file is not None and ranged:
        ax.load_weights(converted, file)
    return Prepared(converted, True, None if ranged else net)
