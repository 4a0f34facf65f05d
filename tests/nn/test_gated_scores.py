"""Gated attention scores: open is the whole layer, closed keys get no attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axsim as ax
from axsim.errors import ConversionError
from axsim.gating import Bits, Channels, Closed, Gate, Open, Random, Threshold
from axsim.gating.bits import composite
from axsim.nn.attention import ApproxMultiheadAttention
from axsim.nn.scores import GatedScores, close, gated_scores
from axsim.nn.spec import LayerSpec, Quant
from axsim.quant.codes import integers
from axsim.quant.scheme import Scheme
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier

SIGNED = Scheme(8, signed=True, symmetric=True)
TABLE = random_multiplier(3, signed=(True, True))
REST = random_multiplier(4, (5, 8), (True, True), 30)
NARROW = random_multiplier(5, (3, 8), (True, True))
HEADS, WIDTH = 2, 3


def attention(spec: LayerSpec, **settings: Any) -> Any:
    torch.manual_seed(0)
    return ApproxMultiheadAttention(
        HEADS * WIDTH, HEADS, batch_first=True, spec=spec, name="attn", **settings
    ).eval()


def gated(decide: Any, table: Multiplier | None = None, **settings: Any) -> Any:
    gate = Gate(Bits(4), decide, None if table is None else REST)
    quant = Quant(SIGNED, dynamic=True)
    return attention(LayerSpec(quant, table, gate), **settings)


def tokens(count: int = 2, length: int = 5, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, length, HEADS * WIDTH, generator=generator)


@pytest.mark.parametrize("decide", [Open(), Closed()], ids=str)
@pytest.mark.parametrize("settings", [{}, {"add_bias_kv": True, "add_zero_attn": True}])
def test_without_choice_it_is_the_layer_on_one_table(
    decide: Any, settings: Any
) -> None:
    layer = gated(decide, TABLE, **settings)
    base, rest = (getattr(layer.sites["scores"].sums, part)[0].mul
                  for part in ("base", "rest"))  # fmt: skip
    if isinstance(decide, Closed):
        # Closed for every key, each query keeps its base.
        rest = Multiplier(0 * rest.table, rest.signed)
    plain = attention(LayerSpec(Quant(SIGNED, dynamic=True), TABLE), **settings)
    plain.sites["scores"].table = composite(base, rest, SIGNED, 4)
    x, causal = tokens(), torch.ones(5, 5, dtype=torch.bool).triu(1)
    for mask in (None, causal):
        found = layer(x, x, x, attn_mask=mask)
        for mine, other in zip(found, plain(x, x, x, attn_mask=mask), strict=True):
            assert torch.equal(mine, other)


def fix(site: GatedScores) -> None:
    """Scales that are powers of two, so that float32 has every value of the codes."""
    steps = torch.tensor(1 / 32), torch.tensor(0)
    site.input_quantizer.dynamic = False
    site.fix(steps, steps)


def by_hand(q: list[int], keys: list[list[int]], scale: float, limit: float,
            allowed: list[bool]) -> list[float]:  # fmt: skip
    """One query's attention, in whole numbers and Python's floats."""
    base, whole = [], []
    for key in keys:
        highs = [(abs(v) >> 4 << 4) * (1 if v > 0 else -1) for v in q]
        base.append(scale * sum(a * b for a, b in zip(highs, key, strict=True)))
        whole.append(scale * sum(a * b for a, b in zip(q, key, strict=True)))
    opened = [b > limit and ok for b, ok in zip(base, allowed, strict=True)]
    chosen = whole if any(opened) else base
    counted = opened if any(opened) else allowed
    powers = [float(torch.tensor(s, dtype=torch.float64).exp()) * ok
              for s, ok in zip(chosen, counted, strict=True)]  # fmt: skip
    return [p / sum(powers) for p in powers]


def test_attention_is_that_of_a_slow_twin() -> None:
    # Some queries find every allowed key closed, others some keys open.
    layer = gated(Threshold(start=(0.05, 0.2)))
    x, causal = tokens(), torch.ones(5, 5, dtype=torch.bool).triu(1)
    seen: list[tuple[Tensor, ...]] = []
    site: GatedScores = layer.sites["scores"]
    operands = site.operands
    site.operands = lambda q, k: seen.append((q, k)) or operands(q, k)  # pyright: ignore
    _, found = layer(x, x, x, attn_mask=causal, average_attn_weights=False)
    _, a, w = operands(*seen[0])
    q, k = (integers(each.raw, each.scheme).tolist() for each in (a, w))
    scale = float(a.scale) * float(w.scale)
    kinds = set[bool]()
    for n, h, i in torch.cartesian_prod(*map(torch.arange, (2, HEADS, 5))).tolist():
        allowed = (~causal[i]).tolist()
        expected = by_hand(q[n][h][i], k[h][n], scale, (0.05, 0.2)[h], allowed)
        torch.testing.assert_close(found[n, h, i], torch.tensor(expected))
        kinds.add(expected[0] == 0 or 0 in expected[: i + 1])
    assert kinds == {False, True}
    assert bool(found.isfinite().all())


class Surrogate(torch.autograd.Function):
    """1 where z > 0; the derivative alpha s (1 - s), where s >= 1/2 if sparse."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, alpha: float, sparse: bool) -> Tensor:
        s = torch.sigmoid(alpha * z)
        ctx.slope = alpha * s * (1 - s) * ((s >= 0.5) | (not sparse))
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0] * ctx.slope, None, None


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_are_those_of_autograd_in_float64(sparse: bool) -> None:
    decide = Threshold(alpha=3.0, start=(0.3, -0.2), sparse=sparse)
    site: GatedScores = gated(decide).double().sites["scores"]
    fix(site)
    generator = torch.Generator().manual_seed(2)
    q, k = (torch.randn(3, HEADS, n, WIDTH, generator=generator, dtype=torch.float64)
            .requires_grad_() for n in (4, 6))  # fmt: skip
    limit = site.gate.threshold
    assert limit is not None
    _, a, w = site.operands(q, k.transpose(0, 1))
    high = site.sums.base[0].input(a, 1).values().double()
    low = a.values().double() - high
    # Codes pass gradients straight through; what truncation leaves over has none.
    qs, ks = q + (high - q).detach(), k + (w.values().transpose(0, 1) - k).detach()
    base, rest = qs @ ks.mT, low @ ks.mT
    m = Surrogate.apply(base - limit.view(-1, 1, 1), 3.0, sparse)
    expected = close(base + m * rest, m.bool(), None).softmax(-1)
    y = close(*gated_scores(site, q, k), None).softmax(-1)
    torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
    direction = torch.randn(y.shape, generator=generator, dtype=torch.float64)
    leaves = q, k, limit
    mine, others = (torch.autograd.grad((each * direction).sum(), leaves)
                    for each in (y, expected))  # fmt: skip
    assert bool((mine[2] != 0).all())
    for found, other in zip(mine, others, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-12, atol=1e-12)


