from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axsim import AxsimError, Multiplier, TableError
from axsim.tables import files
from axsim.tables.files import load_multiplier, load_multipliers, save_multiplier
from axsim.tables.multiplier import Signed


def make(
    bits: tuple[int, int] = (8, 8), signed: Signed = False, offset: int = 1
) -> Multiplier:
    return Multiplier.from_function(
        lambda a, b: a * b + a // 2 + offset, signed=signed, bits=bits, name="made"
    )


def test_the_file_names_the_multiplier_unless_told_otherwise(tmp_path: Path) -> None:
    path = make().save(tmp_path / "mul8u_mine.bin")
    mul = load_multiplier(path)
    assert (mul.name, mul.source, mul.signed) == (
        "mul8u_mine",
        str(path),
        (False, False),
    )
    assert load_multiplier(str(path), name="other").name == "other"


@pytest.mark.parametrize(
    ("mul", "size"),
    [
        (make(), 131072),
        (make(signed=True), 131072),
        (make(offset=70000), 262144),
        (make(offset=-70000), 262144),
        (make(signed=True, offset=32768), 262144),
        (make((8, 4)), 8192),
    ],
)
def test_bin_takes_16_bits_where_they_suffice(
    tmp_path: Path, mul: Multiplier, size: int
) -> None:
    path = save_multiplier(mul, tmp_path / "made.bin")
    assert path.stat().st_size == size
    assert load_multiplier(path, signed=mul.signed, bits=mul.bits) == mul


def test_npy_is_int32_for_anyone(tmp_path: Path) -> None:
    path = make().save(tmp_path / "made.npy")
    array = np.load(path, allow_pickle=False)
    assert array.dtype == np.int32
    assert np.array_equal(array, make().table)


