"""channel_gating: some input channels first, the others where those are promising."""

from __future__ import annotations

from ..gating.channels import Channels
from ..gating.gate import Gate
from ..gating.threshold import Threshold
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec, Product, Quant, Rule
from ..tables.multiplier import Multiplier

FIRST = r".+\.conv1"
BOTH = r".+\.conv[12]"


def channel_gating(
    parts: int = 4,
    *,
    grouped: bool = True,
    shuffle: bool = False,
    target: float = 1.0,
    weight: float = 1e-4,
    squared: bool = True,
    alpha: float = 2.0,
    start: float = 0.0,
    sparse: bool = True,
    post_activated: bool = False,
    gated: str | None = None,
    quant: Quant | None = None,
    mul: Multiplier | Product | None = None,
    rest: Multiplier | None = None,
) -> Recipe:
    """A recipe for channel gating (Hua et al., NeurIPS 2019), trained end to end.

    The first convolution of every residual block computes one of `parts` groups of its
    input channels, and adds the others where the result, normalised by channel, is
    above its output channel's threshold. Values stay real numbers unless `quant` or
    `mul` says otherwise. Train with `plan=ax.plan(net)`, which adds the gate loss, and
    with `decay_vectors=False`, which leaves the thresholds out of the weight decay.

    Args:
        parts: groups of input channels; the base is one of them.
        grouped: whether each group of outputs has a base of its own.
        shuffle: whether the groups interleave.
        target: where the gate loss pulls the thresholds; higher closes more.
        weight: of the gate loss.
        squared: weight * sum of squares, instead of the unsquared norm.
        alpha: steepness of the gate's surrogate gradient.
        start: first threshold; 0 is half open, -6 nearly all.
        sparse: leave out the gate's gradient where it is closed.
        post_activated: gate both convolutions of every block, for networks whose last
            activation stands before the addition: `ax.build_network("cifar_resnet20",
            last="before")`.
        gated: pattern of the gated layers' names instead.
        quant: which integers stand for the values.
        mul: the multiplier; of the base where `rest` is another.
        rest: that of the rest.

    Example:
        >>> (rule,) = channel_gating(2, post_activated=True)[0]
        >>> print(rule.pattern, rule.spec.gate.split, sep=": ")
        .+\\.conv[12]: 1 of 2 channel groups first, grouped
    """
    decide = Threshold(alpha, start, normalise=True, sparse=sparse, target=target,
                       weight=weight, squared=squared)  # fmt: skip
    gate = Gate(Channels(parts, grouped, shuffle), decide, rest)
    pattern = gated or (BOTH if post_activated else FIRST)
    return recipe([Rule(pattern, LayerSpec(quant, mul, gate))])
