"""Random streams of the room's own: the global generators are never touched."""

from __future__ import annotations

import hashlib

import torch


def stream(*key: int | str) -> torch.Generator:
    """A generator that depends on the key alone.

    Args:
        key: whatever tells this stream from others, such as `(seed, "order", epoch)`.

    Example:
        >>> torch.equal(*(torch.rand(3, generator=stream(0, "noise")) for _ in "ab"))
        True
    """
    return torch.Generator().manual_seed(number(*key))


def number(*key: int | str) -> int:
    """A number below 2^63 that depends on the key alone, in every version of Python."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
