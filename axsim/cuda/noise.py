# pyright: basic
"""The random stream of stochastic rounding: that of the CPU, bit for bit."""

from __future__ import annotations

import numpy as np

from .intrinsics import inlined
from .reals import wrapping

# splitmix64 (Steele, Lea, Flood 2014) makes the keys of a group.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
# A 32-bit hash with nearly no bias (Wellons, "hash prospector").
SPREAD = np.uint32(0x9E3779B9)
STIR_1 = np.uint32(0x7FEB352D)
STIR_2 = np.uint32(0x846CA68B)


@inlined
@wrapping
def mixed(low, high, number):
    """uint64 keys of group `number` in the stream of the key with these halves."""
    key = np.uint64(high) << np.uint64(32) | np.uint64(low)
    x = np.uint64(key + np.uint64(np.uint64(number) + np.uint64(1)) * GOLDEN)
    x = np.uint64((x ^ (x >> np.uint64(30))) * MIX_1)
    x = np.uint64((x ^ (x >> np.uint64(27))) * MIX_2)
    return np.uint64(x ^ (x >> np.uint64(31)))


@inlined
@wrapping
def stirred(keys, place):
    """uint32 whose halves are the noise of two places of a group."""
    low = np.uint32(keys & np.uint64(0xFFFFFFFF))
    x = np.uint32(np.uint32(np.uint32(place) * SPREAD) + low)
    x = np.uint32((x ^ (x >> np.uint32(16))) * STIR_1)
    x = np.uint32(x ^ np.uint32(keys >> np.uint64(32)))
    x = np.uint32((x ^ (x >> np.uint32(15))) * STIR_2)
    return np.uint32(x ^ (x >> np.uint32(16)))


@inlined
def noise_of(half):
    """1/2, 3/2 … 65535 + 1/2 of sixteen bits."""
    return np.float32(np.int32(half)) + np.float32(0.5)
