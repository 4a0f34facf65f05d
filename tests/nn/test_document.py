"""Answers to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from typing import Any

import pytest

from axsim.errors import ModelError
from axsim.memory.codec import Codec
from axsim.memory.codecs.group_affine import GroupAffine
from axsim.memory.policies.error_budget import ErrorBudget
from axsim.memory.policies.fixed import Fixed
from axsim.memory.policies.greedy import Greedy
from axsim.memory.policies.measured import Measured
from axsim.memory.policies.random_bits import RandomBits
from axsim.memory.policy import Policy
from axsim.memory.saved import Saved
from axsim.nn.document import Reader, Writer, answer_classes
from axsim.nn.spec import Exact, LayerSpec, Product, Quant
from axsim.quant.mse import MSE
from axsim.quant.observers import MovingAverage
from axsim.quant.percentile import Percentile
from axsim.quant.scheme import PerAxis, Scheme
from axsim.tables.multiplier import Multiplier

MUL = Multiplier.from_function(lambda a, b: a * b & ~7, signed=True, name="mine")


def through_json(value: Any) -> Any:
    """What comes back of a value that was written, dumped, parsed and read."""
    writer = Writer(lambda mul: mul.name)
    written = json.dumps([writer.write(value), writer.shared], allow_nan=False)
    described, shared = json.loads(written)
    return Reader({MUL.name: MUL}, shared).read(described)


ANSWERS = [
    Exact(),
    LayerSpec(multiplier=MUL),
    LayerSpec(
        Quant(
            Scheme(4, signed=True, symmetric=True, limits=(-7, 7)),
            Scheme(8, signed=True, symmetric=True, granularity=PerAxis(1), narrow=True),
            Percentile(99.5, 1024),
            MSE(steps=32),
        ),
        Product(MUL, "weight", None, "skip", "table", "gather"),
    ),
    LayerSpec(
        Quant(observer=MovingAverage(0.3), dynamic=True),
        saved=Saved(GroupAffine(), policy=Fixed(4)),
    ),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_come_back_equal(answer: LayerSpec) -> None:
    assert through_json(answer) == answer


def test_every_codec_can_be_written() -> None:
    kinds = [k for k in answer_classes().values() if Codec in k.__mro__]
    assert len(kinds) >= 9
    defaults = [kind for kind in kinds if kind is not GroupAffine]
    for codec in [*(kind() for kind in defaults), GroupAffine()]:
        assert through_json(codec) == codec


def test_no_two_classes_share_a_name() -> None:
    """A name that two files use would hide one of them."""
    known = set(answer_classes().values())
    homes = [import_module(kind.__module__) for kind in known]
    for kind in (each for home in homes for each in vars(home).values()):
        if is_dataclass(kind) and isinstance(kind, type) and kind.__name__[0] != "_":
            assert kind in known or answer_classes().get(kind.__name__) is None


def test_a_shared_policy_stays_one_object() -> None:
    greedy = Greedy(2.5, per_layer=False)
    first, second, other = through_json((greedy, greedy, Measured(3, interval=7)))
    assert first is second
    assert (first.average, first.per_layer) == (2.5, False)
    assert (other.average, other.interval) == (3, 7)


def test_numbers_that_json_lacks() -> None:
    values = (1.5, float("inf"), -float("inf"), 1, True, None, "text", {"a": 0.1})
    assert through_json(values) == values


def test_every_policy_keeps_what_it_was_made_with() -> None:
    kinds = [k for k in answer_classes().values() if Policy in k.__mro__]
    assert len(kinds) >= 5
    # The first argument is the only one that some of them need.
    for kind in kinds:
        policy = kind() if kind is RandomBits else kind(3)
        writer, other = Writer(str), Writer(str)
        assert writer.write(policy) == other.write(through_json(policy))
        assert writer.shared == other.shared


def test_policies_with_codecs_inside() -> None:
    budget = through_json(ErrorBudget(0.01, codec=None))
    assert isinstance(budget, ErrorBudget) and budget.squared_error == 0.01


@dataclass(frozen=True)
class Stranger:
    """A dataclass that is none of axsim's."""

    command: str = "true"


class Forgetful(Fixed):
    """Borrows the name of nothing that axsim knows."""


@pytest.mark.parametrize("value", [Stranger(), Forgetful(3), object(), b"bytes"])
def test_other_objects_are_not_written(value: Any) -> None:
    with pytest.raises(ModelError, match="of which axsim cannot write a description"):
        Writer(lambda mul: mul.name).write([value])


SCHEME: Mapping[str, Any] = {"class": "Scheme"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"class": "Popen", "args": "true"}, "names a class 'Popen', which is no answ"),
        ({"class": "Schem"}, r"Close names: 'Scheme'"),
        ({"class": ["Scheme"]}, r"names a class \['Scheme'\]"),
        ({**SCHEME, "bits": "8"}, "document's Scheme is not one: bits='8' is not"),
        ({**SCHEME, "bits": True}, "bits=True is not"),
        ({**SCHEME, "bits": 99}, "bits=99; unsigned codes have 1 to 8 bits"),
        ({**SCHEME, "limits": [0]}, r"limits=\(0,\) is not"),
        ({**SCHEME, "limits": [0, "x"]}, r"limits=\(0, 'x'\) is not"),
        ({**SCHEME, "rounding": "up"}, "rounding='up' is not"),
        ({**SCHEME, "granularity": SCHEME}, "granularity=Scheme.* is not"),
        ({**SCHEME, "width": 3}, "unexpected keyword argument 'width'"),
        ({"class": "PerAxis", "axis": None}, "axis=None is not"),
        ({"class": "MovingAverage", "momentum": "fast"}, "momentum='fast' is not"),
        ({"class": "Quant", "dynamic": 1}, "dynamic=1 is not"),
        ({"table": "other"}, "describes no table 'other'"),
        ({"shared": "Greedy 9"}, "describes no shared object 'Greedy 9'"),
        ({"number": "1e5"}, "number '1e5' is not inf"),
        ({"class": "Product", "table": None}, "table=None is not"),
    ],
)
def test_damaged_documents_are_refused(document: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Reader({}, {}).read(document)


def test_a_shared_object_that_holds_itself_is_refused() -> None:
    with pytest.raises(ModelError, match="holds itself"):
        Reader({}, {"a": {"shared": "a"}}).read({"shared": "a"})
