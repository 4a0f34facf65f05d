"""What gates cost in accuracy, beside the controls that they must beat.

Every method begins with the same network, trained in float32, and is then trained for
some epochs more. Figures are pooled over folds and seeds, differences are paired.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from ... import recipes
from ...console import text_table
from ...errors import DataError
from ...gating.gate import Gate
from ...gating.oracles import Closed, Random
from ...gating.report import GateReport
from ...nn.convert import approximate
from ...nn.plan import plan
from ...nn.recipe import Recipe, recipe
from ...nn.spec import LayerSpec, Quant, Rule
from ...quant.scheme import Scheme
from ...training.evaluation import Evaluation, evaluate
from ...training.loop import train
from ...training.settings import TrainSettings
from ...zoo.data.dataset import ArrayDataset
from ...zoo.data.sources import load_data
from ...zoo.networks.factory import build_network
from ..pooled import Case, Difference, Pooled, paired_difference, pooled_runs
from .kernels import use_threads

BOTH = r".+\.conv[12]"


@dataclass(frozen=True)
class Course:
    """How the methods are compared on a data set.

    Args:
        network: of the zoo.
        first, more, longer: how the float network, then methods on codes, and then
            channel gating is trained.
        precision, channel: the recipes.
    """

    network: str
    first: TrainSettings
    more: TrainSettings
    longer: TrainSettings
    precision: Recipe
    channel: Recipe


# Digits learn in so few steps that thresholds must be pulled harder than on CIFAR.
DIGITS = Course(
    "digits_resnet",
    TrainSettings(epochs=15, lr=0.1),
    TrainSettings(epochs=8, lr=0.02, decay_vectors=False),
    # Three of four channels are gone: the weights have more to learn.
    TrainSettings(epochs=40, lr=0.1, decay_vectors=False),
    recipes.precision_gating(3, 8, 2, target=4.0, weight=0.1),
    recipes.channel_gating(
        4, gated=BOTH, grouped=False, sparse=False, start=0.2, target=2.0, weight=1e-3
    ),
)
# As published, for images of 32x32.
_STEPS = TrainSettings(
    epochs=200, lr=0.1, weight_decay=1e-4, schedule="steps", milestones=(100, 150),
    flip=True, crop_pad=4,
)  # fmt: skip
PUBLISHED = Course(
    "cifar_resnet20",
    _STEPS,
    _STEPS,
    replace(_STEPS, epochs=250, milestones=(150, 200), decay_vectors=False),
    recipes.precision_gating(3, 8, 2),
    recipes.channel_gating(4),
)
FLOAT, EIGHT, THREE, TWO = (
    "float32",
    "uniform 8 bits",
    "uniform 3 bits",
    "uniform 2 bits",
)
PG, RANDOM, HIGH = "precision gating 3/2", "random gate, as sparse", "high 2 of 3 bits"
CG = "channel gating, 4 parts"


@dataclass(frozen=True)
class Line:
    """One method.

    Args:
        name: of the method.
        accuracy: share of right answers, 0 to 1.
        sparsity, bits, work: of the gated layers and of the network; None without.
        beside: what it is compared with.
        difference: in points; None for the first.
    """

    name: str
    accuracy: float
    sparsity: float | None
    bits: float | None
    work: float | None
    beside: str
    difference: Difference | None


@dataclass(frozen=True)
class GatesBench:
    """All methods; prints as a table."""

    lines: tuple[Line, ...]
    network: str
    data: str
    folds: int
    seeds: int

    def __str__(self) -> str:
        head = ("method", "accuracy %", "closed %", "bits", "work", "points", "beside")
        rows = [
            (n.name, f"{100 * n.accuracy:.2f}", _percent(n.sparsity), _number(n.bits),
             "-" if n.work is None else f"{1 / n.work:.2f}x less",
             n.difference or "-", n.beside)
            for n in self.lines
        ]  # fmt: skip
        table = text_table(rows, head, left=("method", "beside"))
        digits = f"{self.folds} folds x {self.seeds} seeds of the digits"
        on = digits if self.data == "digits" else f"{self.seeds} seeds of {self.data}"
        return (
            f"{table}\n\n{self.network}, {on}, pooled. points: paired difference with "
            "its 95 % interval; closed: of the gated layers' outputs; work: of the "
            "network, a product of few bits counting as part of one."
        )

    def to_dict(self) -> dict[str, Any]:
        """The numbers, ready for JSON."""
        return asdict(self)


def run(
    device: str = "cpu",
    threads: int = 1,
    data: str = "digits",
    folds: int = 5,
    seeds: int = 3,
    course: Course | None = None,
) -> GatesBench:
    """Trains every method on every fold with every seed.

    Args:
        device: "cpu" or "cuda".
        threads: of the CPU.
        data: "digits", or a set with a test split such as "cifar10:/path".
        folds, seeds: how many; folds are those of the digits.
        course: how to compare; by default what was published, and shorter on digits.

    Raises:
        DataError: where there is no such set, or its images are not in memory.
    """
    parts = None if data == "digits" else [_parts(data)]
    chosen = course or (DIGITS if parts is None else PUBLISHED)
    reports: dict[str, list[GateReport]] = {}

    def one(case: Case) -> dict[str, Evaluation]:
        found = _Trainer(case, chosen, device).all()
        for name, (_, report) in found.items():
            reports.setdefault(name, []).append(report)
        return {name: evaluation for name, (evaluation, _) in found.items()}

    with use_threads(threads):
        pooled = pooled_runs(one, folds, seeds, parts)
    return GatesBench(_lines(pooled, reports), chosen.network, data, folds, seeds)


def _parts(data: str) -> tuple[ArrayDataset, ArrayDataset]:
    """Both splits of a data set."""
    train, test = (load_data(data, split) for split in ("train", "test"))
    if isinstance(train, ArrayDataset) and isinstance(test, ArrayDataset):
        return train, test
    raise DataError(
        f"data={data!r}: bench gates holds all images in memory; use digits, "
        "cifar10:/path, cifar100:/path or mnist:/path."
    )


class _Trainer:
    """All methods on one case.

    Args:
        case: the images.
        course: how to train.
        device: where.
    """

    def __init__(self, case: Case, course: Course, device: str) -> None:
        self.case, self.course, self.device = case, course, device
        torch.manual_seed(case.seed)
        images = case.train
        self.net = build_network(
            course.network, channels=images.pixels.shape[1], classes=len(images.classes)
        )
        train(self.net, images, self._seeded(course.first), progress=_quiet)

    def all(self) -> dict[str, tuple[Evaluation, GateReport]]:
        """An evaluation of each method and what its gates counted there."""
        found = {FLOAT: (self._evaluated(self.net), GateReport(()))}
        for bits, name in ((8, EIGHT), (3, THREE), (2, TWO)):
            found[name] = self._trained(self._uniform(bits))
        found[PG] = self._trained(self.course.precision)
        share = 1 - found[PG][1].sparsity
        found[RANDOM] = self._trained(self._gated_by(Random(share)))
        found[HIGH] = self._trained(self._gated_by(Closed()))
        found[CG] = self._trained(self.course.channel, self.course.longer)
        return found

    def _trained(
        self, rules: Recipe, settings: TrainSettings | None = None
    ) -> tuple[Evaluation, GateReport]:
        net = approximate(self.net, rules, calibration=[self.case.train.images[:1]])
        known = plan(net)
        how = self._seeded(settings or self.course.more)
        train(net, self.case.train, how, plan=known, progress=_quiet)
        known.reset_gates()
        return self._evaluated(net), known.gate_report()

    def _evaluated(self, net: nn.Module) -> Evaluation:
        return evaluate(net, self.case.test, device=self.device, progress=_quiet)

    def _seeded(self, settings: TrainSettings) -> TrainSettings:
        return replace(settings, seed=self.case.seed, device=self.device)

    def _uniform(self, bits: int) -> Recipe:
        """The codes of precision gating without a gate."""
        quant = cast(Quant, self.course.precision[0][0].answers().quant)
        codes = replace(quant, activation=Scheme(bits, symmetric=True))
        return recipe([Rule(BOTH, LayerSpec(codes))])

    def _gated_by(self, decide: Random | Closed) -> Recipe:
        """The layers of precision gating with a gate that knows nothing."""
        first, others = self.course.precision[0]
        spec = first.answers()
        gate = replace(cast(Gate, spec.gate), decide=decide)
        return recipe([Rule(first.pattern, replace(spec, gate=gate)), others])


def _lines(
    pooled: dict[str, Pooled], reports: dict[str, list[GateReport]]
) -> tuple[Line, ...]:
    beside = {EIGHT: FLOAT, THREE: FLOAT, TWO: THREE, PG: THREE, RANDOM: PG, HIGH: PG,
              CG: FLOAT}  # fmt: skip
    pairs = [(name, beside.get(name, "")) for name in pooled] + [(PG, TWO)]
    return tuple(_line(name, other, pooled, reports[name]) for name, other in pairs)


def _line(
    name: str, other: str, pooled: dict[str, Pooled], reports: list[GateReport]
) -> Line:
    gated = [report for report in reports if report.lines]
    sparsity = bits = work = None
    if gated:
        total = _total(gated)
        sparsity, bits, work = total.sparsity, total.average_bits, total.work
    difference = paired_difference(pooled[name], pooled[other]) if other else None
    return Line(name, pooled[name].accuracy, sparsity, bits, work, other, difference)


def _total(reports: list[GateReport]) -> GateReport:
    """The counts of all folds and seeds together."""
    lines = [
        replace(same[0], counts=sum((n.counts for n in same[1:]), same[0].counts))
        for same in zip(*(report.lines for report in reports), strict=True)
    ]
    return GateReport(tuple(lines), reports[0].products)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _quiet(done: int, total: int, note: str) -> None:
    """No bar for each of many trainings."""
