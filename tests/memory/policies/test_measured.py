"""GACT's measured sensitivity."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from axsim.errors import OperandError
from axsim.memory.allocation import allocate
from axsim.memory.codec import Hints
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.measured import Measured
from axsim.memory.policy import Slot
from axsim.memory.stream import Stream

SLOTS = {"a": 1.0, "b": 10.0, "c": 0.1}


def test_variance_is_measured_and_bits_follow() -> None:
    policy, stream = Measured(4), Stream()
    x = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))

    def gradients() -> Tensor:
        """The gradient of each slot is what it saved, times how much it matters."""
        return torch.cat(
            [
                weight
                * GroupAffine()
                .encode(x, policy.bits(Slot(name), x), Hints(stream.key()))
                .decode()
                for name, weight in SLOTS.items()
            ]
        )

    assert policy.due
    found = policy.measure(gradients)
    assert not policy.due
    groups = x.view(-1, 256)
    low, step = GroupAffine().encode(x, 1).payload[1].float().unbind(1)
    part = (groups - low[:, None]) / step[:, None]
    exact = (part * (1 - part) * step[:, None] ** 2).sum().item()
    # Slots b and c: the noise of b at 8 bits hides that of c but for what is taken off.
    assert found["a"] == pytest.approx(exact, rel=0.05)
    assert found["b"] == pytest.approx(100 * exact, rel=0.05)
    assert found["c"] == pytest.approx(0.01 * exact, rel=0.5)
    bits = [policy.bits(Slot(name), x) for name in SLOTS]
    cost = torch.tensor([found[name] for name in SLOTS])
    assert bits == allocate(cost, torch.ones(3), 12).tolist()
    assert bits[1] > bits[0] > bits[2]


def test_it_is_due_again_after_an_interval() -> None:
    policy = Measured(2.5, interval=2)
    x = torch.ones(2)
    assert policy.bits(Slot("a"), x) == 2
    policy.measure(lambda: torch.zeros(1))
    assert not policy.due
    policy.end_step()
    policy.end_step()
    assert policy.due


def test_a_failing_pass_does_not_leave_bits_behind() -> None:
    policy = Measured(3)
    x = torch.ones(2)
    policy.bits(Slot("a"), x)

    def fails() -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        policy.measure(fails)
    assert policy.bits(Slot("a"), x) == 3


def test_messages() -> None:
    with pytest.raises(OperandError, match="average=0, interval=1000; a budget is 1"):
        Measured(0)
