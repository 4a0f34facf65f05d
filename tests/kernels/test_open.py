"""Sums completed in open tiles alone equal those of all products, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cases import CONVS, Case, ConvCase, MatmulCase, random_cases, tables

from axsim import kernels
from axsim.kernels import reference
from axsim.kernels.contract import Convolution, describe_convolution, needs_int64
from axsim.kernels.cpu import PATHS, variant
from axsim.kernels.finish import Finish
from axsim.kernels.open_sums import MOST_TERMS, add_open
from axsim.kernels.table import table_of
from axsim.tables.multiplier import Multiplier

# Whole blocks, parts of tiles, small maps that share blocks, narrow codes.
BLOCKS: tuple[Case, ...] = (
    ConvCase((2, 8, 20, 32), (40, 8, 3, 3), {"padding": 1}, "truncated_u8"),
    ConvCase((5, 6, 7, 7), (33, 6, 3, 3), {"padding": 1, "pad_code": 3}, "exact_s4"),
    ConvCase((9, 5, 5), (17, 5, 2), {"stride": 2}, "random_u8u4"),
    MatmulCase(1100, 21, 50, "random_s16"),
    MatmulCase(150, 21, 50, "rank_1_u8", max_code=31),
)
CASES = [*BLOCKS, *(replace(case, max_code=15) for case in BLOCKS), *CONVS[4:9],
         *random_cases(25, seed=21)]  # fmt: skip
MASKS = ("tiles", "channels", "scattered", "none", "all")


def shape_of(case: Case) -> Convolution:
    if isinstance(case, MatmulCase):
        x, w = (case.m, case.k, 1), (case.n, case.k, 1)
        return Convolution(*x[:2], w[0], (1,), (1,), (1,), (0,), (1,), 1)
    settings = {k: v for k, v in case.settings.items() if k != "pad_code"}
    return describe_convolution(case.x, case.w, **settings)


def pad_code(case: Case) -> int | None:
    return case.settings.get("pad_code", 0) if isinstance(case, ConvCase) else 0


def make_mask(kind: str, shape: Convolution, seed: int) -> npt.NDArray[np.bool_]:
    """bool[N, O, *out]."""
    generator = np.random.default_rng(seed)
    full = (shape.batch, shape.outputs, *shape.out)
    if kind == "channels":
        opened = generator.random((shape.batch, shape.outputs)) < 0.2
        return np.broadcast_to(
            opened.reshape(*opened.shape, *(1 for _ in shape.out)), full
        ).copy()
    if kind == "tiles":
        pixels = shape.batch * int(np.prod(shape.out))
        tiles = generator.random((pixels // 16 + 1, shape.outputs // 16 + 1)) < 0.2
        rows = tiles.repeat(16, 0).repeat(16, 1)[:pixels, : shape.outputs]
        return np.moveaxis(rows.reshape(full[0], *full[2:], full[1]), -1, 1).copy()
    return generator.random(full) < {"scattered": 0.02, "none": 0, "all": 1}[kind]


def all_sums(case: Case, mul: Multiplier) -> npt.NDArray[np.int64]:
    """int64[N, O, *out] by the reference."""
    x, w = case.operands()
    if isinstance(case, MatmulCase):
        return reference.lut_matmul(x, w, mul).astype(np.int64)[:, :, None]
    return reference.lut_conv(x, w, mul, **case.settings).astype(np.int64)


def corrected(case: Case, finish: Finish) -> npt.NDArray[np.int64]:
    """The exact sums with what the finish adds."""
    rows, columns = case.mul.table.shape
    bits = rows.bit_length() - 1, columns.bit_length() - 1
    ones = Multiplier.from_function(
        lambda a, b: a + 0 * b, signed=(finish.sign > 0, False), bits=bits
    )
    side = [1] * len(shape_of(case).out)
    total = all_sums(case, case.mul) + finish.constant.reshape(-1, *side)
    if len(finish.zeros):
        total -= finish.zeros.reshape(-1, *side) * all_sums(case, ones)
    return total


def finish_for(case: Case, affine: bool) -> Finish:
    generator, outputs = np.random.default_rng(case.seed), shape_of(case).outputs
    zeros = generator.integers(-3, 4, outputs * affine).astype(np.int32)
    constant = generator.integers(-500, 500, outputs)
    sign = len(case.mul.table) // 2 if case.mul.signed[0] else 0
    none = np.empty(0, np.float32)
    return Finish(none, none, constant, zeros, sign)


def complete(
    case: Case, kind: str, path: str, affine: bool
) -> tuple[bool, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Whether it was done, what it gave, what it should give and what was there."""
    shape, finish = shape_of(case), finish_for(case, affine)
    generator = torch.Generator().manual_seed(case.seed)
    mask = torch.from_numpy(make_mask(kind, shape, case.seed))
    total = torch.randint(-1000, 1000, mask.shape, generator=generator).int()
    units = torch.rand(shape.outputs, generator=generator)
    before = torch.rand(mask.shape, generator=generator)
    x, w = (torch.from_numpy(t.copy()) for t in case.operands())
    base, shift = before.clone(), case.seed % 3
    done = add_open(
        base, total, mask, units, shift, (0, shape.outputs), x, w, case.mul, shape,
        pad_code(case), path, finish,
    )  # fmt: skip
    sums = torch.from_numpy(corrected(case, finish)) << shift
    whole = (sums + total).float() * units.view(-1, *[1] * len(shape.out))
    return done, base, torch.where(mask, whole, before), before


