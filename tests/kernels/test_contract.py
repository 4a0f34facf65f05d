"""Every path against the reference, bit for bit, over one table of cases."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cases import CONVS, MATMULS, Case, MatmulCase, random_cases

from axsim.errors import BackendError
from axsim.kernels import cpu, ops

CONVS_BY_DIMENSIONS = {3: ops.lut_conv1d, 4: ops.lut_conv2d, 5: ops.lut_conv3d}
RANDOM_CASES = 2000


def run(case: Case, backend: str, device: str = "cpu") -> npt.NDArray[Any]:
    # torch takes no NumPy view whose strides are 0 or read-only; expand gives the same.
    first, second = (torch_view(codes).to(device) for codes in case.operands())
    if isinstance(case, MatmulCase):
        return ops.lut_matmul(first, second, case.mul, backend).cpu().numpy()
    conv = CONVS_BY_DIMENSIONS[first.dim()]
    return conv(first, second, case.mul, **case.settings, backend=backend).cpu().numpy()


def torch_view(codes: npt.NDArray[np.uint8]) -> torch.Tensor:
    if codes.strides[0] == 0 and len(codes) > 1:
        return torch.from_numpy(codes[:1].copy()).expand(codes.shape)
    return torch.from_numpy(codes)


def check(case: Case, backend: str) -> bool:
    """Whether the path served; equality is asserted where it did."""
    try:
        found = run(case, backend)
    except BackendError as refusal:
        assert "cannot serve" in str(refusal)
        return False
    expected = case.expected()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected, err_msg=str(case))
    return True


@pytest.mark.parametrize("backend", cpu.PATHS)
@pytest.mark.parametrize("case", [*MATMULS, *CONVS], ids=str)
def test_corners(case: Case, backend: str) -> None:
    if not check(case, backend):
        pytest.skip(f"{backend} cannot serve {case.table}")


@pytest.mark.parametrize("backend", cpu.PATHS)
@pytest.mark.parametrize("block", range(8))
def test_random_cases(backend: str, block: int) -> None:
    cases = islice(random_cases(RANDOM_CASES, seed=1), block, None, 8)
    assert sum(check(case, backend) for case in cases) > RANDOM_CASES // 8 // 3


@pytest.mark.usefixtures("plain_cpu")
@pytest.mark.parametrize("case", [*MATMULS, *CONVS], ids=str)
def test_corners_on_a_plain_cpu(case: Case) -> None:
    """Where `factored` multiplies floats."""
    if not check(case, "factored"):
        pytest.skip(f"factored cannot serve {case.table}")


@pytest.mark.usefixtures("plain_cpu")
@pytest.mark.parametrize("block", range(8))
def test_random_cases_on_a_plain_cpu(block: int) -> None:
    cases = islice(random_cases(RANDOM_CASES, seed=1), block, None, 8)
    assert sum(check(case, "factored") for case in cases) > RANDOM_CASES // 8 // 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
@pytest.mark.parametrize("backend", ["packed", "gather", "depthwise", "factored"])
def test_random_cases_on_a_gpu(backend: str) -> None:
    served = 0
    for case in [*MATMULS, *CONVS, *random_cases(200, seed=2)]:
        try:
            found = run(case, backend, "cuda")
        except BackendError:
            continue
        served += 1
        np.testing.assert_array_equal(found, case.expected(), err_msg=str(case))
    assert served > 50
