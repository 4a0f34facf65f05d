"""Loss and accuracy of an epoch so far."""

from __future__ import annotations

import torch
from torch import Tensor

from .processes import Processes


class Meter:
    """Sums that stay on the device until somebody reads them.

    Args:
        device: where the network computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        # Correct answers and samples seen, as integers: exact in any order.
        self.counts = torch.zeros(2, dtype=torch.int64, device=device)

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Counts a batch with its mean loss."""
        self.loss += loss.detach().double() * len(labels)
        self.counts[0] += (logits.detach().argmax(1) == labels).sum()
        self.counts[1] += len(labels)

    def set(self, loss: float, correct: int, seen: int) -> None:
        """Goes on from sums that were read before."""
        self.loss.fill_(loss)
        self.counts.copy_(torch.tensor([correct, seen]))

    def read(self, group: Processes | None = None) -> tuple[float, int, int]:
        """Summed loss, correct answers and samples, here or of all processes."""
        loss, counts = self.loss, self.counts
        if group:
            loss, counts = group.sum(loss), group.sum(counts)
        correct, seen = counts.tolist()
        return loss.item(), correct, seen
