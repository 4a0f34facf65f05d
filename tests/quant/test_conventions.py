"""Golden vectors, worked out by hand, of published conventions as data."""

from __future__ import annotations

import torch

from axsim.quant.percentile import Percentile
from axsim.quant.quantizer import Quantizer
from axsim.quant.scheme import PerAxis, Scheme

X = torch.tensor([-2.5, -0.5, 0.0, 0.5, 1.5, 252.5])


def test_tf_approximate_rounds_half_up_and_takes_every_batchs_range() -> None:
    # Range 255 over 255 steps: scale 1. The zero point 2.5 goes away from zero, 3.
    # floor(v + 1/2) of the values is -2, 0, 0, 1, 2, 253; 253 + 3 clips to 255.
    tf2 = Quantizer(Scheme(rounding="half_up"), dynamic=True)
    codes = tf2.codes(X)
    assert (codes.scale.item(), codes.zero_point.item()) == (1.0, 3)
    assert codes.raw.tolist() == [1, 3, 3, 4, 5, 255]
    assert codes.values().tolist() == [-2, 0, 0, 1, 2, 252]
    # The same value in another batch: range 0 … 510, scale 2, zero point 0.
    codes = tf2.codes(torch.tensor([1.0, 252.5, 510.0]))
    assert (codes.scale.item(), codes.zero_point.item()) == (2.0, 0)
    assert codes.raw.tolist() == [1, 126, 255]


def test_axsim_and_pt2e_activations_round_half_to_even_and_stay_frozen() -> None:
    # The zero point 2.5 goes to the even 2; the values to -2, 0, 0, 0, 2, 252.
    default = Quantizer(Scheme.for_activation(signed=False)).calibrate()
    default(X)
    codes = default.freeze().codes(X)
    assert (codes.scale.item(), codes.zero_point.item()) == (1.0, 2)
    assert codes.raw.tolist() == [0, 2, 2, 2, 4, 254]
    assert default.codes(torch.tensor([510.0])).raw.tolist() == [255]
    # reduce_range: 127 steps for the range 255.
    reduced = Quantizer(Scheme(limits=(0, 127), eps=2.0**-12)).calibrate()
    reduced(torch.tensor([-4.0, 250.0]))
    codes = reduced.freeze().codes(torch.tensor([-4.0, 1.0, 3.0, 250.0, 999.0]))
    assert (codes.scale.item(), codes.zero_point.item()) == (2.0, 2)
    assert codes.raw.tolist() == [0, 2, 4, 127, 127]


def test_pt2e_weights_divide_by_half_the_range() -> None:
    # 127.5 / 127.5: the largest positive weight is a tie that clips to 127.
    scheme = Scheme(signed=True, symmetric=True, granularity=PerAxis(0),
                    clips_half_step=True, eps=2.0**-12)  # fmt: skip
    codes = Quantizer(scheme, dynamic=True).codes(
        torch.tensor([[127.5, -127.5, 0.5], [-0.5, 0.0, 255.0]])
    )
    assert codes.scale.tolist() == [1.0, 2.0]
    assert codes.integers().tolist() == [[127, -128, 0], [0, 0, 127]]
    assert codes.raw.tolist() == [[127, 128, 0], [0, 0, 127]]
    # A weight of nearly nothing meets the smallest scale.
    tiny = Quantizer(scheme, dynamic=True).codes(torch.tensor([[1e-5, -3e-4]]))
    assert (tiny.scale.item(), tiny.integers().tolist()) == (2.0**-12, [[0, -1]])


def test_adapt_clips_at_a_percentile_of_magnitudes_to_plus_and_minus_127() -> None:
    # 9,999 of 10,000 magnitudes lie below 127, where a bin of 1024/4096 ends.
    spread = torch.full((9_999,), -126.9)
    spread[1::2] = 3.0
    adapt = Quantizer(
        Scheme(signed=True, symmetric=True, narrow=True), Percentile(99.99)
    ).calibrate()
    adapt(torch.cat([spread, torch.tensor([1000.0])]))
    assert adapt.freeze().scale.item() == 1.0
    codes = adapt.codes(torch.tensor([0.5, 1.5, -1.0, -127.4, -500.0, 1000.0]))
    assert codes.integers().tolist() == [0, 2, -1, -127, -127, 127]
    assert codes.raw.tolist() == [0, 2, 255, 129, 129, 127]
