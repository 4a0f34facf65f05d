"""The shipped tables: found by name, whole, and the same when built anew."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from axsim.errors import TableError
from axsim.tables import catalogue
from axsim.tables.build import build_catalogue
from axsim.tables.catalogue import (
    data_folder,
    find_shipped,
    forget_index,
    multipliers,
    shipped_entry,
    shipped_names,
    shipped_table,
)
from axsim.tables.files import load_multiplier
from axsim.tables.multiplier import Multiplier


def test_the_catalogue_is_large_and_mixed() -> None:
    names = shipped_names()
    assert len(names) >= 80
    assert len(shipped_names("mul8s_*")) >= 15
    assert shipped_names("mul8x4u_*")
    assert shipped_names("mul4u_*")
    assert len({shipped_entry(name).family for name in names}) >= 16
    contents = {(e.sha256, e.signed) for e in map(shipped_entry, names)}
    assert len(contents) == len(names)


def test_the_catalogue_covers_the_trade_off() -> None:
    """No decade of error between 0.1 and 5000 is without unsigned 8x8 tables."""
    errors = np.array(
        [shipped_entry(n).figures["mae"] for n in shipped_names("mul8u_*")]
    )
    for low in (0.1, 1, 10, 100, 1000):
        assert np.count_nonzero((errors >= low) & (errors < 10 * low)) >= 4, low


@pytest.mark.parametrize("name", shipped_names())
def test_the_index_tells_the_truth(name: str) -> None:
    entry = shipped_entry(name)
    mul = shipped_table(name)
    assert (mul.name, mul.bits, mul.signed) == (name, entry.bits, entry.signed)
    metrics = mul.metrics()
    for figure, value in entry.figures.items():
        assert getattr(metrics, figure) == pytest.approx(value, rel=1e-9)
    assert mul.cost == entry.cost
    assert find_shipped(mul) == entry
    assert find_shipped(Multiplier(mul.table, (not mul.signed[0], False))) is None


def test_the_whole_catalogue_is_built_anew_byte_for_byte(tmp_path: Path) -> None:
    written = build_catalogue(tmp_path)
    names = {path.name for path in written}
    shipped = {path.name for path in data_folder().iterdir()} - {"registry.csv"}
    assert names == shipped
    _, different, missing = filecmp.cmpfiles(
        tmp_path, data_folder(), names, shallow=False
    )
    assert (different, missing) == ([], [])


def test_one_table_under_two_names_is_not_built(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="are one table; ship one of them"):
        build_catalogue(tmp_path, ["mul8u_exact", "mul8u_wallace"])


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TableError, match=r"file cannot be made a folder: .*exists"):
        build_catalogue(tmp_path / "file", ["mul4u_exact"])


def test_loading_by_name_and_by_file_agree() -> None:
    by_name = load_multiplier("mul8u_trunc_6")
    by_file = load_multiplier(data_folder() / "mul8u_trunc_6.bin")
    assert by_name == by_file
    assert by_name.cost == by_file.cost
    assert by_name.identity == by_file.identity
    assert by_name.identity is not None
    assert by_name.identity.name == "mul8u_trunc_6"
    assert "recognised" in str(by_file)


def test_patterns_choose_names() -> None:
    assert [mul.name for mul in multipliers("mul8u_exact")] == ["mul8u_exact"]
    assert {mul.signed for mul in multipliers("mul8s_*")} == {(True, True)}


@pytest.mark.parametrize("call", [load_multiplier, shipped_entry, multipliers])
def test_an_unknown_name_lists_close_ones(call: object) -> None:
    assert callable(call)
    with pytest.raises(TableError, match=r"Close names: .*'mul8u_trunc_6'"):
        call("mul8u_trnc_6")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of part of the shipped folder, used instead of it."""
    for name in ("index.toml", "registry.csv", "mul8u_exact.bin"):
        shutil.copy(data_folder() / name, tmp_path)
    monkeypatch.setattr(catalogue, "data_folder", lambda: tmp_path)
    forget_index()
    yield tmp_path
    forget_index()


def test_a_shipped_file_that_was_changed_is_refused(folder: Path) -> None:
    path = folder / "mul8u_exact.bin"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        TableError, match=r"is not the table that index\.toml describes"
    ):
        shipped_table("mul8u_exact")
    path.write_bytes(content[:77])
    with pytest.raises(
        TableError, match=r"is not the table that index\.toml describes"
    ):
        shipped_table("mul8u_exact")


def test_without_stored_factors_they_are_found_anew(folder: Path) -> None:
    assert catalogue.stored_factors(shipped_table("mul8u_exact")) is None


def test_without_an_index_nothing_is_shipped(folder: Path) -> None:
    (folder / "index.toml").unlink()
    forget_index()
    assert shipped_names() == []
    with pytest.raises(TableError, match="no shipped table matches"):
        multipliers("*")
