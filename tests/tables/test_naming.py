from __future__ import annotations

import pytest

from axsim.tables.naming import Stated, conventional_prefix, stated_operands


@pytest.mark.parametrize(
    ("name", "bits", "signed"),
    [
        ("mul8u_1JFF", (8, 8), False),
        ("mul8s_1L2H", (8, 8), True),
        ("mul7u_01L", (7, 7), False),
        ("mul8x4u_0AB", (8, 4), False),
        ("mul12u_2PP", (12, 12), False),
    ],
)
def test_names_of_the_convention_state_their_operands(
    name: str, bits: tuple[int, int], signed: bool
) -> None:
    assert stated_operands(name) == Stated(bits, signed)
    assert name.startswith(conventional_prefix(bits, signed))


@pytest.mark.parametrize(
    "name", ["1JFF", "mul8_1JFF", "mul8u", "my_mul8u_x", "MUL8U_X"]
)
def test_other_names_state_nothing(name: str) -> None:
    assert stated_operands(name) is None
