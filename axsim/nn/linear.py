"""Linear layers on codes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .forms import LinearForm
from .layer import WeightedLayer


class ApproxLinear(WeightedLayer, nn.Linear):
    """`torch.nn.Linear` on a multiplier, which `spec=` names.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> ApproxLinear(4, 2, spec=exact).weight.shape
        torch.Size([2, 4])
    """

    kind = "linear"
    sums_reals = True

    def placed(
        self, input: Tensor, *args: Any, **settings: Any
    ) -> tuple[Tensor, LinearForm]:
        return input, LinearForm()
