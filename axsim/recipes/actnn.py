"""actnn: activations in groups of few bits, by ActNN's levels (2104.14129)."""

from __future__ import annotations

import warnings

from ..errors import AxsimWarning, ConversionError
from ..memory.codecs.group_affine import GroupAffine
from ..memory.codecs.identity import Identity
from ..memory.policies.fixed import Fixed
from ..memory.policies.greedy import Greedy
from ..memory.saved import Saved
from ..memory.swap import can_swap, leave_no_gaps
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec

LEVELS = ("L0", "L1", "L2", "L3", "L4", "L5")
SWAPPED = ("L4", "L5")


def actnn(
    level: str = "L3", bits: float | None = None, *, by_sample_index: bool = False
) -> Recipe:
    """A recipe that trains with activations in few bits, each level with fewer bytes.

    At every level ReLU, dropout and pooling keep exact masks and places.

    - "L0": nothing else changes.
    - "L1": inputs of convolutions and linear layers in 4 bits.
    - "L2": inputs of batch norms too; bits=8 is ActNN's other L2.
    - "L3": 2 bits on average, more where the gradient's variance gains most, by
      sample and by layer.
    - "L4": L3 in the host's pinned memory. "L5": and an allocator without gaps.

    From L1 on, whatever else the network saves is coded too.

    Args:
        level: "L0" to "L5".
        bits: of a code, whole numbers 1 to 8; from L3 on the average, 1 to 8.
        by_sample_index: from L3 on, know the sensitivity of each sample of the data
            set; `ax.plan(net).begin_step(indices)` must then say which a batch has.

    Raises:
        ConversionError: for another level.
        OperandError: for bits out of range.

    Example:
        >>> ((rule,),) = actnn("L1")
        >>> rule.spec.saved.policy, rule.spec.saved.norm
        (Fixed(width=4), Identity())
    """
    if level not in LEVELS:
        raise ConversionError(
            f"level={level!r}; choose one of {', '.join(map(repr, LEVELS))}."
        )
    if level in SWAPPED:
        _prepare(level)
    return recipe(LayerSpec(saved=_answer(level, bits, by_sample_index)))


def _answer(level: str, bits: float | None, by_sample_index: bool) -> Saved:
    if level == "L0":
        return Saved()
    codec = GroupAffine()
    if level in ("L1", "L2"):
        width = 4 if bits is None else bits
        codec.check_bits(width)  # pyright: ignore[reportArgumentType]
        norm = Identity() if level == "L1" else codec
        return Saved(codec, norm, Fixed(int(width)), others=codec)
    average = 2 if bits is None else bits
    policy = Greedy(average, by_sample_index=by_sample_index)
    return Saved(codec, codec, policy, others=codec, swap=level in SWAPPED)


def _prepare(level: str) -> None:
    """Tells the allocator of CUDA to leave no gaps; elsewhere says what is missing."""
    if not can_swap():
        warnings.warn(
            f"actnn({level!r}) without a CUDA device: there is no host memory to swap "
            "to, so it trains as L3 does. Use 'L3' to silence this.",
            AxsimWarning,
            stacklevel=3,
        )
    elif level == "L5":
        leave_no_gaps()
