"""The table that the codes of a layer see: widths, operand order and sign policy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import ConversionError
from ..quant.scheme import Scheme
from ..tables.multiplier import Multiplier, operand_values
from .spec import Product, Row, Signs

Values = npt.NDArray[np.int64]


def table_for(
    product: Product, activation: Scheme, weight: Scheme, layer: str = "the layer"
) -> Multiplier:
    """The multiplier whose table is indexed by the raw codes of these two schemes.

    Where codes and table agree this is the product's own table. Otherwise a table is
    derived once, so that kernels know nothing of sign policies: entry [a, w] holds
    what the circuit, fed as the policy says, gives for the values of the codes.

    Args:
        product: the multiplier and how it is connected.
        activation, weight: the layer's codes.
        layer: how errors call it.

    Raises:
        ConversionError: where the codes do not fit the table and no policy is chosen.
    """
    codes = (_kind(activation), _kind(weight))
    try:
        return _derive(product.table, product.row, product.signs, codes)
    except ConversionError as problem:
        raise ConversionError(f"{layer!r} has {problem}") from None


_Kind = tuple[int, bool, int, int]  # bits, signed, quant_min, quant_max


def _kind(scheme: Scheme) -> _Kind:
    return scheme.bits, scheme.signed, scheme.quant_min, scheme.quant_max


@lru_cache(maxsize=256)
def _derive(
    table: Multiplier, row: Row, signs: Signs | None, codes: tuple[_Kind, _Kind]
) -> Multiplier:
    base = table.swapped() if row == "weight" else table
    widths = (codes[0][0], codes[1][0])
    signed = (codes[0][1], codes[1][1])
    if (base.bits, base.signed) == (widths, signed):
        return base
    a, w = (operand_values(*kind[:2]).astype(np.int64) for kind in codes)
    used = [(v >= k[2]) & (v <= k[3]) for v, k in zip((a, w), codes, strict=True)]
    if _fits(base, a[used[0]], w[used[1]]):
        derived = _look_up(base, a[:, None], w[None, :])
    elif signs is None:
        raise ConversionError(_advice(base, codes))
    elif any(base.signed):
        raise ConversionError(
            f"{_describe(codes)} but {base.name} is {base.operands}: signs= is for "
            "unsigned tables. Choose codes that fit the table with Quant(...)."
        )
    elif signs == "sign-magnitude":
        magnitudes = _checked(base, np.abs(a), np.abs(w), used, codes)
        derived = np.outer(np.sign(a), np.sign(w)) * _look_up(base, *magnitudes)
    else:
        derived = _shifted(base, a, w, used, codes)
    # Codes outside quant_min … quant_max never occur; 0 keeps their entries small.
    derived = np.where(np.outer(*used), derived, 0)
    source = f"{base.source}, for {_describe(codes)}"
    return Multiplier(derived, signed, base.name, source, base.cost)


def _shifted(
    base: Multiplier, a: Values, w: Values, used: list[npt.NDArray[np.bool_]],
    codes: tuple[_Kind, _Kind],
) -> Values:  # fmt: skip
    """a·w = a'·w' - s_w·a' - s_a·w' + s_a·s_w with a' = a + s_a; a'·w' is looked up."""
    shift_a, shift_w = (1 << (bits - 1) if signed else 0 for bits, signed, *_ in codes)
    up_a, up_w = _checked(base, a + shift_a, w + shift_w, used, codes)
    exact_part = shift_w * up_a + shift_a * up_w - shift_a * shift_w
    return _look_up(base, up_a, up_w) - exact_part


def _fits(base: Multiplier, a: Values, w: Values) -> bool:
    """Whether the table has an operand code for each of these values."""
    for values, bits, signed in zip((a, w), base.bits, base.signed, strict=True):
        known = operand_values(bits, signed)
        if values.min() < known.min() or values.max() > known.max():
            return False
    return True


def _checked(
    base: Multiplier, a: Values, w: Values, used: list[npt.NDArray[np.bool_]],
    codes: tuple[_Kind, _Kind],
) -> tuple[Values, Values]:  # fmt: skip
    if not _fits(base, a[used[0]], w[used[1]]):
        raise ConversionError(
            f"{_describe(codes)}, too wide for {base.name}, which is {base.operands}. "
            "Choose narrower codes with Quant(...), or a wider table."
        )
    limits = [(1 << bits) - 1 for bits in base.bits]
    return np.minimum(a, limits[0])[:, None], np.minimum(w, limits[1])[None, :]


def _look_up(base: Multiplier, a: Values, w: Values) -> Values:
    """Products of values, through the raw codes of the table's own operands."""
    rows, columns = base.table.shape
    return base.table[a % rows, w % columns].astype(np.int64)


def _describe(codes: tuple[_Kind, _Kind]) -> str:
    words = [f"{'int' if signed else 'uint'}{bits}" for bits, signed, *_ in codes]
    return f"{words[0]} activations and {words[1]} weights"


def _advice(base: Multiplier, codes: tuple[_Kind, _Kind]) -> str:
    kind = (
        base.operands.split()[0] if base.signed[0] == base.signed[1] else base.operands
    )
    if any(base.signed):
        return (
            f"{_describe(codes)} but {base.name} is {kind}; choose signed codes with "
            "Quant(...), or an unsigned table."
        )
    return (
        f"{_describe(codes)} but {base.name} is {kind}; choose "
        'signs="sign-magnitude" or signs="shift".'
    )
