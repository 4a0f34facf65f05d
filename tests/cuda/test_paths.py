"""Who is turned away before anything is launched, and with what words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from axsim.cuda import compile
from axsim.cuda.conv import lut_conv
from axsim.cuda.devices import why_no_device
from axsim.cuda.matmul import lut_matmul
from axsim.cuda.paths import PATHS, choose, why_not
from axsim.cuda.quantise import quantise
from axsim.errors import BackendError, OperandError

CODES = torch.zeros(4, 4, dtype=torch.uint8)
TABLE = torch.zeros(256, 256, dtype=torch.int32)
WIDE = torch.tensor([[0, 1 << 20], [-1, 5]], dtype=torch.int32)


def test_tensors_on_the_cpu_reach_no_kernel() -> None:
    with pytest.raises(
        BackendError, match=r"a is on 'cpu'; CUDA kernels need .*\.cuda"
    ):
        lut_matmul(CODES, CODES, TABLE)
    image = CODES[None, None]
    with pytest.raises(BackendError, match="x is on 'cpu'"):
        lut_conv(image, image, TABLE, stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    with pytest.raises(BackendError, match="x is on 'cpu'"):
        quantise(torch.ones(3), torch.ones(1), torch.zeros(1, dtype=torch.int32), 0, 9)


def test_other_dtypes_and_tables_are_turned_away() -> None:
    with pytest.raises(OperandError, match=r"b has dtype torch\.int8; raw codes are"):
        lut_matmul(CODES, CODES.view(torch.int8), TABLE)
    with pytest.raises(OperandError, match=r"the table is torch\.int64\[256, 256\]"):
        lut_matmul(CODES, CODES, TABLE.long())
    with pytest.raises(OperandError, match=r"the table is torch\.int32\[512, 4\]"):
        lut_matmul(CODES, CODES, torch.zeros(512, 4, dtype=torch.int32))


@pytest.mark.parametrize("path", ["packed", "depthwise"])
def test_tables_wider_than_16_bits_are_sent_to_gather(path: str) -> None:
    assert why_not(path, TABLE, terms=9) is None
    reason = why_not(path, WIDE, terms=9)
    assert reason is not None
    assert "run from -1 to 1,048,576" in reason
    assert reason.endswith("Use 'gather'.")
    assert why_not("gather", WIDE, terms=9) is None


def test_a_path_that_is_none_is_named() -> None:
    reason = why_not("shuffle", TABLE, terms=1)
    assert reason is not None
    assert "no path 'shuffle'" in reason
    assert "packed, gather, depthwise, factored" in reason


def reason_of(
    left: torch.Tensor, right: torch.Tensor, terms: int = 9, **how: Any
) -> str | None:
    table = (left @ right.T).to(torch.int32)
    return why_not("factored", table, terms=terms, factors=(left, right), **how)


def test_factored_says_why_it_cannot_serve() -> None:
    codes = torch.arange(256)[:, None]
    assert reason_of(codes, codes) is None
    assert "needs factors=" in str(why_not("factored", TABLE, terms=1))
    wrong = why_not("factored", TABLE, terms=1, factors=(codes, codes))
    assert "is not the table" in str(wrong)
    assert "spans more than 256 values" in str(reason_of(codes * 2, codes))
    assert "as many small products; at most 8" in str(reason_of(codes, codes, groups=9))
    assert "could leave int32" in str(reason_of(codes, codes, wide=True))
    # Shifted by 128 both factors reach 128 in size, so 2^31 / 2^14 terms are too many.
    assert reason_of(codes, codes, terms=131_000) is None
    assert "131,073 terms of rank 1" in str(reason_of(codes, codes, terms=131_073))


@pytest.mark.parametrize(
    ("rows", "outputs", "path"),
    [(3136, 64, "packed"), (3136, 1, "depthwise"), (49, 512, "gather")],
)
def test_the_choice_follows_the_shape(rows: int, outputs: int, path: str) -> None:
    assert choose(TABLE, rows=rows, outputs=outputs, terms=9) == path
    assert choose(WIDE, rows=rows, outputs=outputs, terms=9) == "gather"


def test_factors_are_chosen_where_they_serve() -> None:
    codes = torch.arange(256)[:, None]
    table, both = (codes @ codes.T).to(torch.int32), (codes, codes)
    shape: dict[str, Any] = {"rows": 3136, "outputs": 64, "terms": 576}
    assert choose(table, **shape, factors=both) == "factored"
    assert choose(table, **shape, factors=both, wide=True) == "packed"
    shape["outputs"] = 8
    assert choose(table, **shape, factors=both) == "packed"


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_package_is_the_first_reason(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile, "_version", lambda _: None)
    reason = why_not(path, TABLE, terms=9)
    assert reason is not None
    assert reason.startswith('device "cuda" needs numba-cuda. Install axsim[cuda]')


def test_a_device_says_why_it_cannot_run_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = torch.device("cuda:0")
    assert "this one is 'cpu'" in str(why_no_device(torch.device("cpu")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "torch sees no CUDA device" in str(why_no_device(gpu))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    assert "compute capability 7.0" in str(why_no_device(gpu))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert why_no_device(gpu) is None


def test_importing_the_room_loads_neither_numba_nor_torch() -> None:
    code = "import sys, axsim.cuda; print({'numba', 'torch', 'cuda'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
