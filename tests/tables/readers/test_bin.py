from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import as_rows, load_content, random_table

from axsim import TableError
from axsim.tables.files import load_multiplier

# The readers are given noise, and recognition says that this is no table of products.
pytestmark = pytest.mark.filterwarnings("ignore:.* is probably not what it was read")


def test_reads_uint16_row_by_row_first_operand_first() -> None:
    content = bytearray(131072)
    content[2 * (3 * 256 + 5) : 2 * (3 * 256 + 5) + 2] = b"\x34\x92"
    table = load_content(bytes(content), "mul8u_x.bin").table
    assert table[3, 5] == 0x9234
    assert np.count_nonzero(table) == 1


def test_signed_16_bit_entries_are_int16() -> None:
    content = b"\xfe\xff" + bytes(131070)
    assert load_content(content, "mul8s_x.bin").table[0, 0] == -2
    assert load_content(content, "mul8u_x.bin").table[0, 0] == 65534


def test_32_bit_entries_are_known_by_the_size() -> None:
    table = random_table(low=-(2**31), high=2**31 - 1)
    content = table.astype("<i4").tobytes()
    assert np.array_equal(load_content(content, "mul8u_x.bin").table, table)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("mul8x4u_x.bin", None), ("x.bin", (8, 4)), ("mul7u_x.bin", (8, 4))],
)
def test_other_widths_come_from_the_name_or_the_argument(
    name: str, bits: tuple[int, int] | None
) -> None:
    table = random_table((8, 4), high=4095)
    content = table.astype("<u2").tobytes()
    mul = load_content(content, name, signed=False, bits=bits)
    assert np.array_equal(mul.table, table)


def test_widths_are_never_guessed_from_the_size() -> None:
    with pytest.raises(TableError, match="8,192 bytes; an 8x8 table needs 131,072"):
        load_content(bytes(8192), "x.bin", signed=False)


NEEDED = "an 8x8 table needs 131,072 (16-bit) or 262,144 (32-bit)."
OTHERS = "Other widths are read with bits=(a, b), or a name such as mul8x4u_."


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (65536, f"mul8u_x.bin has 65,536 bytes; {NEEDED} {OTHERS}"),
        (131071, f"mul8u_x.bin has 131,071 bytes; {NEEDED} {OTHERS}"),
        (0, f"mul8u_x.bin is empty; {NEEDED}"),
    ],
)
def test_a_wrong_size_is_named_beside_the_right_ones(size: int, message: str) -> None:
    with pytest.raises(TableError) as caught:
        load_content(bytes(size), "mul8u_x.bin")
    assert str(caught.value) == message


@pytest.mark.parametrize("length", [None, 131072])
def test_text_called_bin_is_recognised_as_text(length: int | None) -> None:
    content = as_rows(random_table())[:length]
    assert length is None or len(content) == length
    with pytest.raises(TableError, match=r"bytes of plain text; an 8x8.*called \.txt"):
        load_content(content, "mul8u_x.bin")


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "mul8u_x.bin"
    with path.open("wb") as stream:
        stream.truncate(10 << 30)  # sparse: takes no space on the disk
    with pytest.raises(TableError, match="has 10,737,418,240 bytes and was not read"):
        load_multiplier(path)
