"""The integer contract on a real device, and what only a device can show."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from cases import CONVS, MATMULS, Case, ConvCase, MatmulCase, random_cases
from running import can_serve, factors, run, small_cases

from axsim.cuda import expand, gather, launch, packed
from axsim.cuda.conv import lut_conv
from axsim.cuda.devices import why_no_device
from axsim.cuda.driver import checked, driver, multiprocessors, shared_memory
from axsim.cuda.matmul import lut_matmul
from axsim.cuda.paths import PATHS
from axsim.cuda.quantise import quantise
from axsim.errors import BackendError
from axsim.kernels import reference

MISSING = why_no_device(torch.device("cuda:0"))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
]

LUT_PATHS = ["packed", "gather", "depthwise"]
CONV = ConvCase((5, 24, 9, 11), (40, 12, 3, 3), {"padding": 1, "groups": 2})
MATMUL = MatmulCase(700, 130, 90, "random_s16")


def check(case: Case, path: str, device: str = "cuda:0") -> None:
    found, expected = run(case, path, device), case.expected()
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", [*MATMULS, *CONVS, CONV, MATMUL], ids=str)
def test_corners_equal_the_reference(case: Case, path: str) -> None:
    if not can_serve(case, path):
        pytest.skip(f"{path} does not serve this table or these sums, and says why")
    check(case, path)


@pytest.mark.parametrize("path", PATHS)
def test_random_cases_equal_the_reference(path: str) -> None:
    served = [case for case in random_cases(700, seed=5) if can_serve(case, path)]
    assert len(served) >= 150
    for case in served[:400]:
        check(case, path)


@pytest.mark.parametrize("path", LUT_PATHS)
@pytest.mark.parametrize("case", [CONV, MATMUL], ids=["conv", "matmul"])
def test_sums_of_64_bits(path: str, case: Case) -> None:
    found = run(case, path, "cuda:0", wide=True)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, case.expected())


@pytest.mark.parametrize("rows", [8, 4, 2, 1])
@pytest.mark.parametrize("part", [7, 10_000])
def test_packed_in_every_tile(
    rows: int, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(length: int, width: int, terms: int, *_: int) -> tuple[int, int]:
        return rows, min(part, terms)

    monkeypatch.setattr(packed, "plan", plan)
    check(CONV, "packed")
    check(MATMUL, "packed")


def test_gather_uses_more_shared_memory_than_a_kernel_gets_unasked() -> None:
    if shared_memory(torch.device("cuda:0")) < gather.SHARED_BYTES + 8192:
        pytest.skip("this device has too little shared memory for a whole table")
    chosen = gather.kernel(8, signed=True, wide=False)
    assert chosen.shared > launch.STATIC_LIMIT
    check(MATMUL, "gather")
    loaded = launch.load(chosen, 0)
    cuda = driver()
    attribute = cuda.CUfunction_attribute
    limit = attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    device = checked(cuda.cuDeviceGet(0), "the device")
    kernel = cuda.CUkernel(loaded.function)
    allowed = checked(cuda.cuKernelGetAttribute(limit, kernel, device), "the kernel")
    assert allowed >= chosen.shared


def test_gather_from_global_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "shared_memory", lambda _: 64 * 1024)
    check(CONV, "gather")
    check(MATMUL, "gather")


def on_device(case: MatmulCase, device: str = "cuda:0") -> list[torch.Tensor]:
    arrays = (*case.operands(), case.mul.table)
    return [torch.from_numpy(array.copy()).to(device) for array in arrays]


@pytest.mark.parametrize("path", LUT_PATHS)
def test_work_follows_the_current_stream(path: str) -> None:
    a, b, table = on_device(MATMUL)
    blank = torch.zeros_like(a)
    lut_matmul(blank, b, table, path=path)
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        # The copy waits behind a long sleep; a kernel on another stream would not.
        torch.cuda._sleep(200_000_000)  # pyright: ignore[reportPrivateUsage]
        blank.copy_(a)
        sums = lut_matmul(blank, b, table, path=path)
    side.synchronize()
    np.testing.assert_array_equal(sums.cpu().numpy(), MATMUL.expected())


@pytest.mark.parametrize("path", PATHS)
def test_a_graph_replays_with_new_codes(path: str) -> None:
    case = MatmulCase(300, 77, 50, "rank_4_s8")
    how: dict[str, Any] = {"path": path}
    if path == "factored":
        how["factors"] = factors(case)
    a, b, table = on_device(case)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            lut_matmul(a, b, table, **how)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        sums = lut_matmul(a, b, table, **how)
    for seed in range(3):
        codes = np.random.default_rng(seed).integers(0, 256, a.shape, dtype=np.uint8)
        a.copy_(torch.from_numpy(codes))
        graph.replay()
        expected = reference.lut_matmul(codes, case.operands()[1], case.mul)
        np.testing.assert_array_equal(sums.cpu().numpy(), expected)


def test_a_graph_of_a_convolution_replays() -> None:
    first, second = (torch.from_numpy(o.copy()).cuda() for o in CONV.operands())
    table = torch.from_numpy(CONV.mul.table.copy()).cuda()
    how: dict[str, Any] = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    lut_conv(first, second, table, groups=2, **how)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        sums = lut_conv(first, second, table, groups=2, **how)
    sums.zero_()
    graph.replay()
    np.testing.assert_array_equal(sums.cpu().numpy(), CONV.expected())


def test_first_use_inside_a_capture_is_refused_in_words() -> None:
    a, b, table = on_device(MatmulCase(9, 5, 3))
    graph = torch.cuda.CUDAGraph()
    with pytest.raises(BackendError, match="first time while a CUDA graph is captured"):
        with torch.cuda.graph(graph):
            a.clone()  # an empty graph would warn
            lut_matmul(a, b, table)


def test_a_thread_that_torch_has_not_served_yet() -> None:
    a, b, table = on_device(MATMUL)
    found: list[torch.Tensor] = []
    thread = threading.Thread(target=lambda: found.append(lut_matmul(a, b, table)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(found[0].cpu().numpy(), MATMUL.expected())


def test_several_threads_at_once() -> None:
    a, b, table = on_device(MATMUL)
    found: list[torch.Tensor] = []

    def work() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            found.extend(lut_matmul(a, b, table, path=path) for path in LUT_PATHS)
            torch.cuda.current_stream().synchronize()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 * len(LUT_PATHS)
    for sums in found:
        np.testing.assert_array_equal(sums.cpu().numpy(), MATMUL.expected())


@pytest.mark.parametrize("path", PATHS)
def test_each_of_several_devices(path: str) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices; this machine has one")
    case = MatmulCase(300, 77, 50, "rank_4_s8")
    for index in range(torch.cuda.device_count()):
        # The current device stays the first one.
        check(case, path, f"cuda:{index}")


def test_operands_on_the_cpu_or_apart_are_turned_away() -> None:
    a, b, table = on_device(MATMUL)
    with pytest.raises(BackendError, match="b is on 'cpu'"):
        lut_matmul(a, b.cpu(), table)
    with pytest.raises(BackendError, match="table is on 'cpu'"):
        lut_matmul(a, b, table.cpu())


@pytest.mark.parametrize("transposed", [False, True])
def test_codes_of_real_numbers_equal_those_of_the_cpu(transposed: bool) -> None:
    x = torch.randn(1000, 1003) * 40
    inverse, zero = torch.tensor([1 / 0.37]), torch.tensor([11], dtype=torch.int32)
    expected = torch.clamp(torch.round(x * inverse) + zero, 0, 255).to(torch.uint8)
    codes = quantise(
        x.cuda(), inverse.cuda(), zero.cuda(), 0, 255, transposed=transposed
    )
    assert torch.equal(codes.cpu(), expected)


def test_no_call_waits_for_the_device_once_warm() -> None:
    a, b, table = on_device(MatmulCase(300, 77, 50, "rank_4_s8"))
    both = factors(MatmulCase(300, 77, 50, "rank_4_s8"))
    for path in PATHS:
        lut_matmul(a, b, table, path=path, factors=both)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for path in PATHS:
            lut_matmul(a, b, table, path=path, factors=both)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_extra_memory_of_factored_is_bounded() -> None:
    case = MatmulCase(4096, 2304, 64, "rank_9_u8")
    a, b, table = on_device(case)
    both = factors(case)
    lut_matmul(a, b, table, path="factored", factors=both)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    sums = lut_matmul(a, b, table, path="factored", factors=both)
    extra = torch.cuda.max_memory_allocated() - before - sums.nbytes
    assert extra <= 64 << 20
    np.testing.assert_array_equal(sums[:9].cpu().numpy(), expected_rows(case, 9))


def expected_rows(case: MatmulCase, rows: int) -> np.ndarray[Any, Any]:
    a, b = case.operands()
    return reference.lut_matmul(a[:rows], b, case.mul)


@pytest.mark.parametrize("path", ["packed", "factored"])
def test_a_large_product(path: str) -> None:
    case = MatmulCase(4096, 4096, 4096, "exact_u8")
    a, b, table = on_device(case)
    sums = lut_matmul(a, b, table, path=path, factors=factors(case))
    np.testing.assert_array_equal(sums[:3].cpu().numpy(), expected_rows(case, 3))
    exact = a[-40:].double() @ b.double().T
    assert torch.equal(sums[-40:].double(), exact)


def test_the_device_is_described() -> None:
    assert multiprocessors(torch.device("cuda:0")) >= 1
    assert expand.SIDE == 32
    assert len(list(small_cases("packed", 5, 500, 0))) == 5
