"""Every notebook runs, shows what is committed, and uses the public interface only."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import axsim
from tests.notebooks.notebook_kernel import NOTEBOOKS, execute, read

# What a reader of a notebook may be expected to know beside axsim.
OTHERS = {"numpy", "matplotlib", "pandas", "torch", *sys.stdlib_module_names}
# Cells with this tag show times or other things that no two runs share.
VARIES = "varies"

each_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]
)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any) -> list[tuple[str, str]]:
    """Kind and text of a cell's outputs; pictures count, their pixels do not."""
    found: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type != "stream":
            kinds = "+".join(sorted(output.data))
            found.append((kinds, output.data.get("text/html", "")))
        elif found and found[-1][0] == "text":
            # How a kernel cuts its text into messages is a matter of time.
            found[-1] = ("text", found[-1][1] + output.text)
        else:
            found.append(("text", output.text))
    return found


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_there_are_notebooks_with_a_number_each() -> None:
    assert NOTEBOOKS
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == sorted(set(numbers))


@each_notebook
def test_committed_outputs_are_complete(path: Path) -> None:
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [
        o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"
    ]


@each_notebook
def test_only_the_public_interface_is_used(path: Path) -> None:
    for cell in code_cells(read(path)):
        for name in imports(cell.source):
            assert name == "axsim" or name.split(".")[0] in OTHERS, name
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_"), ast.unparse(node)
                if isinstance(node.value, ast.Name) and node.value.id == "ax":
                    assert node.attr in axsim.__all__, ast.unparse(node)


@each_notebook
def test_running_it_gives_the_committed_outputs(path: Path, tmp_path: Path) -> None:
    committed, fresh = read(path), execute(path, tmp_path)
    for before, after in zip(code_cells(committed), code_cells(fresh), strict=True):
        if VARIES not in before.metadata.get("tags", []):
            assert shown(after) == shown(before), before.source
