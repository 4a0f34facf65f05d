"""gact: few-bit activations of any network, bits by measured sensitivity (GACT)."""

from __future__ import annotations

from ..errors import ConversionError
from ..memory.codecs.group_affine import GroupAffine
from ..memory.policies.fixed import Fixed
from ..memory.policies.measured import Measured
from ..memory.saved import Saved
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec

FIXED = {"L1": 4, "L1.1": 8, "L1.2": 2}
MEASURED = {"L2": 4, "L2.1": 3, "L2.2": 2, "L3": 4}


def gact(level: str = "L2", bits: int | None = None, interval: int = 1000) -> Recipe:
    """A recipe that codes whatever a network saves, layer or function.

    - "L1", "L1.1", "L1.2": 4, 8 or 2 bits for everything.
    - "L2", "L2.1", "L2.2": 4, 3 or 2 bits on average, more for tensors of which one
      bit was measured to harm the gradients most.
    - "L3": L2 in the host's pinned memory.

    Where layers allow it they keep masks and places exactly. `ax.train` measures when
    it is time to; a loop of one's own calls `ax.plan(net).measure`.

    Args:
        level: one of the above.
        bits: another number or average, 1 to 8.
        interval: steps from one measurement to the next.

    Raises:
        ConversionError: for another level.
        OperandError: for bits out of range.

    Example:
        >>> ((rule,),) = gact("L1.2")
        >>> rule.spec.saved.policy
        Fixed(width=2)
    """
    codec = GroupAffine()
    if level not in FIXED | MEASURED:
        raise ConversionError(
            f"level={level!r}; choose one of {', '.join(map(repr, FIXED | MEASURED))}."
        )
    if level in FIXED:
        width = FIXED[level] if bits is None else bits
        codec.check_bits(width)
        policy = Fixed(width)
    else:
        policy = Measured(MEASURED[level] if bits is None else bits, interval)
    answer = Saved(codec, codec, policy, others=codec, swap=level == "L3")
    return recipe(LayerSpec(saved=answer))
