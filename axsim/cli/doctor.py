"""`axsim doctor`: what this machine offers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import axsim as ax

from ..console import say, text_table

PACKAGES = ("torch", "numpy", "numba", "numba-cuda", "python-flint", "matplotlib")


def doctor() -> None:
    """Show versions, devices and kernel paths, and what is missing."""
    say(f"axsim {ax.__version__}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}")  # fmt: skip
    say(text_table([(name, _version(name)) for name in PACKAGES],
                   ("package", "version"), left=["package", "version"]))  # fmt: skip
    say(f"\nCPU: {ax.kernels.device_name()}")
    yes = {("cpu", "factored"): f"yes, by {ax.kernels.variant()}"}
    rows = [
        (device, path, reason or yes.get((device, path), "yes"))
        for device in ("cpu", "cuda")
        for path, reason in ax.kernels.missing(device).items()
    ]
    head = ("device", "path", "here")
    say(text_table(rows, head, left=head))
    say("next: axsim bench kernels")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
