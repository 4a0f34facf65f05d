"""Schemes: which integers there are, and settings that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from axsim.errors import OperandError
from axsim.quant.scheme import PerAxis, PerTensor, Scheme


@pytest.mark.parametrize(
    ("scheme", "limits"),
    [
        (Scheme(), (0, 255)),
        (Scheme(bits=1), (0, 1)),
        (Scheme(bits=3, signed=True), (-4, 3)),
        (Scheme(signed=True, narrow=True), (-127, 127)),
        (Scheme(bits=2, signed=True, symmetric=True, narrow=True), (-1, 1)),
        (Scheme(limits=(0, 127)), (0, 127)),
        (Scheme(signed=True, limits=(-64, 63)), (-64, 63)),
    ],
)
def test_codes_in_use(scheme: Scheme, limits: tuple[int, int]) -> None:
    assert (scheme.quant_min, scheme.quant_max) == limits


def test_defaults_follow_the_signedness_of_the_table() -> None:
    assert Scheme.for_activation(signed=False) == Scheme(8, False, False, PerTensor())
    assert Scheme.for_activation(signed=True) == Scheme(8, True, True, PerTensor())
    assert Scheme.for_weight(signed=False) == Scheme(8, False, False, PerAxis(0))
    assert Scheme.for_weight(signed=True) == Scheme(8, True, True, PerAxis(0))
    assert Scheme.for_weight(signed=True, axis=1).axis == 1


def test_print_names_integers_granularity_and_an_unusual_rounding() -> None:
    assert str(Scheme()) == "uint8 affine per tensor, 0 … 255"
    scheme = Scheme(4, True, True, PerAxis(1), "half_up", narrow=True)
    assert str(scheme) == "int4 symmetric per axis 1, -7 … 7, rounds half_up"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 9}, "bits=9; unsigned codes have 1 to 8 bits"),
        ({"bits": 1, "signed": True}, "bits=1; signed codes have 2 to 8 bits"),
        ({"narrow": True}, "narrow=True with signed=False"),
        ({"limits": (0, 256)}, r"limits=\(0, 256\).* inside 0 … 255"),
        ({"limits": (5, 5)}, "smaller first"),
        ({"limits": (1, 9), "symmetric": True}, "code 0, the zero point, must be one"),
        (
            {"signed": True, "narrow": True, "limits": (0, 9)},
            r"narrow=True with limits=\(0, 9\)",
        ),
        ({"rounding": "up"}, "rounding='up'; choose one of 'half_even', 'half_up'"),
        ({"nudge": "left"}, "nudge='left'; choose one of 'widen', 'shift'"),
        (
            {"nudge": "shift", "symmetric": True},
            'nudge="shift" is a rule for affine codes',
        ),
        ({"clips_half_step": True}, "clips_half_step=True is a rule for signed"),
        ({"eps": 0.0}, "eps=0.0; the smallest scale is at least 2"),
        ({"eps": float("nan")}, "eps=nan"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OperandError, match=message):
        Scheme(**settings)


def test_axes_count_from_the_front() -> None:
    with pytest.raises(OperandError, match="axis=-1; PerAxis counts"):
        PerAxis(-1)
