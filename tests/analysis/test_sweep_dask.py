"""A sweep on a real Dask cluster of two processes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import axsim as ax
from tests.analysis.sweeping import figures, sweep, tables

distributed: Any = pytest.importorskip("distributed")


def test_a_cluster_gives_the_same_rows(tmp_path: Path) -> None:
    out = tmp_path / "runs.jsonl"
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        found = sweep(tables(), executor=client.get_executor(), out=out)
    here = sweep(tables())
    assert [*map(figures, found)] == [*map(figures, here)]
    assert len(ax.Runs.read(out)) == len(here)
