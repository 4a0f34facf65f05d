"""Tensors that are made again."""

from __future__ import annotations

import pytest
import torch

from axsim.errors import OperandError
from axsim.memory.codec import Hints
from axsim.memory.codecs.recompute import Recompute


def test_a_tensor_is_made_when_it_is_needed() -> None:
    calls: list[int] = []
    x = torch.randn(4, requires_grad=True)

    def again() -> torch.Tensor:
        calls.append(1)
        return x.sigmoid()

    packed = Recompute().encode(x.sigmoid(), hints=Hints(again=again))
    assert (packed.nbytes, calls) == (0, [])
    assert torch.equal(packed.decode(), x.sigmoid())
    assert not packed.decode().requires_grad
    assert len(calls) == 2


def test_message() -> None:
    with pytest.raises(OperandError, match=r"pass Hints\(again="):
        Recompute().encode(torch.ones(1))
