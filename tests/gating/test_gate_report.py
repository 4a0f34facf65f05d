"""What gates saved, against sums by hand."""

from __future__ import annotations

import pytest

from axsim.gating.bits import Bits
from axsim.gating.channels import Channels
from axsim.gating.cost import gated_cost
from axsim.gating.gate import Gate
from axsim.gating.meter import Counts
from axsim.gating.report import GateLine, GateReport
from axsim.gating.split import Shape
from axsim.quant.scheme import Scheme
from axsim.tables.cost import Cost


def bits_line(name: str, products: int, outputs: int, opened: int) -> GateLine:
    counts = Counts(outputs, opened, 10, 5)
    return GateLine(name, "gate", products, 2 / 3, counts, (3, 2))


def test_figures_come_from_totals() -> None:
    lines = bits_line("a", 1000, 100, 50), bits_line("b", 200, 300, 30)
    report = GateReport(lines, 2000)
    assert report.sparsity == pytest.approx(1 - 80 / 400)
    assert report.product_sparsity == pytest.approx((1000 * 0.5 + 200 * 0.9) / 1200)
    # From totals: no mean of the layers' 2.5 and 2.1 bits.
    assert report.average_bits == pytest.approx(2 + 0.2)
    assert report.closed_tiles == 0.5
    by_hand = (800 + 1000 * (2 / 3 + 0.5 / 3) + 200 * (2 / 3 + 0.1 / 3)) / 2000
    assert report.work == pytest.approx(by_hand)


@pytest.mark.parametrize(("opened", "bits"), [(100, 8.0), (0, 4.0)])
def test_open_gates_use_all_bits_and_closed_ones_those_of_the_base(
    opened: int, bits: float
) -> None:
    line = GateLine("a", "gate", 10, 0.5, Counts(100, opened), (8, 4))
    assert line.average_bits == bits
    assert GateReport((line,), 10).average_bits == bits
    assert line.work == bits / 8


def test_closed_channel_gates_leave_what_the_paper_leaves() -> None:
    # ResNet-20: the original recipe cannot save more than 1.54x, all layers 3.87x.
    total = 40_551_040
    for gated, parts, most in ((18_874_368, 4, 1.54), (40_108_032, 4, 3.87),
                               (40_108_032, 2, 1.98)):  # fmt: skip
        line = GateLine("all", "gate", gated, 1 / parts, Counts(100, 0))
        assert round(1 / GateReport((line,), total).work, 2) == most


def test_the_table_shows_every_layer_and_the_sum() -> None:
    text = str(GateReport((bits_line("a", 1000, 100, 50),), 2000))
    assert text.splitlines()[-2:] == [
        "closed outputs: 50.0 %, weighted by products 50.0 %",
        "gated layers form 50.0 % of 2,000 products a sample; the network does 91.7 % "
        "of its work, 1.09x less",
    ]


def test_power_is_that_of_what_is_formed() -> None:
    cheap, dear = Cost("mine", power=1.0), Cost("mine", power=8.0)
    codes = Shape(8, 8, codes=Scheme(8, symmetric=True))
    bits, channels = Gate(Bits(4)), Gate(Channels(4))
    found = gated_cost(bits, codes, dear, cheap, 0.25)
    assert found is not None
    assert found.power == 8.25
    found = gated_cost(channels, codes, dear, cheap, 0.5)
    assert found is not None
    assert found.power == 0.25 * 8 + 0.75 * 0.5 * 1
    assert gated_cost(bits, codes, dear, None, 0.5) is None
    assert gated_cost(bits, codes, dear, Cost("other", power=1.0), 0.5) is None
    assert gated_cost(bits, codes, dear, Cost("mine"), 0.5) is None