def test_closed_keys_have_no_weight_and_rows_without_open_ones_do() -> None:
    opened = torch.tensor([[True, False, False], [False, False, True], [False] * 3])
    later = torch.zeros(3, 3).masked_fill(torch.ones(3, 3).triu(1) > 0, float("-inf"))
    scores = close(torch.ones(3, 3), opened, later)
    found = (scores + later).softmax(-1)
    # The second query may not see its open key, the third has none: both keep all.
    expected = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(found, expected)


def test_a_network_gates_its_scores_counts_and_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ax.build_network("digits_vit")
    gate = Gate(Bits(5), Threshold(target=1.0, weight=0.1, normalise=True))
    (name,) = [n for n, m in net.named_modules()
               if isinstance(m, nn.MultiheadAttention)][:1]  # fmt: skip
    rule = ax.Rule(name, LayerSpec(Quant(SIGNED), gate=gate))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    net = ax.approximate(net, [rule], calibration=[x])
    plan = ax.plan(net)
    (line,) = plan.gate_report().lines
    assert line.name == f"{name}.sites.scores"
    attn: Any = net.get_submodule(name)
    length = line.products // attn.embed_dim
    side = int(length**0.5)
    assert side * side * attn.embed_dim == line.products
    rows = str(ax.summary(net)).splitlines()
    assert any(line.name in row and "high 5 bits first" in row for row in rows)
    loss = net(x).square().sum() + plan.penalty()
    loss.backward()
    counts = plan.gate_report().counts
    assert counts.outputs == 4 * attn.num_heads * length
    assert 0 < counts.sparsity < 1
    threshold = attn.sites["scores"].gate.threshold
    assert threshold.shape == (attn.num_heads,)
    assert bool((threshold.grad != 0).all())
    ax.save_network(net.eval(), tmp_path, network="digits_vit")
    with torch.no_grad():
        assert torch.equal(ax.load_network(tmp_path)(x), net(x))


