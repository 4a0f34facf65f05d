from __future__ import annotations

import io

import numpy as np
import pytest
from layouts import as_pairs, as_rows, load_content, random_table

from axsim import TableError

# The readers are given noise, and recognition says that this is no table of products.
pytestmark = pytest.mark.filterwarnings("ignore:.* is probably not what it was read")


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\t", ";"])
def test_reads_rows_with_any_separator(separator: str) -> None:
    table = random_table()
    mul = load_content(as_rows(table, separator), "mul8u_x.txt")
    assert np.array_equal(mul.table, table)


def test_reads_what_savetxt_writes_by_default() -> None:
    table = random_table(low=-32768, high=32767)
    stream = io.StringIO()
    np.savetxt(stream, table, header="a table")
    assert np.array_equal(load_content(stream.getvalue(), "mul8s_x.txt").table, table)


@pytest.mark.parametrize("signed", [(False, False), (True, True), (True, False)])
def test_reads_pairs_as_values(signed: tuple[bool, bool]) -> None:
    table = random_table((4, 3), -99, 99)
    content = as_pairs(table, signed)
    mul = load_content(content, "x.txt", signed=signed, bits=(4, 3))
    assert np.array_equal(mul.table, table)


def test_reads_pairs_as_raw_codes_in_any_order() -> None:
    table = random_table((3, 3), -99, 99)
    lines = as_pairs(table).splitlines()[::-1]
    mul = load_content("\n".join(lines), "mul3s_x.txt")
    assert np.array_equal(mul.table, table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"mul1u_x\.txt is empty"),
        ("# only a comment\n", "holds no numbers"),
        ("0 0\n0\n", "line 2 of the table has 1 numbers, line 1 has 2"),
        ("0 0\n0 one\n", "'one' is not a number"),
        ("0 0\n0 nan\n", r"entry \[1, 1\] is nan"),
        ("0 0\n0 3000000000\n", "values run from"),
        ("0 0 0 0\n" * 4, r"shape \(4, 4\); 1x1 operands"),
        ("0 0 0\n0 1 0\n1 0 0\n", "has 3 lines 'a b value'; 1x1 operands need 4"),
        ("0 0 0\n0 1 0\n1 0 0\n1 0 0\n", "lists the operand codes 1 0 2 times"),
        (
            "0 0 0\n0 1 0\n1 0 0\n1 2 0\n",
            "operand b in line 4 of the table is 2; 1 bits",
        ),
        ("0 0 0\n0 1 0\n1 0 0\n-1 1 0\n", "operand a in line 4 of the table is -1"),
        ("0 0 0\n0 1 0\n1 0 0\nnan 1 0\n", "operand a in line 4 of the table is nan"),
        ("0 0 0\n0 1 0\n1 0 0\n.5 1 0\n", r"operand a in line 4 of the table is 0\.5"),
        ("0\n" * 65538, "has more than 65,536 lines"),
        ("a,b,value\n" + "0,0,0\n" * 65536, "'a' is not a number"),
        ("0 0\n0 \0\n", "not plain text"),
    ],
)
def test_bad_text_is_refused(content: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        load_content(content, "mul1u_x.txt")


def test_utf16_is_named() -> None:
    content = as_rows(random_table((4, 4))).encode("utf-16")
    with pytest.raises(TableError, match="not UTF-16"):
        load_content(content, "mul4u_x.txt")
