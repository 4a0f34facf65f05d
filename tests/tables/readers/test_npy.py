from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from layouts import Table, load_content, random_table

from axsim import TableError

# The readers are given noise, and recognition says that this is no table of products.
pytestmark = pytest.mark.filterwarnings("ignore:.* is probably not what it was read")


def saved(array: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["<i4", ">i4", "<u2", "<i8", "<u8", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_every_plain_type_and_order(dtype: str, order: Any) -> None:
    table = random_table(high=65535)
    array = np.array(table, dtype=dtype, order=order)
    assert np.array_equal(load_content(saved(array), "mul8u_x.npy").table, table)


def test_reads_format_version_2() -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, random_table((4, 4)), version=(2, 0))
    loaded = load_content(stream.getvalue(), "x.npy", signed=False)
    assert np.array_equal(loaded.table, random_table((4, 4)))


def test_the_shape_tells_the_widths() -> None:
    mul = load_content(saved(random_table((3, 6))), "x.npy", signed=True)
    assert mul.bits == (3, 6)


def test_a_shape_against_the_name_is_refused() -> None:
    with pytest.raises(
        TableError, match=r"shape \(16, 256\); 8x4 operands.*\(256, 16\)"
    ):
        load_content(saved(random_table((4, 8))), "mul8x4u_x.npy")


def test_objects_are_never_unpickled() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("a pickle was run",))

    content = saved(np.full((256, 256), Bomb()), allow_pickle=True)
    with pytest.raises(TableError, match=r"Python objects, which are never unpickled"):
        load_content(content, "mul8u_x.npy")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"mul8u_x\.npy: entry \[0, 1\] is nan"),
        (0.5, r"mul8u_x\.npy: entry \[0, 1\] is 0\.5"),
        (2.0**31, r"mul8u_x\.npy: values run from 0\.0 to 2147483648\.0"),
    ],
)
def test_values_that_are_no_products_are_refused(value: float, message: str) -> None:
    table = np.zeros((256, 256))
    table[0, 1] = value
    with pytest.raises(TableError, match=message):
        load_content(saved(table), "mul8u_x.npy")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((256, 256, 1)), r"\(256, 256, 1\)"),
        (np.zeros((256, 256), dtype="c8"), "c8"),
        (np.zeros((256, 256), dtype="M8[s]"), "M8"),
        (np.zeros((256, 256), dtype=[("a", "<i4")]), r"\('a', '<i4'\)"),
        (np.zeros((100, 256), dtype="i4"), r"\(100, 256\)"),
    ],
)
def test_other_arrays_are_refused(array: Table, found: str) -> None:
    with pytest.raises(TableError, match=found):
        load_content(saved(array), "x.npy", signed=False)


def test_an_absurd_shape_allocates_nothing() -> None:
    header = (
        b"{'descr': '<i4', 'fortran_order': False, 'shape': (999999999, 999999999), }"
    )
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(TableError, match="0 bytes of data; its header announces 3,999"):
        load_content(content, "x.npy", signed=False)


@pytest.mark.parametrize("length", [0, 4, 9, 60, 1000])
def test_a_truncated_file_is_refused(length: int) -> None:
    with pytest.raises(TableError, match=r"mul8u_x\.npy"):
        load_content(saved(random_table())[:length], "mul8u_x.npy")
