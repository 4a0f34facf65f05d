"""Linear layers on codes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..tables.multiplier import Multiplier
from .forms import LinearForm
from .layer import ProductLayer
from .spec import LayerSpec, Product


class ApproxLinear(ProductLayer, nn.Linear):
    """`torch.nn.Linear` on a multiplier; `spec=` names it.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> ApproxLinear(4, 2, spec=exact).weight.shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        *args: Any,
        spec: LayerSpec | Multiplier | Product,
        name: str = "",
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.adopt(spec, name)

    def forward(self, input: Tensor) -> Tensor:
        if self.input_quantizer.calibrating:
            self.input_quantizer.observe(input)
            return super().forward(input)
        return self.multiply(input)

    def form(self) -> LinearForm:
        """What the layer sums into what."""
        return LinearForm()
