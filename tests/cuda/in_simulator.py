"""What `test_simulator.py` runs in a process where Numba simulates the GPU."""

from __future__ import annotations

import numpy as np
import pytest
from cases import Case
from running import run, small_cases

from axsim.cuda.paths import why_not
from axsim.cuda.table import DeviceTable

CASES = [
    *(("packed", case) for case in small_cases(900, 60, seed=1)),
]


@pytest.mark.parametrize(("path", "case"), CASES, ids=str)
def test_a_path_equals_the_reference(path: str, case: Case) -> None:
    found, expected = run(case, path), case.expected()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
