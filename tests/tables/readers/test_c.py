from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import load_content

from axsim import Multiplier, TableError
from axsim.tables.files import load_multiplier
from axsim.tables.readers import c

UNSIGNED = """
/* mul8u_x(unused, unused) { in a comment */
#include <stdint.h>
static int helper(int only) { return only; }
uint16_t mul8u_x(uint8_t B, const uint8_t A) {
    return (uint16_t)(helper(B) * (A & 0xFC));
}
"""


def load(content: str, name: str, **arguments: Any) -> Multiplier:
    return load_content(content, name, allow_compile=True, **arguments)


def test_the_first_parameter_is_the_first_operand_whatever_its_name() -> None:
    expected = Multiplier.from_function(lambda a, b: a * (b & 0xFC), signed=False)
    assert load(UNSIGNED, "mul8u_x.c") == expected


@pytest.mark.parametrize(
    "signature",
    [
        "int16_t f(int8_t a, int8_t b) { return a * b + (a ^ b); }",
        "int f(int a, int b) { return a * b + (a ^ b); }",
        "uint64_t f(const uint64_t A,uint64_t B)\n{return (uint16_t)(A*B + (A^B));}",
        "uint64_t f(uint64_t A, uint64_t B) { return A * B + (A ^ B); }",
        "uint32_t f(uint32_t A, uint32_t B) { return A * B + (A ^ B); }",
    ],
)
def test_signed_products_are_twos_complement_of_any_type(signature: str) -> None:
    expected = Multiplier.from_function(lambda a, b: a * b + (a ^ b), signed=True)
    assert load(f"#include <stdint.h>\n{signature}\n", "mul8s_f.c") == expected


def test_other_widths_a_main_and_several_functions() -> None:
    text = (
        "int other(int a, int b) { return 7; }\n"
        "int mul3x2u_g(int a, int b) { return other(a, b) + a - b; }\n"
        "int main(int argc, char **argv) { return 1; }\n"
    )
    mul = load(text, "mul3x2u_g.c")
    assert np.array_equal(mul.table, 7 + np.arange(8)[:, None] - np.arange(4))
    with pytest.raises(TableError, match="found 2: other, mul3x2u_g"):
        load(text, "mul3x2u_h.c")


@pytest.mark.parametrize("name", ["value", "product", "a", "out", "count"])
def test_a_model_may_call_its_function_as_it_likes(name: str) -> None:
    mul = load(f"int {name}(int a, int b) {{ return a * b; }}", "mul2u_f.c")
    assert not mul.error.any()


def test_nothing_runs_unless_it_is_allowed(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    text = (
        f'#include <stdio.h>\nint f(int a, int b) {{ fopen("{mark}", "w"); return 0; }}'
    )
    with pytest.raises(TableError) as caught:
        load_content(text, "mul1u_f.c")
    assert str(caught.value) == (
        "mul1u_f.c is C code: making a table of it compiles and runs that code. If you "
        "trust the file, pass allow_compile=True (--allow-compile)."
    )
    assert not mark.exists()
    load(text, "mul1u_f.c")
    assert mark.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int f(int a, int b) { return a * }", "does not compile: .*error: "),
        ("int f(int a, int *b) { return 0; }", "found none"),
        ("", "is empty"),
        ("int f(int a, int b) { return *(volatile int *)0; }", "ended with signal 11"),
        (
            "#include <stdlib.h>\nint f(int a, int b) { exit(3); }",
            "ended with status 3",
        ),
        ("#include <stdlib.h>\nint f(int a, int b) { exit(0); }", "without a product"),
        (
            "long f(long a, long b) { return 1l << 40; }",
            r"mul2s_f\.c returns 1099511627776",
        ),
    ],
)
def test_bad_models_are_refused(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        load(text, "mul2s_f.c")


def test_a_model_that_never_returns_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "RUN_SECONDS", 0.2)
    with pytest.raises(
        TableError, match=r"took more than 0\.2 s to run and was stopped"
    ):
        load("int f(int a, int b) { for (;;) ; }", "mul8u_f.c")


def test_a_compiler_is_stopped_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler, child = tmp_path / "cc", tmp_path / "child"
    compiler.write_text(f"#!/bin/sh\nsleep 60 &\necho $! >{child}\nwait\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(c, "COMPILE_SECONDS", 0.5)
    with pytest.raises(TableError, match=r"took more than 0\.5 s to compile"):
        load(UNSIGNED, "mul8u_x.c")
    assert _ends(int(child.read_text()))


def _ends(pid: int) -> bool:
    """Whether a process is gone, or is only waiting to be collected."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(TableError, match="no no-such-compiler was found"):
        load(UNSIGNED, "mul8u_x.c")
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(TableError, match="none of cc, gcc, clang was found"):
        load(UNSIGNED, "mul8u_x.c")


def test_files_beside_the_model_can_be_included(tmp_path: Path) -> None:
    (tmp_path / "half.h").write_text("#define LOW 1\n")
    model = tmp_path / "mul2u_f.c"
    model.write_text(
        '#include "half.h"\nint f(int a, int b) { return a * b & ~LOW; }\n'
    )
    mul = load_multiplier(model, allow_compile=True)
    assert mul == Multiplier.from_function(
        lambda a, b: a * b & ~1, signed=False, bits=(2, 2)
    )


def test_a_compiler_that_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", '"')
    with pytest.raises(TableError, match="is no command: No closing quotation"):
        load(UNSIGNED, "mul8u_x.c")
