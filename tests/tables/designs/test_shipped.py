"""The shipped selection, and how families are found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from axsim.errors import TableError
from axsim.tables import designs
from axsim.tables.designs import build_design, families, shipped_names
from axsim.tables.multiplier import Multiplier

MINE = """
from axsim.tables.designs import Family

FAMILIES = (
    Family(
        name="{name}",
        summary="Products of the lowest bits only.",
        citation="nobody",
        circuit=lambda a, b: [a[0] & b[0]],
        product=lambda a, b: a[0] & b[0],
        shipped=("mul8u_{name}",),
    ),
)
"""


@pytest.fixture(scope="module")
def shipped() -> list[Multiplier]:
    return [build_design(name) for name in shipped_names()]


def test_the_selection_is_wide(shipped: list[Multiplier]) -> None:
    assert len(shipped) >= 90
    assert len({mul.name.split("_")[1] for mul in shipped}) >= 16
    assert {mul.operands for mul in shipped} == {
        "unsigned 8x8",
        "signed 8x8",
        "unsigned 8x4",
        "unsigned 4x4",
    }


def test_every_family_but_the_exact_trees_ships_something() -> None:
    idle = [family.name for family in families().values() if not family.shipped]
    assert idle == ["wallace", "dadda"]


def test_no_two_shipped_tables_are_the_same(shipped: list[Multiplier]) -> None:
    assert len(set(shipped)) == len(shipped)


def test_error_and_cost_leave_no_wide_gap(shipped: list[Multiplier]) -> None:
    for operands in ("unsigned 8x8", "signed 8x8"):
        chosen = [mul for mul in shipped if mul.operands == operands]
        powers = sorted(mul.cost.power for mul in chosen if mul.cost and mul.cost.power)
        assert len(powers) == len(chosen)
        assert powers[0] < 0.12
        assert np.diff(powers).max() < 0.25
        errors = sorted(mul.metrics().mae for mul in chosen)
        assert errors[0] == 0
        assert errors[1] < 16
        ratios = np.divide(errors[2:], errors[1:-1])
        assert ratios.max() < 4


def test_every_family_is_cited_and_described_in_a_sentence() -> None:
    for family in families().values():
        assert family.summary.endswith(".") and "\n" not in family.summary
        assert any(str(year) in family.citation for year in range(1960, 2027))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules count as modules of the package of designs."""
    monkeypatch.setattr(designs, "__path__", [*designs.__path__, str(tmp_path)])
    families.cache_clear()
    yield tmp_path
    families.cache_clear()
    for module in tmp_path.glob("*.py"):
        sys.modules.pop(f"axsim.tables.designs.{module.stem}", None)


def test_a_new_file_is_a_new_family(folder: Path) -> None:
    (folder / "lowest.py").write_text(MINE.format(name="lowest"))
    assert "mul8u_lowest" in shipped_names()
    assert build_design("mul8x4u_lowest").table[3, 5] == 1
    assert build_design("mul4s_sm_lowest").table[1, [1, 15]].tolist() == [1, -1]


def test_a_file_without_families_is_an_error(folder: Path) -> None:
    (folder / "empty.py").write_text("FAMILES = ()")
    with pytest.raises(TableError, match=r"designs\.empty defines no FAMILIES"):
        families()


def test_two_families_of_one_name_are_an_error(folder: Path) -> None:
    (folder / "again.py").write_text(MINE.format(name="drum"))
    with pytest.raises(TableError, match="a family 'drum' exists already"):
        families()
