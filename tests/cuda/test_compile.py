"""Every kernel compiles for four architectures, without spills, without a GPU."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from axsim.cuda import (
    cache,
    compile,
    depthwise,
    expand,
    gather,
    mask,
    pack,
    packed,
    quantise,
)
from axsim.cuda.kernel import Kernel
from axsim.errors import BackendError

ARCHITECTURES = [(7, 5), (8, 0), (9, 0), (10, 0)]
KERNELS = [
    packed.kernel(8, signed=False, wide=False),
    packed.kernel(8, signed=True, wide=False),
    packed.kernel(4, signed=False, wide=True),
    packed.kernel(1, signed=False, wide=False),
    gather.kernel(8, signed=False, wide=False),
    gather.kernel(8, signed=None, wide=True),
    depthwise.kernel(4, signed=False, wide=False),
    expand.spread_kernel(5),
    expand.collect_kernel(),
    quantise.kernel(transposed=False),
    quantise.kernel(transposed=True),
    pack.encode_kernel("float32"),
    pack.decode_kernel("float32"),
    pack.measure_kernel("float32"),
    mask.encode_kernel("float32"),
    mask.decode_kernel("float32"),
]
SMALL = KERNELS[3]
VARIANTS = [
    *(packed.kernel(rows, signed=True, wide=True) for rows in (4, 2)),
    packed.kernel(4, signed=False, wide=False),
    *(gather.kernel(4, signed, wide=False) for signed in (True, None)),
    gather.kernel(8, signed=True, wide=True),
    depthwise.kernel(1, signed=True, wide=True),
    expand.spread_kernel(16),
    *(
        make(kind)
        for make in (
            pack.encode_kernel,
            pack.decode_kernel,
            mask.encode_kernel,
            mask.decode_kernel,
        )
        for kind in ("uint16", "int16", "uint8")
    ),
]


def named(value: object) -> str:
    if isinstance(value, Kernel):
        return "-".join(map(str, (value.name, *value.constants)))
    return str(value)


@pytest.mark.parametrize(
    ("kernel", "capability"),
    [*product(KERNELS, ARCHITECTURES), *product(VARIANTS, [(9, 0)])],
    ids=named,
)
def test_kernels_compile_without_spills(
    kernel: Kernel, capability: tuple[int, int]
) -> None:
    text = compile.ptx(kernel, capability)
    made = compile.assemble(text, capability)
    used = made.resources
    assert (used.spilled, used.stack) == (0, 0)
    assert used.registers * kernel.threads * kernel.blocks <= 65536
    assert used.shared + kernel.shared <= 227 * 1024
    head = text[text.index(".entry") : text.index(".maxntid")]
    assert head.count(".param") == len(kernel.arguments)  # pointers, not structures
    assert made.entry.encode() in made.code


@pytest.mark.parametrize(("signed", "kind"), [(False, "u32"), (True, "s32")])
def test_packed_adds_with_one_instruction_a_product(signed: bool, kind: str) -> None:
    text = compile.ptx(packed.kernel(8, signed, wide=False), (9, 0))
    assert text.count(f"dp2a.lo.{kind}.u32") == 64  # 8 rows by 8 outputs
    assert text.count("ld.shared.v4.u32") == 8  # one for each row
    assert re.findall(r"ld\.local|st\.local", text) == []


def test_gather_reads_one_entry_a_product_and_four_rows_at_once() -> None:
    text = compile.ptx(gather.kernel(8, signed=False, wide=False), (9, 0))
    assert text.count("ld.shared.u16") % 8 == 0
    assert text.count("ld.shared.u16") == 4 * text.count("ld.shared.v4.u32") > 0


@pytest.mark.parametrize(
    "kernel",
    [
        quantise.kernel(transposed=False),
        pack.encode_kernel("float32"),
        pack.decode_kernel("float32"),
    ],
    ids=named,
)
def test_quantisation_fuses_no_product_with_a_sum(kernel: Kernel) -> None:
    text = compile.ptx(kernel, (9, 0))
    assert "mul.rn.f32" in text
    assert re.findall(r"fma\.|\.approx|\.ftz|div\.full", text) == []


def test_devices_older_than_turing_are_turned_away() -> None:
    with pytest.raises(
        BackendError, match=r"compute capability 7\.0; .* at least 7\.5"
    ):
        compile.ptx(KERNELS[0], (7, 0))


@pytest.mark.parametrize("package", ["numba-cuda", "cuda-core"])
def test_a_missing_package_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        compile, "_version", lambda name: None if name == package else "1"
    )
    with pytest.raises(BackendError, match=f"needs {package}. Install axsim\\[cuda\\]"):
        compile.ptx(KERNELS[0], (9, 0))


def test_a_missing_compiler_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import cuda
    from numba.cuda.cudadrv.error import NvvmSupportError

    def missing(*_: object, **__: object) -> None:
        raise NvvmSupportError("libNVVM is not available")

    monkeypatch.setattr(cuda, "compile", missing)
    with pytest.raises(BackendError, match=r"libNVVM is not available.*CUDA_HOME"):
        compile.ptx(KERNELS[0], (9, 0))


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder()


def test_a_second_process_finds_the_cubin(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = SMALL
    made = compile.binary(kernel, (9, 0))
    monkeypatch.setattr(compile, "ptx", lambda *_: pytest.fail("compiled again"))
    assert compile.binary(kernel, (9, 0)) == made
    assert len(list(cache_folder.iterdir())) == 1


def test_a_damaged_cubin_is_made_again(cache_folder: Path) -> None:
    kernel = SMALL
    compile.binary(kernel, (9, 0))
    (stored,) = cache_folder.iterdir()
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    assert cache.read(stored.name) is None
    made = compile.binary(kernel, (9, 0))
    assert cache.read(stored.name) == made.to_bytes()


def test_a_folder_that_cannot_be_written_costs_only_time(
    cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_folder.parent.mkdir(parents=True)
    cache_folder.write_text("a file where the folder should be")
    assert not cache.write("key", b"body")
    assert cache.read("key") is None
    assert compile.binary(SMALL, (9, 0)).code


def test_the_key_follows_everything_a_cubin_is_made_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = {compile.cache_key(kernel, cc) for kernel in KERNELS for cc in ARCHITECTURES}
    assert len(keys) == len(KERNELS) * len(ARCHITECTURES)
    with monkeypatch.context() as patched:
        patched.setattr(compile, "_versions", lambda: ("another numba-cuda",))
        assert compile.cache_key(KERNELS[0], (9, 0)) not in keys
    monkeypatch.setattr(compile, "_source", lambda: b"another kernel")
    assert compile.cache_key(KERNELS[0], (9, 0)) not in keys
