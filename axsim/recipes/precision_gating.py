"""precision_gating: high bits first, low bits where the high ones are promising."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import ConversionError
from ..gating.bits import Bits
from ..gating.gate import Gate
from ..gating.sigmoid import SigmoidThreshold
from ..gating.threshold import Threshold
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec, Product, Quant, Rule
from ..quant.magnitudes import Magnitudes
from ..quant.scheme import PerAxis, Scheme
from ..tables.multiplier import Multiplier

Profile = Literal["axsim", "dnn-gating"]
FIRST = r".+\.conv1"
OTHERS = r".+\.conv[2-9]"


def precision_gating(
    bits: int = 3,
    weight_bits: int = 8,
    msb: int = 2,
    *,
    target: float = 1.0,
    weight: float = 1e-3,
    squared: bool = False,
    alpha: float = 5.0,
    start: float = 0.0,
    sparse: bool = True,
    pact: float | None = 6.0,
    gated: str = FIRST,
    quantised: str | None = OTHERS,
    mul: Multiplier | Product | None = None,
    rest: Multiplier | None = None,
    profile: Profile = "axsim",
) -> Recipe:
    """A recipe for precision gating (Zhang et al., ICLR 2020), trained end to end.

    The first convolution of every residual block computes the high bits of its input,
    and adds the low bits where the result is above its output channel's threshold; the
    block's other convolutions have the same codes and no gate. Train the network that
    `approximate` returns with `plan=ax.plan(net)`, which adds the gate loss.

    Args:
        bits: of the whole codes of activations, which must not be negative.
        weight_bits: of the signed codes of weights, per output channel.
        msb: of the base, fewer than `bits`.
        target: where the gate loss pulls the thresholds; higher closes more.
        weight: of the gate loss.
        squared: weight * sum of squares, instead of the unsquared norm.
        alpha: steepness of the gate's surrogate gradient.
        start: first threshold.
        sparse: leave out the gate's gradient where it is closed.
        pact: the first clip of PACT; None for ranges from calibration.
        gated: pattern of the gated layers' names.
        quantised: pattern of the layers with codes alone; None for no others.
        mul: the multiplier, by default exact; of gated layers that of the high bits.
        rest: that of the low bits.
        profile: whose conventions. "axsim" sums codes of a calibrated or learned range
            exactly. "dnn-gating" are the published code's: magnitudes of few levels,
            ranged by every batch in evaluation too, and sums in floating point; with
            pact=None and the networks that have PACT's clip for an activation,
            `ax.build_network("cifar_resnet20", pact=6.0)`, it is the original. See
            PROFILES.md.

    Raises:
        ConversionError: for an unknown profile, or one that has no tables.

    Example:
        >>> gates, others = precision_gating(4, 8, 3)[0]
        >>> print(gates.spec.gate)
        high 3 bits first; threshold, sparse
    """
    quant = _quant(profile, bits, weight_bits, pact)
    if isinstance(quant, Magnitudes) and (mul is not None or rest is not None):
        raise ConversionError(
            f"profile={profile!r} sums in floating point, where no table is looked up; "
            "leave out mul= and rest=, or use profile='axsim'."
        )
    kind = SigmoidThreshold if isinstance(quant, Magnitudes) else Threshold
    decide = kind(alpha, start, sparse=sparse, target=target, weight=weight,
                  squared=squared)  # fmt: skip
    gate = Gate(Bits(msb), decide, rest)
    rules = [Rule(gated, LayerSpec(quant, mul, gate))]
    if quantised is not None:
        rules.append(Rule(quantised, LayerSpec(quant, mul)))
    return recipe(rules)


def _quant(
    profile: str, bits: int, weight_bits: int, pact: float | None
) -> Quant | Magnitudes:
    if profile not in get_args(Profile):
        choices = ", ".join(map(repr, get_args(Profile)))
        raise ConversionError(f"profile={profile!r}; choose one of {choices}.")
    if profile == "dnn-gating":
        return Magnitudes(bits, weight_bits, pact)
    codes = Scheme(weight_bits, signed=True, symmetric=True, narrow=True,
                   granularity=PerAxis(0))  # fmt: skip
    return Quant(Scheme(bits, symmetric=True), codes, pact=pact)
