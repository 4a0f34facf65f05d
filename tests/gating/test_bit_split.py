"""High and low digits of codes: their values, their schemes, and who is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import ConversionError
from axsim.gating.bits import Bits, composite
from axsim.gating.digits import Digits
from axsim.gating.split import Shape
from axsim.quant.codes import integers
from axsim.quant.scheme import Scheme
from axsim.quant.sign_magnitude import split_signs
from axsim.tables.multiplier import Multiplier


def schemes() -> list[tuple[Scheme, int]]:
    found = [(b, h, False) for b in range(2, 9) for h in range(1, b)]
    found += [(b, h, True) for b in range(3, 9) for h in range(2, b)]
    return [(Scheme(b, signed, symmetric=True), h) for b, h, signed in found]


@pytest.mark.parametrize(("scheme", "msb"), schemes(), ids=str)
def test_digits_add_up_to_every_code(scheme: Scheme, msb: int) -> None:
    raw = torch.arange(1 << scheme.bits, dtype=torch.uint8)
    dropped = scheme.bits - msb
    values = integers(raw, scheme).long()
    parts: list[torch.Tensor] = []
    for high in (True, False):
        digits = Digits(dropped, high)
        own = digits.scheme(scheme)
        assert own.bits <= scheme.bits
        assert own.signed == scheme.signed
        coded = digits.of(raw, scheme)
        assert int(coded.max()) < 1 << own.bits
        parts.append(integers(coded, own).long() << digits.shift)
        # Truncation goes towards zero, so no digit has another sign than its code.
        assert bool((parts[-1] * values >= 0).all())
    assert torch.equal(parts[0] + parts[1], values)
    assert bool((parts[0].abs() <= values.abs()).all())
    assert bool((parts[0] % (1 << dropped) == 0).all())


def test_truncation_has_the_published_values() -> None:
    # T_{4,2} of [-1, -.6, -.2, .2, .6, 1]: codes 15, 9, 3 give 12, 8, 0 fifteenths.
    x = torch.tensor([-1.0, -0.6, -0.2, 0.2, 0.6, 1.0])
    codes = split_signs(x, 4)
    high = Digits(2, high=True)
    size = high.of(codes.magnitude, Scheme(4, symmetric=True)) << high.shift
    kept = torch.where(codes.negative, -1, 1) * size * codes.scale
    expected = torch.tensor([-0.8, -8 / 15, 0.0, 0.0, 8 / 15, 0.8])
    torch.testing.assert_close(kept, expected, atol=1e-6, rtol=0)


@given(st.integers(2, 8), st.integers(1, 7), st.integers(0, 999))
def test_the_composite_table_is_what_two_tables_add_up_to(
    bits: int, msb: int, seed: int
) -> None:
    msb = min(msb, bits - 1)
    scheme = Scheme(bits, symmetric=True)
    make = np.random.default_rng(seed)
    base, rest = (
        Multiplier(make.integers(-99, 99, (1 << width, 8), np.int32), (False, True))
        for width in (msb, bits - msb)
    )
    both = composite(base, rest, scheme, msb)
    assert both.signed == (False, True)
    for a in make.integers(0, 1 << bits, 5).tolist():
        for w in range(8):
            high, low = a >> (bits - msb), a & ((1 << (bits - msb)) - 1)
            expected = (base.table[high, w] << (bits - msb)) + rest.table[low, w]
            assert both.table[a, w] == expected


def test_two_exact_tables_make_an_exact_one() -> None:
    scheme = Scheme(6, signed=True, symmetric=True)
    exact = Multiplier.from_function(lambda a, b: a * b, signed=True, bits=(4, 5))
    rest = Multiplier.from_function(lambda a, b: a * b, signed=True, bits=(3, 5))
    assert not composite(exact, rest, scheme, msb=4).error.any()


@pytest.mark.parametrize(
    ("msb", "codes", "words"),
    [
        (2, None, r"'conv' has a gate that splits bits but no codes.*quant="),
        (3, Scheme(3, symmetric=True), r"codes of 3 bits and msb=3; .*at least 4 bits"),
        (5, Scheme(3, symmetric=True), r"codes of 3 bits and msb=5; .*msb below 3"),
        (1, Scheme(4, signed=True, symmetric=True), r"the sign alone; choose msb"),
        (4, Scheme(8), r"Use Scheme\(8, symmetric=True\) for inputs that are never"),
    ],
)
def test_what_cannot_be_split_is_refused(
    msb: int, codes: Scheme | None, words: str
) -> None:
    with pytest.raises(ConversionError, match=words):
        Bits(msb).check(Shape(8, 8, codes=codes, name="conv"))


def test_a_base_without_bits_is_refused() -> None:
    with pytest.raises(ConversionError, match="msb=0; the base needs at least 1 bit"):
        Bits(0)
