"""Every circuit computes what the arithmetic definition beside it says."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.tables.designs import Design, families, find_design, shipped_names
from axsim.tables.designs.family import Family, Shape

SMALL = (Shape(4, 4, False), Shape(5, 3, False), Shape(4, 4, True), Shape(3, 5, True))


def designs_of(family: Family, shape: Shape) -> list[Design]:
    """All designs of a family for these operands, by magnitude where it must be."""
    magnitude = shape.signed and "s" not in family.signs
    if magnitude or ("s" if shape.signed else "u") in family.signs:
        return [
            Design(family, values, shape, magnitude)
            for values in family.legal_values(
                shape._replace(signed=shape.signed and not magnitude)
            )
        ]
    return []


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_circuit_equals_its_definition(name: str) -> None:
    design = find_design(name)
    assert np.array_equal(design.netlist().table(), design.definition())


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_every_legal_small_circuit_equals_its_definition(family: Family) -> None:
    tried = [design for shape in SMALL for design in designs_of(family, shape)]
    assert tried
    for design in tried:
        table, definition = design.netlist().table(), design.definition()
        assert np.array_equal(table, definition), design.name
