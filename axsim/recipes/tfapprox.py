"""tfapprox: a multiplier under every product layer, as tf-approximate and others do."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConversionError
from ..nn.recipe import Recipe, recipe
from ..nn.spec import ByKind, LayerSpec, Product
from ..tables.multiplier import Multiplier
from .profiles import PROFILES


def tfapprox(mul: Multiplier | Product, profile: str = "tf2") -> Recipe:
    """A recipe that reproduces a published simulator of approximate multipliers.

    Args:
        mul: the multiplier, or a `Product` that also says `signs=`, which unsigned
            tables need for the signed codes of "adapt" and "pt2e", `gradient=` or
            `backend=`.
        profile: whose conventions. "tf2" is tf-approximate: affine uint8 codes per
            tensor, ranged by every batch, in convolutions alone. "adapt" is AdaPT:
            int8 symmetric codes per tensor, clipped at a percentile. "pt2e" is
            PyTorch's quantisation of exported graphs: affine uint8 activations, int8
            weights per channel. "axsim" is what `approximate` does by itself.

    Raises:
        ConversionError: for an unknown profile, or where `mul` says what is the
            profile's to say.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> ((rule,),) = tfapprox(exact)
        >>> rule.spec.convolution.quant.dynamic, rule.spec.linear
        (True, None)
    """
    if profile not in PROFILES:
        raise ConversionError(
            f"profile={profile!r}; choose one of {', '.join(map(repr, PROFILES))}."
        )
    product = mul if isinstance(mul, Product) else Product(mul)
    if (product.row, product.pad) != ("activation", "code"):
        raise ConversionError(
            f"mul={product}; operand order and padding are the profile's to say. Leave "
            "out row= and pad=, or write a LayerSpec of your own."
        )
    chosen = PROFILES[profile]
    specs = {
        kind: LayerSpec(chosen.quant, replace(product, row=row))
        for kind, row in chosen.rows.items()
    }
    return recipe(ByKind(**specs))
