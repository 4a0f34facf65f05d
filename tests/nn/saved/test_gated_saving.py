"""Gated layers keep what they save in the network's store, every byte of it."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.gating.bits import Bits
from axsim.gating.channels import Channels
from axsim.gating.gate import Gate
from axsim.gating.oracles import Random
from axsim.gating.threshold import Threshold
from axsim.memory.codecs.fixed_point import FixedPoint
from axsim.memory.kept import parameter_of
from axsim.memory.policies.fixed import Fixed
from axsim.quant.scheme import Scheme

EXACT = ax.Saved()
CODES = ax.Quant(Scheme(3, symmetric=True), dynamic=True)
WHOLE = ax.Quant(dynamic=True)
TWO = Gate(Bits(2), Threshold())
HALF = Gate(Channels(2), Threshold(normalise=True))


def converted(quant: Any, gate: Gate, saved: Any) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1))
    return ax.approximate(net, ax.LayerSpec(quant=quant, gate=gate, saved=saved))


def gradients(net: nn.Module, x: Tensor) -> list[Tensor]:
    leaf = x.clone().requires_grad_()
    y = net(leaf)
    sources = [leaf, *net.parameters()]
    return [y, *torch.autograd.grad(y.square().sum(), sources, allow_unused=True)]


@pytest.fixture
def x() -> Tensor:
    return torch.rand(3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("quant", "gate", "codec", "size"),
    [
        (CODES, TWO, "Lossless", 768 * 3 // 8),
        (CODES, HALF, "Lossless", 768 * 3 // 8),
        (WHOLE, HALF, "Identity", 768),
    ],
)
def test_codes_and_masks_are_in_the_account(
    quant: Any, gate: Gate, codec: str, size: int, x: Tensor
) -> None:
    plain, kept = converted(quant, gate, None), converted(quant, gate, EXACT)
    for a, b in zip(gradients(kept, x), gradients(plain, x), strict=True):
        assert a is b is None or torch.equal(a, b)
    ledger = ax.plan(kept).store.ledger
    assert {n.slot for n in ledger.lines} == {"0"}
    # A bit for each output, input and weight: open or not, clipped or not.
    bits = {codec: size, "BitMask": (1536 + 768 + 288) // 8}
    assert {n.codec: n.kept for n in ledger.lines} == bits
    assert ledger.peak.kept == sum(bits.values())
    gc.collect()
    assert ledger.kept == 0


def test_a_learned_clip_keeps_a_bit_for_each_side(x: Tensor) -> None:
    spec = ax.recipes.precision_gating(sparse=False, gated=".*")[0][0].spec
    nets = [
        ax.approximate(
            nn.Sequential(nn.Conv2d(4, 8, 3, padding=1)),
            [ax.Rule(".*", replace(spec, saved=saved))],
        )
        for saved in (None, EXACT)
    ]
    nets[1].load_state_dict(nets[0].state_dict())
    for a, b in zip(gradients(nets[1], x), gradients(nets[0], x), strict=True):
        assert a is b is None or torch.equal(a, b)
    lines = {n.codec: n for n in ax.plan(nets[1]).store.ledger.lines}
    # Two of the clip, one of the codes; one of the weights and one of the gate.
    assert lines["BitMask"].elements == 3 * 768 + 288 + 1536
    assert lines["BitMask"].kept * 8 == lines["BitMask"].elements


@pytest.mark.parametrize("gate", [HALF, Gate(Channels(2), Random(0.5))])
def test_layers_in_real_numbers_count_all_they_keep(gate: Gate, x: Tensor) -> None:
    plain, kept = converted(None, gate, None), converted(None, gate, EXACT)
    gate_masks = torch.get_rng_state()
    found = gradients(kept, x)
    torch.set_rng_state(gate_masks)
    expected = gradients(plain, x)
    if gate is HALF:
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)
    sizes: dict[int, int] = {}

    def note(t: Tensor) -> Tensor:
        if parameter_of(t) is None:
            size = -(-t.numel() // 32) * 4 if t.dtype == torch.bool else t.nbytes
            sizes[t.untyped_storage().data_ptr()] = size
        return t

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        y = plain(x.requires_grad_())
    ax.plan(kept).store.end_step()
    z = kept(x)
    ledger = ax.plan(kept).store.ledger
    assert ledger.kept == sum(sizes.values())
    del y, z
    gc.collect()
    assert ledger.kept == 0


def test_the_input_of_a_layer_in_real_numbers_is_coded(x: Tensor) -> None:
    saved = ax.Saved(FixedPoint(), policy=Fixed(8))
    plain, kept = converted(None, HALF, None), converted(None, HALF, saved)
    found, expected = gradients(kept, x), gradients(plain, x)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert 0 < (found[2] - expected[2]).norm() < 0.01 * expected[2].norm()
    lines = {n.codec: n for n in ax.plan(kept).store.ledger.lines}
    # Base and whole read one input.
    assert lines["FixedPoint"].shared == 1
    assert lines["FixedPoint"].elements == x.numel()


def test_hooks_count_what_gated_layers_pack_themselves() -> None:
    net = converted(CODES, TWO, None)
    x = torch.rand(16, 4, 16, 16)
    with ax.compressed_activations(bits=2) as tape:
        y = net(x.requires_grad_())
    words = {n.codec: n for n in tape.store.ledger.lines}["Identity"]
    # 3 bits of each input, a bit for its clipping, a bit of each output; and the
    # weights' codes, a byte each.
    packed = (x.numel() * (3 + 1) + y.numel()) // 8
    assert words.kept == packed + 4 * 8 * 9
    y.sum().backward()
    gc.collect()
    assert tape.store.ledger.kept == 0


def test_nothing_is_kept_in_eval_mode(x: Tensor) -> None:
    for quant in (CODES, None):
        net = converted(quant, HALF, EXACT).eval()
        net(x.requires_grad_()).sum().backward()
        assert not ax.plan(net).store.ledger.lines
