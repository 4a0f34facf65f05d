"""Compiled kernels on disk, so that a second process starts warm."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

# The digest in front of the content tells a damaged file from a good one.
DIGEST = hashlib.sha256().digest_size
# RuntimeError: a user without a home folder.
FAILURES = (OSError, RuntimeError)


def folder() -> Path:
    """Where compiled kernels are kept: `$XDG_CACHE_HOME/axsim`, or `~/.cache/axsim`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "axsim" / "cubins"


def read(key: str) -> bytes | None:
    """What was stored under the key; None where nothing intact was."""
    try:
        content = (folder() / key).read_bytes()
    except FAILURES:
        return None
    digest, body = content[:DIGEST], content[DIGEST:]
    return body if hashlib.sha256(body).digest() == digest else None


def write(key: str, body: bytes) -> bool:
    """Stores it whole or not at all; False where the folder cannot be written."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder())
    except FAILURES:
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(hashlib.sha256(body).digest() + body)
        Path(name).replace(folder() / key)
    except FAILURES:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        return False
    return True
