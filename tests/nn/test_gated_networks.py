"""Gated networks as a whole: what is gated, what is counted, what depends on what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import axsim as ax
from axsim import Rule
from axsim.errors import ConversionError
from axsim.gating import Bits, Channels, Counts, Gate, Threshold
from axsim.nn.spec import LayerSpec, Quant
from axsim.quant.scheme import Scheme
from axsim.recipes import channel_gating, precision_gating
from axsim.tables.cost import Cost
from axsim.tables.multiplier import Multiplier

ROOT = Path(__file__).parents[2]


def images(count: int = 6, seed: int = 0, shape: tuple[int, ...] = (1, 8, 8)) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed))


def gated(rules: object = None) -> nn.Module:
    torch.manual_seed(0)
    net = ax.build_network("digits_resnet")
    return ax.approximate(net, rules or precision_gating(), calibration=[images(2)])  # pyright: ignore[reportArgumentType]


def test_the_original_networks_have_the_published_counts() -> None:
    # ResNet-20: 40,551,040 products; 46.5 % of them gated, 98.9 % post-activated.
    sample = images(1, shape=(3, 32, 32))
    torch.manual_seed(0)
    net = ax.build_network("cifar_resnet20")
    post = ax.build_network("cifar_resnet20", last="before")
    cases = [
        (net, precision_gating(3, 8, 2), 9, 0.465, 336),
        (post, channel_gating(2, post_activated=True), 18, 0.989, 672),
    ]
    trained = sum(p.numel() for p in net.parameters())
    for model, rules, count, share, thresholds in cases:
        made = ax.approximate(model, rules, calibration=[sample])
        report = ax.plan(made).gate_report()
        assert len(report.lines) == count
        assert report.products == 40_551_040
        assert round(report.gated_products / report.products, 3) == share
        alphas = sum(name.endswith("alpha") for name, _ in made.named_parameters())
        extra = sum(p.numel() for p in made.parameters()) - trained
        assert extra == thresholds + alphas


def test_counts_are_those_of_hooks_with_a_ragged_batch() -> None:
    net = gated(precision_gating(3, 8, 2, pact=1.0, start=-0.01)).eval()
    found: dict[str, tuple[int, int]] = dict.fromkeys(ax.plan(net).gates, (0, 0))

    def recount(name: str, layer: Any, x: Tensor, y: Tensor) -> None:
        """The high bits of the input, its clip and the threshold, all by hand."""
        alpha = layer.site.input_quantizer.alpha.double()
        codes = (x.double().clamp(min=0).minimum(alpha) / alpha * 7).round()
        top = layer.weight.double().abs().amax((1, 2, 3), keepdim=True)
        weight = (layer.weight.double() / top * 127).round() * top / 127
        high = (codes // 2) * 2 * alpha / 7
        base = F.conv2d(high, weight, None, layer.stride, layer.padding)
        opened = base > layer.gate.threshold.view(-1, 1, 1)
        outputs, count = found[name]
        found[name] = outputs + y.numel(), count + int(opened.sum())

    for name in found:
        net.get_submodule(name).register_forward_hook(
            lambda m, x, y, name=name: recount(name, m, x[0], y)  # pyright: ignore[reportArgumentType]
        )
    with torch.no_grad():
        for batch in images(7).split(3):
            net(batch)
    report = ax.plan(net).gate_report()
    assert {n.name: n.counts[:2] for n in report.lines} == found
    assert 0.1 < report.sparsity < 0.9
    ax.plan(net).reset_gates()
    assert ax.plan(net).gate_report().counts.outputs == 0


def test_a_recomputed_pass_and_a_change_of_mode_count_nothing() -> None:
    counts: list[Counts] = []
    for again in (False, True):
        net = gated(channel_gating(4))
        x = images().requires_grad_()
        y = checkpoint(net, x, use_reentrant=False) if again else net(x)
        y.sum().backward()  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        net.eval().train()
        counts.append(ax.plan(net).gate_report().counts)
    assert counts[0] == counts[1]
    assert counts[0].outputs > 0


def test_logits_do_not_depend_on_the_batch() -> None:
    for rules in (precision_gating(), channel_gating(4)):
        net = gated(rules)
        with torch.no_grad():
            net(images(16, 3))
            net.eval()
            x = images(8)
            alone = torch.cat([net(each[None]) for each in x])
            torch.testing.assert_close(alone, net(x), rtol=1e-5, atol=1e-5)


def test_the_gate_loss_is_the_sum_over_layers() -> None:
    net = gated(precision_gating(target=2.0, weight=0.5))
    expected = sum(0.5 * 2.0 * len(u.threshold) ** 0.5  # pyright: ignore[reportArgumentType]
                   for u in ax.plan(net).gates.values())  # fmt: skip
    assert ax.plan(net).penalty().item() == pytest.approx(expected)
    plain = ax.approximate(
        nn.Sequential(nn.Linear(2, 2)), LayerSpec(Quant(dynamic=True))
    )
    assert ax.plan(plain).penalty().item() == 0


def test_a_higher_target_closes_more() -> None:
    x, labels = images(16), torch.arange(16) % 10
    sparsity: list[float] = []
    for target in (0.0, 4.0):
        net = gated(precision_gating(target=target, weight=4.0, pact=2.0))
        plan, steps = ax.plan(net), torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(4):
            plan.reset_gates()
            loss = nn.functional.cross_entropy(net(x), labels) + plan.penalty()
            steps.zero_grad()
            loss.backward()
            steps.step()
        sparsity.append(plan.gate_report().sparsity)
    assert sparsity[1] > sparsity[0] + 0.1


def test_the_summary_names_gates_and_energy_counts_open_shares() -> None:
    cost = Cost("mine", power=2.0)
    base, rest = (
        Multiplier.from_function(lambda a, b: a * b, signed=(False, True), bits=(n, 8),
                                 cost=cost, name=name)
        for n, name in ((2, "base"), (1, "rest"))
    )  # fmt: skip
    rule = Rule(".*conv1", LayerSpec(
        Quant(Scheme(3, symmetric=True), Scheme(8, True, True), pact=4.0),
        base, Gate(Bits(2), Threshold(), rest)))  # fmt: skip
    net = gated([rule])
    assert "high 2 bits first; threshold; rest on rest" in str(ax.summary(net))
    plan = ax.plan(net)
    report = plan.gate_report()
    full = 4.0 * report.gated_products
    assert plan.energy.value == full
    with torch.no_grad():
        net.eval()(images())
    by_hand = sum(2.0 * n.products * (2 - n.counts.sparsity)
                  for n in plan.gate_report().lines)  # fmt: skip
    assert plan.energy.value == pytest.approx(by_hand)
    assert by_hand < full


def test_the_summary_does_not_claim_what_torch_keeps() -> None:
    for rules in (channel_gating(4), precision_gating(profile="dnn-gating")):
        net = gated(rules | ax.recipes.blpa(4))
        saved = {line.name: line.saved for line in ax.summary(net).lines}
        assert saved["stage1.0.conv1"] == ""
        assert saved["stem.conv"] != ""
        net(images()).sum().backward()


def test_a_saved_network_gates_alike(tmp_path: Path) -> None:
    net = gated(channel_gating(4)).eval()
    ax.save_network(net, tmp_path, network="digits_resnet")
    loaded = ax.load_network(tmp_path)
    x = images()
    with torch.no_grad():
        assert torch.equal(loaded(x), net(x))
    assert ax.plan(loaded).gate_report() == ax.plan(net).gate_report()


# Of the compiler itself, where it looks at an autograd function.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiled_layer_counts_the_same() -> None:
    torch.manual_seed(0)
    quant = Quant(Scheme(4, symmetric=True), pact=1.0)
    rule = Rule(".*", LayerSpec(quant, gate=Gate(Bits(2))))
    net = ax.approximate(nn.Sequential(nn.Conv2d(1, 8, 3)), [rule],
                         calibration=[images(1)])  # fmt: skip
    x = images()
    with torch.no_grad():
        expected = net(x)
        counts = ax.plan(net).gate_report().counts
        ax.plan(net).reset_gates()
        found = torch.compile(net, backend="eager")(x)
    torch.testing.assert_close(found, expected)
    assert ax.plan(net).gate_report().counts == counts


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (channel_gating(5), "16 input channels, which 5 parts do not divide"),
        (precision_gating(2, 8, 2), "codes of 2 bits and msb=2"),
        ([Rule("stem.conv", LayerSpec(gate=Gate(Channels(2))))],
         "'stem.conv' has 1 input channels, which 2 parts"),
        ([Rule(".*conv1", LayerSpec(gate=Gate(Bits(2))))], "splits bits but no codes"),
    ],
)  # fmt: skip
def test_what_a_network_cannot_have_is_refused(rules: object, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        gated(rules)


SCRIPT = """
import json, sys, torch, torch.distributed as dist
sys.path.insert(0, {root!r})
import axsim as ax
from tests.nn.test_gated_networks import gated, images
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method=sys.argv[2], rank=rank, world_size=2)
net = torch.nn.parallel.DistributedDataParallel(gated())
x = images(7)[: 3] if rank == 0 else images(7)[3 :]
told = []
for mode in (False, True):
    net.train(mode)
    if mode:
        net(x).sum().backward()
    else:
        with torch.no_grad():
            net(x)
    report = ax.plan(net.module).gate_report(all_processes=True)
    told.append([line.counts for line in report.lines])
print(json.dumps(told))
dist.destroy_process_group()
"""


def test_two_processes_count_what_one_does(tmp_path: Path) -> None:
    file = (tmp_path / "store").as_uri()
    script = SCRIPT.format(root=str(ROOT))
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(rank), file], cwd=ROOT,
                         stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]  # fmt: skip
    told = [json.loads(p.communicate(timeout=120)[0].splitlines()[-1]) for p in running]
    net = gated().eval()
    plan = ax.plan(net)
    with torch.no_grad():
        for part in (slice(0, 3), slice(3, 7)):
            net(images(7)[part])
    expected = [[*line.counts] for line in plan.gate_report().lines]
    assert told[0] == told[1]
    evaluated, both = told[0]
    assert evaluated == expected
    # Batch norms of a training pass see other batches, but as many outputs.
    assert [counts[0] for counts in both] == [2 * counts[0] for counts in expected]
    assert all(a[1] < b[1] < 2 * a[0] for a, b in zip(evaluated, both, strict=True))
