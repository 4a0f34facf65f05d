"""Measuring what a bit of each saved tensor is worth, on one batch (GACT)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ...memory.policies.measured import Measured
from ...memory.policy import Policy


def is_due(policies: Iterable[Policy]) -> bool:
    """Whether a policy wants to measure before the next step."""
    return any(isinstance(policy, Measured) and policy.due for policy in policies)


def measure(
    net: nn.Module, policies: Iterable[Policy], loss: Callable[[], Tensor]
) -> dict[str, float]:
    """Lets the policies that measure do so; the network is afterwards as it was."""
    found: dict[str, float] = {}
    with _unchanged(net):
        for policy in policies:
            if isinstance(policy, Measured):
                found |= policy.measure(lambda: _gradients(net, loss))
    return found


def _gradients(net: nn.Module, loss: Callable[[], Tensor]) -> Tensor:
    trained = [p for p in net.parameters() if p.requires_grad]
    # The same dropout every time: only the codes may differ.
    with torch.random.fork_rng():
        found = torch.autograd.grad(loss(), trained, materialize_grads=True)
    return torch.cat([g.float().flatten() for g in found])


@contextmanager
def _unchanged(net: nn.Module) -> Generator[None]:
    """Running statistics and other buffers get their values back."""
    before = [buffer.clone() for buffer in net.buffers()]
    try:
        yield
    finally:
        for buffer, old in zip(net.buffers(), before, strict=True):
            buffer.copy_(old)
