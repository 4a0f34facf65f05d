"""`ax.Runs`: what a sweep found, in memory or in its file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ..console import text_table
from ..errors import BackendError
from ..tables.catalogue import shipped_names, shipped_table
from ..tables.multiplier import Multiplier
from .front import listed
from .journal import read_runs
from .run import Run, hash_table

if TYPE_CHECKING:
    import pandas as pd

HEAD = ("", "table", "accuracy %", "95 % interval", "agreement %", "MAE %", "energy")


class Runs(Sequence[Run]):
    """The runs of a sweep; printed, a table ranked by accuracy and then by energy.

    Args:
        runs: in any order. Of several with one table and one key the last counts.
        multipliers: the tables themselves, for the plots of a report; shipped ones
            are found without.

    Example:
        >>> runs = Runs.read("runs.jsonl")  # doctest: +SKIP
        >>> runs.ranked[0].table, runs.ranked[0].accuracy  # doctest: +SKIP
        ('mul8u_exact', 0.9972222222222222)
    """

    def __init__(
        self, runs: Iterable[Run], multipliers: Iterable[Multiplier] = ()
    ) -> None:
        self._runs = [*{(run.table, run.key): run for run in runs}.values()]
        self._tables = {hash_table(mul): mul for mul in multipliers}

    @classmethod
    def read(cls, path: str | Path, multipliers: Iterable[Multiplier] = ()) -> Runs:
        """The runs in a file, also while a sweep is still writing it.

        Args:
            path: what `sweep` had as `out`.
            multipliers: the tables, where they are not shipped and a report is wanted.

        Raises:
            DataError: where the file cannot be read or is none of a sweep.
        """
        return cls(read_runs(Path(path)), multipliers)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Run]: ...
    def __getitem__(self, index: int | slice) -> Run | Sequence[Run]:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self._runs)

    @property
    def ranked(self) -> list[Run]:
        """The runs that have an accuracy: best first, of equals the cheapest first."""
        done = [run for run in self if run.accuracy is not None]
        return sorted(done, key=_rank)

    @property
    def failed(self) -> list[Run]:
        """The runs that have an error instead."""
        return [run for run in self if run.error is not None]

    def groups(self) -> list[Runs]:
        """The runs apart by network, data and settings: others do not compare."""
        apart: dict[tuple[object, ...], list[Run]] = {}
        for run in self:
            key = (run.model, run.recipe, run.weights_hash, run.data_hash, run.seed)
            apart.setdefault((*key, run.axsim), []).append(run)
        return [Runs(runs, self._tables.values()) for runs in apart.values()]

    def multiplier(self, run: Run) -> Multiplier | None:
        """The table of a run, where it was given or is shipped."""
        if run.table_hash in self._tables:
            return self._tables[run.table_hash]
        if run.table not in shipped_names():
            return None
        shipped = shipped_table(run.table)
        return shipped if hash_table(shipped) == run.table_hash else None

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat dictionary for each run, as in the file."""
        return [asdict(run) for run in self]

    def to_pandas(self) -> pd.DataFrame:
        """A row for each run.

        Raises:
            BackendError: where pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as problem:
            raise BackendError(
                "to_pandas needs pandas. Install axsim[notebook], or use to_dicts()."
            ) from problem
        return pd.DataFrame(self.to_dicts())

    def __repr__(self) -> str:
        return f"<Runs: {len(self)} tables, {len(self.failed)} failed>"

    def __str__(self) -> str:
        return "\n\n".join(map(_describe, self.groups())) or "no runs"


def ranked_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The cells of a ranked table, as `HEAD` names them."""
    return [
        (
            str(place),
            run.table,
            percent(run.accuracy),
            interval(run),
            percent(run.agreement),
            f"{run.mae_percent:.3g}",
            "unknown" if run.energy is None else f"{run.energy:,.0f}",
        )
        for place, run in enumerate(runs, 1)
    ]


def percent(share: float | None) -> str:
    """A share in percent with two decimals, "-" for none.

    Example:
        >>> percent(0.98765), percent(None)
        ('98.77', '-')
    """
    return "-" if share is None else f"{100 * share:.2f}"


def interval(run: Run) -> str:
    """The ends of the accuracy's interval in percent."""
    return f"{percent(run.low)}..{percent(run.high)}"


def subject(run: Run) -> str:
    """What was run on what, one line."""
    rules = f", {run.recipe}" if run.recipe else ""
    return (
        f"{run.model}{rules}, on {run.data}: {run.n:,} images, float accuracy "
        f"{percent(run.float_accuracy)} %"
    )


def energies(runs: Iterable[Run]) -> list[str]:
    """What the energies are counted in and who says so; of which runs, where unlike."""
    tables: dict[str, list[str]] = {}
    for run in runs:
        if run.energy is not None:
            unit = f"products of a sample, in {run.energy_unit}{_part(run)}"
            said = f"{unit}; power: {run.cost_origin}"
            tables.setdefault(said, []).append(run.table)
    if len(tables) < 2:
        return [f"energy: {said}" for said in tables]
    return [f"energy of {listed(names)}: {said}" for said, names in tables.items()]


def _part(run: Run) -> str:
    """Which part of the products has a price, where not all have."""
    rest = f"{100 * (1 - run.priced):.1f}"
    return f" (without {rest} %, whose power nobody gave)" if run.priced < 1 else ""


def _describe(runs: Runs) -> str:
    ranked, failed = runs.ranked, runs.failed
    parts = [subject(runs[0])]
    if ranked:
        parts.append(text_table(ranked_rows(ranked), HEAD, left=["table"]))
        parts.extend(energies(ranked))
    if failed:
        parts.append(f"failed ({len(failed)}):")
        parts.extend(f"  {run.table}: {run.error}" for run in failed)
    return "\n".join(parts)


def _rank(run: Run) -> tuple[float, float, float]:
    cost = math.inf if run.energy is None else run.energy
    return -(run.accuracy or 0.0), cost, run.mae
