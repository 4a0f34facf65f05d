"""Counters of a gate: plain whole numbers, summed over processes where asked."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from .tiles import count_open


class Counts(NamedTuple):
    """What passed a gate.

    Args:
        outputs: decisions made.
        open: of them, where the gate was open.
        tiles: blocks of 16 pixels by 16 channels.
        closed_tiles: of them, those with no open output.
    """

    outputs: int = 0
    open: int = 0
    tiles: int = 0
    closed_tiles: int = 0

    def __add__(self, other: Counts) -> Counts:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def sparsity(self) -> float:
        """Share of outputs where the gate was closed; 0 where there were none."""
        return 1 - self.open / self.outputs if self.outputs else 0.0


class GateMeter:
    """Counts the decisions of one gate.

    The numbers are no buffers, which DistributedDataParallel would overwrite with
    rank 0's, and on a GPU they stay there until they are read, so that no step waits.

    Example:
        >>> meter = GateMeter()
        >>> meter.count(torch.tensor([[True, False]]), axis=1)
        >>> meter.read().sparsity
        0.5
    """

    def __init__(self) -> None:
        self.sums: list[int | Tensor] = [0, 0, 0, 0]
        #: Every mask, channels last, while somebody wants them; None while nobody does.
        self.kept: list[Tensor] | None = None

    def count(self, mask: Tensor, axis: int) -> None:
        """Takes a mask into account, unless a backward pass computes it once more."""
        if in_backward():
            return
        if self.kept is not None:
            self.kept.append(mask.movedim(axis, -1).cpu())
        flags, tiles, opened = count_open(mask, axis)
        counts = mask.numel(), flags, tiles, tiles - opened
        self.sums = [a + b for a, b in zip(self.sums, counts, strict=True)]

    def read(self, all_processes: bool = False) -> Counts:
        """The counts so far.

        Args:
            all_processes: sum them over the processes of the default group, all of
                which must then call this.
        """
        counts = [int(n) for n in self.sums]
        if all_processes and dist.is_initialized():
            on_gpu = dist.get_backend() == "nccl"
            sums = torch.tensor(counts, device="cuda" if on_gpu else "cpu")
            dist.all_reduce(sums)
            counts = sums.tolist()
        return Counts(*counts)

    def set(self, counts: Counts) -> None:
        """Goes on from the sum of all processes, which the first of them takes over."""
        first = not dist.is_initialized() or dist.get_rank() == 0
        self.sums = [*counts] if first else [0, 0, 0, 0]

    def reset(self) -> None:
        """Begins anew."""
        self.sums = [0, 0, 0, 0]


def in_backward() -> bool:
    """Whether autograd is at work, as when it computes a checkpointed layer again."""
    return torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
