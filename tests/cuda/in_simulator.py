"""What `test_simulator.py` runs in a process where Numba simulates the GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import Case, ConvCase, MatmulCase
from running import run, small_cases

from axsim.cuda import gather, layout, packed
from axsim.cuda.matmul import lut_matmul
from axsim.cuda.quantise import quantise

LIMITS = {"packed": 400, "gather": 600, "depthwise": 800, "factored": 700}
CASES = [
    (path, case)
    for seed, (path, limit) in enumerate(LIMITS.items())
    for case in small_cases(path, 60, limit, seed)
]
CONV = ConvCase((3, 4, 5, 4), (10, 2, 2, 3), {"padding": 1, "groups": 2, "pad_code": 9})
SKIPPING = ConvCase((2, 3, 5), (3, 3, 3), {"padding": 2, "pad_code": None}, "rank_9_u8")
SIGNED = MatmulCase(11, 13, 5, "random_s16")


def check(case: Case, path: str) -> None:
    found, expected = run(case, path), case.expected()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("path", "case"), CASES, ids=str)
def test_a_path_equals_the_reference(path: str, case: Case) -> None:
    check(case, path)


@pytest.mark.parametrize("path", ["packed", "gather", "depthwise"])
@pytest.mark.parametrize("case", [CONV, SIGNED], ids=["conv", "signed"])
def test_sums_of_64_bits(path: str, case: Case) -> None:
    found = run(case, path, wide=True)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, case.expected())


@pytest.mark.parametrize("rows", [8, 4, 2])
@pytest.mark.parametrize("part", [5, 100])
def test_packed_in_every_tile(
    rows: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "plan", lambda *_: (rows, min(part, _[2])))
    check(CONV, "packed")
    check(SIGNED, "packed")


@pytest.mark.parametrize("case", [CONV, SKIPPING, SIGNED], ids=["conv", "skip", "mul"])
def test_gather_from_global_memory(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "shared_memory", lambda _: 64 * 1024)
    check(case, "gather")


@pytest.mark.parametrize("path", ["packed", "gather", "depthwise"])
def test_products_too_large_for_one_launch(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "LARGEST", 100)
    check(CONV, path)
    check(SIGNED, path)


@pytest.mark.parametrize("path", ["packed", "gather", "depthwise"])
def test_tables_whose_span_fits_16_bits_but_not_their_values(path: str) -> None:
    assert SKIPPING.mul.table.min() < 0 < 1 << 15 < SKIPPING.mul.table.max()
    check(SKIPPING, path)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("zero", "low", "high"), [(7, 0, 255), (0, -128, 127)])
def test_codes_of_real_numbers(
    transposed: bool, zero: int, low: int, high: int
) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(0, 30, (13, 11)).astype(np.float32)
    x[0, :4] = [np.inf, -np.inf, 2.5 / np.float32(0.7), 1e30]
    inverse = np.float32(0.7)
    levels = np.rint(x * inverse) + np.float32(zero)
    expected = np.clip(levels, low, high).astype(np.int64).astype(np.uint8)
    scale, origin = torch.tensor([inverse]), torch.tensor([zero], dtype=torch.int32)
    codes = quantise(
        torch.from_numpy(x), scale, origin, low, high, transposed=transposed
    )
    np.testing.assert_array_equal(codes.numpy(), expected)
    assert codes.t().is_contiguous() == transposed


def test_transposed_codes_need_no_copy() -> None:
    x = torch.arange(12.0).reshape(4, 3)
    one, zero = torch.ones(1), torch.zeros(1, dtype=torch.int32)
    codes = quantise(x, one, zero, 0, 255, transposed=True)
    table = torch.arange(65536, dtype=torch.int32).reshape(256, 256)
    few = codes[:2].tolist()
    sums = lut_matmul(codes, codes[:2], table)
    expected = [
        [sum(256 * a + b for a, b in zip(row, column, strict=True)) for column in few]
        for row in codes.tolist()
    ]
    assert sums.tolist() == expected
    assert codes.t().contiguous().data_ptr() == codes.data_ptr()
