"""`.npz`: a zip archive with one `.npy` array in it, as `numpy.savez` writes it."""

from __future__ import annotations

import io
import zipfile

from ...errors import TableError
from . import Numbers, TableFile, npy

LARGEST = 4 << 20
EXPECTED = f"a .npz table is an archive of one array, at most {LARGEST:,} bytes"


def read(file: TableFile) -> Numbers:
    """Reads the only array of a .npz file; never unpickles."""
    content = file.read_bytes(LARGEST, EXPECTED)
    member, array = _only_member(file, content)
    return npy.parse(file, array, f"{file.name}, array {member!r},")


def _only_member(file: TableFile, content: bytes) -> tuple[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.namelist()
            if len(members) == 1:
                # One byte more than allowed, so that a zip bomb stays small here.
                with archive.open(members[0]) as stream:
                    array = stream.read(npy.LARGEST + 1)
                return members[0].removesuffix(".npy"), array
    # zipfile raises a dozen unrelated types on damaged or unsupported archives.
    except Exception as problem:
        raise TableError(
            f"{file.name} is not a readable archive ({problem}); {EXPECTED}, as "
            "numpy.savez writes it. Save it again."
        ) from problem
    names = ", ".join(member.removesuffix(".npy") for member in members[:5])
    more = ", ..." if len(members) > 5 else ""
    raise TableError(
        f"{file.name} holds {len(members)} arrays ({names}{more}); "
        f"{EXPECTED}. Save the table alone, or as .npy."
    )
