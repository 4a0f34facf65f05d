from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from layouts import load_content, random_table

from axsim import TableError


def archive(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def test_reads_the_only_array_whatever_its_name() -> None:
    table = random_table()
    assert np.array_equal(load_content(archive(lut=table), "mul8u_x.npz").table, table)


def test_several_arrays_are_named() -> None:
    content = archive(first=random_table(), second=random_table())
    with pytest.raises(TableError, match=r"holds 2 arrays \(first, second\)"):
        load_content(content, "mul8u_x.npz")


def test_objects_are_never_unpickled() -> None:
    content = archive(lut=np.full((256, 256), {}, dtype=object))
    with pytest.raises(TableError, match="array 'lut', holds Python objects"):
        load_content(content, "mul8u_x.npz")


def test_a_bomb_is_not_unpacked() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("lut.npy", b"\x93NUMPY" + bytes(200 << 20))
    with pytest.raises(TableError, match="array 'lut'"):
        load_content(stream.getvalue(), "mul8u_x.npz")


@pytest.mark.parametrize("length", [0, 10, 5000])
def test_a_truncated_archive_is_refused(length: int) -> None:
    with pytest.raises(TableError, match=r"mul8u_x\.npz"):
        load_content(archive(lut=random_table())[:length], "mul8u_x.npz")
