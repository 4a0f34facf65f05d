"""PACT: activations whose range is learned with the weights (Choi et al., 2018)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from ..errors import OperandError
from .codes import Codes
from .quantizer import Mode, Quantizer
from .scheme import Scheme
from .sign_magnitude import sign_magnitude, split_signs
from .straight_through import clip, fake_quantise

Step = Literal["alpha", "max"]


class PactClip(nn.Module):
    """The activation clip(x, 0, alpha), where alpha is a parameter of the network.

    As in precision-gated networks, x = alpha does not count towards alpha's gradient.

    Args:
        alpha: its first value, above 0.

    Raises:
        OperandError: for another.

    Example:
        >>> PactClip(3.0)(torch.tensor([-1.0, 0.5, 7.0])).tolist()
        [0.0, 0.5, 3.0]
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = first_clip(alpha)

    def forward(self, x: Tensor) -> Tensor:
        return clip(x, self.alpha)


def first_clip(alpha: float) -> nn.Parameter:
    """The parameter that a clip begins with.

    Raises:
        OperandError: where it is not finite and above 0.
    """
    if isinstance(alpha, str | bool) or not 0 < alpha < float("inf"):
        raise OperandError(
            f"alpha={alpha!r}; the first clip is finite and above 0, as 6.0."
        )
    return nn.Parameter(torch.tensor(float(alpha)))


class PactQuantizer(Quantizer):
    """Unsigned codes of clip(x, 0, alpha), where alpha is a parameter of the network.

    Args:
        bits: width of a code, 1 to 8.
        alpha: its first value, above 0.
        step: "alpha" divides alpha by 2^bits - 1, as the paper does, and counts
            x = alpha towards the gradient of alpha. "max" divides the largest clipped
            value of the tensor, plus 1e-7, as precision-gated networks do: results
            then depend on the batch as long as nothing saturates, and zeros pass no
            gradient.
        name: how errors and reports call it.

    Raises:
        OperandError: for other settings.

    Example:
        >>> quantizer = PactQuantizer(bits=2, alpha=3.0)
        >>> quantizer(torch.tensor([-1.0, 0.6, 7.0]))
        tensor([0., 1., 3.], grad_fn=<_FakeQuantiseBackward>)
    """

    def __init__(
        self, bits: int = 8, alpha: float = 6.0, step: Step = "alpha", name: str = ""
    ) -> None:
        super().__init__(Scheme(bits, symmetric=True), name=name)
        if step not in get_args(Step):
            raise OperandError(f"step={step!r}; choose 'alpha' or 'max'.")
        self.alpha = first_clip(alpha)
        self.step = step

    @property
    def mode(self) -> Mode:
        """Always "learnable"."""
        return "learnable"

    def forward(self, x: Tensor) -> Tensor:
        """The values that the codes of `x` stand for."""
        clipped = clip(x, self.alpha, inclusive=self.step == "alpha")
        if self.step == "max":
            return sign_magnitude(clipped, self.scheme.bits)
        return fake_quantise(clipped, *self.params(x), self.scheme)

    def clipped(self, x: Tensor) -> Tensor:
        """clip(x, 0, alpha), with a gradient for alpha."""
        return clip(x, self.alpha, inclusive=self.step == "alpha")

    def codes(self, x: Tensor) -> Codes:
        """The codes of `x`; their values are what `forward` returns."""
        if self.step == "alpha":
            return super().codes(x)
        split = split_signs(clip(x.detach(), self.alpha.detach()), self.scheme.bits)
        zero = torch.zeros_like(split.scale, dtype=torch.int32)
        return Codes(split.magnitude, split.scale, zero, self.scheme)

    def params(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and zero point for `x`."""
        if self.step == "max":
            return self.codes(x)[1:3]
        scale = self.alpha.detach() / self.scheme.quant_max
        scale = scale.clamp(min=self.scheme.eps)
        return scale, torch.zeros_like(scale, dtype=torch.int32)

    def _describe_mode(self) -> str:
        return f"learnable: alpha {self.alpha.item():.4g}, step from {self.step}"
