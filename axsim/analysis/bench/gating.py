"""How much time closed gates save: a gated layer beside the layer without a gate.

Whole tiles of 16 pixels by 16 channels are closed at random, which is what the CPU path
can skip. Both layers run in turn on one path of the kernels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ... import kernels
from ...console import progress, text_table
from ...errors import BackendError
from ...gating.bits import Bits
from ...gating.channels import Channels
from ...gating.decision import Decision
from ...gating.gate import Gate
from ...gating.split import Split
from ...gating.tiles import SIDE
from ...nn.conv import ApproxConv2d
from ...nn.spec import LayerSpec, Product, Quant
from ...quant.scheme import PerAxis, Scheme
from ...tables.catalogue import multipliers
from .kernels import use_threads
from .layers import Layer

# Of high rank: products of such a table are looked up, not multiplied.
TABLE = "mul8u_loa_6"
PATHS = ("gather", "shuffle")
LAYERS = (
    Layer("CIFAR ResNet", "64, 32x32", 32, 64, 64, 32, 3, padding=1),
    Layer("ResNet-50", "128, 16x16", 32, 128, 128, 16, 3, padding=1),
)
SPLITS: tuple[Split, ...] = (Channels(4), Bits(4))
CLOSED = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
REPEATS = 20
UNSIGNED = Scheme(symmetric=True)
SIGNED = Scheme(signed=True, symmetric=True, narrow=True, granularity=PerAxis(0))


@dataclass(frozen=True, eq=False)
class Painted(Decision):
    """A gate that is told where to open."""

    mask: Tensor

    def open(self, score: Tensor, threshold: Tensor | None) -> Tensor:
        return self.mask


@dataclass(frozen=True)
class Timing:
    """One layer on one path.

    Args:
        layer, path, split: what was measured.
        ungated: seconds without a gate.
        gated: seconds by share of closed tiles.
    """

    layer: str
    path: str
    split: str
    ungated: float
    gated: dict[float, float]


@dataclass(frozen=True)
class GatingBench:
    """All timings of a run; prints as a table."""

    device: str
    threads: int
    timings: tuple[Timing, ...]

    def __str__(self) -> str:
        shares = [f"{100 * closed:g} %" for closed in CLOSED]
        head = ("layer", "split", "path", "ungated ms", *shares)
        rows = [
            (t.layer, t.split, t.path, f"{1e3 * t.ungated:.1f}",
             *(f"{seconds / t.ungated:.2f}" for seconds in t.gated.values()))
            for t in self.timings
        ]  # fmt: skip
        table = text_table(rows, head, left=head[:3])
        return (
            f"{table}\n\n{self.device}, threads: {self.threads}; {TABLE}; time of the "
            "gated layer over that of the ungated one, by share of closed tiles."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    layers: tuple[Layer, ...] = LAYERS,
    repeats: int = REPEATS,
) -> GatingBench:
    """Measures every layer, split and path.

    Args:
        device: "cpu"; a GPU computes every product.
        threads: of the CPU.
        layers: convolutions.
        repeats: of each timing.

    Raises:
        BackendError: for another device.
    """
    if device != "cpu":
        raise BackendError(
            f"device={device!r}: only the CPU path skips closed tiles; use cpu."
        )
    present = [path for path in PATHS if path in kernels.paths("cpu")]
    jobs = [(layer, split, path) for layer in layers for split in SPLITS
            for path in present]  # fmt: skip
    with use_threads(threads), torch.no_grad():
        timings = [_measure(*job, repeats) for job in progress(jobs, "measuring")]
    return GatingBench(kernels.device_name(device), threads, tuple(timings))


def _measure(layer: Layer, split: Split, path: str, repeats: int) -> Timing:
    x = torch.rand(layer.x, generator=torch.Generator().manual_seed(0))
    ungated = _built(layer, path, None)
    gated = {s: _built(layer, path, Gate(split, _closed(layer, s))) for s in CLOSED}
    best = dict.fromkeys((None, *CLOSED), float("inf"))
    for _ in range(repeats + 1):
        # In turn, so that what else runs on the machine slows all alike.
        for share, net in ((None, ungated), *gated.items()):
            best[share] = min(best[share], _seconds(lambda net=net: net(x)))
    name = f"{layer.network} {layer.name}"
    shares = {share: best[share] for share in CLOSED}
    return Timing(name, path, str(split), best[None], shares)


def _built(layer: Layer, path: str, gate: Gate | None) -> ApproxConv2d:
    (mul,) = multipliers(TABLE)
    torch.manual_seed(0)
    spec = LayerSpec(
        Quant(UNSIGNED, SIGNED),
        Product(mul, signs="sign-magnitude", backend=path),
        gate,
    )
    built = ApproxConv2d(
        layer.channels, layer.outputs, layer.kernel, layer.stride, layer.padding,
        bias=False, spec=spec,
    )  # fmt: skip
    if built.site is not None:
        built.site.input_quantizer.fix(torch.tensor(1 / 255), torch.tensor(0))
    return built.eval()


def _closed(layer: Layer, share: float) -> Painted:
    """A gate with this share of tiles closed."""
    pixels = layer.batch * layer.out**2
    generator = torch.Generator().manual_seed(1)
    tiles = torch.rand(pixels // SIDE, layer.outputs // SIDE, generator=generator)
    rows = (tiles >= share).repeat_interleave(SIDE, 0).repeat_interleave(SIDE, 1)
    mask = rows.view(layer.batch, layer.out, layer.out, layer.outputs)
    return Painted(mask.movedim(-1, 1).contiguous())


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
