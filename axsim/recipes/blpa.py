"""blpa: one code of each batch norm's output serves three layers (1901.07988)."""

from __future__ import annotations

from ..memory.codecs.batch_norm import BatchNormCodes
from ..memory.policies.fixed import Fixed
from ..memory.saved import Saved
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec


def blpa(bits: int = 4) -> Recipe:
    """A recipe that keeps `bits` an element for each batch norm, ReLU and convolution.

    It is made for pre-activation networks, where a convolution follows the ReLU of a
    batch norm; the code of the batch norm's output is then all that the three keep.
    What stands elsewhere (the first convolution, the classifier) keeps its input.

    Args:
        bits: of a code, 1 to 8; published are 4 and 8.

    Raises:
        OperandError: for other bits.

    Example:
        >>> ((rule,),) = blpa(bits=8)
        >>> rule.spec.saved.norm, rule.spec.saved.codec
        (BatchNormCodes(), Identity())
    """
    BatchNormCodes().check_bits(bits)
    return recipe(LayerSpec(saved=Saved(norm=BatchNormCodes(), policy=Fixed(bits))))
