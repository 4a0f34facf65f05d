"""The one-pass output of a layer equals the formula on exact sums, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from axsim.errors import BackendError
from axsim.kernels import reference
from axsim.nn.forms import ConvolutionForm, LinearForm
from axsim.nn.product import Circuit, Operand, multiply
from axsim.quant.codes import integers
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.multiplier import Multiplier

PATHS = ("gather", "shuffle", "factored")


def table_for(a: Scheme, w: Scheme) -> Multiplier:
    """Products of the codes, some bits missing, [0, 0] not 0."""
    return Multiplier.from_function(
        lambda x, y: (x * y & ~3) + 1,
        signed=(a.signed, w.signed),
        bits=(a.bits, w.bits),
    )


def operand(shape: tuple[int, ...], scheme: Scheme, seed: int) -> Operand:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(1 << scheme.bits, shape, generator=generator)
    count = () if scheme.axis is None else (shape[0],)
    scale = torch.rand(count, generator=generator) / 100 + 1e-4
    low, high = scheme.quant_min, scheme.quant_max + 1
    zero = torch.randint(low, high, count, generator=generator).int()
    zero = torch.zeros_like(zero) if scheme.symmetric else zero
    return Operand(raw.to(torch.uint8), scale, zero, scheme)


def by_formula(a: Operand, w: Operand, bias: Any, circuit: Circuit) -> torch.Tensor:
    """The same arithmetic, step by step, in NumPy and torch."""
    form = circuit.form
    q_a, q_w = integers(a.raw, a.scheme), integers(w.raw, w.scheme)
    q_a, q_w = q_a.numpy().astype(np.int64), q_w.numpy().astype(np.int64)
    zero_a, zero_w = int(a.zero_point), w.zero_point.numpy().astype(np.int64)
    code = zero_a % (1 << a.scheme.bits)
    ones = Multiplier.from_function(
        lambda x, y: x + 0 * y, signed=circuit.mul.signed, bits=circuit.mul.bits
    )
    if isinstance(form, LinearForm):
        rows = a.raw.flatten(0, -2).numpy()
        total = reference.lut_matmul(rows, w.raw.numpy(), circuit.mul).astype(np.int64)
        sums_a, side = q_a.reshape(len(rows), -1).sum(1, keepdims=True), ()
        shape = (*a.raw.shape[:-1], len(w.raw))
    else:
        assert isinstance(form, ConvolutionForm)
        settings: Any = (form.stride, form.padding, form.dilation, form.groups, code)
        codes = a.raw.numpy(), w.raw.numpy()
        total = reference.lut_conv(*codes, circuit.mul, *settings).astype(np.int64)
        sums_a = reference.lut_conv(*codes, ones, *settings).astype(np.int64)
        side, shape = (1,) * len(form.stride), total.shape
    terms = q_w[0].size
    zeros = np.broadcast_to(zero_w, (len(q_w),)).reshape(-1, *side)
    sums_w = q_w.reshape(len(q_w), -1).sum(1).reshape(-1, *side)
    exact = total - zeros * sums_a - zero_a * sums_w + terms * zero_a * zeros
    scales = (a.scale * w.scale).expand(len(q_w)).reshape(-1, *side)
    y = torch.from_numpy(exact).float() * scales
    y = y if bias is None else y + bias.reshape(-1, *side)
    return y.reshape(shape)


SCHEMES = st.sampled_from(
    [
        (Scheme(), Scheme(granularity=PerAxis(0))),
        (Scheme(), Scheme()),
        (Scheme(6), Scheme(5, granularity=PerAxis(0))),
        (Scheme(signed=True), Scheme(signed=True, granularity=PerAxis(0))),
        (Scheme(4, signed=True), Scheme(signed=True)),
        (Scheme(), Scheme(signed=True, symmetric=True, granularity=PerAxis(0))),
        (Scheme(signed=True, symmetric=True), Scheme(signed=True, symmetric=True)),
    ]
)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, ...]:
    """Shapes of both operands and the form."""
    spatial = draw(st.integers(1, 3))
    groups, each = draw(st.sampled_from([(1, 1), (1, 5), (3, 1), (2, 2)]))
    kernel = [draw(st.integers(1, 3)) for _ in range(spatial)]
    many = [tuple(draw(st.integers(1, 2)) for _ in range(spatial)) for _ in range(2)]
    padding = tuple(draw(st.integers(0, 2)) for _ in range(spatial))
    size = [draw(st.integers(5, 9)) for _ in range(spatial)]
    x = (draw(st.sampled_from([1, 2, 9])), groups * each, *size)
    w = (groups * draw(st.integers(1, 5)), each, *kernel)
    return x, w, ConvolutionForm(many[0], padding, many[1], groups)


def check(case: Any, schemes: Any, path: str, with_bias: bool, seed: int) -> None:
    x, w, form = case
    a = operand(x, schemes[0], seed)
    b = operand(w, schemes[1], seed + 1)
    bias = torch.randn(w[0], generator=torch.Generator().manual_seed(seed))
    circuit = Circuit(table_for(*schemes), form, backend=path)
    given_bias = bias if with_bias else None
    try:
        found = circuit.finished(a, b, given_bias)
    except BackendError:
        assume(False)
        return
    assume(found is not None)
    expected = by_formula(a, b, given_bias, circuit)
    assert found is not None
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=40, deadline=None)
@given(convolutions(), SCHEMES, st.booleans(), st.integers(0, 99))
def test_convolutions_are_finished_exactly(
    path: str, case: Any, schemes: Any, with_bias: bool, seed: int
) -> None:
    check(case, schemes, path, with_bias, seed)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), SCHEMES, st.booleans())
def test_matrix_products_are_finished_exactly(
    path: str, terms: int, outputs: int, schemes: Any, with_bias: bool
) -> None:
    case = (3, 150, terms), (outputs, terms), LinearForm()
    check(case, schemes, path, with_bias, terms)


def test_sums_round_once() -> None:
    """Sums beyond 2^24 are ties and near ties of float32."""
    a = operand((40, 700), Scheme(), 0)
    w = operand((3, 700), Scheme(signed=True, symmetric=True), 1)
    a = replace(a, zero_point=torch.tensor(0, dtype=torch.int32))
    circuit = Circuit(
        Multiplier.from_function(lambda x, y: x * 257 + y * 3, signed=(False, True)),
        LinearForm(),
        backend="gather",
    )
    total = circuit.accumulate(a, w)
    assert (total.abs() > 1 << 24).float().mean() > 0.5
    expected = total.float() * (a.scale * w.scale)
    wide = replace(a, raw=a.raw.repeat(20, 1))
    found = circuit.finished(wide, w, None)
    assert found is not None
    assert torch.equal(found[:40], expected)


def test_what_was_kept_of_the_weights_follows_scale_and_zero_point() -> None:
    a, w = operand((300, 8), Scheme(), 0), operand((4, 8), Scheme(), 1)
    circuit = Circuit(table_for(Scheme(), Scheme()), LinearForm(), backend="gather")
    others = [a, replace(a, scale=a.scale * 3), replace(a, zero_point=a.zero_point + 1)]
    for other in [*others, a]:
        found = circuit.finished(other, w, None)
        assert found is not None
        assert torch.equal(found, by_formula(other, w, None, circuit))
    assert not replace(w, raw=w.raw + 1).kept


@pytest.mark.parametrize("pad", ["code", "skip"])
def test_what_has_no_single_pass_takes_the_formula(pad: str) -> None:
    """Sums that may leave int32, and padded taps that are skipped."""
    deep = 9000 if pad == "code" else 2
    a = operand((1, deep, 3, 3), Scheme(), 0)
    w = operand((2, deep, 3, 3), Scheme(), 1)
    form = ConvolutionForm((1, 1), (1, 1), (1, 1), 1)
    circuit = Circuit(table_for(Scheme(), Scheme()), form, skip=pad == "skip")
    assert circuit.finished(a, w, None) is None
    x, weight = a.values(), w.values()
    y = multiply(x, weight, None, a, w, circuit)
    expected = circuit.accumulate(a, w).float() * (a.scale * w.scale)
    assert torch.equal(y, expected)
