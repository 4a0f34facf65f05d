"""The digits networks that figures are made with, trained once and then kept."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..training.loop import train
from ..training.settings import TrainSettings
from ..zoo.networks.factory import build_network
from .pooled import Case

NETWORK = "digits_resnet"
EPOCHS = 20


def trained_digits(
    case: Case, folder: Path, device: str = "cpu", epochs: int = EPOCHS
) -> nn.Module:
    """The float32 network of a case; a folder that holds it already spares the time.

    Args:
        case: its training images and seed.
        folder: where the runs are kept, one folder for each case.
        device: where it is trained.
        epochs: of the training.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(case.seed)
        net = build_network(NETWORK)
    settings = TrainSettings(
        epochs=epochs, batch_size=64, seed=case.seed, device=device
    )
    # A finished run is read and not trained again.
    out = folder / f"{NETWORK}-{epochs}-{case.name}"
    train(net, case.train, settings, out=out, resume=True)
    return net
