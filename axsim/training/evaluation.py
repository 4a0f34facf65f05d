"""What a network answers on a data set, and how often it is right."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..console import Show, progress_bar, text_table
from ..errors import DataError
from ..nn.cost import Energy
from ..nn.plan import ATTRIBUTE, Plan
from .answers import answer, check_finite, eval_mode, views_of
from .batches import batches_of, check_classes, unpack
from .device import choose_device
from .interval import wilson


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The answers of a network; printed, it is a table of what they amount to.

    Args:
        logits: float32 (n, classes), in the order of the data.
        labels: int64 (n,).
        exact: int64 (n,), what the exact network predicts, where one was given.
        seconds: spent in the network.
        energy: of one sample, where the network was converted.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    exact: NDArray[np.int64] | None
    seconds: float
    energy: Energy | None = None

    @property
    def n(self) -> int:
        """How many samples there were."""
        return len(self.labels)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class of the largest logit of each sample; of equals, the first."""
        return self.logits.argmax(1)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which samples are right; two evaluations are compared by it, paired."""
        return self.predictions == self.labels

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return int(self.correct.sum()) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(int(self.correct.sum()), self.n)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Cross-entropy of each sample, in float64."""
        logits = torch.from_numpy(self.logits).double()
        labels = torch.from_numpy(self.labels)
        return F.cross_entropy(logits, labels, reduction="none").numpy()

    @property
    def loss(self) -> float:
        """Mean cross-entropy; the sum is exact, so that no order matters."""
        return math.fsum(self.losses.tolist()) / self.n

    @property
    def agreement(self) -> float | None:
        """Share of samples with the exact network's class, where one was given."""
        if self.exact is None:
            return None
        return int((self.predictions == self.exact).sum()) / self.n

    @property
    def samples_per_second(self) -> float:
        """Samples through the network in a second."""
        return self.n / self.seconds

    def top(self, k: int) -> float:
        """Share of samples whose label is among the `k` largest logits.

        Example:
            >>> evaluate(net, test).top(5)  # doctest: +SKIP
            0.9971
        """
        best = torch.from_numpy(self.logits).topk(k).indices
        hits = (best == torch.from_numpy(self.labels)[:, None]).any(1)
        return int(hits.sum()) / self.n

    def __repr__(self) -> str:
        return f"<Evaluation: {100 * self.accuracy:.2f} % of {self.n:,} images>"

    def __str__(self) -> str:
        below, above = (f"{100 * bound:.2f}" for bound in self.interval)
        cells = {
            "images": f"{self.n:,}",
            "accuracy %": f"{100 * self.accuracy:.2f}",
            "95 % interval": f"{below}..{above}",
            "loss": f"{self.loss:.4f}",
        }
        if self.agreement is not None:
            cells["agreement %"] = f"{100 * self.agreement:.2f}"
        cells["seconds"] = f"{self.seconds:.2f}"
        cells["images/s"] = f"{self.samples_per_second:,.0f}"
        table = text_table([[*cells.values()]], [*cells])
        return table if self.energy is None else f"{table}\n{self.energy}"


def evaluate(
    net: nn.Module,
    data: Any,
    *,
    exact: nn.Module | Evaluation | None = None,
    batch_size: int = 256,
    device: str | None = None,
    workers: int = 0,
    progress: Show | None = None,
) -> Evaluation:
    """Runs a network over a data set in eval mode and keeps every answer.

    Neither the size of the batches nor their order changes an answer by more than
    float rounding; the network is left in the mode it was in.

    Args:
        net: any module from images to (N, classes).
        data: a torch Dataset of (image, label), or batches of such pairs, as a
            DataLoader gives them.
        exact: the network to agree with, or its evaluation on the same data.
        batch_size: samples a batch, at least 1, where `data` is a data set.
        device: where to compute; the networks are moved there. By default where `net`
            is.
        workers: processes that load, where `data` is a data set.
        progress: called as `progress(done, total, note)`; by default a bar.

    Raises:
        DataError: where the data is empty, has no labels, or has labels that the
            network has no output for.
        ModelError: where an answer is not finite, with the sample.
        BackendError: where there is no such device.

    Example:
        >>> import axsim as ax
        >>> net = ax.build_network("digits_resnet")
        >>> net = ax.load_weights(net, ax.shipped_weights("digits_resnet"))
        >>> round(ax.evaluate(net, ax.load_data("digits")).accuracy, 4)
        0.9972
    """
    batches = batches_of(data, batch_size, workers)
    place = _place(net) if device is None else choose_device(device)
    net.to(place)
    other = exact.to(place) if isinstance(exact, nn.Module) else None
    logits: list[Tensor] = []
    labels: list[Tensor] = []
    agreed: list[Tensor] = []
    seconds = 0.0
    with eval_mode(net), eval_mode(other), _shown(progress) as show:
        for images, wanted in _watched(batches, show):
            moved = images.to(place)
            began = time.perf_counter()
            logits.append(answer(net, moved, views_of(data)))
            seconds += time.perf_counter() - began
            check_classes(wanted, logits[-1])
            labels.append(wanted)
            if other is not None:
                agreed.append(answer(other, moved, views_of(data)))
    if not labels:
        raise DataError("data is empty; there is nothing to evaluate.")
    answers, truth = torch.cat(logits), torch.cat(labels).numpy()
    check_finite(net, answers)
    if isinstance(exact, Evaluation):
        predicted = _predicted(exact, truth)
    else:
        predicted = torch.cat(agreed).argmax(1).numpy() if agreed else None
    return Evaluation(answers.numpy(), truth, predicted, seconds, _energy(net))


def _place(net: nn.Module) -> torch.device:
    tensors = itertools.chain(net.parameters(), net.buffers())
    return next((each.device for each in tensors), torch.device("cpu"))


def _energy(net: nn.Module) -> Energy | None:
    known = getattr(net, ATTRIBUTE, None)
    return known.energy if isinstance(known, Plan) and known.products else None


def _shown(progress: Show | None) -> AbstractContextManager[Show]:
    return nullcontext(progress) if progress else progress_bar("evaluating")


def _watched(batches: Iterable[Any], show: Show) -> Iterator[tuple[Tensor, Tensor]]:
    total = len(batches) if isinstance(batches, Sized) else 0
    for done, batch in enumerate(batches, 1):
        yield unpack(batch)
        show(done, total, "")


def _predicted(exact: Evaluation, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    if not np.array_equal(exact.labels, labels):
        raise DataError(
            f"exact is an evaluation of other data: its {exact.n:,} labels are not "
            f"those of these {len(labels):,} samples. Evaluate both on the same data, "
            "in the same order."
        )
    return exact.predictions
