"""Compiled code of an earlier process is taken over without Numba's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

CALL = """
import sys
import numba
import numpy as np
import torch
from axsim.kernels import ops
from axsim.tables.files import load_multiplier

mul = load_multiplier("mul8u_trunc_6")
x = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
w = x[:, :, :3, :3].contiguous()
found = ops.lut_conv2d(x, w, mul, backend="gather")
loaded = "numba.np.arraymath" in sys.modules
"""
AFTERWARDS = """
@numba.njit(nogil=True)
def double(values):
    return np.dot(values, values) + values.sum()

@numba.njit
def halve(values):
    return [v / 2 for v in values][-1]

assert double(np.arange(4.0)) == 20
assert halve(np.arange(4)) == 1.5
again = ops.lut_conv2d(x, w, mul, backend="gather")
assert torch.equal(again, found)
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def first_process() -> str:
    return run(CALL + "print(found.sum().item())")


def test_a_second_process_starts_without_the_compiler(first_process: str) -> None:
    assert run(CALL + "print(found.sum().item(), loaded)") == f"{first_process} False"


def test_what_is_not_there_is_compiled_afterwards(first_process: str) -> None:
    pytest.importorskip("scipy")
    assert run(CALL + AFTERWARDS + "print(found.sum().item())") == first_process


def test_another_signature_is_compiled_beside_loaded_code(first_process: str) -> None:
    other = """
from axsim.kernels.layout import unite
assert unite(np.array([3, 4], np.uint16)) == 7
"""
    assert run(CALL + other + "print(found.sum().item())") == first_process
