"""The random stream of a training run, apart from torch's generators."""

from __future__ import annotations

import os

import numpy as np

from ..kernels.noise import mixed


def own_rank() -> int:
    """This process's place among those of `torchrun`, 0 where there is only one."""
    return int(os.environ.get("RANK", 0))


class Stream:
    """Keys for stochastic rounding, one for every tensor that is coded.

    Args:
        seed: any integer; the same seed gives the same codes again.
        rank: of the process; processes differ, so that their noise averages out.
            `torchrun` tells it where it is left out.

    Example:
        >>> Stream(seed=1).key() == Stream(seed=1).key() != Stream(seed=2).key()
        True
    """

    def __init__(self, seed: int = 0, rank: int | None = None) -> None:
        self.rank = own_rank() if rank is None else rank
        self.drawn = 0
        self._base = _mix(_mix(0, seed), self.rank)

    def key(self) -> int:
        """The next key, below 2^64."""
        self.drawn += 1
        return _mix(self._base, self.drawn)


def _mix(key: int, number: int) -> int:
    return int(mixed(np.uint64(key), np.uint64(number % (1 << 64))))
