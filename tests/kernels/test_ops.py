"""The operators as torch sees them, their refusals, and callers side by side."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from cases import MatmulCase, tables

from axsim.errors import BackendError, OperandError
from axsim.kernels import cpu, ops, reference
from axsim.kernels.table import table_behind, tensor_of

MUL = tables()["random_s16"]
CPU = torch.device("cpu")


def codes(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def test_conv_passes_opcheck() -> None:
    arguments = (codes(2, 4, 6, 6), codes(4, 2, 3, 3), tensor_of(MUL, CPU), 3)
    settings = ([1, 2], [1, 0], [1, 1], 2, None, False, "auto")
    torch.library.opcheck(torch.ops.axsim.lut_conv.default, (*arguments, *settings))


def test_matmul_passes_opcheck() -> None:
    arguments = (codes(5, 7), codes(3, 7), tensor_of(MUL, CPU), 3, True, "gather")
    torch.library.opcheck(torch.ops.axsim.lut_matmul.default, arguments)


class Layer(torch.nn.Module):
    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        sums = ops.lut_conv2d(x, w, MUL, padding=1)
        return ops.lut_matmul(x.flatten(1), x.flatten(1), MUL).sum() + sums * 2


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_without_a_graph_break(dynamic: bool) -> None:
    x, w = codes(3, 4, 6, 6), codes(5, 4, 3, 3)
    compiled = torch.compile(
        Layer(), fullgraph=True, dynamic=dynamic, backend="aot_eager"
    )
    assert torch.equal(compiled(x, w), Layer()(x, w))
    assert torch.equal(compiled(x[:2], w), Layer()(x[:2], w))


def test_exports_and_runs() -> None:
    x, w = codes(3, 4, 6, 6), codes(5, 4, 3, 3)
    program = torch.export.export(Layer(), (x, w)).module()
    assert torch.equal(program(x, w), Layer()(x, w))


def test_table_is_found_again_by_content_and_after_a_change() -> None:
    copy = tensor_of(MUL, CPU).clone()
    assert table_behind(copy, 3).mul == MUL
    assert table_behind(copy, 3) is table_behind(copy.clone(), 3)
    copy[0, 0] += 1
    assert table_behind(copy, 3).mul.table[0, 0] == MUL.table[0, 0] + 1


IMAGE, KERNEL = codes(2, 4, 5, 5), codes(6, 4, 3, 3)
REFUSALS: list[tuple[Any, Any, dict[str, Any], str]] = [
    (IMAGE.char(), KERNEL, {}, r"x has dtype torch.int8; raw codes are torch.uint8"),
    (IMAGE, KERNEL.float(), {}, r"w has dtype torch.float32"),
    (
        IMAGE,
        KERNEL.to("meta"),
        {},
        "x is on cpu and w on meta; move them to one device",
    ),
    (IMAGE.numpy(), KERNEL, {}, r"x is a ndarray; give a uint8 tensor, such as torch"),
    (IMAGE, KERNEL, {"mul": "mul8u_exact"}, r"mul is 'mul8u_exact'; give a multiplier"),
    (IMAGE[0], KERNEL, {}, r"lut_conv2d needs 4 dimensions"),
    (IMAGE, KERNEL, {"groups": 3}, "groups=3 must divide both the 4 channels"),
    (IMAGE, KERNEL, {"pad_code": 256}, "pad_code=256; it must be an activation code"),
    (IMAGE[:, :0], KERNEL[:, :0], {}, "sum of no products"),
    (
        IMAGE,
        KERNEL,
        {"mul": tables()["random_u4u8"]},
        "x holds code 25., but the table",
    ),
    (
        IMAGE,
        KERNEL,
        {"mul": tables()["random_u8u4"]},
        "w holds code 25., but the table",
    ),
]


@pytest.mark.parametrize(("x", "w", "settings", "message"), REFUSALS)
def test_bad_operands_are_refused(
    x: torch.Tensor, w: torch.Tensor, settings: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"mul": MUL, **settings}
    with pytest.raises(OperandError, match=message):
        ops.lut_conv2d(x, w, **given)


def test_codes_beyond_a_narrow_table_are_named_by_operand() -> None:
    with pytest.raises(OperandError, match=r"b holds code 2.., but the table has 16"):
        ops.lut_matmul(codes(3, 90), codes(3, 90), tables()["random_u8u4"])


def test_unknown_path_lists_the_known_ones() -> None:
    with pytest.raises(BackendError, match=r"no path 'packed' on a CPU.*'gather'"):
        ops.lut_matmul(codes(2, 3), codes(2, 3), MUL, backend="packed")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_missing_gpu_is_named() -> None:
    with pytest.raises((BackendError, AssertionError, RuntimeError)):
        ops.lut_matmul(codes(2, 3).cuda(), codes(2, 3).cuda(), MUL)


def test_path_that_cannot_serve_says_why() -> None:
    why_not = cpu.PATHS["shuffle"][0]
    case = MatmulCase(2, 3, 2, "extreme")
    a, b = map(torch.from_numpy, case.operands())
    assert why_not(table_behind(tensor_of(case.mul, CPU), 3), None, False)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match=r"'shuffle' cannot serve: .* Use backend="):
        ops.lut_matmul(a, b, case.mul, backend="shuffle")


@pytest.fixture
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def product(seed: int) -> bool:
    a, b = codes(300, 40, seed=seed), codes(30, 40, seed=seed + 1)
    expected = reference.lut_matmul(a.numpy(), b.numpy(), MUL)
    return np.array_equal(ops.lut_matmul(a, b, MUL).numpy(), expected)


def test_several_threads_may_call(two_threads: None) -> None:
    with ThreadPoolExecutor(6) as callers:
        assert all(callers.map(product, range(24)))


def test_a_forked_child_may_call(two_threads: None) -> None:
    assert product(0)
    with multiprocessing.get_context("fork").Pool(2) as children:
        assert all(children.map(product, range(4)))


def test_result_does_not_depend_on_the_number_of_threads(two_threads: None) -> None:
    x, w = codes(5, 8, 17, 19), codes(12, 8, 3, 3)
    found = ops.lut_conv2d(x, w, MUL, padding=1)
    torch.set_num_threads(1)
    assert torch.equal(found, ops.lut_conv2d(x, w, MUL, padding=1))


def test_serves_from_a_folder_that_cannot_be_written() -> None:
    """Nowhere to keep compiled code: it is compiled in memory."""
    script = (
        "import os; os.environ['NUMBA_CACHE_DIR'] = '/proc/none'\n"
        "import torch\n"
        "from axsim.kernels.compiled import compiled\n"
        "print(compiled(lambda a: a + 1)(2))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "3"