def must_do(case: Case, path: str) -> bool:
    shape = shape_of(case)
    pixels = shape.batch * int(np.prod(shape.out))
    swaps = shape.groups == 1 and pixels <= 256
    skips = pad_code(case) is None and any(shape.padding)
    by_torch = path == "factored" and variant() == "float32 torch"
    return not (swaps or skips or by_torch)


@pytest.mark.parametrize("path", kernels.paths())
def test_open_tiles_are_complete_and_others_stay(path: str) -> None:
    served = 0
    for number, case in enumerate(CASES):
        table, shape = table_of(case.mul), shape_of(case)
        wide = needs_int64(shape.terms, 2 * table.peak)
        if wide or PATHS[path].why_not(table, shape, wide) is not None:
            continue
        for affine in (False, True):
            kind = MASKS[(number + affine) % len(MASKS)]
            done, found, expected, before = complete(case, kind, path, affine)
            assert done or not must_do(case, path), case
            assert torch.equal(found, expected if done else before), (case, kind)
            served += done
    assert served > 20 or variant() == "float32 torch"


@pytest.mark.parametrize("path", ["gather", "shuffle"])
@pytest.mark.parametrize("images", [3, 40])
def test_outputs_of_one_part_leave_the_others_alone(path: str, images: int) -> None:
    if path not in kernels.paths():
        pytest.skip(str(kernels.missing()[path]))
    case = ConvCase((images, 4, 12, 12), (20, 4, 3, 3), {}, "random_u16")
    shape, mul = shape_of(case), tables()["random_u16"]
    x, w = (torch.from_numpy(t) for t in case.operands())
    base = torch.full((images, 27, 10, 10), -1.0)
    total, mask = torch.zeros_like(base).int(), torch.ones_like(base).bool()
    finish = finish_for(case, False)._replace(constant=np.zeros(20, np.int64))
    settings: Any = 0, path, finish
    done = add_open(
        base, total, mask, torch.ones(20), 0, (5, 25), x, w, mul, shape, *settings
    )
    assert done
    expected = torch.full_like(base, -1.0)
    expected[:, 5:25] = torch.from_numpy(all_sums(case, mul)).float()
    assert torch.equal(base, expected)


@pytest.mark.parametrize("path", kernels.paths())
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("max_code", [255, 15])
def test_units_that_overlap_in_a_block_are_no_neighbours(
    path: str, channels: int, max_code: int
) -> None:
    # Where a unit is one plane, the run at 192 reaches 12 lanes into the next unit, and
    # the gap before 28 makes up for them: the three end where neighbours would.
    case = ConvCase((2, channels, 196), (3, channels, 1), {}, "exact_u8",
                    max_code=max_code)  # fmt: skip
    shape, finish = shape_of(case), finish_for(case, False)
    x, w = (torch.from_numpy(t) for t in case.operands())
    base = torch.full((2, 3, 196), -1.0)
    mask, total = torch.zeros_like(base).bool(), torch.zeros_like(base).int()
    mask[0, :, 192] = mask[1, :, 0] = mask[1, :, 28] = True
    done = add_open(base, total, mask, torch.ones(3), 0, (0, 3), x, w, case.mul, shape,
                    0, path, finish)  # fmt: skip
    assert done or not must_do(case, path)
    expected = torch.from_numpy(corrected(case, finish)).float()
    assert torch.equal(base, torch.where(mask & done, expected, -1.0))


@pytest.mark.parametrize("channels", [MOST_TERMS, MOST_TERMS + 1])
def test_sums_too_long_for_offsets_are_left_alone(channels: int) -> None:
    # Two images in one pass, apart from each other; narrow codes take most bytes.
    case = MatmulCase(5, 1, 8, "exact_s4")
    finish = finish_for(case, affine=False)._replace(constant=np.zeros(8, np.int64))
    x = torch.full((5, channels, 1), 15, dtype=torch.uint8)
    w = torch.full((8, channels, 1), 1, dtype=torch.uint8)
    shape = Convolution(5, channels, 8, (1,), (1,), (1,), (0,), (1,), 1)
    base, total = torch.zeros(5, 8, 1), torch.zeros(5, 8, 1, dtype=torch.int32)
    mask = torch.zeros_like(total).bool()
    mask[0] = mask[2] = True
    done = add_open(base, total, mask, torch.ones(8), 0, (0, 8), x, w, case.mul, shape,
                    0, "gather", finish)  # fmt: skip
    assert done == (channels <= MOST_TERMS)
    assert torch.equal(base, torch.where(mask & done, -float(channels), 0.0))
