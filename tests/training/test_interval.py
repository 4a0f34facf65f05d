from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.training.interval import wilson


@given(count=st.integers(1, 5000), data=st.data())
def test_the_bounds_are_where_the_score_test_begins_to_reject(
    count: int, data: st.DataObject
) -> None:
    """Wilson's definition: |share - p| = z sqrt(p (1 - p) / n) at each bound p."""
    hits = data.draw(st.integers(0, count))
    below, above = wilson(hits, count)
    share = hits / count
    assert 0 <= below <= share <= above <= 1
    for bound in (below, above):
        score = 1.959964 * math.sqrt(bound * (1 - bound) / count)
        assert abs(share - bound) == pytest.approx(score, rel=1e-5, abs=1e-7)


def test_nothing_and_everything_keep_their_ends() -> None:
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    # z^2 / (n + z^2), the closed form at no hits.
    assert wilson(0, 10)[1] == pytest.approx(3.8415 / 13.8415, rel=1e-4)


def test_another_level_is_another_width() -> None:
    narrow, wide = wilson(50, 100, 0.5), wilson(50, 100, 0.99)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]
