"""One table of cases for every path: fixed corners, then a seeded random stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from axsim.kernels import reference
from axsim.tables.multiplier import Multiplier

Codes = npt.NDArray[np.uint8]
LAYOUTS = ("contiguous", "channels_last", "strided", "broadcast")


def _random_table(
    rows: int, columns: int, low: int, high: int, signed: bool
) -> Multiplier:
    generator = np.random.default_rng(rows * 1000 + columns)
    table = generator.integers(low, high, (rows, columns), dtype=np.int64)
    table[0, 0] = high - 1
    return Multiplier.from_array(table, signed=signed)


def _low_rank(signed: bool, rank: int) -> Multiplier:
    generator = np.random.default_rng(rank)
    u, b = (
        generator.integers(-3, 4, (256, rank)),
        generator.integers(-3, 4, (rank, 256)),
    )
    exact = Multiplier.from_function(lambda a, b: a * b, signed=signed).table
    return Multiplier.from_array(exact + u @ b, signed=signed)


@cache
def tables() -> dict[str, Multiplier]:
    """Asymmetric, signed, narrow and extreme tables; `[0, 0]` is mostly not 0."""

    def exact(
        signed: bool | tuple[bool, bool], bits: tuple[int, int] = (8, 8)
    ) -> Multiplier:
        return Multiplier.from_function(lambda a, b: a * b, signed=signed, bits=bits)

    return {
        "exact_u8": exact(False),
        "exact_s8": exact(True),
        "exact_s8u8": exact((True, False)),
        "exact_s4": exact(True, (4, 4)),
        "exact_u7u5": exact(False, (7, 5)),
        "truncated_u8": Multiplier.from_function(
            lambda a, b: a * b & ~63, signed=False
        ),
        "rank_1_u8": _low_rank(False, 1),
        "rank_4_s8": _low_rank(True, 4),
        "rank_9_u8": _low_rank(False, 9),
        "random_u16": _random_table(256, 256, 0, 1 << 16, False),
        "random_s16": _random_table(256, 256, -(1 << 15), 1 << 15, True),
        "random_byte": _random_table(256, 256, -100, 156, True),
        "random_u4u8": _random_table(16, 256, 0, 4096, False),
        "random_u8u4": _random_table(256, 16, 0, 4096, False),
        "random_u6u6": _random_table(64, 64, -50, 4096, True),
        "random_u1u1": _random_table(2, 2, 0, 5, False),
        "random_20_bits": _random_table(256, 256, -(1 << 19), 1 << 19, True),
        "extreme": _random_table(256, 256, -(1 << 31), 1 << 31, True),
    }


@dataclass(frozen=True)
class MatmulCase:
    """One product a[m, k] by b[n, k]; codes of `a` stay at or below `max_code`."""

    m: int
    k: int
    n: int
    table: str = "random_u16"
    layout: str = "contiguous"
    max_code: int = 255
    seed: int = 0

    @property
    def mul(self) -> Multiplier:
        return tables()[self.table]

    def operands(self) -> tuple[Codes, Codes]:
        rows, columns = self.mul.table.shape
        generator = np.random.default_rng(self.seed)
        a = _codes(generator, (self.m, self.k), min(self.max_code, rows - 1))
        b = _codes(generator, (self.n, self.k), columns - 1)
        return _laid_out(a, self.layout), _laid_out(b, self.layout)

    def expected(self) -> npt.NDArray[Any]:
        return reference.lut_matmul(*self.operands(), self.mul)


@dataclass(frozen=True)
class ConvCase:
    """One convolution of x by w; its settings are those of `lut_conv`."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    table: str = "random_u16"
    layout: str = "contiguous"
    max_code: int = 255
    seed: int = 0

    @property
    def mul(self) -> Multiplier:
        return tables()[self.table]

    def operands(self) -> tuple[Codes, Codes]:
        rows, columns = self.mul.table.shape
        generator = np.random.default_rng(self.seed)
        x = _codes(generator, self.x, min(self.max_code, rows - 1))
        w = _codes(generator, self.w, columns - 1)
        return _laid_out(x, self.layout), _laid_out(w, self.layout)

    def expected(self) -> npt.NDArray[Any]:
        return reference.lut_conv(*self.operands(), self.mul, **self.settings)


