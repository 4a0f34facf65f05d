"""The Pareto front against its definition, and costs that do not compare."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim import Multiplier, TableError
from axsim.analysis.front import pareto_front, tradeoff
from axsim.tables.cost import MODEL_UNITS, Cost

points = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=30
)


def truncated(bits: int, cost: Cost | None) -> Multiplier:
    mask = ~((1 << bits) - 1)
    return Multiplier.from_function(
        lambda a, b: a * b & mask, signed=False, bits=(4, 4), name=f"t{bits}", cost=cost
    )


def modelled(power: float) -> Cost:
    return Cost("a model", power=power, units=MODEL_UNITS)


@given(points)
def test_the_front_is_whom_nobody_beats(pairs: list[tuple[int, int]]) -> None:
    def beaten(x: int, y: int) -> bool:
        return any(p <= x and q <= y and (p, q) != (x, y) for p, q in pairs)

    found = pareto_front(*zip(*pairs, strict=True))
    assert sorted(found) == [i for i, pair in enumerate(pairs) if not beaten(*pair)]
    costs = [pairs[i][0] for i in found]
    assert costs == sorted(costs)


def test_the_numbers_behind_the_plot() -> None:
    muls = [truncated(k, modelled(1 - k / 10)) for k in (0, 2, 1)]
    found = tradeoff([*muls, truncated(3, Cost("a foundry", power=0.1))],
                     origin="a model")  # fmt: skip
    assert found.names == ["t0", "t2", "t1"]
    assert list(found.cost) == [1, 0.8, 0.9]
    expected = [100 * np.abs(mul.error).mean() / 256 for mul in muls]
    assert list(found.quality) == pytest.approx(expected)
    assert list(found.exact) == [True, False, False]
    assert list(found.front) == [1, 2, 0]
    assert (found.unit, found.origin, found.left_out) == ("× exact 8x8", "a model", 1)


def test_a_table_without_the_cost_is_named() -> None:
    muls = [
        truncated(1, modelled(1)),
        truncated(2, None),
        truncated(3, Cost("x", area=1)),
    ]
    with pytest.raises(TableError) as problem:
        tradeoff(muls)
    assert str(problem.value) == (
        "pareto: no power is known for 't2', 't3'. Leave these out, give them a "
        "sourced `cost=`, or choose the origin= of those that have one: 'a model', 'x'."
    )


def test_costs_of_two_origins_are_not_mixed() -> None:
    muls = [truncated(1, modelled(1)), truncated(2, Cost("a foundry", power=1))]
    with pytest.raises(TableError) as problem:
        tradeoff(muls)
    assert str(problem.value) == (
        "pareto: costs of different origins or units do not compare: 'a model' in "
        "× exact 8x8 ('t1'); 'a foundry' in mW, µm², ns ('t2'). Choose one with "
        "origin=, or leave the others out."
    )


def test_one_origin_in_two_units_does_not_compare_either() -> None:
    muls = [truncated(1, modelled(1)), truncated(2, Cost("a model", power=1))]
    with pytest.raises(TableError, match=r"'a model' in mW, µm², ns \('t2'\)"):
        tradeoff(muls)


def test_narrower_multipliers_do_not_compete() -> None:
    narrow = Multiplier.from_function(
        lambda a, b: a * b, signed=False, bits=(4, 2), name="n", cost=modelled(0.1)
    )
    with pytest.raises(TableError) as problem:
        tradeoff([truncated(1, modelled(1)), narrow])
    assert str(problem.value) == (
        "pareto: multipliers of different widths do not compete: 4x4 ('t1'); 4x2 "
        "('n'). Choose those of one width."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"cost": "powr"},
            "cost='powr'; choose one of power, area, delay. Close names",
        ),
        (
            {"quality": "nothing"},
            "quality='nothing'; choose one of mae_percent, wce_perc",
        ),
        ({"origin": "who"}, "no cost has origin='who'; found: 'a model'."),
        ({"cost": "area"}, "no area is known for 't1'"),
    ],
)
def test_other_choices_are_refused(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(TableError, match=message.replace(".", r"\.")):
        tradeoff([truncated(1, modelled(1))], **arguments)


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(TableError, match="no multipliers were given"):
        tradeoff([])
