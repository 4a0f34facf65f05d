"""LeNet-5 for 28x28 digits, with ReLU as it is trained today."""

from __future__ import annotations

from torch import Tensor, nn


class LeNet5(nn.Module):
    """Two convolutions with average pooling and three linear layers.

    Args:
        classes: outputs.
        channels: of the input.
    """

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        # The original saw 28x28 digits centred in 32x32.
        self.conv1 = nn.Conv2d(channels, 6, 5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.AvgPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.head = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3(self.fc1(self.flatten(x)))
        return self.head(self.relu4(self.fc2(x)))


def lenet5(*, classes: int = 10, channels: int = 1) -> LeNet5:
    """LeNet-5."""
    return LeNet5(classes, channels)


NETWORKS = {"lenet5": lenet5}
