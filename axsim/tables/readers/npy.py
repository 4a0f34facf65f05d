"""`.npy`: an array as `numpy.save` writes it, of any integer or floating type."""

from __future__ import annotations

import re

import numpy as np

from ...errors import TableError
from . import Numbers, TableFile

MAGIC = b"\x93NUMPY"
LARGEST = (8 << 16) + 65536  # bytes of 256x256 64-bit entries and a generous header
EXPECTED = "a .npy table is an array of shape (2^a, 2^b), such as (256, 256)"
# The header is a Python literal. These expressions read the plain arrays among them
# and nothing else, so that no file can make it evaluate or allocate anything.
DESCRIPTION = re.compile(rb"'descr': *'([<>|=]?)([iufb])([1248])' *,")
ORDER = re.compile(rb"'fortran_order': *(True|False) *,")
SHAPE = re.compile(rb"'shape': *\( *(\d{1,9}) *, *(\d{1,9}) *,? *\)")


def read(file: TableFile) -> Numbers:
    """Reads the array of a .npy file; never unpickles."""
    return parse(file, file.read_bytes(LARGEST, EXPECTED), file.name)


def parse(file: TableFile, content: bytes, name: str) -> Numbers:
    """The array in the bytes of a .npy file, which messages call `name`."""
    header, body = _split(content, name)
    described, order, shaped = (
        pattern.search(header) for pattern in (DESCRIPTION, ORDER, SHAPE)
    )
    if described is None or order is None or shaped is None:
        raise TableError(_refusal(header, name))
    shape = (int(shaped[1]), int(shaped[2]))
    file.check_shape(shape)
    dtype = _dtype(described, name)
    size = shape[0] * shape[1] * dtype.itemsize
    if size != len(body):
        raise TableError(
            f"{name} has {len(body):,} bytes of data; its header announces {size:,} "
            f"for shape {shape} of {dtype}. The file is damaged: save it again."
        )
    flat = np.frombuffer(body, dtype)
    return flat.reshape(shape, order="F" if order[1] == b"True" else "C")


def _split(content: bytes, name: str) -> tuple[bytes, bytes]:
    """Header and data; the length of the header takes 2 bytes, from version 2 on 4."""
    if not content.startswith(MAGIC):
        raise TableError(
            f"{name} does not begin like a .npy file; {EXPECTED}, as numpy.save "
            "writes it."
        )
    start = 10 if content[6:7] == b"\x01" else 12
    length = int.from_bytes(content[8:start], "little")
    if len(content) < start + length:
        raise TableError(
            f"{name} ends inside its header; the file is truncated: save it again."
        )
    return content[start : start + length], content[start + length :]


def _dtype(described: re.Match[bytes], name: str) -> np.dtype[np.generic]:
    text = b"".join(described.groups()).decode("ascii")
    try:
        return np.dtype(text)
    except TypeError as problem:
        raise TableError(
            f"{name} announces the unknown type {text!r}; use a table of int32."
        ) from problem


def _refusal(header: bytes, name: str) -> str:
    """Why the array is none of the plain ones."""
    if b"'|O'" in header or b"'O'" in header:
        return (
            f"{name} holds Python objects, which are never unpickled because that "
            "could run code; save the table as integers: "
            "numpy.save(path, table.astype('int32'))."
        )
    described = header[:200].decode("ascii", errors="replace").strip()
    return f"{name} has the header {described!r}; {EXPECTED}, of integers."
