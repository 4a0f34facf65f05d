"""The random stream of stochastic rounding: a hash of a key and a counter.

A value depends on nothing but its key, its group and its place in the group, so every
device and every number of threads makes the same codes, and torch's generators are
never touched.
"""

# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled

# splitmix64 (Steele, Lea, Flood 2014) makes the keys of a group.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
# A 32-bit hash with nearly no bias (Wellons, "hash prospector").
STIR_1 = np.uint32(0x7FEB352D)
STIR_2 = np.uint32(0x846CA68B)


@compiled
def mixed(key: Any, number: Any) -> Any:
    """uint64 that looks random in both of its uint64 arguments."""
    x = key + (number + np.uint64(1)) * GOLDEN
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


@compiled
def draw(key: Any, group: Any, noise: Any) -> None:
    """noise[i] = one of 1/2, 3/2 … 65535 + 1/2, each as likely.

    Places i and i + half share a hash: its low and its high sixteen bits.
    """
    keys = mixed(key, np.uint64(group))
    low, high = (
        np.uint32(keys & np.uint64(0xFFFFFFFF)),
        np.uint32(keys >> np.uint64(32)),
    )
    half = noise.size // 2
    for i in range(half):
        x = np.uint32(np.uint32(i) * np.uint32(0x9E3779B9) + low)
        x = np.uint32((x ^ (x >> np.uint32(16))) * STIR_1)
        x = np.uint32(x ^ high)
        x = np.uint32((x ^ (x >> np.uint32(15))) * STIR_2)
        x = np.uint32(x ^ (x >> np.uint32(16)))
        noise[i] = np.float32(np.int32(x & np.uint32(0xFFFF))) + np.float32(0.5)
        noise[half + i] = np.float32(np.int32(x >> np.uint32(16))) + np.float32(0.5)
