"""acgc: fixed-point activations, bits by a bound on the gradient's error (AC-GC)."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import ConversionError
from ..memory.codecs.fixed_point import FixedPoint
from ..memory.codecs.zero_value import ZeroValue
from ..memory.policies.error_budget import ErrorBudget
from ..memory.policies.fixed import Fixed
from ..memory.saved import Saved
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec, Rule

Mode = Literal["quant", "quantz", "autoquant", "autoquantz"]

#: Published selections of AC-GC's own networks (`acgc_resnet50` and larger): the
#: convolutions that read what stages 2 to 4 make, and the batch norms up to there.
SELECTORS = {
    "CNV": r"res[234]\..*\.(conv\d|downsample\.0)|res5\.0\.(conv1|downsample\.0)",
    "BN": r"stem\.bn|res[234]\..*\.(bn\d|downsample\.1)",
}


def acgc(
    mode: Mode = "autoquant",
    selector: str | tuple[str, ...] = ".*",
    *,
    bits: int = 8,
    e2: float = 1.0,
    interval: int = 100,
    history: int = 10,
    reduction: Literal["mean", "median", "max"] = "mean",
) -> Recipe:
    """A recipe that keeps inputs of convolutions and batch norms as fixed point.

    - "quant": `bits` for all; "quantz": and only what is not zero.
    - "autoquant": the fewest bits with which the squared error of weight gradients
      stays below `e2` times their squared norm; "autoquantz": and only what is not
      zero.

    Args:
        mode: one of the above.
        selector: a regular expression of layer names, or "CNV", "BN" or both for what
            was published on AC-GC's networks; other layers keep their inputs.
        bits: of "quant" and "quantz", 2 to 17.
        e2: of the other modes, above 0.
        interval: steps from one sample of the gradients' statistics to the next.
        history: samples that count.
        reduction: of the samples to one: "mean", "median" or "max".

    Raises:
        ConversionError: for another mode.
        OperandError: for settings out of range.

    Example:
        >>> ((chosen, rest),) = acgc("quantz", ("CNV", "BN"), bits=6)
        >>> chosen.spec.saved.policy, rest.pattern
        (Fixed(width=6), '.*')
    """
    if mode not in get_args(Mode):
        raise ConversionError(
            f"mode={mode!r}; choose one of {', '.join(map(repr, get_args(Mode)))}."
        )
    plain = FixedPoint()
    codec = ZeroValue(plain) if mode.endswith("z") else plain
    if mode.startswith("auto"):
        policy = ErrorBudget(e2, interval, history, reduction, plain)
    else:
        plain.check_bits(bits)
        policy = Fixed(bits)
    parts = (selector,) if isinstance(selector, str) else selector
    pattern = "|".join(f"({SELECTORS.get(part, part)})" for part in parts)
    chosen = Rule(pattern, LayerSpec(saved=Saved(codec, codec, policy)))
    if pattern == "(.*)":
        return recipe([chosen])
    return recipe([chosen, Rule(".*", LayerSpec(saved=Saved()))])
