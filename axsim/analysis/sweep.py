"""`ax.sweep`: one network under many tables, a row each, kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, as_completed
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ..console import Show, progress_bar
from ..errors import BackendError, TableError
from ..tables.multiplier import Multiplier
from .journal import Journal
from .run import Key, Run, table_fields
from .runs import Runs, percent
from .trial import Outcome, Trial, every_layer, prepare, run_packed


@dataclass(frozen=True)
class _Job:
    """A row to make."""

    mul: Multiplier
    key: Key

    @property
    def name(self) -> tuple[str, Key]:
        """By which its row is known."""
        return self.mul.name, self.key

    @property
    def work(self) -> object:
        """Equal for jobs with one outcome: a table under several names."""
        return self.key, self.mul.cost

    def fields(self) -> dict[str, Any]:
        """What its row says whatever comes out."""
        hashes = {f"{what}_hash": value for what, value in asdict(self.key).items()}
        return table_fields(self.mul) | hashes


def sweep(
    model: nn.Module,
    multipliers: Iterable[Multiplier] | Multiplier,
    data: Any,
    *,
    calibration: Iterable[Any] | int = 512,
    recipe: Callable[[Multiplier], Any] = every_layer,
    out: str | Path | None = None,
    executor: Executor | None = None,
    batch_size: int = 256,
    device: str | None = None,
    seed: int = 0,
    words: Mapping[str, str] | None = None,
    progress: Show | None = None,
) -> Runs:
    """Evaluates a network under each of many multipliers.

    With `out`, a row is on disk as soon as its table is done; the same call goes on
    with an interrupted sweep. A table that fails is a row with its error.

    Args:
        model: the float network; it is only read.
        multipliers: the tables, at least one.
        data: as `evaluate` takes it, but no iterator: each table goes through it.
        calibration: for the ranges of activations: how many training images to take
            of a data set of `load_data`, or batches of inputs, or of (input, ...).
            Other data sets need batches, unless the recipe's ranges are dynamic.
        recipe: from a multiplier to what `approximate` takes; by default the
            multiplier under every layer.
        out: the file of rows, JSON lines; made where missing, else continued.
        executor: where to evaluate, such as a `ProcessPoolExecutor`; by default here.
            Model, data and recipe must be picklable for it.
        batch_size, device: as `evaluate` takes them.
        seed: of torch's generator, set before each table; 0 to 2^63 - 1.
        words: what rows call "model", "data" and "recipe", and the "command".
        progress: called as `progress(done, total, note)`; by default a bar.

    Returns:
        The runs of these multipliers, in their order.

    Raises:
        TableError, DataError, CalibrationError: for what cannot be used, and where
            `out` is no file of runs.
        ModelError: where the float network's answers are not finite.
        BackendError: where an executor breaks or cannot be given the model.

    Example:
        >>> runs = sweep(net, ax.multipliers("mul8u_*"), test, calibration=[batch],
        ...              out="runs.jsonl")  # doctest: +SKIP
        >>> print(runs)  # doctest: +SKIP
    """
    muls = _distinct(multipliers)
    trial = prepare(model, data, calibration, recipe, batch_size, device, seed)
    trial.check_calibration(muls[0])
    about = trial.about(words or {})
    jobs = [_Job(mul, trial.key(mul)) for mul in muls]
    with _journal(out) as journal, _shown(progress) as show:
        return Runs(_complete(jobs, trial, about, journal, executor, show), muls)


def _complete(
    jobs: list[_Job],
    trial: Trial,
    about: dict[str, Any],
    journal: Journal | None,
    executor: Executor | None,
    show: Show,
) -> list[Run]:
    """The run of each job, from the file where it is there already."""
    rows = journal.runs if journal else []
    found = {(run.table, run.key): run for run in rows if not run.passing}
    pending: dict[object, list[_Job]] = {}
    for job in jobs:
        if job.name not in found:
            pending.setdefault(job.work, []).append(job)
    done = len(jobs) - sum(map(len, pending.values()))
    show(done, len(jobs), "")
    muls = {work: same[0].mul for work, same in pending.items()}
    for work, outcome in _outcomes(muls, trial, executor):
        for job in pending[work]:
            run = Run(**job.fields(), **about, **asdict(outcome))
            if journal:
                journal.append(run)
            found[job.name] = run
            done += 1
            show(done, len(jobs), f"{run.table} {percent(run.accuracy)} %")
    return [found[job.name] for job in jobs]


def _outcomes(
    muls: dict[object, Multiplier], trial: Trial, executor: Executor | None
) -> Iterator[tuple[object, Outcome]]:
    """The outcome for each table, as it comes."""
    if executor is None:
        yield from ((work, trial.run(mul)) for work, mul in muls.items())
        return
    packed = trial.pack()
    futures = {executor.submit(run_packed, packed, mul): w for w, mul in muls.items()}
    try:
        for future in as_completed(futures):
            yield futures[future], _result(future)
    finally:
        for future in futures:
            future.cancel()


def _result(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    # What a table does wrong is an outcome; this is the executor's own trouble.
    except Exception as problem:
        raise BackendError(
            f"executor: a worker was lost or cannot run a table "
            f"({type(problem).__name__}: {problem}). Model, data and recipe must be "
            "importable there. Finished rows are kept; the same call goes on."
        ) from problem


def _journal(out: str | Path | None) -> AbstractContextManager[Journal | None]:
    return nullcontext() if out is None else closing(Journal(Path(out)))


def _shown(progress: Show | None) -> AbstractContextManager[Show]:
    return nullcontext(progress) if progress else progress_bar("sweeping")


def _distinct(multipliers: Iterable[Multiplier] | Multiplier) -> list[Multiplier]:
    """The multipliers, none twice.

    Raises:
        TableError: where there are none, or something else is among them.
    """
    given = [multipliers] if isinstance(multipliers, Multiplier) else [*multipliers]
    for each in given:
        if not isinstance(each, Multiplier):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TableError(
                f"sweep: {each!r} is a {type(each).__name__}, not a multiplier; load "
                "tables with ax.multipliers or ax.load_multipliers."
            )
    if not given:
        raise TableError("sweep: no multipliers were given; name at least one.")
    return [*{(mul.name, mul): mul for mul in given}.values()]
