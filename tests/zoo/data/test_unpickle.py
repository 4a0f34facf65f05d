from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archives import python2_pickle
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim import DataError
from axsim.zoo.data.unpickle import unpickle

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4)
CONTENT = {
    "data": PIXELS,
    "labels": [1, 2, 3],
    "filenames": ["a.png", "b.png", "c.png"],
}


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_the_fixture_is_what_the_authors_recipe_reads() -> None:
    found = pickle.loads(python2_pickle(CONTENT), encoding="bytes")
    assert np.array_equal(found[b"data"], PIXELS)
    assert found[b"labels"] == [1, 2, 3]
    assert found[b"filenames"][0] == b"a.png"


def test_reads_archives_of_python_2() -> None:
    found = unpickle(python2_pickle(CONTENT), "batch")
    assert np.array_equal(found["data"], PIXELS) and found["data"].dtype == np.uint8
    assert found["labels"] == [1, 2, 3]


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_archives_that_python_3_wrote_again(protocol: int) -> None:
    fortran = {"data": np.asfortranarray(PIXELS), b"labels": [1, 2, 3]}
    found = unpickle(pickle.dumps(fortran, protocol), "batch")
    assert np.array_equal(found["data"], PIXELS)
    assert found["labels"] == [1, 2, 3]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_call_is_refused_and_not_made(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    evil = pickle.dumps({"data": Call(os.mkdir, str(marker))}, protocol)
    with pytest.raises(DataError, match=r"asks for posix\.mkdir.*nothing was run"):
        unpickle(evil, "batch")
    assert not marker.exists()
    # The same bytes do run where nothing refuses them.
    pickle.loads(evil)
    assert marker.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("numpy", "ndarray.tofile"),
        ("numpy", "fromfile"),
        ("numpy._core.multiarray", "fromfile"),
        ("_codecs", "lookup"),
        ("axsim.zoo.data.unpickle", "_Array"),
    ],
)
def test_every_other_name_is_refused(module: str, name: str) -> None:
    asked = b"\x80\x04" + b"".join(
        pickle.SHORT_BINUNICODE + bytes([len(word)]) + word.encode()
        for word in (module, name)
    )
    with pytest.raises(DataError, match="which a data set does not need"):
        unpickle(asked + pickle.STACK_GLOBAL + b".", "batch")


def test_arrays_of_pointers_are_refused() -> None:
    objects = {"data": np.array([[], {}], dtype=object)}
    with pytest.raises(DataError, match="an array of 'O8'; only uint8 is read"):
        unpickle(pickle.dumps(objects, 2), "batch")


def test_an_array_longer_than_its_bytes_is_refused() -> None:
    honest = pickle.dumps({"data": PIXELS.ravel()}, 3)
    forged = honest.replace(b"K\x0c\x85", b"J" + struct.pack("<i", 1 << 30) + b"\x85")
    assert forged != honest
    with pytest.raises(DataError, match="12 bytes for an array of shape"):
        unpickle(forged, "batch")


def test_a_memo_larger_than_the_memory_is_not_made() -> None:
    forged = b"\x80\x02}r" + struct.pack("<I", (1 << 32) - 1) + b"."
    with pytest.raises(DataError, match=r"place 4,294,967,295 of the memo"):
        unpickle(forged, "batch")


def test_what_is_no_dictionary_is_named() -> None:
    with pytest.raises(DataError, match="batch holds a list, not a dictionary"):
        unpickle(pickle.dumps([1, 2]), "batch")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.binary(max_size=4))
def test_damage_is_a_data_error_or_harmless(cut: int, junk: bytes) -> None:
    content = python2_pickle(CONTENT)
    try:
        found = unpickle(content[:cut] + junk + content[cut + len(junk) :], "batch")
    except DataError:
        return
    assert isinstance(found, dict)


def test_a_truncated_archive_is_named() -> None:
    with pytest.raises(DataError, match="batch is not a readable pickle"):
        unpickle(python2_pickle(CONTENT)[:-40], "batch")
