"""How long a whole network takes on tables, beside float32, and on what."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from ... import kernels
from ...console import progress, text_table
from ...nn.convert import approximate
from ...nn.forms import ConvolutionForm, Form, LinearForm
from ...nn.layer import WeightedLayer
from ...nn.product import Operand
from ...nn.site import Site
from ...tables.files import load_multiplier
from ...zoo.networks.factory import build_network
from .kernels import use_threads

NETWORK, BATCH = "cifar_resnet20", 128
# Exact; an error of rank 4, unsigned and signed; one of high rank.
MULTIPLIERS = ("mul8u_exact", "mul8u_trunc_4", "mul8s_trunc_4", "mul8u_mitchell")
# Sides of the images that families of networks are made for, by how names begin.
SIDES = {"digits": 8, "lenet": 28, "cifar": 32, "acgc": 32, "": 224}
REPEATS = 9
FLOAT = "float32"


@dataclass(frozen=True)
class Parts:
    """What the time of a network goes into, in seconds.

    Args:
        codes: of activations and weights.
        layout: of codes, as the kernels read them.
        products: and their sums.
        rest: real numbers of the sums, and all other layers.
    """

    codes: float
    layout: float
    products: float
    rest: float


@dataclass(frozen=True)
class Timing:
    """A network on one table.

    Args:
        multiplier, rank: the table, and the rank of its error.
        paths: of the kernels, in the order of the layers that first take them.
        seconds: of a batch, median of the repeats.
        ratio: to float32 torch, median of the repeats' ratios.
        parts: what the time goes into.
    """

    multiplier: str
    rank: int
    paths: tuple[str, ...]
    seconds: float
    ratio: float
    parts: Parts


@dataclass(frozen=True)
class NetworkBench:
    """All timings of a run; prints as a table."""

    device: str
    threads: int
    network: str
    batch: int
    float32: float
    timings: tuple[Timing, ...]

    def __str__(self) -> str:
        head = ("multiplier", "rank", "paths", "ms", "x float32", "codes", "layout",
                "products", "rest")  # fmt: skip
        rows = [
            (t.multiplier, t.rank, " ".join(t.paths), f"{t.seconds * 1e3:.1f}",
             f"{t.ratio:.2f}",
             *(f"{part * 1e3:.1f}" for part in asdict(t.parts).values()))
            for t in self.timings
        ]  # fmt: skip
        table = text_table(rows, head, left=("multiplier", "paths"))
        return (
            f"{table}\n\n{self.network}, batch {self.batch}, float32: "
            f"{self.float32 * 1e3:.1f} ms; {self.device}, threads: {self.threads}. "
            "All times in ms. Codes, layout and products are measured layer by layer: "
            "layout is what the sums of one output a group take, products what those "
            "of all take besides; rest is the remainder of the whole."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    model: str = NETWORK,
    multipliers: Sequence[str] = MULTIPLIERS,
    batch: int = BATCH,
    repeats: int = REPEATS,
) -> NetworkBench:
    """Measures a network with the weights it begins with.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        model: a network of the zoo.
        multipliers: shipped names or paths.
        batch: images.
        repeats: of each timing, taken in turn so that a slow moment strikes all alike.
    """
    tables = {name: load_multiplier(name) for name in multipliers}
    torch.manual_seed(0)
    net = build_network(model).eval().to(device)
    x = images_for(model, net, batch).to(device)
    ways = {FLOAT: net} | {
        name: approximate(net, mul, calibration=[x[:32]])
        for name, mul in tables.items()
    }
    with use_threads(threads), torch.no_grad():
        taken = _interleaved(ways, x, repeats)
        timings = [
            _describe(name, mul.rank, ways[name], x, taken, repeats)
            for name, mul in progress(tables.items(), "taking apart")
        ]
    return NetworkBench(
        kernels.device_name(device), threads, model, batch, median(taken[FLOAT]),
        tuple(timings),
    )  # fmt: skip


def images_for(model: str, net: nn.Module, batch: int) -> Tensor:
    """Random images of the size that a network is made for."""
    side = next(side for name, side in SIDES.items() if model.startswith(name))
    channels = next(m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d))
    return torch.randn(batch, channels, side, side)


def _interleaved(
    ways: dict[str, nn.Module], x: Tensor, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each way in each repeat; the first call is not counted."""
    for net in ways.values():
        net(x)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in progress(range(repeats), "measuring"):
        for name, net in ways.items():
            taken[name].append(_seconds(lambda net=net: net(x), x.device.type))
    return taken


def _describe(
    name: str,
    rank: int,
    net: nn.Module,
    x: Tensor,
    taken: dict[str, list[float]],
    repeats: int,
) -> Timing:
    seconds = median(taken[name])
    pairs = zip(taken[name], taken[FLOAT], strict=True)
    apart = [_take_apart(*call, repeats) for call in _calls(net, x)]
    paths = tuple(dict.fromkeys(path for *_, path in apart))
    codes = sum(codes for codes, *_ in apart)
    layout = sum(layout for _, layout, *_ in apart)
    products = sum(products for *_, products, _ in apart)
    rest = max(0.0, seconds - codes - layout - products)
    return Timing(
        name, rank, paths, seconds,
        median(own / float32 for own, float32 in pairs),
        Parts(codes, layout, products, rest),
    )  # fmt: skip


def _calls(net: nn.Module, x: Tensor) -> list[tuple[Site, WeightedLayer, Tensor]]:
    """The layers on codes in the order they are called, and what they are given."""
    calls: list[tuple[Site, WeightedLayer, Tensor]] = []

    def note(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        calls.append((layer.site, layer, inputs[0]))

    with _hooks(net, note):
        net(x)
    return calls


@contextmanager
def _hooks(net: nn.Module, note: Callable[..., None]) -> Generator[None]:
    layers = [m for m in net.modules() if isinstance(m, WeightedLayer) and m.site]
    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _take_apart(
    site: Site, layer: WeightedLayer, x: Tensor, repeats: int
) -> tuple[float, float, float, str]:
    """Seconds of codes, of the layout and of the products of a call; its path."""
    device = x.device.type
    x, form = layer.placed(x)
    _, a, w = site.operands(x, layer.weight)
    path = _path(site, form, a, w)
    groups = form.groups if isinstance(form, ConvolutionForm) else 1

    def sums(weights: Tensor) -> float:
        work = _sums(site, form, a, weights, path)
        return median(_seconds(work, device) for _ in range(repeats))

    encode = [
        _seconds(lambda: site.operands(x, layer.weight), device) for _ in range(repeats)
    ]
    layout, whole = sums(w.raw[:: len(w.raw) // groups]), sums(w.raw)
    return median(encode), min(layout, whole), max(0.0, whole - layout), path


def _path(site: Site, form: Form, a: Operand, w: Operand) -> str:
    """The path that the layer takes; what is neither of these chooses by itself."""
    if not isinstance(form, ConvolutionForm | LinearForm):
        return site.product.backend
    if site.product.backend != "auto":
        return site.product.backend
    shape = form.shape(a.raw.shape, w.raw.shape)
    return kernels.choose(site.table, shape, a.raw.device)


def _sums(
    site: Site, form: Form, a: Operand, weights: Tensor, path: str
) -> Callable[[], Tensor]:
    skip = site.product.pad == "skip"
    code = None if skip else int(a.zero_point) % (1 << a.scheme.bits)
    return lambda: form.sums(a.raw, weights, site.table, code, path)


def _seconds(work: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
