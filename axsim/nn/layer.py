"""What the layers with one weight share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from ..tables.multiplier import Multiplier
from .site import Site
from .spec import LayerSpec, Product

Answer = LayerSpec | Multiplier | Product


class ApproxLayer(nn.Module, ABC):
    """A layer of torch whose products are formed on codes.

    Its parameters, settings and state-dict keys are torch's; `adopt` gives it the
    answers, also after its class was exchanged under a module that exists.
    """

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


class WeightedLayer(ApproxLayer):
    """A layer with one weight, and so with one site."""

    site: Site
    weight_axis = 0

    def __init__(
        self, *args: Any, spec: Answer, name: str = "", **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.adopt(spec, name)

    def build_sites(self, name: str) -> None:
        """One site."""
        self.site = Site(self.spec, name, self.weight_axis)
        self.site.to(next(self.parameters()).device)
