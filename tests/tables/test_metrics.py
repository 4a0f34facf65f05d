"""Error figures against published values and against a plain loop."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import TableError
from axsim.tables.files import load_multiplier
from axsim.tables.metrics import Metrics, measure
from axsim.tables.multiplier import Multiplier
from tests.conftest import random_multiplier


def by_loop(mul: Multiplier, weights: np.ndarray) -> Metrics:
    """Every figure from its definition, pair by pair."""
    total = float(weights.sum())
    mae = bias = mse = ep = mre = nonzero = 0.0
    wce, wcre = 0, 0.0
    for a in range(mul.table.shape[0]):
        for b in range(mul.table.shape[1]):
            share = float(weights[a, b]) / total
            if not share:
                continue
            error = int(mul.table[a, b]) - int(mul.exact[a, b])
            mae += share * abs(error)
            bias += share * error
            mse += share * error * error
            ep += share * (error != 0)
            wce = max(wce, abs(error))
            if mul.exact[a, b]:
                relative = abs(error / int(mul.exact[a, b]))
                mre += share * relative
                nonzero += share
                wcre = max(wcre, relative)
    mre = mre / nonzero if nonzero else 0.0
    return Metrics(mae, wce, bias, mse, mse - bias * bias, ep, mre, wcre, weights.size)


def close(one: Metrics, other: Metrics) -> bool:
    return all(
        math.isclose(getattr(one, f), getattr(other, f), rel_tol=1e-9, abs_tol=1e-6)
        for f in Metrics.__dataclass_fields__
    )


@given(st.integers(0, 10**6), st.tuples(st.booleans(), st.booleans()), st.booleans())
def test_figures_follow_their_definitions(
    seed: int, signed: tuple[bool, bool], weighted: bool
) -> None:
    mul = random_multiplier(seed, (4, 3), signed, spread=5)
    if not weighted:
        assert close(mul.metrics(), by_loop(mul, np.ones((16, 8))))
        return
    generator = np.random.default_rng(seed)
    joint = generator.integers(0, 4, (16, 8))
    joint[3, 3] = 1
    assert close(mul.metrics(joint=joint), by_loop(mul, joint))


def test_separate_histograms_weigh_as_their_product() -> None:
    mul = random_multiplier(1, (4, 4))
    a, b = np.arange(16), np.arange(16) ** 2
    assert close(mul.metrics(a, b), by_loop(mul, np.outer(a, b)))
    assert close(mul.metrics(a), by_loop(mul, np.outer(a, np.ones(16))))
    assert close(mul.metrics(b=b), by_loop(mul, np.outer(np.ones(16), b)))


def test_uniform_weights_change_nothing() -> None:
    mul = random_multiplier(2)
    assert close(mul.metrics(), mul.metrics(joint=np.full((256, 256), 7)))


def test_huge_errors_are_summed_exactly() -> None:
    """Squares of int32 errors leave both int64 and the whole numbers of float64."""
    error = np.full((256, 256), 2**31 - 1, np.int32)
    metrics = measure(error, np.ones_like(error))
    assert metrics.mse == float((2**31 - 1) ** 2)
    assert metrics.variance == 0.0


def test_a_pair_that_never_occurs_does_not_count() -> None:
    table = np.zeros((2, 2), int)
    table[0, 0] = 1000
    mul = Multiplier.from_array(table, signed=False)
    assert mul.metrics(joint=[[0, 1], [1, 1]]).wce == 1
    assert mul.metrics(joint=[[1, 0], [0, 0]]) == Metrics(
        1000.0, 1000, 1000.0, 1e6, 0.0, 1.0, 0.0, 0.0, 4
    )


@pytest.mark.parametrize("scale", [1e308, 1e-300, 5e-324])
def test_the_size_of_counts_does_not_matter(scale: float) -> None:
    mul = random_multiplier(3, (4, 4))
    counts = np.full(16, scale)
    assert close(mul.metrics(counts, counts), mul.metrics())


def test_figures_are_plain_numbers() -> None:
    mul = random_multiplier(4)
    for figures in (mul.metrics(), mul.metrics(a=np.ones(256))):
        assert {type(getattr(figures, f)) for f in vars(figures)} == {int, float}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"a": np.ones(4)}, r"histogram a has shape \(4,\), the table needs \(16,\)"),
        ({"b": [-1.0] * 16}, r"histogram b must hold finite counts >= 0"),
        ({"b": [math.nan] * 16}, r"histogram b must hold finite counts >= 0"),
        ({"joint": np.zeros((16, 16))}, r"histogram joint .* not all zero"),
        ({"a": ["x"] * 16}, r"histogram a is no array: could not convert"),
        ({"joint": [[1], [1, 2]]}, r"histogram joint is no array"),
        ({"a": np.ones(16), "joint": np.ones((16, 16))}, r"either joint= or"),
    ],
)
def test_unusable_histograms(arguments: dict[str, object], message: str) -> None:
    mul = random_multiplier(0, (4, 4))
    with pytest.raises(TableError, match=message):
        mul.metrics(**arguments)  # pyright: ignore[reportArgumentType]


def printed(value: float, text: str) -> bool:
    """Whether a value prints as a published figure, at that figure's precision."""
    mantissa, _, exponent = text.partition("e")
    digits = len(mantissa.partition(".")[2])
    unit = 10.0 ** (int(exponent or 0) - digits)
    return abs(value - float(text)) <= 0.5 * unit * (1 + 1e-9)