@pytest.mark.parametrize("low", [-1e4, -1e9, torch.finfo(torch.float32).min])
def test_masks_of_large_numbers_forbid_keys(low: float) -> None:
    # The only allowed key of the first query is closed, the others are open.
    scores = torch.tensor([[[[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]]])
    opened = torch.tensor([[[[False, True, True], [False, True, True]]]])
    finite = torch.tensor([[0, low, low], [0, 0, low]])
    for mask in (finite, finite.masked_fill(finite < 0, float("-inf"))):
        attention = torch.softmax(close(scores, opened, mask) + mask, -1)
        assert attention.tolist() == [[[[1, 0, 0], [0, 1, 0]]]]
    # What is added to prefer near keys forbids none.
    near = torch.tensor([[0.0, -40.0, -80.0]])
    assert close(scores, opened, near)[..., 0].eq(float("-inf")).all()


def test_tiles_are_of_queries_and_keys() -> None:
    layer = gated(Random(0.0))
    x = tokens(1, 40)
    layer(x, x, x)
    counts = layer.sites["scores"].gate.meter.read()
    # Rows of both heads on end, 80 / 16, by 40 keys in 3 columns.
    assert (counts.tiles, counts.closed_tiles) == (15, 15)


def test_a_broken_key_breaks_its_own_entry() -> None:
    layer = gated(Open())
    site: GatedScores = layer.sites["scores"]
    q, k = torch.randn(2, HEADS, 4, WIDTH), torch.randn(2, HEADS, 4, WIDTH)
    fix(site)
    k[1, 0, 2, 0] = float("nan")
    scores, _ = gated_scores(site, q, k)
    assert bool(scores[0].isfinite().all())
    assert bool(scores[1].isnan().all())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (LayerSpec(Quant(SIGNED), gate=Gate(Channels(3))),
         "'attn' is attention and has the gate .*gate=Gate\\(Bits"),
        (LayerSpec(gate=Gate(Bits(4))), "'attn' has a gate that splits bits but no"),
        (LayerSpec(Quant(Scheme()), gate=Gate(Bits(4))),
         "'attn.scores' has codes uint8 affine .* or signed symmetric codes"),
        (LayerSpec(Quant(SIGNED), gate=Gate(Bits(8))), "codes of 8 bits and msb=8"),
        (LayerSpec(Quant(SIGNED), gate=Gate(Bits(4), Threshold(start=(1.0,) * 3))),
         "'attn.scores' has 2 outputs, but start= holds 3 thresholds"),
        (LayerSpec(Quant(SIGNED), TABLE, Gate(Bits(4), Open(), NARROW)),
         "'attn.scores.rest' has .*random_5 is"),
    ],
)  # fmt: skip
def test_what_cannot_be_gated_is_refused(spec: LayerSpec, words: str) -> None:
    with pytest.raises(ConversionError, match=words):
        attention(spec)
