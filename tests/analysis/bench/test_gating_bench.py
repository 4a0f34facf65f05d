"""The benchmark of closed tiles: a ratio for every layer, split, path and share."""

from __future__ import annotations

import json

import pytest

from axsim import kernels
from axsim.analysis.bench.gating import CLOSED, PATHS, SPLITS, run
from axsim.analysis.bench.layers import Layer
from axsim.errors import BackendError


def test_every_path_is_measured_at_every_share() -> None:
    layer = Layer("toy", "16, 4x4", 1, 16, 16, 4, 3, padding=1)
    bench = run(layers=(layer,), repeats=1)
    present = [path for path in PATHS if path in kernels.paths("cpu")]
    assert len(bench.timings) == len(SPLITS) * len(present)
    for timing in bench.timings:
        assert tuple(timing.gated) == CLOSED
        assert min(timing.ungated, *timing.gated.values()) > 0
    head, _, *rows = str(bench).splitlines()
    assert head.split()[-2:] == ["100", "%"]
    assert len([row for row in rows if row.startswith("toy")]) == len(bench.timings)
    assert json.loads(json.dumps(bench.to_dict()))["threads"] == 1


def test_a_gpu_has_nothing_to_skip() -> None:
    with pytest.raises(BackendError, match="only the CPU path skips closed tiles"):
        run("cuda")
