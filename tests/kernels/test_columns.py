"""The plain path for narrow codes keeps to its own memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Each array has pages of its own, and what lies behind them is mostly not there.
SCRIPT = """
import threading
import torch
from axsim import Multiplier, kernels
from axsim.kernels.layout import free_working_space, working_space

mul = Multiplier.from_function(lambda a, b: a * b, signed=False)

def convolve(size, outputs):
    x = torch.zeros(1, 3, size, size, dtype=torch.uint8)
    x[0, 0, 0] = 15
    w = torch.zeros(outputs, 3, 4, 4, dtype=torch.uint8)
    for _ in range(3):
        # What earlier calls have left: codes that this one's tables do not have.
        with working_space(1 << 20) as (space,):
            space[:] = 255
        sums = kernels.lut_conv2d(x, w, mul, backend="gather")
        assert not sums.any()

for size in range(4, 21):
    for outputs in range(8, 65, 4):
        thread = threading.Thread(target=convolve, args=(size, outputs))
        thread.start()
        thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc's allocator")
def test_codes_left_by_earlier_calls_read_nothing_behind_the_tables() -> None:
    settings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "4096"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=settings, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
