"""Gradients of approximate products against closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from axsim.nn.conv import ApproxConv2d
from axsim.nn.gradient import gradient_terms, local_slopes, product_gradient
from axsim.nn.linear import ApproxLinear
from axsim.nn.spec import Product
from axsim.tables.designs import build_design
from axsim.tables.multiplier import Multiplier, operand_values
from tests.conftest import random_multiplier
from tests.nn.test_layers import calibrated

MULS = [
    build_design("mul8u_mitchell"),
    build_design("mul8u_trunc_9"),
    build_design("mul8s_booth_8"),
    random_multiplier(3, spread=2000),
]


def by_loop(mul: Multiplier, a: int, w: int) -> tuple[float, float]:
    """Both local slopes of one entry, from the definition."""

    def slope(line: np.ndarray, signed: bool, bits: int, code: int) -> float:
        values = operand_values(bits, signed)
        order = np.argsort(values)
        place = int(np.flatnonzero(order == code)[0])
        near = order[max(place - 16, 0) : place + 17]
        return float(np.polyfit(values[near], line[near].astype(float), 1)[0])

    over_a = slope(mul.table[:, w], mul.signed[0], mul.bits[0], a)
    over_w = slope(mul.table[a], mul.signed[1], mul.bits[1], w)
    return over_a, over_w


def whole_slopes(mul: Multiplier) -> tuple[np.ndarray, np.ndarray]:
    """Local slopes of the table itself, by its two operands."""
    a, w = (
        operand_values(*o).astype(float) for o in zip(mul.bits, mul.signed, strict=True)
    )
    table = mul.table.astype(float)
    return local_slopes(table, a), local_slopes(table.T, w).T


@pytest.mark.parametrize("mul", MULS, ids=lambda mul: mul.name)
def test_local_slopes_are_least_squares_lines_of_33_codes(mul: Multiplier) -> None:
    over_a, over_w = whole_slopes(mul)
    for a, w in [(0, 0), (3, 200), (255, 255), (128, 127), (77, 1)]:
        assert (over_a[a, w], over_w[a, w]) == pytest.approx(by_loop(mul, a, w))


@pytest.mark.parametrize("mul", MULS, ids=lambda mul: mul.name)
def test_table_gradients_are_the_nearest_of_two_terms(mul: Multiplier) -> None:
    """No sum of two products is nearer to the slopes (Eckart and Young)."""
    found = product_gradient(mul, "table")
    exact = found.alpha[None, :], found.beta[:, None]
    terms = found.over_a, found.over_w
    for slopes, line, kept in zip(whole_slopes(mul), exact, terms, strict=True):
        nearest = np.linalg.svd(slopes - line, compute_uv=False)[2]
        left = np.linalg.norm(slopes - line - _sum(kept, mul), 2)
        hundredth = 0.0101 * np.linalg.norm(np.broadcast_to(line, slopes.shape))
        assert left <= max(1.001 * nearest, hundredth)
        assert kept is None or len(kept[0]) <= 2


def _sum(terms: Any, mul: Multiplier) -> np.ndarray:
    return np.zeros(mul.table.shape) if terms is None else terms[0].T @ terms[1]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_local_slope_of_a_line_is_its_slope_everywhere(bits: int) -> None:
    values = operand_values(bits, signed=True).astype(float)
    line = np.outer(values, [3.0, -2.0]) + 7
    assert np.allclose(local_slopes(line, values), [3.0, -2.0])


def test_a_staircase_slopes_everywhere() -> None:
    """Steps of 32 codes, as coarse tables have them: no slope is 0 or a jump's."""
    values = operand_values(8, signed=False).astype(float)
    slopes = local_slopes((values // 32 * 32)[:, None], values)[16:-16, 0]
    assert 0.1 < slopes.min() < slopes.max() < 1.6
    assert slopes.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("mul", MULS, ids=lambda mul: mul.name)
def test_slopes_are_least_squares_lines(mul: Multiplier) -> None:
    found = product_gradient(mul, "slopes")
    a, w = (operand_values(8, s).astype(float) for s in mul.signed)
    for code in (0, 5, 130, 255):
        assert np.isclose(
            found.alpha[code], np.polyfit(a, mul.table[:, code], 1)[0], rtol=1e-4
        )
        assert np.isclose(
            found.beta[code], np.polyfit(w, mul.table[code], 1)[0], rtol=1e-4
        )


@pytest.mark.parametrize("kind", ["ste", "slopes", "table"])
def test_every_kind_is_the_exact_gradient_of_an_exact_table(kind: Any) -> None:
    exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
    found = product_gradient(exact, kind)
    assert np.allclose(found.alpha, np.arange(256), rtol=1e-5)
    assert np.allclose(found.beta, np.arange(256), rtol=1e-5)
    assert found.over_a is None and found.over_w is None


@pytest.mark.parametrize("kind", ["slopes", "table"])
@pytest.mark.parametrize("mul", MULS[:3], ids=lambda mul: mul.name)
def test_a_linear_layer_s_gradient_is_the_sum_over_its_products(
    mul: Multiplier, kind: Any
) -> None:
    """dL/dx_k = sum_o g_o s_w (dT/da - z_w), dL/dw_ok = sum g_o s_a (dT/dw - z_a)."""
    torch.manual_seed(0)
    layer = ApproxLinear(6, 4, bias=False, spec=Product(mul, gradient=kind))
    x = torch.randn(3, 6)
    calibrated(layer, x)
    x.requires_grad_()
    g = torch.randn(3, 4)
    over_x, over_w = torch.autograd.grad(layer(x), [x, layer.weight], g)
    assert layer.site
    a, w = (
        layer.site.input_quantizer.codes(x),
        layer.site.weight_quantizer.codes(layer.weight),
    )
    qa, qw = a.raw.long(), w.raw.long()
    found = product_gradient(mul, kind)
    table_a = torch.from_numpy(found.alpha[None, :] + _sum(found.over_a, mul))
    table_w = torch.from_numpy(found.beta[:, None] + _sum(found.over_w, mul))
    pairs = qa[:, None, :], qw[None, :, :]  # (M, O, K)
    zero_w, scale_w = w.zero_point[:, None], w.scale[:, None]
    expected_x = (g[:, :, None] * scale_w * (table_a[pairs] - zero_w)).sum(1)
    expected_w = (g[:, :, None] * a.scale * (table_w[pairs] - a.zero_point)).sum(0)
    torch.testing.assert_close(over_x, expected_x.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(over_w, expected_w.float(), rtol=1e-4, atol=1e-4)


def test_clipped_inputs_pass_no_gradient() -> None:
    exact = Multiplier.from_function(lambda a, b: a * b, signed=True)
    layer = ApproxLinear(3, 2, spec=exact)
    calibrated(layer, torch.tensor([[1.0, 0.5, -1.0]]))
    x = torch.tensor([[3.0, 0.5, -3.0]], requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0] == x.grad[0, 2] == 0
    assert x.grad[0, 1] != 0


@pytest.mark.parametrize("mul", [*MULS, random_multiplier(4, spread=9)])
def test_terms_sum_to_the_gradient(mul: Multiplier) -> None:
    """Both sums have as many terms, also where one needs fewer."""
    found, terms = product_gradient(mul, "table"), gradient_terms(mul, "table")
    assert len({len(each) for each in terms}) == 1
    over_a = found.alpha[None, :] + _sum(found.over_a, mul)
    over_w = found.beta[:, None] + _sum(found.over_w, mul)
    assert np.allclose(terms.p.T @ terms.q, over_a, rtol=1e-5, atol=1e-3)
    assert np.allclose(terms.s.T @ terms.t, over_w, rtol=1e-5, atol=1e-3)
    assert (terms.p[0] == 1).all() and (terms.t[0] == 1).all()


@pytest.mark.parametrize("kind", ["slopes", "table"])
def test_padded_taps_count_in_the_weight_s_gradient(kind: Any) -> None:
    """A padded layer gives what an unpadded one gives on an input with a border."""
    mul = MULS[0]
    torch.manual_seed(0)
    padded = ApproxConv2d(2, 3, 3, padding=1, spec=Product(mul, gradient=kind))
    plain = ApproxConv2d(2, 3, 3, spec=Product(mul, gradient=kind))
    x = torch.randn(1, 2, 5, 5)
    calibrated(padded, x)
    plain.load_state_dict(padded.state_dict())
    bordered = torch.nn.functional.pad(x, (1, 1, 1, 1))
    g = torch.randn(1, 3, 5, 5)
    (one,) = torch.autograd.grad(padded(x), padded.weight, g)
    (other,) = torch.autograd.grad(plain(bordered), plain.weight, g)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
