"""The reference against plain loops, closed forms and its own refusals."""

from __future__ import annotations

import itertools
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from cases import CONVS, Case, ConvCase, MatmulCase, random_cases

from axsim.errors import OperandError
from axsim.kernels import reference
from axsim.kernels.contract import per_dimension
from axsim.tables.multiplier import Multiplier

EXACT = Multiplier.from_function(lambda a, b: a * b, signed=False)
SIGNED = Multiplier.from_function(lambda a, b: a * b, signed=True)


def convolve_by_loops(case: ConvCase) -> list[int]:
    """Every output as a sum over Python integers, straight from the definition."""
    x, w = case.operands()
    table, settings = case.mul.table, case.settings
    stride, padding, dilation = (
        per_dimension(name, settings.get(name, default), x.ndim - 2, default)
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    pad_code, groups = settings.get("pad_code", 0), settings.get("groups", 1)
    shape = case.expected().shape
    sums: list[int] = []
    for n, o, *place in np.ndindex(shape):
        first = o // (w.shape[0] // groups) * w.shape[1]
        total = 0
        for c, *tap in itertools.product(*map(range, w.shape[1:])):
            moves = zip(place, stride, padding, tap, dilation, strict=True)
            at = [p * s - q + t * d for p, s, q, t, d in moves]
            real = all(0 <= i < size for i, size in zip(at, x.shape[2:], strict=True))
            if real:
                total += int(table[x[(n, first + c, *at)], w[(o, c, *tap)]])
            elif pad_code is not None:
                total += int(table[pad_code, w[(o, c, *tap)]])
        sums.append(total)
    return sums


def small(case: Case) -> bool:
    return isinstance(case, ConvCase) and prod(case.x) * prod(case.w) < 30_000


@pytest.mark.parametrize(
    "case", [*filter(small, [*CONVS, *random_cases(120, seed=5)])], ids=str
)
def test_conv_equals_plain_loops(case: ConvCase) -> None:
    assert case.expected().ravel().tolist() == convolve_by_loops(case)


def test_matmul_equals_plain_loops() -> None:
    case = MatmulCase(4, 5, 3, "random_s16")
    a, b = case.operands()
    expected = [
        [
            sum(int(case.mul.table[x, y]) for x, y in zip(row, column, strict=True))
            for column in b
        ]
        for row in a
    ]
    assert case.expected().tolist() == expected


def test_exact_signed_table_convolves_as_torch_does() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (2, 6, 7, 8), dtype=np.uint8)
    w = generator.integers(0, 256, (4, 3, 3, 2), dtype=np.uint8)
    found = reference.lut_conv2d(x, w, SIGNED, stride=(2, 1), padding=(1, 2), groups=2)
    values = [torch.from_numpy(v.view(np.int8).astype(np.float64)) for v in (x, w)]
    expected = torch.nn.functional.conv2d(
        *values, stride=(2, 1), padding=(1, 2), groups=2
    )
    assert found.tolist() == expected.long().tolist()


def test_sums_turn_int64_exactly_where_int32_could_overflow() -> None:
    flat = Multiplier.from_array(np.full((256, 256), 65535), signed=False)
    limit = (2**31 - 1) // 65535
    a = np.zeros((1, limit + 1), np.uint8)
    below = reference.lut_matmul(a[:, :limit], a[:, :limit], flat)
    above = reference.lut_matmul(a, a, flat)
    assert (below.dtype, below[0, 0]) == (np.int32, limit * 65535)
    assert (above.dtype, above[0, 0]) == (np.int64, (limit + 1) * 65535)


def test_padded_tap_goes_through_the_table_or_is_skipped() -> None:
    ones = Multiplier.from_array(np.ones((256, 256), int), signed=False)
    x, w = np.zeros((1, 1, 2, 2), np.uint8), np.zeros((1, 1, 3, 3), np.uint8)
    assert (reference.lut_conv2d(x, w, ones, padding=1) == 9).all()
    assert (reference.lut_conv2d(x, w, ones, padding=1, pad_code=None) == 4).all()


BYTES = np.zeros((2, 4, 5, 5), np.uint8)
NARROW = Multiplier.from_array(np.zeros((16, 64)), signed=False)
REFUSALS = [
    ({"x": BYTES.astype(np.int8)}, "x has dtype int8; raw codes are uint8"),
    ({"x": BYTES[0, 0]}, "needs 4 dimensions"),
    ({"groups": 3}, "groups=3 must divide both the 4 channels of x and the 6 out"),
    ({"groups": 2}, r"w has 4 .* and groups=2, but x has 4 channels; w\[1\] must be 2"),
    ({"groups": 0}, "groups=0; it must be at least 1"),
    ({"stride": 0}, "stride=0; it must be a number of at least 1, or 2 of them"),
    ({"padding": (1, 2, 3)}, r"padding=\(1, 2, 3\)"),
    ({"dilation": 3}, r"dilation \(3, 3\) is larger than the padded input \(5, 5\)"),
    ({"x": BYTES[:, :0], "w": BYTES[:1, :0, :3, :3]}, "sum of no products"),
    ({"pad_code": 256}, "pad_code=256; it must be an activation code, 0 to 255, or"),
    ({"x": BYTES + 16, "mul": NARROW}, "x holds code 16, but the table has 16 codes"),
    ({"w": np.full((6, 4, 3, 3), 99, np.uint8), "mul": NARROW}, "w holds code 99"),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS)
def test_conv_refuses(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "x": BYTES,
        "w": np.zeros((6, 4, 3, 3), np.uint8),
        "mul": EXACT,
    } | change
    with pytest.raises(OperandError, match=message):
        reference.lut_conv2d(given.pop("x"), given.pop("w"), given.pop("mul"), **given)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 3), (4, 5), r"a has shape \(2, 3\) and b \(4, 5\)"),
        ((2, 0), (4, 0), "K is 0"),
        ((2, 3, 1), (4, 3), "summed dimension last"),
    ],
)
def test_matmul_refuses(a: tuple[int, ...], b: tuple[int, ...], message: str) -> None:
    with pytest.raises(OperandError, match=message):
        reference.lut_matmul(np.zeros(a, np.uint8), np.zeros(b, np.uint8), EXACT)
