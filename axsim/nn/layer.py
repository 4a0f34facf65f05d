"""What the layers with one weight share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn

from ..errors import ConversionError
from ..gating.gate import Gate
from ..gating.split import Shape
from ..gating.unit import GateUnit
from ..memory.policy import Slot
from ..memory.saved import Saved
from ..memory.store import Store
from ..quant.magnitudes import MagnitudeOperands, Magnitudes
from ..tables.multiplier import Multiplier
from .forms import Form, SplitForm
from .gated import GatedSite, multiply_gated
from .magnitudes import check_magnitudes, multiply_magnitudes
from .saved.keeper import Keeper
from .saved.product import keep_input
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
        sums_reals: whether its form has a float operation, which magnitudes need.
        keeper: keeps what the layer saves for backward; None leaves that to torch.
    """

    kind: ClassVar[Kind | Literal[""]] = ""
    questions: ClassVar[frozenset[str]] = QUESTIONS
    sums_reals: ClassVar[bool] = False
    spec: LayerSpec
    keeper: Keeper | None = None

    def adopt(self, spec: Answer, name: str = "") -> None:
        """Takes over the answers of a spec.

        Args:
            spec: with a multiplier, codes, or both.
            name: how errors and reports call the layer.

        Raises:
            ConversionError: where codes and table do not fit each other, or a kind of
                layer without a gate is to have one.
        """
        self.spec = spec if isinstance(spec, LayerSpec) else LayerSpec(multiplier=spec)
        if isinstance(self.spec.gate, Gate) and "gate" not in self.questions:
            raise ConversionError(
                f"{name or 'the layer'!r} is a {type(self).__name__}, which no "
                "gate can split; convolutions, linear layers and attention can."
            )
        if isinstance(self.spec.quant, Magnitudes) and not self.sums_reals:
            raise ConversionError(
                f"{name or 'the layer'!r} is a {type(self).__name__}, which has no "
                "magnitudes; convolutions and linear layers do. Use Quant(...) here."
            )
        self.build_sites(name or type(self).__name__)

    @abstractmethod
    def build_sites(self, name: str) -> None:
        """Makes the layer's sites for `self.spec`."""

    def remember(self, saved: Saved, store: Store, name: str) -> None:
        """Keeps what the layer saves for its backward pass as the answer says."""
        self.keeper = Keeper(saved, store, self.slot(name))

    def slot(self, name: str) -> Slot:
        """The layer's place in the account of what is kept."""
        return Slot(name)

    def exactly(self, *args: Any, **settings: Any) -> Any:
        """What torch's own layer computes."""
        return super().forward(*args, **settings)


class WeightedLayer(ApproxLayer):
    """A layer with one weight, and so with one site.

    Attributes:
        site: where its products are formed; None where they stay real numbers.
        levels: of its operands, where those stay real numbers of few levels.
        gate: what decides which of them are; None where all are.
    """

    site: Site | None
    levels: MagnitudeOperands | None
    gate: GateUnit | None
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
        gate = self.spec.gate if isinstance(self.spec.gate, Gate) else None
        self.site = self.gate = self.levels = None
        if isinstance(self.spec.quant, Magnitudes):
            check_magnitudes(self.spec, name)
            self.levels = MagnitudeOperands(self.spec.quant)
        elif self.spec.on_codes:
            kind = GatedSite if gate else Site
            self.site = kind(self.spec, name, self.weight_axis)
        if gate:
            self.gate = GateUnit(gate, self._gate_shape(name))
        if isinstance(self.site, GatedSite) and self.gate:
            self.site.split_tables(self.gate)
        for part in (self.site, self.levels, self.gate):
            if part is not None:
                part.to(self.weight.device)

    def _gate_shape(self, name: str) -> Shape:
        """What a gate must know of the layer."""
        groups = getattr(self, "groups", 1)
        codes = None if self.site is None else self.site.schemes[0]
        codes = codes if self.levels is None else self.levels.answer.scheme
        channels, outputs = self.weight.shape[1] * groups, self.weight.shape[0]
        return Shape(channels, outputs, groups, codes, name)

    @abstractmethod
    def placed(self, input: Tensor, *args: Any, **settings: Any) -> tuple[Tensor, Form]:
        """The input as a batch, padded where its form cannot, and that form."""

    def forward(self, input: Tensor, *args: Any, **settings: Any) -> Tensor:
        site, gate = self.site, self.gate
        if site is not None and site.calibrating:
            site.observe(input)
            return self.exactly(input, *args, **settings)
        if site is None and gate is None and self.levels is None:
            return self._in_reals(input, *args, **settings)
        x, form = self.placed(input, *args, **settings)
        if self.levels is not None:
            y = multiply_magnitudes(
                self.levels, gate, x, self.weight, self.bias, cast(SplitForm, form)
            )
        elif gate is None:
            y = cast(Site, site).multiply(x, self.weight, self.bias, form)
        else:
            split = cast(SplitForm, form)
            y = multiply_gated(site, gate, x, self.weight, self.bias, split)
        return y if x.dim() == input.dim() else y.squeeze(0)

    def remember(self, saved: Saved, store: Store, name: str) -> None:
        """Keeps the layer's input, or the codes of it.

        Several operations share the input of a gate on real numbers, and those on
        magnitudes have others: what they save is left to torch.
        """
        if self.site is None and (self.gate or self.levels):
            return
        super().remember(saved, store, name)
        if self.site is not None:
            self.site.keeper = self.keeper

    def slot(self, name: str) -> Slot:
        """The layer's place, with what policies ask of a convolution."""
        kernel = getattr(self, "kernel_size", ())
        stride = getattr(self, "stride", ())
        return Slot(name, "matmul_in", kernel, stride, getattr(self, "groups", 1))

    def _in_reals(self, input: Tensor, *args: Any, **settings: Any) -> Tensor:
        if self.keeper is None:
            return self.exactly(input, *args, **settings)
        return keep_input(
            self.keeper, self, lambda: self.exactly(input, *args, **settings), input
        )
