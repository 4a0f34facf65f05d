"""Codes of activations on a GPU: the account is what its memory says."""

from __future__ import annotations

import pytest
import torch

import axsim as ax
from axsim.cuda.devices import why_no_device

MISSING = why_no_device(torch.device("cuda:0"))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]


@pytest.mark.parametrize("text", ["actnn:L0", "actnn:L2", "rectified:2", "blpa:4"])
def test_the_account_is_what_stays_allocated(text: str) -> None:
    """Between forward and backward; what the loss and its input take is not coded."""
    name, _, value = text.partition(":")
    recipe = getattr(ax.recipes, name)(int(value) if value.isdigit() else value)
    model = "preact_resnet56" if name == "blpa" else "cifar_resnet20"
    net = ax.approximate(ax.build_network(model), recipe).cuda().train()
    x = torch.randn(256, 3, 32, 32, device="cuda")
    net(x).sum().backward()
    ax.plan(net).after_step()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    loss = net(x).sum()
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated() - before
    kept = ax.plan(net).store.ledger.kept
    # The input itself, where a layer keeps it as it is, was there before.
    inside = kept - (
        x.nbytes if kept > x.nbytes and text in ("actnn:L0", "blpa:4") else 0
    )
    assert inside == pytest.approx(held, rel=0.1)
    loss.backward()
    assert ax.plan(net).store.ledger.kept == 0


def test_coded_training_takes_less_at_its_peak() -> None:
    """Peaks of a step differ by what is kept less, within a tenth and a workspace."""
    x, peaks, kept = torch.randn(256, 3, 32, 32, device="cuda"), [], []
    for recipe in (ax.recipes.actnn("L0"), ax.recipes.rectified(2)):
        net = ax.approximate(ax.build_network("cifar_resnet20"), recipe).cuda().train()
        net(x).sum().backward()
        ax.plan(net).after_step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        net(x).sum().backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
        kept.append(ax.plan(net).store.ledger.peak.kept)
        del net
    spared, workspace = kept[0] - kept[1], 64 << 20
    assert peaks[0] - peaks[1] > 0.9 * spared - workspace
