"""A process that is killed at any moment leaves a run that goes on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from blobs import build, equal, make_blobs

import axsim as ax
from axsim import TrainSettings
from axsim.zoo.checkpoint import load_weights, read_metadata

SETTINGS = TrainSettings(epochs=80, batch_size=5, lr=1e-3, optimizer="adamw",
                         flip=True, log_steps=4, save_steps=2)  # fmt: skip
SCRIPT = """
import sys, torch
import axsim as ax
from test_crash import SETTINGS, build, make_blobs
torch.set_num_threads(1)
net = build(dropout=0.2, norm=True)
test = make_blobs(30, seed=1)
ax.train(net, make_blobs(), SETTINGS, out=sys.argv[1], resume=True, validate=test)
"""


def kill_after(folder: Path, wait: float) -> None:
    """Runs, or goes on, until some time after the log grew; then SIGKILL."""
    before = length(folder)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    try:
        for _ in range(6000):
            if length(folder) > before + 1000 or child.poll() is not None:
                break
            time.sleep(0.01)
        time.sleep(wait)
    finally:
        child.kill()
    assert child.wait() == -9, "the run was over, or failed, before it was killed"


def length(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.stat().st_size if log.exists() else 0


def told(folder: Path) -> list[dict[str, object]]:
    rows = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    kept = [row for row in rows if row["event"] in ("step", "epoch")]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in kept]


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected, found = (build(dropout=0.2, norm=True) for _ in range(2))
    data, test = make_blobs(), make_blobs(30, seed=1)
    ax.train(expected, data, SETTINGS, out=whole, validate=test)
    moments = random.Random()
    for _ in range(2):
        kill_after(killed, wait=moments.uniform(0, 0.3))
    ax.train(found, data, SETTINGS, out=killed, resume=True, validate=test)
    assert equal(expected, found)
    assert told(killed) == told(whole)
    assert sorted(file.name for file in killed.iterdir()) == [
        "best.safetensors", "last.safetensors", "log.jsonl", "state.safetensors",
    ]  # fmt: skip
    for name in ("last.safetensors", "best.safetensors"):
        assert read_metadata(killed / name) == read_metadata(whole / name)
        weights = (load_weights(build(norm=True), f / name) for f in (killed, whole))
        assert equal(*weights)


def test_a_log_that_ran_ahead_of_the_state_is_cut_back(tmp_path: Path) -> None:
    """As if the process had died between the two writes."""
    settings = TrainSettings(epochs=2, batch_size=9)
    ax.train(build(), make_blobs(), settings, out=tmp_path)
    log = told(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "epoch", "epo')
    ax.train(build(), make_blobs(), settings, out=tmp_path, resume=True)
    assert told(tmp_path) == log
    assert (tmp_path / "log.jsonl").read_text().count("resume") == 1
