"""`.c`: a C model as EvoApproxLib ships it, compiled and called for every operand pair.

That runs code from the file, so it happens only where the user allows it. The model is
compiled by the system's compiler in a temporary folder, under a time limit, together
with a driver that writes all products to a file; the first parameter is operand `a`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import TableError
from . import Numbers, TableFile
from .h import strip_comments

COMPILE_SECONDS = 20.0
RUN_SECONDS = 10.0
EXPECTED = "a .c model defines one function of two integers, f(a, b)"
# Possessive repeats: a hostile file must not make the search step back.
FUNCTION = re.compile(r"\b([A-Za-z_]\w*+)\s*+\(([^(){};]{1,300}+)\)\s*+\{")
PARAMETER = re.compile(r"(?:\w+\s+)+\w+")
DRIVER = """\
#include <stdint.h>
#include <stdio.h>
#define main main_of_the_model
#include "model.c"
#undef main

static int64_t axsim_value(int64_t code, int bits, int is_signed) {{
    return is_signed && (code >> (bits - 1)) ? code - ((int64_t)1 << bits) : code;
}}

/* Apart from main, whose names the model may use for its function. */
static int64_t axsim_product(int64_t axsim_a, int64_t axsim_b) {{
    return (int64_t){function}(axsim_value(axsim_a, {bits_a}, {signed_a}),
                               axsim_value(axsim_b, {bits_b}, {signed_b}));
}}

int main(int count, char **arguments) {{
    FILE *out = count == 2 ? fopen(arguments[1], "wb") : NULL;
    if (!out) return 1;
    for (int64_t a = 0; a < {rows}; a++)
        for (int64_t b = 0; b < {columns}; b++) {{
            int64_t product = axsim_product(a, b);
            fwrite(&product, sizeof product, 1, out);
        }}
    return fclose(out) != 0;
}}
"""


def read(file: TableFile) -> Numbers:
    """Compiles the model and tabulates it."""
    if not file.allow_compile:
        raise TableError(
            f"{file.name} is C code: making a table of it compiles and runs that code. "
            "If you trust the file, pass allow_compile=True (--allow-compile)."
        )
    source = file.read_text(EXPECTED)
    function = _function(file, strip_comments(source))
    with tempfile.TemporaryDirectory(prefix="axsim-") as name:
        folder = Path(name)
        (folder / "model.c").write_text(source, encoding="utf-8")
        (folder / "driver.c").write_text(_driver(file, function), encoding="utf-8")
        _compile(file, folder)
        products = _run(file, folder)
    return _interpret(file, products).reshape(file.shape)


def _function(file: TableFile, code: str) -> str:
    """The function to tabulate: the only one of two integers, or the namesake."""
    names = [
        match[1] for match in FUNCTION.finditer(code) if _is_operand_pair(match[2])
    ]
    if file.path.stem in names:
        return file.path.stem
    if len(names) == 1:
        return names[0]
    found = f"{len(names)}: {', '.join(names[:5])}" if names else "none"
    raise TableError(
        f"{file.name}: {EXPECTED}, or several of which one has the name of the file; "
        f"found {found}."
    )


def _is_operand_pair(parameters: str) -> bool:
    """Whether these are two parameters passed by value, with a type and a name each."""
    split = [parameter.strip() for parameter in parameters.split(",")]
    return len(split) == 2 and all(map(PARAMETER.fullmatch, split))


def _driver(file: TableFile, function: str) -> str:
    return DRIVER.format(
        function=function,
        rows=file.shape[0],
        columns=file.shape[1],
        bits_a=file.widths[0],
        bits_b=file.widths[1],
        signed_a=int(file.signed[0]),
        signed_b=int(file.signed[1]),
    )


def _compile(file: TableFile, folder: Path) -> None:
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as problem:
        raise TableError(f"CC={os.environ['CC']!r} is no command: {problem}.") from None
    found = [name for name in ("cc", "gcc", "clang") if shutil.which(name)]
    compiler = chosen or found[:1]
    if not compiler or not shutil.which(compiler[0]):
        sought = f"no {' '.join(compiler)}" if compiler else "none of cc, gcc, clang"
        raise TableError(
            f"{file.name} needs a C compiler, and {sought} was found. Install one, "
            "or set CC to its name."
        )
    # -w: a generated model may warn; -I: it may include files that lie beside it.
    flags = ["-O1", "-w", "-I", str(file.path.parent.resolve()), "-o", "model"]
    status, messages = _bounded(
        file, [*compiler, *flags, "driver.c"], folder, COMPILE_SECONDS, "compile"
    )
    if status != 0:
        lines = messages.splitlines() or [f"the compiler ended with status {status}"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise TableError(f"{file.name} does not compile: {first.strip()[:300]}")


def _run(file: TableFile, folder: Path) -> npt.NDArray[np.int64]:
    out = folder / "products"
    status, _ = _bounded(
        file, [str(folder / "model"), str(out)], folder, RUN_SECONDS, "run"
    )
    if status != 0:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise TableError(
            f"{file.name} compiles, but ended with {how} when it was run; it must "
            "return for every pair of operands."
        )
    if not out.is_file() or out.stat().st_size != 8 * file.count:
        raise TableError(
            f"{file.name} ended without a product for each of {file.count:,} pairs of "
            "operands; it must return for every pair."
        )
    return np.fromfile(out, dtype=np.int64)


def _bounded(
    file: TableFile, command: list[str], folder: Path, seconds: float, what: str
) -> tuple[int, str]:
    """Exit status and messages of a command that is killed when its time is up."""
    log = folder / f"{what}.log"
    with log.open("wb") as messages:
        # A session of its own, so that the compiler's children are killed with it.
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=messages,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as problem:
            raise TableError(
                f"{file.name} took more than {seconds:g} s to {what} and was stopped. "
                "Does it loop for ever?"
            ) from problem
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    with log.open("rb") as messages:
        return status, messages.read(65536).decode("utf-8", errors="replace")


def _interpret(file: TableFile, products: npt.NDArray[np.int64]) -> Numbers:
    """Products of signed operands come as two's complement of bits_a + bits_b bits.

    The function's type decides how many bits above those are set: none (a narrow or
    unsigned type), all 64, or those of an unsigned 32-bit type.
    """
    if not any(file.signed):
        return products
    half = 1 << (sum(file.widths) - 1)
    wide = np.where(
        (products >= 1 << 31) & (products < 1 << 32), products - (1 << 32), products
    )
    outside = (wide < -half) | (wide >= 2 * half)
    if outside.any():
        a, b = divmod(int(np.argmax(outside)), file.shape[1])
        raise TableError(
            f"{file.name} returns {products[outside][0]} for the operand codes {a} "
            f"{b}; signed products have {sum(file.widths)} bits."
        )
    return np.where(wide >= half, wide - 2 * half, wide)
