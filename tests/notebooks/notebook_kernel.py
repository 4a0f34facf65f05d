"""Running a notebook in a fresh kernel of this interpreter.

`python tests/notebooks/notebook_kernel.py notebooks/*.ipynb` runs notebooks again and
stores their new outputs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TIMEOUT = 300  # seconds for one cell


class ThisPython(AsyncKernelManager):
    """Whatever kernels are registered, the one of the running interpreter."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def read(path: Path) -> Any:
    """A notebook as it is stored."""
    return nbformat.read(path, as_version=4)


def execute(path: Path, folder: Path) -> Any:
    """The notebook with fresh outputs, run in `folder`; an error is raised."""
    notebook = read(path)
    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        timeout=TIMEOUT,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})


def store(path: Path) -> None:
    """Runs a notebook in its own folder and writes it back with its outputs."""
    notebook = execute(path, path.parent)
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        store(Path(name))
