"""Where the codes lie when neighbouring bytes are neighbouring outputs.

A lane is one output position of one image. The padded input is laid out so that, for
every tap, the codes that consecutive lanes need are consecutive bytes:

    [unit][channel][phase][depth][height][width][image]

A *unit* is a group of `images` images (innermost, so that small maps still fill
vectors) and a band of output rows. A strided convolution reads each residue of the
input coordinate (a *phase*) at unit stride. A *run* is a stretch of consecutive
lanes: one output row, or, where it is shorter in vectors, the whole band with the
lanes of the border columns computed in vain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod

import numpy as np
import numpy.typing as npt

from .contract import Convolution

# Codes of one unit; larger ones are cut into bands or take fewer images, so that a
# unit stays in the cache between its layout and its use.
UNIT_BYTES = 4 << 20
# Images side by side; fewer where outputs are maps, which lie far apart in memory.
MAX_IMAGES, MAX_MAPS = 1024, 32
# Nanoseconds to store the sum of a lane: row by row, image by image, eight at a time.
STORE_ROW, STORE, STORE_EIGHT = 0.15, 2.0, 0.4
# Nanoseconds of a block of lanes, and of a row of codes or sums, however short.
TASK, ROW = 150, 8
# Nanoseconds of a call, whatever its size.
CALL = 60_000
# Nanoseconds to lay a code out, and for each further byte made of it.
LAY, LAY_MORE = 0.2, 0.15
# Images are transposed and stored by eights.
EIGHT = 8


@dataclass(frozen=True)
class Block:
    """How an engine takes lanes.

    Args:
        vector: lanes of a vector.
        most: vectors of a block at most.
        step: time of one step of one output for a vector, in nanoseconds.
        overhead: of a block, in the time of so many vectors.
        depth: bytes laid out for each code.
        bytes_per_lane: of them that a step takes.
    """

    vector: int
    most: int
    step: float
    overhead: float
    depth: int = 1
    bytes_per_lane: int = 1

    def cut(self, lanes: int) -> tuple[int, int]:
        """Vectors of a block, and blocks, such that the blocks are nearly equal."""
        vectors = -(-lanes // self.vector)
        blocks = -(-vectors // self.most)
        return -(-vectors // blocks), blocks


@dataclass(frozen=True)
class Lanes:
    """One way to lay a convolution out.

    Args:
        shape: the convolution, with three spatial dimensions.
        images: interleaved in a unit.
        band: output rows of a unit along depth and height.
        joined: whether a run covers the whole band.
    """

    shape: Convolution
    images: int
    band: tuple[int, int]
    joined: bool

    @cached_property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """The residues of the input coordinate that taps touch, for each dimension."""
        axes = zip(
            self.shape.kernel, self.shape.dilation, self.shape.stride, strict=True
        )
        return tuple(tuple(sorted({t * d % s for t in range(k)})) for k, d, s in axes)

    @property
    def outputs(self) -> tuple[int, int, int]:
        """Output positions of a unit in each dimension."""
        return (*self.band, self.shape.out[2])

    @cached_property
    def grid(self) -> tuple[int, int, int]:
        """Positions of one phase in each dimension."""
        axes = zip(
            self.shape.kernel,
            self.shape.dilation,
            self.shape.stride,
            self.outputs,
            strict=True,
        )
        depth, height, width = ((k - 1) * d // s + out for k, d, s, out in axes)
        return depth, height, width

    @property
    def bands(self) -> tuple[int, int]:
        """Bands along depth and height."""
        return tuple(
            -(-o // b) for o, b in zip(self.shape.out, self.band, strict=False)
        )  # pyright: ignore[reportReturnType]

    @cached_property
    def units(self) -> int:
        return -(-self.shape.batch // self.images) * prod(self.bands)

    @cached_property
    def plane(self) -> int:
        """Bytes of one phase of one channel."""
        return prod(self.grid) * self.images

    @cached_property
    def channel(self) -> int:
        """Bytes of one channel."""
        return self.plane * prod(map(len, self.phases))

    @cached_property
    def unit(self) -> int:
        """Bytes of one unit."""
        return self.channel * self.shape.channels

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """The grid position at which each run starts."""
        if self.joined:
            return np.zeros(1, np.int64)
        _, height, width = self.grid
        rows = product(range(self.band[0]), range(self.band[1]))
        return np.array([(d * height + h) * width for d, h in rows])

    @cached_property
    def run(self) -> int:
        """Lanes of a run."""
        depth, height, width = self.outputs
        if not self.joined:
            return width * self.images
        _, grid_height, grid_width = self.grid
        rows = (depth - 1) * grid_height + height - 1
        return (rows * grid_width + width) * self.images

    @cached_property
    def taps(self) -> npt.NDArray[np.int64]:
        """Where each tap of a channel starts, relative to a lane."""
        shape, (_, height, width) = self.shape, self.grid
        taps: list[int] = []
        for tap in product(*map(range, shape.kernel)):
            at = [t * d for t, d in zip(tap, shape.dilation, strict=True)]
            phase = 0
            for position, step, residues in zip(
                at, shape.stride, self.phases, strict=True
            ):
                phase = phase * len(residues) + residues.index(position % step)
            d, h, w = (a // s for a, s in zip(at, shape.stride, strict=True))
            place = (d * height + h) * width + w
            taps.append(phase * self.plane + place * self.images)
        return np.array(taps)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int32]:
        """Where each tap of each channel of a group starts, by (channel, tap)."""
        channels = np.arange(self.shape.channels // self.shape.groups)
        return np.add.outer(channels * self.channel, self.taps).astype(np.int32).ravel()


def three_dimensional(shape: Convolution) -> Convolution:
    """The same convolution with dimensions of size 1 put in front."""
    missing = 3 - len(shape.size)

    def widen(values: tuple[int, ...], filler: int) -> tuple[int, ...]:
        return (filler,) * missing + values

    return Convolution(
        shape.batch,
        shape.channels,
        shape.outputs,
        widen(shape.size, 1),
        widen(shape.kernel, 1),
        widen(shape.stride, 1),
        widen(shape.padding, 0),
        widen(shape.dilation, 1),
        shape.groups,
    )


@lru_cache(maxsize=1024)
def lay_out(shape: Convolution, block: Block, apart: bool = False) -> Lanes:
    """The cheapest layout for such blocks.

    Args:
        apart: for the sake of runs of pixels, images are interleaved only where each is
            one pixel, and a run covers the whole band.
    """
    shape = three_dimensional(shape)
    limit = UNIT_BYTES // block.depth
    candidates = [
        _banded(Lanes(shape, images, (shape.out[0], shape.out[1]), joined), limit)
        for images in _image_counts(shape, limit)
        for joined in (False, True)
        if not apart or (joined and (images == 1 or prod(shape.out) == 1))
    ]
    steps = shape.terms * block.depth / block.bytes_per_lane
    return min(candidates, key=lambda lanes: estimate(lanes, block, steps))


def _image_counts(shape: Convolution, limit: int) -> list[int]:
    """One image, eights times powers of two, and the whole batch, in a small unit."""
    most = MAX_IMAGES if prod(shape.out) == 1 else MAX_MAPS
    whole = max(1, min(shape.batch, most))
    eights = [EIGHT << i for i in range(whole.bit_length()) if EIGHT << i <= whole]
    bytes_each = shape.channels * prod(shape.padded)
    return [1, *(n for n in {*eights, whole} if n == 1 or n * bytes_each <= limit)]


def _banded(lanes: Lanes, limit: int) -> Lanes:
    """Halves the band of single images until the unit is small enough."""
    while lanes.images == 1 and lanes.unit > limit and max(lanes.band) > 8:
        depth, height = lanes.band
        band = (-(-depth // 2), height) if depth > 1 else (depth, -(-height // 2))
        lanes = Lanes(lanes.shape, 1, band, lanes.joined)
    return lanes


def estimate(lanes: Lanes, block: Block, steps: float) -> float:
    """Nanoseconds to lay codes out, take `steps` of each output, and store sums."""
    vectors, blocks = block.cut(lanes.run)
    count = lanes.units * len(lanes.starts) * blocks * lanes.shape.outputs
    computed = count * (vectors + block.overhead) * steps * block.step
    interleaved = STORE if lanes.images % EIGHT else STORE_EIGHT
    store = STORE_ROW if lanes.images == 1 else interleaved
    stored = count * vectors * block.vector * store
    shape = lanes.shape
    rows = lanes.units * shape.channels * prod(lanes.grid[:2])
    if prod(shape.out) > 1:
        together = EIGHT if lanes.images % EIGHT == 0 else 1
        rows += shape.batch * shape.outputs * prod(shape.out[:2]) / together
    laid_out = lanes.units * lanes.unit * (LAY + LAY_MORE * (block.depth - 1))
    tasks = lanes.units * len(lanes.starts) * blocks * shape.groups
    return computed + stored + laid_out + tasks * TASK + rows * ROW
