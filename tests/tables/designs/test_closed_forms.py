"""What the definition of each family fixes: biases, worst cases, bounds, examples."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from axsim.tables.designs import build_design, find_design
from axsim.tables.designs.approximate_adders import CELLS
from axsim.tables.designs.compressors import lin, momeni, venkatachalam, yang
from axsim.tables.multiplier import Multiplier
from axsim.tables.netlist import Net, build_netlist

CODES = np.arange(256)


def relative(mul: Multiplier) -> npt.NDArray[np.float64]:
    """Relative errors of all pairs of non-zero operands."""
    return mul.error[1:, 1:] / mul.exact[1:, 1:]


def heights(k: int, n: int = 8) -> list[int]:
    """How many partial products the columns below k of an n x n array hold."""
    return [min(w + 1, 2 * n - 1 - w) for w in range(k)]


@pytest.mark.parametrize("k", range(1, 16))
def test_truncation_loses_a_quarter_of_every_dropped_partial_product(k: int) -> None:
    figures = build_design(f"mul8u_trunc_{k}").metrics()
    weight = sum(h << w for w, h in enumerate(heights(k)))
    assert (figures.bias, figures.mae, figures.wce) == (-weight / 4, weight / 4, weight)
    if k <= 8:
        assert weight == (k - 1) * 2**k + 1


@pytest.mark.parametrize("k", range(1, 8))
def test_signed_truncation_loses_the_same_while_no_sign_is_dropped(k: int) -> None:
    signed, unsigned = (build_design(f"mul8{s}_trunc_{k}").metrics() for s in "su")
    assert (signed.bias, signed.wce) == (unsigned.bias, unsigned.wce)


@pytest.mark.parametrize("k", range(1, 8))
@pytest.mark.parametrize("sign", "us")
def test_a_constant_correction_leaves_at_most_half_a_unit_of_bias(
    sign: str, k: int
) -> None:
    bias = build_design(f"mul8{sign}_trunccc_{k}").metrics().bias
    lost = ((k - 1) * 2**k + 1) / 4
    assert abs(bias) <= 2 ** (k - 1)
    assert (bias + lost) % 2**k == 0


@pytest.mark.parametrize("k", range(1, 8))
def test_a_variable_correction_adds_twice_the_highest_dropped_column(k: int) -> None:
    bias = build_design(f"mul8u_truncvc_{k}").metrics().bias
    assert bias == 2 * k * 2 ** (k - 1) / 4 - ((k - 1) * 2**k + 1) / 4


@pytest.mark.parametrize("h", [0, 2, 5])
@pytest.mark.parametrize("v", [0, 3, 7, 11])
def test_a_broken_array_loses_what_lies_outside_its_breaks(h: int, v: int) -> None:
    figures = build_design(f"mul8u_bam_h{h}_v{v}").metrics()
    cells = itertools.product(range(8), range(8))
    weight = sum(1 << (i + j) for i, j in cells if j < h or i + j < v)
    assert (figures.bias, figures.wce) == (-weight / 4, weight)


def test_a_broken_array_is_perforation_and_truncation_at_once() -> None:
    assert build_design("mul8u_bam_h0_v6") == build_design("mul8u_trunc_6")
    for sign in "us":
        perforated = build_design(f"mul8{sign}_perf_j0_k3")
        assert build_design(f"mul8{sign}_bam_h3_v0") == perforated
        assert build_design(f"mul8{sign}_narrow_a0_b3") == perforated


def test_perforation_concerns_the_second_operand() -> None:
    mul = build_design("mul8u_perf_j1_k2")
    assert np.array_equal(mul.table, np.outer(CODES, CODES & ~6))
    assert mul.metrics().wce == 255 * 6


def test_operand_truncation_concerns_each_operand_by_its_name() -> None:
    mul = build_design("mul8x4u_narrow_a3_b1")
    assert np.array_equal(mul.table, np.outer(CODES & ~7, CODES[:16] & ~1))


@pytest.mark.parametrize("k", [2, 5, 8, 12])
def test_ored_columns_lose_what_their_carries_held(k: int) -> None:
    mul = build_design(f"mul8u_loa_{k}")
    # The bits of one column are independent, each 1 for a quarter of the pairs.
    bias = sum((1 - 0.75**h - h / 4) * 2**w for w, h in enumerate(heights(k)))
    assert mul.metrics().bias == pytest.approx(bias)
    assert mul.error.max() == 0


def test_the_underdesigned_block_errs_only_in_three_times_three() -> None:
    mul = build_design("mul2u_udm_1")
    assert mul.table[3, 3] == 7
    assert (mul.metrics().ep, mul.metrics().wce) == (1 / 16, 2)


def test_underdesigned_multipliers_err_where_both_operands_have_a_digit_three() -> None:
    figures = build_design("mul8u_udm_7").metrics()
    assert figures.ep == (1 - 0.75**4) ** 2
    assert figures.wce == 2 * 85**2 == 14450
    assert figures.mae == -figures.bias == 2 * 85**2 / 16
    assert figures.wcre == pytest.approx(2 / 9)


def test_mitchell_is_always_low_and_by_a_ninth_at_most() -> None:
    mul = build_design("mul8u_mitchell")
    figures = mul.metrics()
    assert mul.error.max() == 0
    assert figures.wcre == pytest.approx(1 / 9)
    assert mul.table[3, 3] == 8
    assert 0.037 < figures.mre < 0.039  # about 3.8 %
    assert not mul.error[[1, 2, 4, 8, 16, 32, 64, 128]].any()


@pytest.mark.parametrize("m", range(1, 8))
@pytest.mark.parametrize("family", ["almsoa", "almloa"])
def test_an_approximate_sum_of_logarithms_stays_near_mitchell(
    family: str, m: int
) -> None:
    exact_sum = build_design("mul8u_mitchell").table.astype(np.int64)
    rough_sum = build_design(f"mul8u_{family}_{m}").table.astype(np.int64)
    # The sum is off by less than 2^m units of 2^-7, and 2^x has slope at most itself.
    larger = np.maximum(exact_sum, rough_sum)
    assert (np.abs(rough_sum - exact_sum) <= larger * 2.0 ** (m - 7) + 1).all()


def test_a_set_one_adder_errs_on_both_sides() -> None:
    error = build_design("mul8u_almsoa_4").error
    assert error.min() < 0 < error.max()


@pytest.mark.parametrize("t", range(2, 8))
def test_a_dynamic_range_logarithm_multiplies_two_bounded_errors(t: int) -> None:
    off = relative(build_design(f"mul8u_dralm_{t}"))
    step = 2.0 ** -(t - 1)
    assert off.max() <= (1 + step) ** 2 - 1
    assert off.min() >= (1 - step) ** 2 * 8 / 9 - 1


@pytest.mark.parametrize("n", range(4))
def test_an_iterative_logarithm_errs_by_the_product_of_what_is_left(n: int) -> None:
    mul = build_design(f"mul8u_ilm_{n}")
    assert mul.error.max() <= 0
    assert -relative(mul).min() < 4.0 ** -(n + 1)
    few_ones = [code for code in CODES if int(code).bit_count() <= n + 1]
    assert not mul.error[few_ones].any()


@pytest.mark.parametrize("k", range(2, 8))
def test_unbiased_segments_have_a_bounded_relative_error(k: int) -> None:
    mul = build_design(f"mul8u_drum_{k}")
    off = relative(mul)
    step = 2.0 ** -(k - 1)
    assert off.max() <= (1 + step) ** 2 - 1
    assert off.min() >= (1 - step) ** 2 - 1
    assert not mul.error[: 1 << k, : 1 << k].any()
    assert mul.table[255, 255] == (((1 << k) - 1) << (8 - k)) ** 2


@pytest.mark.parametrize("k", range(1, 8))
def test_cut_segments_lose_less_than_a_unit_of_their_last_bit(k: int) -> None:
    off = relative(build_design(f"mul8u_dsm_{k}"))
    assert off.max() == 0
    assert off.min() > (1 - 2.0 ** -(k - 1)) ** 2 - 1


@pytest.mark.parametrize("m", range(1, 8))
def test_static_segments_cut_one_operand_or_both(m: int) -> None:
    mul = build_design(f"mul8u_ssm_{m}")
    kept = np.where(CODES < 1 << m, CODES, CODES >> (8 - m) << (8 - m))
    assert np.array_equal(mul.table, np.outer(kept, kept))
    assert mul.metrics().wce == 255**2 - (256 - (1 << (8 - m))) ** 2


@pytest.mark.parametrize("m", range(1, 7))
def test_a_third_segment_never_makes_a_product_worse(m: int) -> None:
    two, three = (build_design(f"mul8u_{name}_{m}").table for name in ("ssm", "essm"))
    assert (three >= two).all()
    assert (three > two).any()


def test_rounding_to_powers_of_two_errs_by_a_ninth_at_most() -> None:
    mul = build_design("mul8u_roba")
    assert mul.metrics().wcre == pytest.approx(1 / 9)
    assert mul.table[3, 3] == 2 * 3 + 3 * 2 - 2 * 2  # 3 rounds to 2
    assert mul.table[6, 7] == 8 * 7 + 8 * 6 - 8 * 8  # 6 rounds to 8
    assert mul.table[255, 255] == 2 * 256 * 255 - 256**2


def test_tosam_adds_cut_fractions_and_multiplies_odd_ones() -> None:
    table = build_design("mul8u_tosam_h1_t3").table
    # 128 = 2^7 (1 + 0), its short fraction 0 is rounded to a quarter.
    assert table[128, 128] == 2**14 * (1 + 1 / 16)
    # 219 = 2^7 1.1011011b: 0.101b are added, 0.1b and a quarter are multiplied.
    assert table[219, 128] == 2**14 * (1 + 5 / 8 + 3 / 4 / 4)
    assert table[219, 219] == 2**14 * (1 + 5 / 8 + 5 / 8 + 9 / 16)
    assert not table[0].any()
    assert not table[:, 0].any()


def test_the_error_tolerant_multiplier_fills_the_low_product_with_ones() -> None:
    mul = build_design("mul8u_etm_4")
    assert not mul.error[:16, :16].any()
    # 0x35 and 0x12: 3 * 1 above, 0101 | 0010 has its first one in bit 2: 7 ones.
    assert mul.table[0x35, 0x12] == (3 << 8) + 0b1111111
    assert mul.table[0x35, 0x08] == 0b11111111  # the high product is 0, but 3 is not
    assert mul.table[0x30, 0x10] == 3 << 8


@pytest.mark.parametrize(
    ("compressor", "wrong", "extremes"),
    [
        (momeni, 4, (-1, 1)),
        (yang, 1, (-1, 0)),
        (lin, 1, (-2, 0)),
        (venkatachalam, 5, (-1, 0)),
    ],
    ids=["momeni", "yang", "lin", "venkatachalam"],
)
def test_a_compressor_has_the_published_errors(
    compressor: Callable[..., tuple[Net, Net]], wrong: int, extremes: tuple[int, int]
) -> None:
    table = build_netlist(lambda a, b: compressor(*a, *b), (2, 2)).table()
    ones = np.array([0, 1, 1, 2])
    error = table - (ones[:, None] + ones[None, :])
    assert np.count_nonzero(error) == wrong
    assert (error.min(), error.max()) == extremes


def test_a_compressor_that_counts_none_as_one_is_seen_in_zero_times_zero() -> None:
    assert build_design("mul8u_momeni_13").table[0, 0] > 0
    for name in ("yang", "lin", "venkatachalam"):
        assert build_design(f"mul8u_{name}_13").error.max() == 0


@pytest.mark.parametrize(
    ("name", "wrong_sums", "wrong_carries"),
    [("ama1", 2, 1), ("ama2", 2, 0), ("ama3", 3, 1), ("ama4", 3, 2), ("ama5", 4, 2)],
)
def test_a_mirror_adder_has_the_published_number_of_errors(
    name: str, wrong_sums: int, wrong_carries: int
) -> None:
    cell, sums, carries = CELLS[name]
    table = build_netlist(lambda a, b: cell(b[1], b[0], a[0]), (2, 2)).table()
    found = [table[code & 1, code >> 1] for code in range(8)]
    stated = [int(s) + 2 * int(c) for s, c in zip(sums, carries, strict=True)]
    exact = [code.bit_count() for code in range(8)]
    assert found == stated
    wrong = np.bitwise_xor(found, exact)
    assert (wrong & 1).sum() == wrong_sums
    assert (wrong >> 1).sum() == wrong_carries


def test_broken_booth_is_exact_unbroken_and_never_high_when_broken() -> None:
    assert not build_design("mul8s_booth_0").error.any()
    for k in range(1, 9):
        error = build_design(f"mul8s_booth_{k}").error
        assert error.max() <= 0
        assert error.min() < 0


@pytest.mark.parametrize(("name", "kept"), [("abm1", {0, 1}), ("abm2", {1})])
def test_approximate_encoders_err_only_in_the_digits_they_change(
    name: str, kept: set[int]
) -> None:
    mul = build_design(f"mul8s_{name}_8")
    bits = [[0, *(int(c) for c in reversed(f"{code:08b}"))] for code in range(256)]
    digits = [
        {abs(b[i] + b[i + 1] - 2 * b[i + 2]) for i in range(0, 8, 2)} for b in bits
    ]
    unchanged = [code for code in range(256) if digits[code] <= kept]
    assert unchanged
    assert not mul.error[:, unchanged].any()
    changed = [code for code in range(256) if not digits[code] <= kept]
    assert mul.error[:, changed].any(axis=0).all()


@pytest.mark.parametrize("name", ["mitchell", "trunc_7", "udm_7", "etm_4", "drum_4"])
def test_magnitudes_multiply_as_unsigned_numbers_do(name: str) -> None:
    unsigned = build_design(f"mul8u_{name}").table
    signed = build_design(f"mul8s_sm_{name}").table
    values = np.where(CODES < 128, CODES, CODES - 256)
    sign = np.where(values < 0, -1, 1)
    magnitude = np.abs(values)  # that of -128 is 128
    expected = unsigned[np.ix_(magnitude, magnitude)] * np.outer(sign, sign)
    assert np.array_equal(signed, expected)


def test_a_design_by_magnitude_may_be_nonzero_at_zero() -> None:
    table = build_design("mul8s_sm_momeni_13").table
    assert table[0, 0] > 0
    assert table[0, 255] < 0  # a zero has no sign, the other operand has


def test_signed_drum_and_roba_are_their_unsigned_selves_on_magnitudes() -> None:
    for name in ("drum_5", "roba"):
        assert build_design(f"mul8s_{name}") == build_design(f"mul8s_sm_{name}")


@pytest.mark.parametrize("family", ["exact", "wallace", "dadda"])
@pytest.mark.parametrize("operands", ["8u", "8s", "8x3u", "3x8s", "2u", "7s"])
def test_exact_families_are_exact(family: str, operands: str) -> None:
    assert build_design(f"mul{operands}_{family}").metrics().wce == 0


def test_trees_are_faster_than_the_array_and_a_dadda_tree_no_larger() -> None:
    array, wallace, dadda = (
        build_design(f"mul8u_{name}").cost for name in ("exact", "wallace", "dadda")
    )
    assert array is not None and wallace is not None and dadda is not None
    assert array.delay and wallace.delay and dadda.delay
    assert max(wallace.delay, dadda.delay) < array.delay
    assert dadda.area == array.area
    assert find_design("mul8u_dadda").family.shipped == ()
