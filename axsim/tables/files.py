"""Multiplier tables in files: reading, writing and finding them."""

from __future__ import annotations

import contextlib
import glob
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from ..errors import TableError, close_names
from .catalogue import shipped_names, shipped_table
from .multiplier import Multiplier, Signed, both, widths
from .naming import Stated, conventional_prefix, stated_operands
from .readers import Numbers, TableFile, extensions, find_reader
from .recognise import recognise

WRITABLE = (".bin", ".npy")


def load_multiplier(
    source: str | Path,
    *,
    signed: Signed | None = None,
    bits: tuple[int, int] | None = None,
    name: str | None = None,
    allow_compile: bool = False,
) -> Multiplier:
    """A multiplier from a table file or a shipped name, recognised by its content.

    Args:
        source: a `.bin`, `.npy`, `.npz`, `.h`, `.txt` or `.c` file, or the name of a
            shipped table such as `"mul8u_trunc_6"`.
        signed: for both operands, or `(signed_a, signed_b)`; by default what a name
            that begins like `mul8s_` or `mul8x4u_` says.
        bits: operand widths, 1 to 8; by default what the name says, then 8x8 or, in a
            format that tells, the shape of the array.
        name: how reports call it; by default the file's name without extension.
        allow_compile: whether a `.c` model may be compiled and run.

    Raises:
        TableError: where the file is not a table, with what was found in it.

    Example:
        >>> load_multiplier("mul8u_1JFF.bin")  # doctest: +SKIP
        <Multiplier mul8u_1JFF: unsigned 8x8, f8085fc3>
    """
    if _is_shipped_name(source):
        shipped = shipped_table(str(source))
        _check_operands(shipped, signed, bits)
        return recognise(shipped if name is None else replace(shipped, name=name))
    path = Path(source)
    _check_file(path)
    reader = _reader(path)
    file = _describe(path, signed, bits, allow_compile)
    try:
        table = reader(file)
    except OSError as problem:
        raise TableError(f"{path.name} could not be read: {problem}.") from problem
    # Complaints about the numbers name the file, reports name the table.
    read = Multiplier(table, file.signed, path.name, str(path))
    return recognise(replace(read, name=name or path.stem))


def load_multipliers(
    patterns: str | Path | Iterable[str | Path],
    *,
    signed: Signed | None = None,
    bits: tuple[int, int] | None = None,
    allow_compile: bool = False,
) -> list[Multiplier]:
    """The multipliers of all files, folders, globs and shipped names given, in order.

    Args:
        patterns: each a path, a folder (every table file in it), a glob such as
            `"tables/*.bin"`, a shipped name or a pattern of shipped names.
        signed, bits, allow_compile: as for `load_multiplier`, for every file.

    Raises:
        TableError: where a pattern matches nothing, two tables have one name or files
            are not tables; it names them all.
    """
    given = [patterns] if isinstance(patterns, str | Path) else patterns
    sources = dict.fromkeys(found for item in given for found in _expand(str(item)))
    _check_distinct(list(sources))
    found: list[Multiplier] = []
    problems: list[str] = []
    for each in sources:
        try:
            found.append(
                load_multiplier(
                    each, signed=signed, bits=bits, allow_compile=allow_compile
                )
            )
        except TableError as problem:
            problems.append(str(problem))
    if problems:
        several = f"{len(problems)} of {len(sources)} tables are not usable:\n  "
        raise TableError((several if len(problems) > 1 else "") + "\n  ".join(problems))
    return found


def save_multiplier(mul: Multiplier, path: str | Path) -> Path:
    """Writes a table as `.bin`, 16 bits an entry where it fits, or as `.npy`.

    Args:
        mul: the multiplier; only its table is written.
        path: its extension chooses the format. A name that states other operands is
            refused, because the file would be read back wrongly.

    Raises:
        TableError: where the path cannot be written or the name states other operands.

    Example:
        >>> save_multiplier(mul, "mul8u_mine.bin")  # doctest: +SKIP
        PosixPath('mul8u_mine.bin')
    """
    target = Path(path)
    if target.suffix.lower() not in WRITABLE:
        raise TableError(
            f"save: {target.name} has the extension {target.suffix!r}; tables are "
            f"written as {' or '.join(WRITABLE)}."
        )
    _check_name(mul, target)
    # Not seen under its name before it is complete; no other writer has this name.
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            if target.suffix.lower() == ".npy":
                np.save(stream, mul.table, allow_pickle=False)
            else:
                stream.write(_raw(mul).tobytes())
        part.replace(target)
    except OSError as problem:
        raise TableError(f"save: {target} cannot be written: {problem}.") from problem
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target


def _is_shipped_name(source: str | Path) -> bool:
    """Whether this can only be the name of a shipped table."""
    if isinstance(source, Path) or Path(source).name != source:
        return False
    return (
        Path(source).suffix.lower() not in extensions() and _mode(Path(source)) is None
    )


def _mode(path: Path) -> int | None:
    """The file's type and permissions, None where there is no such file."""
    try:
        return path.stat().st_mode
    except (OSError, ValueError):  # also a name too long, or with a zero byte
        return None


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as problem:
        raise TableError(_absence(path, problem)) from problem
    if stat.S_ISDIR(mode):
        raise TableError(
            f"{path} is a folder; load_multiplier reads one file, load_multipliers "
            "every table in a folder."
        )
    if not stat.S_ISREG(mode):
        raise TableError(f"{path} is not a regular file; copy the table to one.")


