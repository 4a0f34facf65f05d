"""Every format gives back what was written, and whatever else it meets a TableError."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import Table, as_header, as_pairs, as_rows, load_content, random_table

from axsim import AxsimWarning, Multiplier, TableError
from axsim.tables.files import load_multiplier

WIDTH = st.integers(1, 8)
SIGNS = st.tuples(st.booleans(), st.booleans())
RANGES = st.sampled_from([(0, 255), (0, 65535), (-32768, 32767), (-(2**31), 2**31 - 1)])

# The readers are given noise, and recognition says that this is no table of products.
pytestmark = pytest.mark.filterwarnings("ignore:.* is probably not what it was read")


@st.composite
def multipliers(draw: st.DrawFn) -> Multiplier:
    """Random tables of all widths, signs and ranges."""
    bits = (draw(WIDTH), draw(WIDTH))
    low, high = draw(RANGES)
    table = random_table(bits, low, high, draw(st.integers(0, 2**32 - 1)))
    return Multiplier(table, draw(SIGNS))


def as_npz(table: Table) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, table)
    return stream.getvalue()


def as_flat_header(table: Table) -> str:
    return f"int x[] = {{{', '.join(hex(each) for each in table.ravel().tolist())}}};"


WRITERS: list[tuple[str, Callable[[Multiplier], str | bytes]]] = [
    ("x.txt", lambda mul: as_rows(mul.table, "\t")),
    ("x.txt", lambda mul: as_pairs(mul.table, mul.signed)),
    ("x.h", lambda mul: as_header(mul.table, "int x[][]")),
    ("x.h", lambda mul: as_flat_header(mul.table)),
    ("x.npz", lambda mul: as_npz(mul.table)),
]


@pytest.mark.parametrize(("name", "write"), WRITERS)
@settings(max_examples=25, deadline=None)
@given(mul=multipliers())
def test_read_formats_round_trip(
    name: str, write: Callable[[Multiplier], str | bytes], mul: Multiplier
) -> None:
    content = write(mul)
    assert load_content(content, name, signed=mul.signed, bits=mul.bits) == mul


@pytest.mark.parametrize("suffix", [".bin", ".npy"])
@settings(max_examples=50, deadline=None)
@given(mul=multipliers())
def test_written_formats_round_trip(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, mul: Multiplier
) -> None:
    width = f"{mul.bits[0]}x{mul.bits[1]}"
    uniform = mul.signed[0] == mul.signed[1]
    stem = f"mul{width}{'s' if mul.signed[0] else 'u'}_x" if uniform else "x"
    path = tmp_path_factory.mktemp("round") / f"{stem}{suffix}"
    if not uniform and suffix == ".bin" and sum(mul.bits) == 15 and _is_wide(mul):
        with pytest.raises(TableError, match="as an 8x8 table has"):
            mul.save(path)
        return
    mul.save(path)
    stated: dict[str, Any] = {} if uniform else {"signed": mul.signed, "bits": mul.bits}
    assert load_multiplier(path, **stated) == mul
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def _is_wide(mul: Multiplier) -> bool:
    low, high = (-32768, 32767) if any(mul.signed) else (0, 65535)
    return bool(mul.table.min() < low or mul.table.max() > high)


VALID: dict[str, bytes] = {
    ".bin": random_table((3, 3)).astype("<u2").tobytes(),
    ".h": as_header(random_table((3, 3))).encode(),
    ".txt": as_rows(random_table((3, 3))).encode(),
    ".pairs.txt": as_pairs(random_table((3, 3))).encode(),
    ".npz": as_npz(random_table((3, 3))),
    ".c": b"int f(int a, int b) { return a * b; }",
}
buffer = io.BytesIO()
np.save(buffer, random_table((3, 3)))
VALID[".npy"] = buffer.getvalue()


@st.composite
def mutations(draw: st.DrawFn, valid: bytes) -> bytes:
    """A valid file with pieces cut out, doubled or overwritten."""
    content = valid
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = draw(st.integers(start, min(len(content), start + 40)))
        piece = draw(st.binary(max_size=8) | st.just(content[start:stop] * 2))
        content = content[:start] + piece + content[stop:]
    return content


@pytest.fixture(scope="module", autouse=True)
def no_compiler() -> Any:
    """A compiler that refuses everything: random C is not to be run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", "false")
        yield


def load_anything(content: bytes, suffix: str, signed: bool) -> None:
    """Loads, or raises a TableError that names the file; anything else escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", AxsimWarning)
        try:
            load_content(
                content, f"x{suffix}", signed=signed, bits=(3, 3), allow_compile=True
            )
        except TableError as problem:
            assert f"x{suffix}" in str(problem)


@pytest.mark.parametrize("suffix", VALID)
@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=600), signed=st.booleans())
def test_random_bytes_raise_table_errors_only(
    suffix: str, content: bytes, signed: bool
) -> None:
    load_anything(content, suffix, signed)


@pytest.mark.parametrize("suffix", VALID)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), signed=st.booleans())
def test_mutated_files_raise_table_errors_only(
    suffix: str, data: st.DataObject, signed: bool
) -> None:
    load_anything(data.draw(mutations(VALID[suffix])), suffix, signed)


MEGABYTE = 1 << 20
#: Pieces that, repeated, make careless parsers step back again and again.
PIECES = [b"[", b"/*", b"{", b"= {", b"a ", b"a[0]", b"(", b"f(int a, int b) ", b"11",
          b",", b"'shape': (", b"\n", b"1\n", b"nan ", b"-", b"//", b"}", b"0x",
          b"PK\1\2", b"a[1]={1};"]  # fmt: skip


@pytest.mark.parametrize("suffix", VALID)
@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_a_megabyte_of_anything_ends(suffix: str, piece: bytes) -> None:
    head = {".npy": b"\x93NUMPY\x02\x00\xff\xff\x0f\x00", ".npz": b"PK\3\4"}
    content = (head.get(suffix, b"") + piece * MEGABYTE)[:MEGABYTE]
    load_anything(content, suffix, signed=False)


def test_every_format_is_fuzzed() -> None:
    folder = Path(__file__).parents[3] / "axsim" / "tables" / "readers"
    readers = {f".{path.stem}" for path in folder.glob("[a-z]*.py")}
    assert readers <= set(VALID)
