"""The four questions of a layer and their answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Literal, get_args

from ..errors import ConversionError, wrong_type
from ..gating.gate import Gate
from ..memory.saved import Saved
from ..quant.magnitudes import Magnitudes
from ..quant.observers import MinMax, Observer
from ..quant.scheme import Scheme
from ..tables.multiplier import Multiplier

LOAD = "ax.load_multiplier('mul8u_exact')"
Row = Literal["activation", "weight"]
Signs = Literal["sign-magnitude", "shift"]
Pad = Literal["code", "skip"]
Gradient = Literal["ste", "slopes", "table"]
Kind = Literal["convolution", "transposed", "linear", "attention"]


@dataclass(frozen=True)
class Quant:
    """Which integers stand for the values.

    Args:
        activation: codes of the layer's input; by default affine uint8 for an unsigned
            table and symmetric int8 for a signed one.
        weight: codes of its weights; by default the same, per output channel.
        observer: how the range of activations is found in calibration.
        weight_observer: how that of the weights is found, from the weights.
        dynamic: take the range of activations from every batch instead. Results then
            depend on the batch.
        pact: the first clip of PACT, above 0: activations are then clipped to 0 …
            alpha, where alpha is a parameter of the layer that begins here, and need
            no calibration. `activation` must be unsigned and symmetric.
    """

    activation: Scheme | None = None
    weight: Scheme | None = None
    observer: Observer = field(default_factory=MinMax)
    weight_observer: Observer = field(default_factory=MinMax)
    dynamic: bool = False
    pact: float | None = None

    def __post_init__(self) -> None:
        for name in ("activation", "weight"):
            _check_type(f"Quant: {name}", getattr(self, name), (Scheme,), "Scheme(8)")
        scheme = self.activation
        fits = scheme is not None and scheme == Scheme(scheme.bits, symmetric=True)
        if self.pact is not None and not fits:
            raise ConversionError(
                f"Quant: pact={self.pact} with activation={scheme}; PACT has unsigned "
                "codes of one scale, code 0 for 0. Use activation=Scheme(bits, "
                "symmetric=True)."
            )

    def __str__(self) -> str:
        chosen = [str(s) for s in (self.activation, self.weight) if s] or ["default"]
        words = [", dynamic"] * self.dynamic + [", PACT"] * (self.pact is not None)
        return " x ".join(chosen) + "".join(words)


@dataclass(frozen=True)
class Product:
    """Which multiplier forms each product, and how it is connected.

    Args:
        table: the multiplier.
        row: which operand indexes the rows of the table. "weight" exchanges the
            operands, for tables and simulators that put the weight first.
        signs: how an unsigned table multiplies signed codes. "sign-magnitude"
            multiplies magnitudes and applies the sign; "shift" adds half the range to
            the codes and takes the excess off exactly. There is no default: the two
            differ by orders of magnitude in error for one and the same table.
        pad: what a padded tap contributes: "code" sends the code of 0 through the
            table, as a systolic array does; "skip" gates the lane.
        gradient: of a product in training: "ste" that of the exact product, "slopes"
            the table's regression slope for each fixed operand, "table" its local
            slopes in both operands.
        backend: path of the integer kernels, "auto" for the fastest.

    Raises:
        ConversionError: for another word, or what is no multiplier.
    """

    table: Multiplier
    row: Row = "activation"
    signs: Signs | None = None
    pad: Pad = "code"
    gradient: Gradient = "ste"
    backend: str = "auto"

    def __post_init__(self) -> None:
        if problem := wrong_type("Product: table", self.table, (Multiplier,), LOAD):
            raise ConversionError(problem)
        _check_word("row", self.row, get_args(Row))
        _check_word("signs", self.signs, (*get_args(Signs), None))
        _check_word("pad", self.pad, get_args(Pad))
        _check_word("gradient", self.gradient, get_args(Gradient))

    def __str__(self) -> str:
        unusual = {
            "row=weight": self.row == "weight",
            f"signs={self.signs}": self.signs is not None,
            "pad=skip": self.pad == "skip",
            f"gradient={self.gradient}": self.gradient != "ste",
        }
        return ", ".join([self.table.name, *(w for w, said in unusual.items() if said)])


@dataclass(frozen=True)
class LayerSpec:
    """Answers to a layer's four questions; None leaves a question open.

    Args:
        quant: which integers stand for the values; `Magnitudes` for few levels that
            stay real numbers.
        multiplier: which multiplier forms each product; a bare `Multiplier` is a
            `Product` with defaults.
        gate: which products are computed at all.
        saved: what is remembered for the backward pass.

    Raises:
        ConversionError: for an answer of another type.
    """

    quant: Quant | Magnitudes | None = None
    multiplier: Product | Multiplier | None = None
    gate: Gate | None = None
    saved: Saved | None = None

    def __post_init__(self) -> None:
        for question, (kinds, example) in ANSWERS.items():
            answer = getattr(self, question)
            if not isinstance(answer, Untouched):
                _check_type(f"LayerSpec: {question}", answer, kinds, example)
        if isinstance(self.multiplier, Multiplier):
            object.__setattr__(self, "multiplier", Product(self.multiplier))

    @property
    def product(self) -> Product | None:
        """The second answer in full."""
        answer = self.multiplier
        return Product(answer) if isinstance(answer, Multiplier) else answer

    @property
    def on_codes(self) -> bool:
        """Whether products are formed on codes; otherwise values stay real numbers."""
        untouched = isinstance(self.multiplier, Untouched)
        return not untouched and bool(self.multiplier or isinstance(self.quant, Quant))

    def cut(self, questions: frozenset[str]) -> LayerSpec:
        """Only the answers to these questions."""
        open_again = dict.fromkeys(QUESTIONS - questions)
        return replace(self, **open_again)  # pyright: ignore[reportArgumentType]

    def answers(self) -> dict[str, object]:
        """The answered questions."""
        found = {question: getattr(self, question) for question in sorted(QUESTIONS)}
        return {question: a for question, a in found.items() if a is not None}


#: What answers each question, with an example.
ANSWERS: dict[str, tuple[tuple[type, ...], str]] = {
    "quant": ((Quant, Magnitudes), "Quant(Scheme(8))"),
    "multiplier": ((Multiplier, Product), LOAD),
    "gate": ((Gate,), "Gate(Bits(4))"),
    "saved": ((Saved,), "Saved()"),
}
QUESTIONS = frozenset(ANSWERS)


@dataclass(frozen=True)
class Untouched:
    """The answer "as it was" to one question."""

    def __str__(self) -> str:
        return "exact"


def Exact() -> LayerSpec:
    """A spec that answers all four questions with "untouched".

    Example:
        >>> sorted(Exact().answers())
        ['gate', 'multiplier', 'quant', 'saved']
    """
    untouched = Untouched()
    return LayerSpec(untouched, untouched, untouched, untouched)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class ByKind:
    """Answers that depend on the kind of layer; None leaves layers of a kind alone.

    Args:
        convolution: for `Conv1d`, `Conv2d` and `Conv3d`.
        transposed: for `ConvTranspose2d`.
        linear: for `Linear`.
        attention: for `MultiheadAttention`, its projections included.

    Example:
        >>> ByKind(convolution=Exact()).for_kind("linear").answers()
        {}
    """

    convolution: LayerSpec | None = None
    transposed: LayerSpec | None = None
    linear: LayerSpec | None = None
    attention: LayerSpec | None = None

    def for_kind(self, kind: str) -> LayerSpec:
        """The answers for layers of one kind."""
        return getattr(self, kind, None) or LayerSpec()


@dataclass(frozen=True)
class Rule:
    """A spec for the layers whose dotted name matches a pattern as a whole.

    Args:
        pattern: a regular expression, for `re.fullmatch`.
        spec: a `LayerSpec`, a `Multiplier` or `Product` alone, or a spec for each kind
            of layer.

    Raises:
        ConversionError: for an argument of another type.

    Example:
        >>> Rule("(stem|head).*", Exact()).pattern
        '(stem|head).*'
    """

    pattern: str
    spec: LayerSpec | Multiplier | Product | ByKind

    def __post_init__(self) -> None:
        kinds = LayerSpec, Multiplier, Product, ByKind
        problem = wrong_type("Rule: pattern", self.pattern, (str,), "'layer1.*'")
        problem = problem or wrong_type("Rule: spec", self.spec, kinds, "LayerSpec()")
        if problem:
            raise ConversionError(problem)

    def answers(self, kind: str = "") -> LayerSpec:
        """The rule's spec for layers of one kind."""
        if isinstance(self.spec, ByKind):
            return self.spec.for_kind(kind)
        return (
            self.spec
            if isinstance(self.spec, LayerSpec)
            else LayerSpec(multiplier=self.spec)
        )


def _check_word(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ConversionError(f"Product: {name}={value!r}; choose one of {choices}.")


def _check_type(
    name: str, value: object, kinds: tuple[type, ...], example: str
) -> None:
    """Refuses what answers nothing; None leaves a question open."""
    if problem := wrong_type(name, value, (*kinds, NoneType), example):
        raise ConversionError(problem)