def test_every_published_figure_is_reproduced(evoapprox: Path) -> None:
    with (evoapprox / "published.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    for row in rows:
        mul = load_multiplier(evoapprox / f"{row['name']}.bin")
        m = mul.metrics()
        figures = {
            "MAE": m.mae,
            "WCE": m.wce,
            "EP_pct": m.ep_percent,
            "MRE_pct": m.mre_percent,
            "MSE": m.mse,
            "WCRE_pct": m.wcre_percent,
        }
        for column, value in figures.items():
            assert printed(value, row[column]), (row["name"], column, value)
        assert mul.cost is not None
        assert mul.cost.power == float(row["power_mW"])
        assert mul.cost.area == float(row["area_um2"])
        assert mul.cost.delay == float(row["delay_ns"])
        assert (str(mul.is_symmetric), str(mul.table[0, 0])) == (
            row["symmetric"],
            row["m00"],
        )


def test_the_registry_s_figures_are_reproduced(evoapprox: Path) -> None:
    with (evoapprox / "registry.csv").open() as stream:
        rows = {row["name"]: row for row in csv.DictReader(stream)}
    for path in sorted(evoapprox.glob("*.bin")):
        row = rows[path.stem]
        mul = load_multiplier(path)
        m = mul.metrics()
        assert mul.sha256 == row["sha256_int32le"]
        assert math.isclose(m.mae, float(row["MAE"]), rel_tol=1e-5)
        assert m.wce == int(row["WCE"])
        assert math.isclose(
            m.ep_percent, float(row["EP_pct"]), rel_tol=1e-3, abs_tol=5e-3
        )
        assert math.isclose(m.bias, float(row["bias"]), rel_tol=1e-5, abs_tol=1e-6)
        unrecognised = Multiplier(mul.table, mul.signed)
        assert unrecognised.rank == int(row["rank_error"])


@pytest.mark.parametrize("scale", [1, 3])
def test_percentages_divide_by_the_number_of_pairs(scale: int) -> None:
    mul = Multiplier.from_function(
        lambda a, b: a * b + scale, signed=False, bits=(4, 3)
    )
    m = mul.metrics()
    assert m.mae_percent == m.wce_percent == m.bias_percent == 100 * scale / 128
    assert "MAE" in str(m)
    assert "EP 100.00 %" in str(m)
