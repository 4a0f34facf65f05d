"""The tensor itself."""

from __future__ import annotations

import torch

from axsim.memory.codecs.identity import Identity


def test_identity_keeps_the_tensor_without_a_copy() -> None:
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    packed = Identity().encode(x.t())
    out = packed.decode()
    assert out.data_ptr() == x.data_ptr()
    assert torch.equal(out, x.t())
    assert not out.requires_grad
    assert packed.nbytes == 240
    assert packed.bits_per_element == 64