Case = MatmulCase | ConvCase

MATMULS = (
    MatmulCase(1, 1, 1),
    MatmulCase(0, 3, 4),
    MatmulCase(4, 3, 0),
    MatmulCase(1, 577, 3, "random_s16"),
    MatmulCase(65, 7, 33, "random_s16", "strided"),
    MatmulCase(300, 129, 17, "truncated_u8"),
    MatmulCase(257, 64, 65, "exact_u8"),
    MatmulCase(64, 300, 64, "exact_s8"),
    MatmulCase(130, 259, 9, "rank_4_s8"),
    MatmulCase(5, 32_768, 3, "random_u16"),
    MatmulCase(5, 32_769, 3, "random_u16"),
    MatmulCase(2, 70_001, 2, "random_s16"),
    MatmulCase(2, 131_073, 1, "exact_s8"),
    MatmulCase(3, 33_027, 2, "exact_u8"),
    MatmulCase(9, 1, 5, "extreme"),
    MatmulCase(9, 11, 5, "extreme", "strided"),
    MatmulCase(70, 5000, 3, "random_20_bits"),
    MatmulCase(70, 70_001, 3, "exact_u8", max_code=15),
)
CONVS = (
    ConvCase((0, 3, 5, 5), (4, 3, 3, 3)),
    ConvCase((1, 1, 1, 1), (1, 1, 1, 1)),
    ConvCase((2, 3, 9, 9), (8, 3, 3, 3), {"padding": 1, "pad_code": 7}),
    ConvCase(
        (2, 3, 9, 9), (8, 3, 3, 3), {"padding": 1, "pad_code": None}, "random_s16"
    ),
    ConvCase(
        (1, 16, 14, 14), (16, 16, 3, 3), {"padding": 1, "stride": 2}, "random_s16"
    ),
    ConvCase((3, 16, 8, 8), (16, 16, 3, 3), {"padding": 2, "dilation": 2}, "exact_u8"),
    ConvCase((2, 12, 10, 7), (12, 1, 3, 3), {"padding": 1, "groups": 12}, "random_s16"),
    ConvCase(
        (2, 12, 10, 7),
        (24, 1, 5, 3),
        {"padding": (2, 1), "groups": 12, "stride": (1, 2)},
    ),
    ConvCase((2, 12, 8, 8), (8, 3, 3, 3), {"padding": 1, "groups": 4}, "rank_1_u8"),
    ConvCase((2, 40, 6, 6), (30, 40, 1, 1), {}, "rank_9_u8", "channels_last"),
    ConvCase(
        (2, 20, 7, 7), (9, 20, 1, 1), {"stride": 2}, "random_u16", "channels_last"
    ),
    ConvCase(
        (1, 3, 31, 17), (5, 3, 7, 7), {"padding": 3, "stride": 2, "pad_code": 255}
    ),
    ConvCase((40, 8, 4, 4), (16, 8, 3, 3), {"padding": 1}, "rank_4_s8", "strided"),
    ConvCase((2, 4, 6, 6), (4, 4, 3, 3), {"padding": 5, "pad_code": None}, "extreme"),
    ConvCase(
        (1, 2, 5, 5),
        (3, 2, 5, 5),
        {"padding": 9, "dilation": 3, "stride": 4, "pad_code": 3},
    ),
    ConvCase(
        (2, 600, 4, 4), (3, 600, 3, 3), {"padding": 1, "pad_code": 9}, "random_20_bits"
    ),
    ConvCase((1, 3700, 3, 3), (2, 3700, 3, 3), {}, "random_u16"),
    ConvCase((2, 2, 26, 25), (3, 2, 25, 24), {"padding": 1}, "exact_u8"),
    ConvCase((2, 3, 50), (4, 3, 5), {"padding": 2, "stride": 3}, "random_s16"),
    ConvCase((1, 2, 5, 6, 7), (4, 2, 3, 2, 3), {"padding": (1, 0, 2), "pad_code": 11}),
    ConvCase(
        (2, 4, 5, 6, 7),
        (4, 1, 1, 3, 3),
        {"padding": 1, "groups": 4, "stride": (2, 1, 3)},
    ),
    ConvCase((2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1}, "random_s16", max_code=127),
    ConvCase((2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1}, "random_s16", max_code=63),
    ConvCase((2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1}, "random_s16", max_code=15),
    ConvCase(
        (2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1, "pad_code": 200}, max_code=15
    ),
    ConvCase((2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1}, "random_u4u8"),
    ConvCase((2, 13, 9, 9), (9, 13, 3, 3), {"padding": 1}, "exact_u8", max_code=15),
    ConvCase((2, 13, 9, 9), (9, 13, 3, 3), {"padding": 1}, "exact_s8", max_code=31),
    ConvCase((9, 10, 8, 8), (8, 5, 3, 3), {"groups": 2}, "exact_s4", "strided"),
    ConvCase((9, 9, 8, 8), (8, 9, 1, 1), {}, "random_u1u1"),
    ConvCase((2, 16, 9, 9), (16, 16, 3, 3), {"padding": 1, "pad_code": 3}, "exact_s4"),
)


