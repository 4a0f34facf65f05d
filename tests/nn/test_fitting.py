"""Images that a network was not made for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import axsim as ax

MESSAGE = r"does not take images of shape \(1, 8, 8\) \(.*3 channels.*channels=1"


def test_training_evaluating_and_calibrating_say_what_does_not_fit() -> None:
    net, data = ax.build_network("cifar_resnet8"), ax.load_data("digits")
    with pytest.raises(ax.ModelError, match=MESSAGE):
        ax.train(net, data, ax.TrainSettings(epochs=1))
    with pytest.raises(ax.ModelError, match=MESSAGE):
        ax.evaluate(net, data)
    exact = ax.load_multiplier("mul8u_exact")
    with pytest.raises(ax.ModelError, match=MESSAGE):
        ax.approximate(net, exact, calibration=ax.calibration_images(data, 4))
    wide = nn.Sequential(nn.Flatten(), nn.Linear(5, 10))
    with pytest.raises(ax.ModelError, match=r"images of shape .*cannot be multiplied"):
        ax.evaluate(wide, data)


def test_other_failures_stay_what_they_are() -> None:
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("out of paper")

    with pytest.raises(RuntimeError, match="out of paper"):
        ax.evaluate(Broken(), ax.load_data("digits"))
