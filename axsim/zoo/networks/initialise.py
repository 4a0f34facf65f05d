"""The initial weights of convolutional networks."""

from __future__ import annotations

from torch import nn


def initialise(network: nn.Module) -> None:
    """Draws convolutions from Kaiming's normal distribution, fan-out (1502.01852).

    Batch norms and linear layers keep what torch gives them.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
