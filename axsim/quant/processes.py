"""Processes: one range for what several of them saw in calibration."""

from __future__ import annotations

from collections.abc import Iterable

import torch.distributed as dist

from .observers import State
from .quantizer import Quantizer


def synchronise(
    quantizers: Iterable[Quantizer], group: dist.ProcessGroup | None = None
) -> None:
    """Unites what the quantizers of all processes have seen, before they freeze.

    Every process must call it with the same quantizers in the same order; one that
    saw nothing of a tensor takes over what the others saw.

    Args:
        quantizers: those that are calibrating count, others are left alone.
        group: of processes; the default group where None.
    """
    watching = [q for q in quantizers if q.calibrating]
    seen = [tuple(t.cpu() for t in q.seen) if q.seen else None for q in watching]
    everywhere: list[list[State | None]] = [[]] * dist.get_world_size(group)
    dist.all_gather_object(everywhere, seen, group)
    for quantizer, states in zip(watching, zip(*everywhere, strict=True), strict=True):
        if states := [state for state in states if state]:
            united = quantizer.observer.unite(states)
            quantizer.seen = tuple(t.to(quantizer.scale.device) for t in united)
