"""rectified: one code of each ReLU's output serves three layers, unbiased."""

from __future__ import annotations

from ..memory.codecs.group_affine import GroupAffine
from ..memory.codecs.rectified import Rectified
from ..memory.policies.fixed import Fixed
from ..memory.saved import Saved
from ..nn.recipe import Recipe, recipe
from ..nn.spec import LayerSpec


def rectified(bits: int = 2) -> Recipe:
    """A recipe that keeps ActNN's groups, and of batch norm, ReLU, product one code.

    Code 0 of a ReLU's output means 0, so the codes are the ReLU's mask; they are what
    the product behind it multiplies; and they say what a batch norm in front was given
    wherever that matters (`axsim.memory.codecs.rectified`). Other inputs, such as those
    of batch norms in front of an addition, are coded in groups as `actnn` has them.

    Exact: outputs, gradients of biases and masks. Unbiased: gradients of weights, those
    of batch norms included, and of batch norms' inputs as far as `actnn`'s are. Biased
    is, in a batch norm's input gradient, the term x̂ mean(dz x̂) where the ReLU stops
    the gradient: there x̂ is the mean of its channel's.

    Args:
        bits: of a code, 2 to 8.

    Raises:
        OperandError: for other bits.

    Example:
        >>> ((rule,),) = rectified(bits=2)
        >>> rule.spec.saved.relu, rule.spec.saved.policy
        (Rectified(), Fixed(width=2))
    """
    codec, relu = GroupAffine(), Rectified()
    relu.check_bits(bits)
    answer = Saved(codec, codec, Fixed(bits), others=codec, relu=relu)
    return recipe(LayerSpec(saved=answer))
