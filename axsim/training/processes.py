"""Several processes that train one network, as `torchrun` starts them."""

from __future__ import annotations

import atexit
import gc
import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .device import choose_device


@dataclass(frozen=True)
class Processes:
    """Who trains together.

    Args:
        rank: which one this is; 0 alone writes files.
        world: how many there are.
        device: where this one computes.
    """

    rank: int
    world: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes; integers stay integers."""
        total = values.clone()
        if self.world > 1:
            dist.all_reduce(total)
        return total

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model as all processes train it: gradients are averaged over them.

        Batch norms take their statistics over all processes on CUDA. On a CPU, where
        torch has no such operation, each process takes its own and the running ones
        are those of rank 0; a result then depends on the number of processes.
        """
        if self.world == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
            return DistributedDataParallel(model, device_ids=[self.device])
        return DistributedDataParallel(model)

    def share_buffers(self, model: nn.Module) -> None:
        """Gives every process the buffers of rank 0, such as running statistics."""
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, 0)


def join(device: str) -> Processes:
    """Those that torchrun or the caller started, or this one alone.

    Args:
        device: `"cpu"` joins them by gloo, `"cuda"` by NCCL with one device for each.

    Raises:
        BackendError: where there is no such device.
    """
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if not dist.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Processes(0, 1, chosen)
        if chosen.type == "cuda":
            torch.cuda.set_device(chosen)
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        # Left at the end only: who joins twice by torchrun's store finds old addresses.
        atexit.register(_leave)
    return Processes(dist.get_rank(), dist.get_world_size(), chosen)


def _leave() -> None:
    # A wrapped network that waits in a cycle keeps gloo's threads; whoever exits with
    # them is aborted.
    gc.collect()
    if dist.is_initialized():
        dist.destroy_process_group()
