"""Sums told from real numbers, and what is remembered about weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cases import ConvCase
from hypothesis import given, settings
from hypothesis import strategies as st
from test_open import MASKS, all_sums, finish_for, make_mask, shape_of

from axsim import kernels
from axsim.kernels.open_sums import add_open, tells
from axsim.kernels.remembered import largest_sum, remembered
from axsim.tables.multiplier import Multiplier

LIMIT = 1 << 23


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(2.0**-80, 2.0**80, width=32), step=st.integers(0, 7))
def test_sums_below_the_limit_are_told(scale: float, step: int) -> None:
    near = torch.arange(LIMIT - 2000, LIMIT)
    some = torch.randint(-LIMIT + 1, LIMIT, (2000,))
    sums = torch.cat([near, -near, some])
    assert tells(int(sums.abs().max()), torch.tensor([scale]))
    reals = (sums << step).float() * torch.tensor(scale)
    inverse = 1 / (float(np.float32(scale)) * (1 << step))
    assert torch.equal((reals.double() * inverse).round().long(), sums)


@pytest.mark.parametrize("scales", [[0.0], [1e-30, 1.0], [float("inf")], [1.0, 1e30]])
def test_scales_that_leave_normal_numbers_tell_nothing(scales: list[float]) -> None:
    assert not tells(10, torch.tensor(scales))


@pytest.mark.parametrize("path", kernels.paths())
@pytest.mark.parametrize("max_code", [255, 15])
def test_told_sums_are_completed_as_given_ones(path: str, max_code: int) -> None:
    # The multiplying path serves tables of low rank only.
    table = "rank_1_u8" if path == "factored" else "truncated_u8"
    case = ConvCase((3, 8, 12, 20), (40, 8, 3, 3), {"padding": 1}, table,
                    max_code=max_code)  # fmt: skip
    shape, finish, served = shape_of(case), finish_for(case, affine=False), 0
    x, w = (torch.from_numpy(t.copy()) for t in case.operands())
    for seed, kind in enumerate(MASKS):
        step, shift = seed % 4, (seed + 1) % 3
        mask = torch.from_numpy(make_mask(kind, shape, seed))
        sums = torch.randint(-LIMIT + 1, LIMIT, mask.shape).long()
        units = torch.rand(shape.outputs) * 0.01 + 1e-5
        before = (sums << step).float() * units.view(-1, 1, 1)
        base = before.clone()
        done = add_open(
            base, step, mask, units, shift, (0, shape.outputs), x, w, case.mul, shape,
            0, path, finish,
        )  # fmt: skip
        added = torch.from_numpy(all_sums(case, case.mul))
        added += torch.from_numpy(finish.constant).view(-1, 1, 1)
        whole = ((sums << step) + (added << shift)).float() * units.view(-1, 1, 1)
        expected = torch.where(mask, whole, before) if done else before
        assert torch.equal(base, expected), kind
        served += done
    assert served in (0, len(MASKS))
    assert served or path == "factored"


def test_no_sum_passes_the_largest() -> None:
    generator = np.random.default_rng(3)
    table = generator.integers(-300, 200, (16, 8)).astype(np.int32)
    mul = Multiplier(table, (False, False))
    w = torch.from_numpy(generator.integers(0, 8, (5, 4, 3)).astype(np.uint8))
    flat = w.flatten(1).numpy()
    most = max(sum(int(abs(table[:, c]).max()) for c in row) for row in flat)
    assert largest_sum(w, mul) == most
    w.zero_()
    assert largest_sum(w, mul) == 12 * int(abs(table[:, 0]).max())


def test_what_is_remembered_follows_the_weights() -> None:
    w, calls = torch.zeros(3, dtype=torch.uint8), list[int]()

    def build() -> int:
        calls.append(int(w.sum()))
        return calls[-1]

    assert [remembered(w, key, build) for key in "aab"] == [0, 0, 0]
    assert len(calls) == 2
    w += 1
    assert remembered(w, "a", build) == 3
    assert remembered(w.clone(), "a", lambda: -1) == -1
    with torch.inference_mode():
        unwatched = torch.zeros(1, dtype=torch.uint8)
    assert [remembered(unwatched, "a", lambda n=n: n) for n in (1, 2)] == [1, 2]