def random_cases(count: int, seed: int = 0) -> Iterator[Case]:
    """Random small cases, the same for one seed; one in three is a matrix product."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield (
            _random_matmul(generator)
            if generator.random() < 0.3
            else _random_conv(generator)
        )


def _random_matmul(generator: np.random.Generator) -> MatmulCase:
    return MatmulCase(
        m=_size(generator, 200),
        k=max(1, _size(generator, 150)),
        n=_size(generator, 40),
        table=_pick(generator, list(tables())),
        layout=_pick(generator, LAYOUTS),
        max_code=_pick(generator, (255, 255, 127, 63, 15)),
        seed=int(generator.integers(1 << 30)),
    )


def _random_conv(generator: np.random.Generator) -> ConvCase:
    spatial = _pick(generator, (1, 2, 2, 2, 3))
    groups = _pick(generator, (1, 1, 1, 2, 3, 7))
    per_group, multiple = _pick(generator, (1, 2, 5, 9)), _pick(generator, (1, 2, 3, 8))
    limit = {1: 90, 2: 14, 3: 6}[spatial]
    kernel = tuple(int(generator.integers(1, 5)) for _ in range(spatial))
    padding = tuple(int(generator.integers(0, 4)) for _ in range(spatial))
    dilation = tuple(_pick(generator, (1, 1, 2, 3)) for _ in range(spatial))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = tuple(
        int(generator.integers(max(1, s - 2 * p), max(1, s - 2 * p) + limit))
        for s, p in zip(spans, padding, strict=True)
    )
    table = _pick(generator, list(tables()))
    pad_code = int(generator.integers(tables()[table].table.shape[0]))
    return ConvCase(
        x=(_pick(generator, (0, 1, 1, 2, 3, 5)), groups * per_group, *size),
        w=(groups * multiple, per_group, *kernel),
        settings={
            "stride": tuple(_pick(generator, (1, 1, 2, 3)) for _ in range(spatial)),
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
            "pad_code": _pick(generator, (0, pad_code, None)),
        },
        table=table,
        layout=_pick(generator, LAYOUTS),
        max_code=_pick(generator, (255, 255, 127, 63, 15)),
        seed=int(generator.integers(1 << 30)),
    )


def _pick(generator: np.random.Generator, choices: Any) -> Any:
    return choices[int(generator.integers(len(choices)))]


def _size(generator: np.random.Generator, limit: int) -> int:
    """A size from 0 to `limit`, small ones more often."""
    return int(limit * generator.random() ** 2)


def _codes(
    generator: np.random.Generator, shape: tuple[int, ...], largest: int
) -> Codes:
    return generator.integers(0, largest + 1, shape, dtype=np.uint8)


def _laid_out(codes: Codes, layout: str) -> Codes:
    """The same kind of array in another memory layout; `broadcast` repeats a slice."""
    if layout == "channels_last" and codes.ndim > 2:
        last = np.ascontiguousarray(np.moveaxis(codes, 1, -1))
        return np.moveaxis(last, -1, 1)
    if layout == "strided":
        spaced = np.zeros(tuple(2 * s for s in codes.shape), np.uint8)
        view = spaced[tuple(slice(1, None, 2) for _ in codes.shape)]
        view[...] = codes
        return view
    if layout == "broadcast" and codes.shape[0] > 1:
        return np.broadcast_to(codes[:1], codes.shape)
    return codes
