"""What this machine's CPU can do, as LLVM names it."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

from llvmlite import binding


@cache
def has(feature: str) -> bool:
    """Whether the CPU and its operating system offer a feature, such as avx512vbmi."""
    return bool(binding.get_host_cpu_features().get(feature, False))


@cache
def cpu_name() -> str:
    """The CPU as its maker calls it, where the system tells."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    names = [
        line.split(":", 1)[1].strip() for line in lines if line[:10] == "model name"
    ]
    return names[0] if names else platform.processor() or platform.machine()
