"""The random stream of a training run, apart from torch's generators."""

from __future__ import annotations

import os

import numpy as np
import torch.distributed as dist

from ..kernels.noise import mixed


def own_rank() -> int:
    """This process's place in its group, or among those of `torchrun`; else 0."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", 0))


class Stream:
    """Keys for stochastic rounding, one for every tensor that is coded.

    Args:
        seed: any integer; the same seed gives the same codes again.
        rank: of the process; processes differ, so that their noise averages out.
            Where it is left out, the process group tells it, or `torchrun`, when the
            first key is asked for.

    Example:
        >>> Stream(seed=1).key() == Stream(seed=1).key() != Stream(seed=2).key()
        True
    """

    def __init__(self, seed: int = 0, rank: int | None = None) -> None:
        self.seed = seed
        self.rank = rank
        self.drawn = 0

    def key(self) -> int:
        """The next key, below 2^64."""
        if self.rank is None:
            self.rank = own_rank()
        self.drawn += 1
        return _mix(_mix(_mix(0, self.seed), self.rank), self.drawn)


def _mix(key: int, number: int) -> int:
    return int(mixed(np.uint64(key), np.uint64(number % (1 << 64))))
