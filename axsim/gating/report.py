"""What gates saved: sparsity, bits and work, of each layer and of the network."""

from __future__ import annotations

from dataclasses import dataclass

from ..console import text_table
from .meter import Counts


@dataclass(frozen=True)
class GateLine:
    """One gated layer.

    Args:
        name: dotted name.
        gate: in words.
        products: of the ungated layer, for one sample.
        base_work: the base's share of the layer's work: of bits, or of products.
        counts: what its meter counted.
        bits: of the whole codes and of the base; None where channels are split.
    """

    name: str
    gate: str
    products: int
    base_work: float
    counts: Counts
    bits: tuple[int, int] | None = None

    @property
    def work(self) -> float:
        """Share of the ungated layer's work that was done."""
        return self.base_work + (1 - self.base_work) * (1 - self.counts.sparsity)

    @property
    def average_bits(self) -> float | None:
        """h + (1 - sparsity) (b - h); None where channels are split."""
        if self.bits is None:
            return None
        whole, high = self.bits
        return high + (1 - self.counts.sparsity) * (whole - high)


@dataclass(frozen=True)
class GateReport:
    """The gated layers of a network; printed, it is a table.

    Args:
        lines: the layers.
        products: of the whole network without gates, for one sample; 0 where no sample
            was run.
    """

    lines: tuple[GateLine, ...]
    products: int = 0

    @property
    def counts(self) -> Counts:
        """Of all layers together."""
        return sum((line.counts for line in self.lines), Counts())

    @property
    def sparsity(self) -> float:
        """Closed outputs over outputs, as the papers count: all outputs alike."""
        return self.counts.sparsity

    @property
    def product_sparsity(self) -> float:
        """The same, every layer weighted by its products."""
        gated = self.gated_products
        closed = sum(n.products * n.counts.sparsity for n in self.lines)
        return closed / gated if gated else 0.0

    @property
    def gated_products(self) -> int:
        """Products of the gated layers without gates, for one sample."""
        return sum(line.products for line in self.lines)

    @property
    def gated_work(self) -> float:
        """Share of the gated layers' work that was done."""
        done = sum(line.products * line.work for line in self.lines)
        return done / self.gated_products if self.gated_products else 1.0

    @property
    def work(self) -> float:
        """Share of the whole network's work that was done; layers without gates too.

        Of bits where bits are split: a product of half the bits counts half.
        """
        if not self.products:
            return 1.0
        gated = self.gated_products / self.products
        return 1 - gated + gated * self.gated_work

    @property
    def average_bits(self) -> float | None:
        """Of the gated layers' inputs, from totals; None unless all split alike."""
        kinds = {line.bits for line in self.lines}
        if len(kinds) != 1 or None in kinds:
            return None
        ((whole, high),) = (kind for kind in kinds if kind is not None)
        return high + (1 - self.sparsity) * (whole - high)

    @property
    def closed_tiles(self) -> float:
        """Share of blocks of 16 pixels by 16 channels that can be skipped whole."""
        counts = self.counts
        return counts.closed_tiles / counts.tiles if counts.tiles else 0.0

    def __str__(self) -> str:
        rows = [
            (line.name, line.gate, f"{line.products:,}",
             *_figures(line.counts, line.average_bits, line.work))
            for line in self.lines
        ]  # fmt: skip
        counts, total = self.counts, f"{self.gated_products:,}"
        figures = _figures(counts, self.average_bits, self.gated_work)
        rows.append(("all gated", "", total, *figures))
        head = ("layer", "gate", "products", "closed %", "tiles %", "bits", "work %")
        return f"{text_table(rows, head, left=head[:2])}\n{self.totals}"

    @property
    def totals(self) -> str:
        """All layers together, in a line or two."""
        parts = [
            f"closed outputs: {100 * self.sparsity:.1f} %, weighted by products "
            f"{100 * self.product_sparsity:.1f} %"
        ]
        if self.products:
            share = 100 * self.gated_products / self.products
            parts.append(
                f"gated layers form {share:.1f} % of {self.products:,} products a "
                f"sample; the network does {100 * self.work:.1f} % of its work, "
                f"{1 / self.work:.2f}x less"
            )
        return "\n".join(parts)


def _figures(counts: Counts, bits: float | None, work: float) -> tuple[str, ...]:
    tiles = counts.closed_tiles / counts.tiles if counts.tiles else 0.0
    return (
        f"{100 * counts.sparsity:.1f}",
        f"{100 * tiles:.1f}",
        "-" if bits is None else f"{bits:.2f}",
        f"{100 * work:.1f}",
    )
