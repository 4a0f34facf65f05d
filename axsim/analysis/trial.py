"""What one process does for one table: convert, evaluate, and say what came out."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import current_process
from multiprocessing.context import ForkProcess
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import AxsimError, BackendError, CalibrationError, DataError
from ..nn.convert import approximate
from ..nn.plan import plan, site_costs
from ..quant.quantizer import Quantizer
from ..tables.multiplier import Multiplier
from ..training.evaluation import Evaluation, evaluate
from ..zoo.data.calibration import calibration_images, knows_training
from .fingerprint import (
    hash_batches,
    hash_data,
    hash_network,
    hash_settings,
    rules_text,
)
from .run import Key, hash_table

WORDS = ("model", "recipe", "data", "command")


def every_layer(mul: Multiplier) -> Multiplier:
    """The recipe that puts a table under every layer, with its default codes."""
    return mul


@dataclass(frozen=True)
class Outcome:
    """What a network did on a table, or why it could not.

    The fields are those of a `Run`.
    """

    seconds: float
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    loss: float | None = None
    agreement: float | None = None
    products: int | None = None
    energy: float | None = None
    energy_unit: str = ""
    priced: float = 0.0
    error: str | None = None
    passing: bool = False


@dataclass(frozen=True)
class Packed:
    """A trial as bytes, which a process unpacks once for all tables."""

    name: str
    content: bytes = field(compare=False, repr=False)


@dataclass
class Trial:
    """A network and the data to try tables on; what they share is done once.

    Args:
        model: the float network.
        recipe: from a multiplier to what `approximate` takes.
        data: as `evaluate` takes it.
        calibration: batches of inputs.
        predictions, labels: of the float network on the data, and the truth.
        hashes: of weights, data and calibration.
        batch_size, device: of `evaluate`.
        seed: of torch's generator before each table.
    """

    model: nn.Module
    recipe: Callable[[Multiplier], Any]
    data: Any
    calibration: list[Tensor]
    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    hashes: tuple[str, str, str]
    batch_size: int
    device: str | None
    seed: int

    def __post_init__(self) -> None:
        # By codes and rules: the calibrated state, and the products of each layer.
        self._ranges: dict[object, tuple[dict[str, Any], dict[str, int]]] = {}

    def key(self, mul: Multiplier) -> Key:
        """What the outcome for a table depends on."""
        weights, data, calibration = self.hashes
        settings = hash_settings(mul, self.recipe, calibration, self.seed)
        return Key(table=hash_table(mul), weights=weights, data=data, settings=settings)

    def about(self, words: Mapping[str, str]) -> dict[str, Any]:
        """What the rows of all tables say alike."""
        for word in words:
            if word not in WORDS:
                raise DataError(f"words: {word!r}; they are {', '.join(WORDS)}.")
        rules = "" if self.recipe is every_layer else _name(self.recipe)
        return {
            "model": type(self.model).__name__,
            "recipe": rules,
            "data": _name(getattr(self.data, "dataset", self.data)),
            "command": "",
            **words,
            "n": len(self.labels),
            "float_accuracy": float((self.predictions == self.labels).mean()),
            "seed": self.seed,
            "torch": torch.__version__,
        }

    def check_calibration(self, mul: Multiplier) -> None:
        """Refuses to begin where a table's ranges would be unknown.

        Raises:
            CalibrationError: with the first such range.
        """
        if self.calibration:
            return
        try:
            net = approximate(self.model, self.recipe(mul))
        except Exception:
            # The row of this table will say it; others may do better.
            return
        waiting = [
            module.name
            for module in net.modules()
            if isinstance(module, Quantizer) and module.mode == "uncalibrated"
        ]
        if waiting:
            raise CalibrationError(
                f"calibration: {len(waiting)} ranges, such as that of {waiting[0]!r}, "
                "are not known. Give batches of training images, such as "
                "calibration=[train.images[:512]], or a recipe with dynamic ranges."
            )

    def pack(self) -> Packed:
        """The trial as bytes for other processes.

        Raises:
            BackendError: where something in it cannot be pickled.
        """
        try:
            content = pickle.dumps(self)
        except Exception as problem:
            raise BackendError(
                f"executor: model, data or recipe cannot be sent to another process "
                f"({type(problem).__name__}: {problem}). Define them at the top level "
                "of a module, or leave executor= out."
            ) from problem
        return Packed(hashlib.sha256(content).hexdigest(), content)

    def run(self, mul: Multiplier) -> Outcome:
        """The outcome for a table; what fails is an outcome too."""
        began = time.perf_counter()
        try:
            with torch.random.fork_rng(range(torch.cuda.device_count())):
                torch.manual_seed(self.seed)
                found = self._evaluate(self._convert(mul))
        except Exception as problem:
            return Outcome(
                seconds=time.perf_counter() - began,
                error=f"{type(problem).__name__}: {problem}",
                # What axsim refuses it refuses again; memory or a device may return.
                passing=not isinstance(problem, AxsimError),
            )
        low, high = found.interval
        energy = found.energy
        return Outcome(
            seconds=time.perf_counter() - began,
            accuracy=found.accuracy,
            low=low,
            high=high,
            loss=found.loss,
            agreement=float((found.predictions == self.predictions).mean()),
            products=sum(item.products for item in energy.items) if energy else None,
            energy=energy.value if energy else None,
            energy_unit=energy.unit if energy else "",
            priced=energy.share if energy else 0.0,
        )

    def _convert(self, mul: Multiplier) -> nn.Module:
        """The network on a table; one calibration serves all with the same codes."""
        rules = self.recipe(mul)
        net = approximate(self.model, rules)
        if not self.calibration:
            return net
        kind = _codes(net), rules_text(mul, self.recipe)
        if kind not in self._ranges:
            net = approximate(self.model, rules, calibration=self.calibration)
            self._ranges[kind] = net.state_dict(), plan(net).products
            return net
        state, products = self._ranges[kind]
        net.load_state_dict(state)
        found = plan(net)
        found.products.update(products)
        found.costs.update(site_costs(net))
        return net

    def _evaluate(self, net: nn.Module) -> Evaluation:
        found = evaluate(
            net,
            self.data,
            batch_size=self.batch_size,
            device=self.device,
        )
        check_order(found.labels, self.labels)
        return found


def prepare(
    model: nn.Module,
    data: Any,
    calibration: Iterable[Any] | int,
    recipe: Callable[[Multiplier], Any],
    batch_size: int,
    device: str | None,
    seed: int,
) -> Trial:
    """Looks at everything once that no table changes; the float network is evaluated.

    Raises:
        DataError, CalibrationError, ModelError: as `sweep`.
    """
    if isinstance(data, Iterator):
        raise DataError(
            f"data is a {type(data).__name__}, which can be gone through only once; "
            "give a data set, a loader, or a list of batches."
        )
    own = isinstance(calibration, int)
    batches = _training_images(data, calibration) if own else calibration
    inputs = [_input(batch) for batch in batches]
    if not (inputs or own):
        raise CalibrationError("calibration: no batches came; give at least one.")
    data_hash, labels = hash_data(data, batch_size)
    exact = evaluate(model, data, batch_size=batch_size, device=device)
    check_order(exact.labels, labels)
    hashes = hash_network(model), data_hash, hash_batches(inputs)
    return Trial(model, recipe, data, inputs, exact.predictions, labels, hashes,
                 batch_size, device, seed)  # fmt: skip


def _training_images(data: Any, count: int) -> Iterable[Any]:
    """Those of a data set that knows its training part; none where there is none.

    Whether they are needed, `check_calibration` tells.
    """
    return calibration_images(data, count) if knows_training(data) else ()


def check_order(found: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    """Refuses data whose samples come in another order each time.

    Raises:
        DataError: where the labels differ.
    """
    if not np.array_equal(found, wanted):
        raise DataError(
            "data: its samples come in another order, or are others, each time; give "
            "a data set, or a loader with shuffle=False."
        )


def run_packed(packed: Packed, mul: Multiplier) -> Outcome:
    """What an executor runs."""
    if isinstance(current_process(), ForkProcess):
        # Threads do not survive a fork: GNU OpenMP would wait for them for ever.
        torch.set_num_threads(1)
    return _unpacked(packed).run(mul)


@lru_cache(maxsize=1)
def _unpacked(packed: Packed) -> Trial:
    return pickle.loads(packed.content)


def _codes(net: nn.Module) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, f"{module.scheme}")
        for name, module in net.named_modules()
        if isinstance(module, Quantizer)
    )


def _input(batch: Any) -> Tensor:
    """The input of a batch as loaders give it."""
    x = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if not isinstance(x, Tensor):
        raise CalibrationError(
            f"calibration: a batch is a {type(batch).__name__}; give tensors, or "
            "(tensor, ...) as data loaders do."
        )
    return x


def _name(thing: Any) -> str:
    """What something calls itself, else its kind."""
    own = getattr(thing, "name", None) or getattr(thing, "__name__", None)
    return own if isinstance(own, str) else type(thing).__name__