def _absence(path: Path, problem: Exception) -> str:
    """Why there is nothing to read, and what may have been meant."""
    if not isinstance(problem, FileNotFoundError | NotADirectoryError | ValueError):
        return f"{path} could not be read: {problem}."
    if isinstance(problem, FileNotFoundError) and path.is_symlink():
        return f"{path} is a link to {path.readlink()}, and there is no such file."
    near = close_names(path.name, [*_siblings(path), *shipped_names()])
    return (
        f"there is no file {str(path)!r}.{near} Give the path of a table, or the name "
        "of a shipped one."
    )


def _siblings(path: Path) -> list[str]:
    """What else a misspelt path may have meant."""
    with contextlib.suppress(OSError, ValueError):
        return [each.name for each in path.parent.iterdir()]
    return []


def _reader(path: Path) -> Callable[[TableFile], Numbers]:
    reader = find_reader(path.suffix.lower())
    if reader is None:
        raise TableError(
            f"{path.name} has the extension {path.suffix!r}; tables are read from "
            f"{', '.join(extensions())} files. Rename it to match its content."
        )
    return reader


def _describe(
    path: Path,
    signed: Signed | None,
    bits: tuple[int, int] | None,
    allow_compile: bool,
) -> TableFile:
    """What the arguments, and where they are silent the name, say of the table."""
    stated = stated_operands(path.stem)
    if signed is None:
        if stated is None:
            raise TableError(
                f"{path.name}: are its operands signed or unsigned? The name does not "
                "say: rename it to mul8s_... or mul8u_..., or pass signed=True or "
                "False (--signed or --unsigned of axsim convert and report)."
            )
        signed = stated.signed
    if bits is None and stated is not None:
        bits = stated.bits
    try:
        return TableFile(
            path, both(signed), None if bits is None else widths(bits), allow_compile
        )
    except TableError as problem:
        raise TableError(f"{path.name}: {problem}") from problem


def _check_operands(
    mul: Multiplier, signed: Signed | None, bits: tuple[int, int] | None
) -> None:
    """Refuses arguments that contradict a shipped table."""
    if (signed is not None and both(signed) != mul.signed) or (
        bits is not None and widths(bits) != mul.bits
    ):
        raise TableError(
            f"{mul.name} is shipped as {mul.operands}; signed={signed}, bits={bits} do "
            "not fit it. Leave them out, or load a file."
        )


def _expand(item: str) -> list[str | Path]:
    """The files or shipped names that one pattern stands for."""
    try:
        return _matches(item)
    except OSError as problem:
        raise TableError(f"{item} could not be read: {problem}.") from problem


def _matches(item: str) -> list[str | Path]:
    if not item:
        raise TableError('"" names no table; is a variable of the shell not set?')
    path = Path(item)
    mode = _mode(path)
    if mode is not None and stat.S_ISDIR(mode):
        found = _table_files(each for each in path.iterdir() if each.name[0] != ".")
        if not found:
            raise TableError(
                f"the folder {item} holds no table; tables are "
                f"{', '.join(extensions())}."
            )
        return [*found]
    if mode is not None or not glob.has_magic(item):
        return [item if _is_shipped_name(item) else path]
    # Path.glob refuses absolute patterns.
    found = _table_files(map(Path, glob.glob(item, recursive=True)))  # noqa: PTH207
    names = [name for name in shipped_names() if fnmatchcase(name, item)]
    if not found and not names:
        raise TableError(f"no file and no shipped table matches {item!r}.")
    return [*found] or [*names]


def _table_files(paths: Iterable[Path]) -> list[Path]:
    known = extensions()
    return sorted(p for p in paths if p.suffix.lower() in known and not p.is_dir())


def _check_distinct(sources: list[str | Path]) -> None:
    """Reports name tables, so no two may have one name."""
    first: dict[str, str | Path] = {}
    for source in sources:
        name = source.stem if isinstance(source, Path) else source
        other = first.setdefault(name, source)
        if other != source:
            raise TableError(
                f"two tables are called {name}: {other} and {source}. Rename one, or "
                "name fewer files."
            )


def _check_name(mul: Multiplier, target: Path) -> None:
    """Refuses a name by which the file would be read as another kind of table."""
    stated = stated_operands(target.stem)
    if stated is None:
        size = _raw(mul).nbytes
        if (
            target.suffix.lower() == ".bin"
            and mul.bits != (8, 8)
            and size in (2 << 16, 4 << 16)
        ):
            prefix = conventional_prefix(mul.bits, mul.signed[0])
            raise TableError(
                f"save: {target.name} would have {size:,} bytes, as an 8x8 table has; "
                f"begin its name with {prefix!r}, or write .npy."
            )
    elif stated != Stated(mul.bits, mul.signed[0]) or mul.signed[0] != mul.signed[1]:
        if mul.signed[0] == mul.signed[1]:
            advice = f"begin it with {conventional_prefix(mul.bits, mul.signed[0])!r}"
        else:
            advice = "choose one that does not begin like mul8u_"
        raise TableError(
            f"save: the name {target.name} states other operands than those of "
            f"{mul.name}, {mul.operands}; {advice}."
        )


def _raw(mul: Multiplier) -> npt.NDArray[np.integer]:
    """The table as a `.bin` file has it: 16 bits an entry where every value fits."""
    narrow = np.dtype("<i2" if any(mul.signed) else "<u2")
    limits = np.iinfo(narrow)
    fits = mul.table.min() >= limits.min and mul.table.max() <= limits.max
    return mul.table.astype(narrow if fits else "<i4")
