"""Fixed, random and user-defined bits."""

from __future__ import annotations

import torch

from axsim.memory.codec import Bits
from axsim.memory.policies.fixed import Fixed
from axsim.memory.policies.random_bits import RandomBits
from axsim.memory.policy import Policy, Slot

X = torch.zeros(2, 3)


def test_fixed() -> None:
    assert Fixed(4).bits(Slot("fc"), X) == 4
    assert not Fixed(4).wants(Slot("fc"))


def test_random() -> None:
    first, second = RandomBits(2, 5, seed=1), RandomBits(2, 5, seed=1)
    drawn = [first.bits(Slot("fc"), X) for _ in range(200)]
    assert drawn == [second.bits(Slot("fc"), X) for _ in range(200)]
    assert set(drawn) == {2, 3, 4, 5}


def test_a_policy_is_five_lines() -> None:
    class Mine(Policy):
        def bits(self, slot: Slot, x: torch.Tensor) -> Bits:
            return 8 if slot.kind == "norm_in" else 2

    assert Mine().bits(Slot("bn", "norm_in"), X) == 8
    assert Mine().bits(Slot("conv", "matmul_in"), X) == 2
