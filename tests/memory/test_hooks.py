"""Hooks that see every operation: what they code, and what they leave alone."""

from __future__ import annotations

import gc

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import axsim as ax
from axsim.errors import OperandError
from axsim.memory.codecs.identity import Identity
from axsim.memory.hooks import Tape
from axsim.memory.policies.random_bits import RandomBits


def slots(tape: Tape) -> dict[str, str]:
    return {line.slot: line.codec for line in tape.store.ledger.lines}


def test_masks_norms_and_functions_are_told_apart() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(64, 64))
    x = torch.randn(32, 64, requires_grad=True)
    with ax.compressed_activations(bits=4, errors=True) as tape:
        y = F.dropout(F.relu(F.linear(x, weight)), 0.5)
        z = F.softmax(F.gelu(F.layer_norm(y, (64,))), -1)
    assert slots(tape) == {
        "linear.0": "GroupAffine", "relu.0": "BitMask", "dropout.0": "BitMask",
        "layer_norm.0": "GroupAffine", "gelu.0": "GroupAffine",
        "softmax.0": "GroupAffine",
    }  # fmt: skip
    assert tape.stored_bytes == 4 * (4 * 32 * 64 // 8 + 4 * 8) + 2 * 32 * 64 // 8
    assert tape.exact_bytes == 4 * 32 * 64 * 6
    assert tape.store.ledger.lines[0].relative_error < 0.2
    z.square().sum().backward()
    gc.collect()
    assert tape.store.ledger.kept == 0
    # The account of what was saved stays.
    assert tape.stored_bytes > 0


def test_relu_and_dropout_have_exact_gradients() -> None:
    x = torch.randn(50, 41)
    found: list[Tensor] = []
    for coded in (False, True):
        leaf = x.clone().requires_grad_()
        torch.manual_seed(3)
        if coded:
            with ax.compressed_activations(bits=1):
                y = F.dropout(torch.relu(leaf), 0.3)
        else:
            y = F.dropout(torch.relu(leaf), 0.3)
        y.sum().backward()
        assert leaf.grad is not None
        found.append(leaf.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("autocast", [False, True])
def test_weights_are_never_coded(frozen: bool, autocast: bool) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(8, 32, 3), nn.Linear(30, 32), nn.Flatten(), nn.Linear(1024, 7)
    )
    for parameter in net.parameters():
        parameter.requires_grad_(not frozen)
    x = torch.randn(4, 8, 32)
    found: list[Tensor] = []
    for bits in (0, 1):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            if bits:
                with ax.compressed_activations(bits=bits) as tape:
                    y = net(leaf)
                coded = sum(line.elements for line in tape.store.ledger.lines)
                # Frozen linear layers save no input, convolutions do.
                assert coded == 1024 + (0 if frozen else 32 * 30 * 4 + 4096)
            else:
                y = net(leaf)
            y.float().square().sum().backward()
        assert leaf.grad is not None
        found.append(leaf.grad)
    # The input's gradient reads weights alone.
    assert torch.equal(*found)


def test_attention_stays_consistent() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, 16, 32, requires_grad=True) for _ in range(3))
    layer = nn.MultiheadAttention(64, 4, batch_first=True)
    x = torch.randn(5, 16, 64, requires_grad=True)
    with ax.compressed_activations(bits=1) as tape:
        y = F.scaled_dot_product_attention(q * 1, k * 1, v * 1)
        z, _ = layer(x, x, x, need_weights=False)
    assert set(slots(tape)) == {"multi_head_attention_forward.0"}
    # The three projections share an input; the last has its own.
    assert [line.elements for line in tape.store.ledger.lines] == [2 * 5 * 16 * 64]
    expected = torch.autograd.grad(
        F.scaled_dot_product_attention(q, k, v).square().sum(), (q, k, v)
    )
    for a, b in zip(
        torch.autograd.grad(y.square().sum(), (q, k, v)), expected, strict=True
    ):
        assert torch.equal(a, b)
    z.sum().backward()


def test_losses_are_exact() -> None:
    logits = torch.randn(64, 10, requires_grad=True)
    target = torch.arange(64) % 10
    with ax.compressed_activations(bits=1) as tape:
        loss = F.cross_entropy(logits, target)
    assert not tape.store.ledger.lines
    (found,) = torch.autograd.grad(loss, logits)
    (expected,) = torch.autograd.grad(F.cross_entropy(logits, target), logits)
    assert torch.equal(found, expected)


def test_addresses_that_are_used_again_do_not_mix_tensors_up() -> None:
    torch.manual_seed(0)
    x = torch.randn(64, 64, requires_grad=True)
    with ax.compressed_activations(codec=Identity()):
        exact = x
        for _ in range(6):
            exact = torch.tanh(exact * 1.5)
    with ax.compressed_activations(bits=8) as tape:
        coded = x
        for _ in range(6):
            # What tanh saves is freed at once, and its memory used again.
            coded = torch.tanh(coded * 1.5)
    assert all(line.shared == 0 for line in tape.store.ledger.lines)
    (a,), (b,) = (torch.autograd.grad(y.sum(), x) for y in (exact, coded))
    assert (a - b).norm() < 0.05 * a.norm()


def test_policies_and_other_codecs_are_taken() -> None:
    x = torch.randn(64, 64, requires_grad=True)
    with ax.compressed_activations(policy=RandomBits(3, 3)) as tape:
        y = torch.tanh(x)
    assert tape.store.ledger.lines[0].bits == 3.125
    assert "4,096  3.12" in str(tape)
    assert "saved: 1,600 bytes, 10.2x less than 16,384" in str(tape)
    first, second = (
        torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for _ in range(2)
    )
    assert torch.equal(first, second)


def test_integers_small_tensors_and_no_grad_are_left_alone() -> None:
    x = torch.randn(8, 8, requires_grad=True)
    table = nn.Embedding(10, 64)
    with ax.compressed_activations() as tape:
        y = torch.tanh(x)
        z = table(torch.arange(10).repeat(60))
        with torch.no_grad():
            torch.tanh(torch.randn(64, 64))
    assert not tape.store.ledger.lines
    (y.sum() + z.sum()).backward()


def test_bits_that_the_codec_does_not_have_are_refused() -> None:
    with (
        pytest.raises(OperandError, match=r"bits=9; GroupAffine has codes of 1 to 8"),
        ax.compressed_activations(bits=9),
    ):
        pass
