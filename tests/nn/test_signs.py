"""Sign policies: what table the codes of a layer see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from axsim.errors import ConversionError
from axsim.nn.signs import table_for
from axsim.nn.spec import Product
from axsim.quant.scheme import Scheme
from axsim.tables.multiplier import Multiplier, operand_values
from tests.conftest import random_multiplier

UINT8 = Scheme()
INT8 = Scheme(signed=True, symmetric=True)


def values(scheme: Scheme) -> np.ndarray:
    return operand_values(scheme.bits, scheme.signed).astype(np.int64)


def inside(scheme: Scheme) -> np.ndarray:
    v = values(scheme)
    return (v >= scheme.quant_min) & (v <= scheme.quant_max)


@pytest.mark.parametrize("signs", ["sign-magnitude", "shift"])
@pytest.mark.parametrize("activation", [UINT8, INT8, Scheme(4, signed=True), Scheme(5)])
@pytest.mark.parametrize("weight", [INT8, Scheme(3, signed=True, narrow=True)])
def test_every_policy_is_exact_on_an_exact_table(
    signs: Any, activation: Scheme, weight: Scheme
) -> None:
    exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
    derived = table_for(Product(exact, signs=signs), activation, weight)
    used = np.ix_(inside(activation), inside(weight))
    expected = np.outer(values(activation), values(weight))
    assert np.array_equal(derived.table[used], expected[used])
    assert derived.signed == (activation.signed, weight.signed)
    assert derived.bits == (activation.bits, weight.bits)


def test_the_policies_of_an_approximate_table_by_hand() -> None:
    mul = random_multiplier(4)
    magnitude = table_for(Product(mul, signs="sign-magnitude"), UINT8, INT8)
    shift = table_for(Product(mul, signs="shift"), UINT8, INT8)
    for a, w in [(0, 0), (3, -7), (200, 127), (255, -128), (17, 5)]:
        raw = w & 255
        assert magnitude.table[a, raw] == np.sign(w) * mul.table[a, abs(w)]
        assert shift.table[a, raw] == mul.table[a, w + 128] - 128 * a
    both = table_for(Product(mul, signs="shift"), INT8, INT8)
    a, w = -5, -9
    expected = (
        mul.table[a + 128, w + 128] - 128 * (a + 128) - 128 * (w + 128) + 128 * 128
    )
    assert both.table[a & 255, w & 255] == expected


def test_agreeing_codes_see_the_table_itself() -> None:
    mul = random_multiplier(5)
    assert table_for(Product(mul), UINT8, UINT8) is mul
    assert table_for(Product(mul, row="weight"), UINT8, UINT8) == mul.swapped()


def test_codes_that_fit_the_values_need_no_policy() -> None:
    """uint7 activations are values that an int8 table has."""
    mul = random_multiplier(6, signed=(True, True))
    derived = table_for(Product(mul), Scheme(limits=(0, 127)), INT8)
    assert np.array_equal(derived.table[:128], mul.table[:128])
    assert not derived.table[128:].any()


@pytest.mark.parametrize(
    ("product", "activation", "weight", "message"),
    [
        (
            Product(random_multiplier(1)), UINT8, INT8,
            "'fc' has uint8 activations and int8 weights but random_1 is unsigned; "
            'choose signs="sign-magnitude" or signs="shift"',
        ),
        (
            Product(random_multiplier(1, signed=(True, True))), UINT8, INT8,
            "choose signed codes with Quant",
        ),
        (
            Product(random_multiplier(1, signed=(True, True)), signs="shift"),
            UINT8, INT8,
            "signs= is for unsigned tables",
        ),
        (
            Product(random_multiplier(1, (8, 4)), signs="shift"), UINT8, INT8,
            "too wide for random_1, which is unsigned 8x4",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    product: Product, activation: Scheme, weight: Scheme, message: str
) -> None:
    with pytest.raises(ConversionError) as problem:
        table_for(product, activation, weight, layer="fc")
    assert message in str(problem.value)


@pytest.mark.parametrize("word", ["row", "signs", "pad", "gradient"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(ConversionError, match=f"{word}='nonsense'; choose one of"):
        Product(random_multiplier(0), **{word: "nonsense"})  # pyright: ignore[reportArgumentType]