@pytest.mark.parametrize(
    ("name", "mul", "message"),
    [
        ("x.h", make(), r"save: x\.h has the extension '\.h'; tables are written as "
         r"\.bin or \.npy"),
        ("x", make(), "the extension ''"),
        ("mul8u_x.bin", make(signed=True), "states other operands than those of "
         "made, signed 8x8; begin it with 'mul8s_'"),
        ("mul8u_x.npy", make((8, 4)), "begin it with 'mul8x4u_'"),
        ("mul8u_x.npy", make(signed=(True, False)), "does not begin like mul8u_"),
        ("x.bin", make((8, 7), offset=70000), "would have 131,072 bytes, as an 8x8 "
         "table has; begin its name with 'mul8x7u_'"),
        ("none/x.bin", make(), "cannot be written: .*No such file"),
        ("folder.bin", make(), "cannot be written: .*directory"),
        ("y" * 300 + ".bin", make(), "cannot be written: .*too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(
    tmp_path: Path, name: str, mul: Multiplier, message: str
) -> None:
    (tmp_path / "folder.bin").mkdir()
    with pytest.raises(TableError, match=message):
        mul.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.bin"]


def test_an_interrupted_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make().save(tmp_path / "made.npy")

    def interrupted(stream: Any, *_: object, **__: object) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(files.np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(offset=2).save(path)
    assert load_multiplier(path, signed=False) == make()
    assert [each.name for each in tmp_path.iterdir()] == ["made.npy"]


def test_threads_may_save_to_one_path(tmp_path: Path) -> None:
    muls = [make((4, 4), offset=offset) for offset in range(4)]
    paths = [tmp_path / "mul4u_made.bin"] * 200
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(save_multiplier, muls * 50, paths))
    assert load_multiplier(paths[0]) in muls
    assert list(tmp_path.iterdir()) == paths[:1]


def link_to_nothing(path: Path) -> None:
    path.symlink_to("elsewhere.bin")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def touch(path: Path) -> None:
    path.write_bytes(b"")


def missing(path: Path) -> None:
    (path.parent / "mul8u_tabel.bin").touch()


@pytest.mark.parametrize(
    ("name", "prepare", "message"),
    [
        ("mul8u_table.bin", missing, r"there is no file .*mul8u_table\.bin'\. Close "
         r"names: 'mul8u_tabel\.bin'.* Give the path of a table, or the name"),
        ("mul8u_x.bin", Path.mkdir, "is a folder; load_multiplier reads one file, "
         "load_multipliers every table in a folder"),
        ("mul8u_x.npy", os.mkfifo, "is not a regular file"),
        ("mul8u_x.npy", link_to_nothing, r"mul8u_x\.npy is a link to elsewhere\.bin, "
         "and there is no such file"),
        ("mul8u_x.npy", link_to_itself, "could not be read: .*symbolic links"),
        ("mul8u_x.csv", touch, r"mul8u_x\.csv has the extension '\.csv'; tables are "
         r"read from \.bin, \.c, \.h, \.npy, \.npz, \.txt files"),
        ("x.bin", touch, r"x\.bin: are its operands signed or unsigned\? The name does "
         r"not say: rename it to mul8s_\.\.\. or mul8u_\.\.\., or pass signed=True or "
         r"False \(--signed or --unsigned of axsim convert and report\)\."),
        ("mul16u_x.bin", touch, r"mul16u_x\.bin: bits=\(16, 16\); operands have 1 to 8 "
         "bits each"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded(
    tmp_path: Path, name: str, prepare: Callable[[Path], None], message: str
) -> None:
    prepare(tmp_path / name)
    with pytest.raises(TableError, match=message):
        load_multiplier(tmp_path / name)


@pytest.mark.parametrize(
    "source", ["", ".", "/", "no\0file", "y" * 5000, "a/b", "x.bin"]
)
def test_any_other_source_is_a_table_error(source: str) -> None:
    with pytest.raises(TableError):
        load_multiplier(source)


@pytest.mark.parametrize("bits", [(0, 8), (8, 9), (-1, 2), 8, "88", (8, 8, 8)])
def test_widths_are_checked(tmp_path: Path, bits: Any) -> None:
    path = make().save(tmp_path / "x.bin")
    with pytest.raises(TableError, match=r"x\.bin: bits=.* 1 to 8 bits each"):
        load_multiplier(path, signed=False, bits=bits)


@pytest.mark.parametrize("signed", ["unsigned", (None, True), 0])
def test_signedness_is_checked(tmp_path: Path, signed: Any) -> None:
    path = make().save(tmp_path / "x.bin")
    with pytest.raises(TableError, match=r"x\.bin: signed=.*; choose True or False"):
        load_multiplier(path, signed=signed)


def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of two tables."""

    def table(name: str) -> Multiplier:
        if name not in ("mul8u_one", "mul8u_two"):
            raise TableError(f"no shipped table {name}")
        return Multiplier(make().table, (False, False), name, "shipped")

    monkeypatch.setattr(files, "shipped_table", table)
    monkeypatch.setattr(files, "shipped_names", lambda: ["mul8u_one", "mul8u_two"])


def test_a_name_without_a_file_is_a_shipped_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped(monkeypatch)
    monkeypatch.chdir(tmp_path)
    assert load_multiplier("mul8u_one").source == "shipped"
    assert load_multiplier("mul8u_one", signed=False, name="mine").name == "mine"
    with pytest.raises(TableError, match="shipped as unsigned 8x8; signed=True"):
        load_multiplier("mul8u_one", signed=True)
    with pytest.raises(TableError, match="no shipped table mul8u_three"):
        load_multiplier("mul8u_three")
    (tmp_path / "mul8u_one").touch()
    with pytest.raises(TableError, match="has the extension ''"):
        load_multiplier("mul8u_one")


def names(muls: list[Multiplier]) -> list[str]:
    return [mul.name for mul in muls]


def test_patterns_are_files_folders_globs_and_shipped_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "notes.md").touch()
    for name in ("mul8u_b.bin", "mul8u_a.npy", "sub/mul8u_c.bin"):
        make().save(tmp_path / name)
    assert names(load_multipliers(".")) == ["mul8u_a", "mul8u_b"]
    assert names(load_multipliers(Path("mul8u_b.bin"))) == ["mul8u_b"]
    assert names(load_multipliers("**/*.bin")) == ["mul8u_b", "mul8u_c"]
    assert names(load_multipliers("mul8u_t*")) == ["mul8u_two"]
    found = load_multipliers(["mul8u_one", str(tmp_path / "*.bin")])
    assert names(found) == ["mul8u_one", "mul8u_b"]
    assert names(load_multipliers(["sub/*", "./sub/mul8u_c.bin"])) == ["mul8u_c"]


def test_a_folder_means_its_visible_table_files(tmp_path: Path) -> None:
    make().save(tmp_path / "mul8u_a.npy")
    (tmp_path / "._mul8u_a.npy").touch()
    (tmp_path / "folder.bin").mkdir()
    assert names(load_multipliers(tmp_path)) == ["mul8u_a"]
    link_to_nothing(tmp_path / "mul8u_b.bin")
    with pytest.raises(TableError, match=r"is a link to elsewhere\.bin"):
        load_multipliers(tmp_path)


def test_all_files_that_are_no_tables_are_named_at_once(tmp_path: Path) -> None:
    make().save(tmp_path / "mul8u_a.npy")
    for name in ("mul8u_b.bin", "README.txt"):
        (tmp_path / name).touch()
    with pytest.raises(TableError) as caught:
        load_multipliers(tmp_path)
    first, *rest = str(caught.value).splitlines()
    assert first == "2 of 3 tables are not usable:"
    assert [line.split()[0] for line in rest] == ["README.txt:", "mul8u_b.bin"]


@pytest.mark.parametrize("pattern", [".", "*"])
def test_a_folder_that_may_not_be_read_is_a_table_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    make().save(tmp_path / "mul8u_a.npy")

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(TableError, match=r"could not be read: .*Permission denied"):
        load_multipliers(str(tmp_path / pattern))


def test_patterns_that_find_nothing_are_errors(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="holds no table; tables are"):
        load_multipliers(tmp_path)
    with pytest.raises(TableError, match=r"no file and no shipped table matches"):
        load_multipliers(str(tmp_path / "*.bin"))
    with pytest.raises(TableError, match="there is no file"):
        load_multipliers([tmp_path / "x.bin"])


def test_two_tables_of_one_name_are_refused(tmp_path: Path) -> None:
    first = make().save(tmp_path / "mul8u_x.bin")
    second = make(offset=2).save(tmp_path / "mul8u_x.npy")
    with pytest.raises(TableError) as caught:
        load_multipliers(str(tmp_path / "*"))
    assert str(caught.value) == (
        f"two tables are called mul8u_x: {first} and {second}. Rename one, or name "
        "fewer files."
    )
    assert isinstance(caught.value, AxsimError)


def test_an_empty_pattern_is_not_the_current_folder() -> None:
    with pytest.raises(TableError, match='"" names no table'):
        load_multipliers("")
