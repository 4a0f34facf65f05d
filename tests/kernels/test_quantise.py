"""The one-pass kernel against its readable twin in `quant`, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.kernels.quantise import encode, is_dense
from axsim.quant import codes
from axsim.quant.scheme import Scheme

SCHEMES = [
    Scheme(),
    Scheme(3),
    Scheme(signed=True, symmetric=True),
    Scheme(4, signed=True),
    Scheme(limits=(10, 127)),
    Scheme(rounding="half_up"),
]


def by_twin(x: torch.Tensor, scale: Any, zero: Any, scheme: Scheme) -> Any:
    """Codes and mask by plain torch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "_has_kernel", lambda *_: False)
        return codes.encode(x, scale, zero, scheme), codes.encode_inside(
            x, scale, zero, scheme
        )


# The first example compiles the kernel.
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SCHEMES),
    st.integers(0, 10**6),
    st.floats(1e-3, 10),
    st.sampled_from([(0,), (1,), (3, 5), (2, 3, 4, 5), (70001,)]),
    st.booleans(),
)
def test_codes_and_mask_are_those_of_the_twin(
    scheme: Scheme, seed: int, scale: float, shape: tuple[int, ...], special: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator) * 3
    if special and x.numel() > 2:
        odd = [
            float("nan"),
            float("inf"),
            -float("inf"),
            2.5 * scale,
            -0.5 * scale,
            1e30,
        ]
        x.view(-1)[: len(odd)] = torch.tensor(odd)[: x.numel()]
    if len(shape) == 4 and seed % 2:
        x = x.to(memory_format=torch.channels_last)
    steps = torch.tensor(scale)
    zero = torch.tensor(0 if scheme.symmetric else scheme.quant_min + 2)
    plain, (raw, inside) = by_twin(x, steps, zero, scheme)
    assert codes._has_kernel(x, 1 / steps)  # pyright: ignore[reportPrivateUsage]
    found = codes.encode(x, steps, zero, scheme)
    assert torch.equal(found, plain)
    assert found.stride() == x.stride()
    found, within = codes.encode_inside(x, steps, zero, scheme)
    assert torch.equal(found, raw)
    assert torch.equal(within, inside)
    assert codes.encode_noting(x, steps, zero, scheme).whole == (not x.isnan().any())


def test_only_dense_tensors_are_flattened() -> None:
    x = torch.zeros(2, 3, 4, 5)
    assert is_dense(x) and is_dense(x.transpose(1, 3))
    assert is_dense(x.to(memory_format=torch.channels_last))
    assert not is_dense(x[:, ::2]) and not is_dense(x.expand(2, 3, 4, 5)[..., :3])


def test_threads_share_a_large_tensor() -> None:
    x = torch.randn(300_001)
    arguments = (20.0, 7.0, (0, 255), 255, False, None)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone, whole = encode(x, *arguments)
        torch.set_num_threads(3)
        assert whole and torch.equal(encode(x, *arguments)[0], alone)
        x[250_000] = float("nan")
        assert not encode(x, *arguments)[1]
    finally:
        torch.set_num_threads(threads)
