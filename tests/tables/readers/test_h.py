from __future__ import annotations

import numpy as np
import pytest
from layouts import as_header, load_content, random_table

from axsim import TableError

SMALL = random_table((2, 2), -8, 8)

# The readers are given noise, and recognition says that this is no table of products.
pytestmark = pytest.mark.filterwarnings("ignore:.* is probably not what it was read")


@pytest.mark.parametrize(
    "declaration",
    [
        "const int16_t mul8s_x [256][256]",
        "__device__ __constant__ int lut[256] [256]",
        'extern "C" const short\nlut[1 << 8][ N ]',
    ],
)
def test_reads_what_adapt_and_transaxx_ship(declaration: str) -> None:
    table = random_table(low=-32768, high=32767)
    mul = load_content(as_header(table, declaration), "mul8s_x.h")
    assert np.array_equal(mul.table, table)


def test_reads_comments_hexadecimals_suffixes_and_trailing_commas() -> None:
    text = """
    /* int16_t other[2][2] = {{9, 9}, {9, 9}}; */
    #ifndef X_H
    static const int x[2][2]={{ 0x1F , -1L,}, // {7, 7},
        {+3u, - 4},};  /* unfinished
    """
    mul = load_content(text, "mul1s_x.h")
    assert mul.table.tolist() == [[31, -1], [3, -4]]


def test_reads_a_flat_list() -> None:
    text = f"int x[] = {{{', '.join(map(str, SMALL.ravel().tolist()))}}};"
    assert np.array_equal(load_content(text, "mul2s_x.h").table, SMALL)


def test_hexadecimals_of_int16_are_twos_complement() -> None:
    text = "{} x[2][2] = {{{{0xFFFF, 0x8000}}, {{0x7FFF, 0}}}};"
    wrapped = load_content(text.format("int16_t"), "mul1s_x.h")
    assert wrapped.table.tolist() == [[-1, -32768], [32767, 0]]
    plain = load_content(text.format("uint16_t"), "mul1u_x.h")
    assert plain.table.tolist() == [[65535, 32768], [32767, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int x = 3;", "holds no initialised array"),
        ("int a[1] = {1}; int b[1] = {2};", r"holds several arrays \(a, b\)"),
        ("int a[1]={1}; " * 6, r"\(a, a, a, a, a, \.\.\.\)"),
        ("struct s x = {1}; int b[1] = {2};", r"\(without a name, b\)"),
        ("int a[2][2] = {{1, 2}, {3, 4}", "array a does not end.*truncated"),
        ("int a[2][2] = {{1, 2}, {3}};", "row 1 has 1 numbers, row 0 has 2"),
        ("int a[2][2] = {{1, 2}, {3, N}};", "'N' is not a whole number"),
        ("int a[2][2] = {{1, 2}, {3, 4.5}};", r"'4\.5' is not a whole number"),
        ("int a[2][2] = {{1, 2}, {3, 010}};", "'010' is not a whole number"),
        ("int a[2][2] = {{1, 2}, {3, 4}, 5};", "'5' stands between the rows"),
        ("int a[2][2] = {{{1, 2}, {3, 4}}};", "stands between the rows"),
        ("int a[4] = {1, 2, 3};", "lists 3 numbers; 1x1 operands need 4"),
        ("int a[2][2] = {{1, 2}, {3, 0xFFFFFFFF}};", "values run from"),
        ("int a[2][2] = {{}, {}};", r"shape \(2, 0\)"),
        (
            "int a[2][4] = {{1, 2, 3, 4}, {1, 2, 3, 4}};",
            r"shape \(2, 4\); 1x1 operands",
        ),
    ],
)
def test_bad_headers_are_refused(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        load_content(text, "mul1u_x.h")
