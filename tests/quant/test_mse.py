"""The range with the least squared error, against a search over the values."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from axsim.errors import OperandError
from axsim.quant.codes import decode, encode
from axsim.quant.mse import MSE
from axsim.quant.params import choose_params
from axsim.quant.scheme import PerAxis, Scheme

SCHEMES = [
    Scheme(bits=4, signed=True, symmetric=True),
    Scheme(bits=3, signed=True, symmetric=True, narrow=True),
    Scheme(bits=4),
    Scheme(bits=2, symmetric=True),
]


def error(x: Tensor, low: Tensor, high: Tensor, scheme: Scheme) -> float:
    params = choose_params(low, high, scheme)
    back = decode(encode(x, *params, scheme), *params, scheme)
    return float((back - x).double().square().mean())


def distributions() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    normal = torch.randn(4_000, generator=generator)
    return {
        "normal": normal,
        "heavy tails": normal.sign() * normal.abs() ** 3,
        "rectified": normal.relu(),
        "shifted": normal + 2,
        "negative": -normal.abs(),
    }


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("name", distributions())
def test_as_good_as_trying_every_range_on_the_values(scheme: Scheme, name: str) -> None:
    x = distributions()[name]
    observer = MSE()
    found = error(x, *observer.range(observer.measure(x, None), scheme), scheme)
    low, high = x.min(), x.max()
    shares = torch.linspace(0.05, 1, 20)
    if scheme.signed:
        end = torch.maximum(-low, high)
        tried = [error(x, -end * s, end * s, scheme) for s in shares]
    else:
        tried = [error(x, low * s, high * t, scheme) for s in shares for t in shares]
    assert found <= min(tried) * 1.02
    assert found <= error(x, low, high, scheme) * (1 + 1e-6)


def test_few_bits_clip_heavy_tails() -> None:
    x = distributions()["heavy tails"]
    scheme = Scheme(bits=3, signed=True, symmetric=True, narrow=True)
    observer = MSE()
    _, high = observer.range(observer.measure(x, None), scheme)
    assert high < 0.5 * x.max()


def test_an_axis_is_searched_index_by_index() -> None:
    scheme = Scheme(bits=4, granularity=PerAxis(0))
    rows = torch.stack([x[:2000] for x in distributions().values()])
    observer = MSE(steps=32)
    low, high = observer.range(observer.measure(rows, 0), scheme)
    for i, row in enumerate(rows):
        alone = observer.range(observer.measure(row, None), Scheme(bits=4))
        assert (low[i], high[i]) == alone


def test_all_zero() -> None:
    observer = MSE()
    state = observer.measure(torch.zeros(4), None)
    assert observer.range(state, Scheme()) == (torch.tensor(0.0), torch.tensor(0.0))


def test_steps_are_several() -> None:
    with pytest.raises(OperandError, match="steps=1; the search needs 2"):
        MSE(steps=1)
