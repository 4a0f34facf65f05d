"""The house keeps its shape: which room imports which, and what loads when."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import axsim

PACKAGE = Path(axsim.__file__).parent
# Left to right; rooms that share a line never import each other.
ORDER = [
    {"errors", "console"},
    {"tables", "cuda"},
    {"kernels"},
    {"quant"},
    {"gating", "memory"},
    {"nn"},
    {"recipes", "zoo"},
    {"training"},
    {"analysis"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def sources() -> list[Path]:
    return [
        path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.parent != PACKAGE or path.stem in LEVEL
    ]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything of axsim that a file imports, anywhere."""
    folders = path.relative_to(PACKAGE).parts[:-1]
    return imported_names(path.read_text(), ["axsim", *folders])


def imported_names(source: str, package: list[str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = [*base, *(node.module or "").split(".")]
            stem = ".".join(part for part in origin if part)
            names = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "axsim":
                yield node.lineno, name


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.name))
def test_rooms_import_only_to_their_left(path: Path) -> None:
    room = room_of(path)
    for line, name in imports_of(path):
        parts = name.split(".")
        target = parts[1] if len(parts) > 1 else ""
        # The version is data, and everything that leaves axsim bears it.
        if target in (room, "__version__"):
            continue
        if target not in LEVEL and room == "cli":
            continue
        where = f"{path.relative_to(PACKAGE)}:{line} imports {name}"
        assert target in LEVEL, f"{where}: only cli uses the public names"
        assert LEVEL[target] < LEVEL[room], f"{where}: not to the left of {room}"


def test_commands_use_the_public_api_only() -> None:
    for path in sorted((PACKAGE / "cli").glob("*.py")):
        for line, name in imports_of(path):
            room = [*name.split("."), ""][1]
            allowed = room not in LEVEL or room in {"cli", "console", "errors"}
            assert allowed, f"cli/{path.name}:{line} imports {name}"


def test_tables_need_numpy_and_nothing_larger() -> None:
    for path in sorted((PACKAGE / "tables").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])]
            names.append(getattr(node, "module", "") or "")
            heads = {str(name).split(".")[0] for name in names if name}
            assert not heads & {"torch", "numba", "matplotlib", "scipy"}, path.name


def test_every_form_of_import_is_seen() -> None:
    source = (
        "import axsim.nn.layers\n"
        "from ..quant import codes\n"
        "def f():\n"
        "    from axsim import cli\n"
        "    from .. import zoo\n"
        "    from .files import load_file\n"
        "    import numpy\n"
    )
    assert list(imported_names(source, ["axsim", "tables"])) == [
        (1, "axsim.nn.layers"),
        (2, "axsim.quant.codes"),
        (4, "axsim.cli"),
        (5, "axsim.zoo"),
        (6, "axsim.tables.files.load_file"),
    ]


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded after some code ran in a fresh process."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules: list[str] = json.loads(result.stdout.splitlines()[-1])
    return {module.split(".")[0] for module in modules}


HEAVY = {"torch", "numba", "matplotlib"}


def test_import_axsim_loads_nothing_heavy() -> None:
    assert not loaded_by("import axsim") & {*HEAVY, "rich", "typer"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['axsim', '--help']\n"
        "from axsim.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    assert not loaded_by(code) & HEAVY


def test_report_needs_matplotlib_but_neither_torch_nor_numba(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    argv = ["axsim", "report", "mul8u_exact", "--out", str(page)]
    code = (
        f"import sys; sys.argv = {argv}\n"
        "from axsim.cli import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    assert loaded_by(code) & HEAVY == {"matplotlib"}
    assert page.exists()


def test_public_names_resolve_and_are_listed() -> None:
    for name in axsim.__all__:
        assert getattr(axsim, name) is not None
    assert set(axsim.__all__) <= set(dir(axsim))
    assert len(axsim.__all__) <= 48
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = axsim.nonsense  # pyright: ignore[reportAttributeAccessIssue]
