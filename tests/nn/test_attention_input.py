"""What attention takes, gated or not: as torch's, and refused where torch refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import OperandError
from axsim.gating import Bits, Gate, Open, Threshold
from axsim.nn.attention import ApproxMultiheadAttention
from axsim.nn.matmul import ApproxMatmul
from axsim.nn.spec import LayerSpec, Quant
from axsim.quant.scheme import Scheme

CODES = Quant(Scheme(8, signed=True, symmetric=True), dynamic=True)
GATES = [None, Gate(Bits(4), Threshold())]


def attention(gate: Gate | None, **settings: Any) -> Any:
    return ApproxMultiheadAttention(8, 2, spec=LayerSpec(CODES, gate=gate), **settings)


@pytest.mark.parametrize("gate", GATES, ids=str)
@pytest.mark.parametrize("sizes", [(0, 3, 4), (2, 0, 4)])
def test_nothing_in_gives_nothing_out(gate: Any, sizes: tuple[int, int, int]) -> None:
    batch, length, keys = sizes
    layer = attention(gate, batch_first=True)
    query = torch.randn(batch, length, 8, requires_grad=True)
    key = torch.randn(batch, keys, 8)
    y, weights = layer(query, key, key)
    assert y.shape == query.shape and weights.shape == (batch, length, keys)
    y.sum().backward()
    assert query.grad is not None and query.grad.shape == query.shape


def test_a_product_of_nothing_is_torch_s() -> None:
    product = ApproxMatmul(spec=LayerSpec(CODES))
    for a, b in [((0, 2, 3), (3, 4)), ((2, 0, 3), (2, 3, 4)), ((2, 3), (3, 0))]:
        x, y = torch.ones(a), torch.ones(b)
        assert product(x, y).shape == (x @ y).shape


@pytest.mark.parametrize("gate", [None, Gate(Bits(4), Open())], ids=str)
def test_an_encoder_takes_padded_batches(gate: Any) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    # Torch would hand nested tensors to its layers.
    model = nn.TransformerEncoder(layer, 1).eval()
    net = ax.approximate(model, [ax.Rule(".*attn", LayerSpec(CODES, gate=gate))])
    x, padding = torch.randn(2, 4, 8), torch.zeros(2, 4, dtype=torch.bool)
    padding[0, 3] = True
    with torch.no_grad():
        y = net(x, src_key_padding_mask=padding)
    expected = model(x, src_key_padding_mask=padding)
    assert torch.allclose(y[~padding], expected[~padding], atol=0.1)


X, ROW = torch.zeros(3, 5, 8), torch.zeros(5, 8)


@pytest.mark.parametrize("gate", GATES, ids=str)
@pytest.mark.parametrize(
    ("tokens", "settings", "words"),
    [
        ((X, X, X), {"is_causal": True}, "is_causal=True with attn_mask=None"),
        ((X, X, X), {"attn_mask": torch.zeros(5, 5).int()}, "attn_mask is torch.int32"),
        ((X, X, X), {"attn_mask": torch.zeros(1, 5)}, r"\(1, 5\); give .* \(5, 5\)"),
        ((X, X, X), {"attn_mask": torch.zeros(2, 5, 5)}, r"or \(6, 5, 5\)"),
        ((X, X, X), {"key_padding_mask": torch.zeros(1, 5)}, r"give one of \(3, 5\)"),
        ((ROW, ROW, ROW), {"key_padding_mask": torch.zeros(1, 5)}, r"one of \(5,\)"),
        ((X[..., :6], X, X), {}, r"query \(3, 5, 6\).*must be 8, 8 and 8"),
        ((X, ROW, ROW), {}, "all must have 3 dimensions, or all 2"),
        ((X, X[:1], X[:1]), {}, "batches must agree; this layer has batch_first=True"),
        ((X, X, X[:, :4]), {}, "every key needs its value"),
    ],
)  # fmt: skip
def test_what_torch_refuses_is_refused(
    tokens: tuple[Tensor, ...], settings: Any, words: str, gate: Any
) -> None:
    with pytest.raises((RuntimeError, AssertionError)):
        nn.MultiheadAttention(8, 2, batch_first=True)(*tokens, **settings)
    with pytest.raises(OperandError, match=words):
        attention(gate, batch_first=True)(*tokens, **settings)
