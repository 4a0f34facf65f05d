"""What the layers with one weight share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from ..tables.multiplier import Multiplier
from .forms import Form
from .site import Site
from .spec import QUESTIONS, Kind, LayerSpec, Product

Answer = LayerSpec | Multiplier | Product


class ApproxLayer(nn.Module, ABC):
    """A layer of torch whose products are formed on codes.

    Its parameters, settings and state-dict keys are torch's; `adopt` gives it the
    answers, also after its class was exchanged under a module that exists.

    Attributes:
        kind: what rules with a spec for each kind call it; empty for none.
        questions: those that its kind has.
    """

    kind: ClassVar[Kind | Literal[""]] = ""
    questions: ClassVar[frozenset[str]] = QUESTIONS
    spec: LayerSpec

    def adopt(self, spec: Answer, name: str = "") -> None:
        """Takes over the answers of a spec.

        Args:
            spec: with a multiplier, codes, or both.
            name: how errors and reports call the layer.

        Raises:
            ConversionError: where codes and table do not fit each other.
        """
        self.spec = spec if isinstance(spec, LayerSpec) else LayerSpec(multiplier=spec)
        self.build_sites(name or type(self).__name__)

    @abstractmethod
    def build_sites(self, name: str) -> None:
        """Makes the layer's sites for `self.spec`."""

    def exactly(self, *args: Any, **settings: Any) -> Any:
        """What torch's own layer computes."""
        return super().forward(*args, **settings)


class WeightedLayer(ApproxLayer):
    """A layer with one weight, and so with one site.

    Attributes:
        site: where its products are formed; None where they stay real numbers.
    """

    site: Site | None
    weight: Tensor
    bias: Tensor | None
    weight_axis = 0

    def __init__(
        self, *args: Any, spec: Answer, name: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.adopt(spec, name)

    def build_sites(self, name: str) -> None:
        """One site, where the layer computes on codes."""
        self.site = None
        if self.spec.on_codes:
            site = Site(self.spec, name, self.weight_axis)
            self.site = site.to(self.weight.device)

    @abstractmethod
    def placed(self, input: Tensor, *args: Any, **settings: Any) -> tuple[Tensor, Form]:
        """The input as a batch, padded where its form cannot, and that form."""

    def forward(self, input: Tensor, *args: Any, **settings: Any) -> Tensor:
        if self.site is None:
            return self.exactly(input, *args, **settings)
        if self.site.calibrating:
            self.site.observe(input)
            return self.exactly(input, *args, **settings)
        x, form = self.placed(input, *args, **settings)
        y = self.site.multiply(x, self.weight, self.bias, form)
        return y if x.dim() == input.dim() else y.squeeze(0)
