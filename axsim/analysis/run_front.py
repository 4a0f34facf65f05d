"""Accuracy against cost of a sweep's runs, and which of them nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..errors import TableError
from .front import COSTS, Tradeoff, check_choice, comparable_costs, listed, pareto_front
from .run import Run
from .runs import Runs

# What a run can be judged by, and how an axis calls it.
RUN_QUALITIES = {
    "accuracy": "accuracy (%)",
    "agreement": "agreement with the float network (%)",
    "loss": "cross-entropy loss",
}
RUN_COSTS = ("energy", *COSTS)


def run_tradeoff(
    runs: Runs,
    cost: str = "energy",
    quality: str = "accuracy",
    origin: str | None = None,
) -> Tradeoff:
    """What a network keeps under each table, and what that costs.

    Args:
        runs: of one network, data set and recipe; those that failed are left out.
        cost: "energy" of a sample, or "power", "area" or "delay" of the table.
        quality: "accuracy" or "agreement", in percent, or "loss".
        origin: keep only the runs whose cost has this origin.

    Raises:
        TableError: for another `cost` or `quality`, without runs, where several
            networks are mixed or costs are unknown or do not compare.
    """
    check_choice("cost", cost, RUN_COSTS)
    check_choice("quality", quality, RUN_QUALITIES)
    chosen = _comparable_runs(runs, origin)
    of_table = "power" if cost == "energy" else cost
    first = comparable_costs(chosen, of_table)[0]
    _check_energy(chosen, cost)
    x, y = _column(chosen, cost), _column(chosen, quality)
    lossy = quality == "loss"
    found = Tradeoff(
        names=[run.table for run in chosen],
        cost=x,
        quality=y if lossy else 100 * y,
        exact=np.array([run.exact for run in chosen]),
        front=pareto_front(x, y if lossy else -y),
        unit=first.units[COSTS.index(of_table)],
        origin=first.origin,
        left_out=len(runs) - len(chosen),
    )
    return found if cost != "energy" else replace(found, unit=chosen[0].energy_unit)


def _comparable_runs(runs: Runs, origin: str | None) -> list[Run]:
    groups = runs.groups()
    if len(groups) > 1:
        raise TableError(
            f"pareto: these runs are of {len(groups)} networks, data sets or recipes, "
            "which do not compare; draw one of runs.groups()."
        )
    chosen = [r for r in runs.ranked if origin in (None, r.cost and r.cost.origin)]
    if not chosen:
        wanted = "" if origin is None else f" and a cost of origin={origin!r}"
        raise TableError(f"pareto: of {len(runs)} runs none has an accuracy{wanted}.")
    return chosen


def _check_energy(runs: Sequence[Run], cost: str) -> None:
    lacking = [run.table for run in runs if run.energy is None]
    if cost == "energy" and lacking:
        raise TableError(
            f"pareto: no energy is known for {listed(lacking)}: no sample was counted, "
            "or the network holds tables whose costs do not compare. Give the sweep "
            'calibration=, or choose cost="power".'
        )
    shares = {run.priced: run.table for run in runs}
    if cost == "energy" and len(shares) > 1:
        (one, first), (other, second), *_ = shares.items()
        raise TableError(
            f"pareto: the energies of {first!r} and {second!r} are of {100 * one:.1f} "
            f"and {100 * other:.1f} % of the products, so they do not compare. Sweep "
            'tables that all have a power, or choose cost="power".'
        )


def _column(runs: Sequence[Run], field: str) -> npt.NDArray[np.float64]:
    return np.array([getattr(run, field) for run in runs], np.float64)
