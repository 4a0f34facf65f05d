"""The random stream of the CUDA kernels, with the types that a compiler gives it."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from axsim.cuda import noise as device
from axsim.kernels.noise import draw


def compiled(step: Any) -> Any:
    """A step of a kernel, compiled by the same rules for the CPU."""
    return numba.njit(step.py_func)


@pytest.mark.parametrize("key", [0, 7, 0xFEDCBA9876543210, (1 << 64) - 1])
def test_noise_is_that_of_the_cpu(key: int) -> None:
    mixed, stirred, noise_of = map(
        compiled, (device.mixed, device.stirred, device.noise_of)
    )
    halves = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    for group in 0, 1, 123_456_789_012:
        expected = np.empty(256, np.float32)
        draw(np.uint64(key), group, expected)
        keys = np.uint64(mixed(*halves, np.int64(group)))
        found = [int(stirred(keys, np.int32(place))) for place in range(128)]
        low = [noise_of(np.uint32(both & 0xFFFF)) for both in found]
        high = [noise_of(np.uint32(both >> 16)) for both in found]
        assert [*low, *high] == expected.tolist()
