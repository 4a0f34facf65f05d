"""Rules, recipes and what they answer."""

from __future__ import annotations

from typing import Any

import pytest

from axsim.errors import ConversionError
from axsim.memory.saved import Saved
from axsim.nn.recipe import Recipe, recipe, resolve
from axsim.nn.spec import ByKind, Exact, LayerSpec, Product, Quant, Rule
from tests.conftest import random_multiplier

CODES = Saved()
MUL, OTHER = random_multiplier(1), random_multiplier(2)
ALL = frozenset({"quant", "multiplier", "gate", "saved"})
LAYERS = {
    "stem": ALL,
    "layer1.conv": ALL,
    "layer1.relu": frozenset({"saved"}),
    "head": ALL,
}


def test_within_a_group_the_first_match_wins() -> None:
    rules = recipe([Rule("stem|head", Exact()), Rule(".*", MUL)])
    answers = resolve(rules, LAYERS)
    assert answers["stem"] == Exact().cut(ALL)
    assert answers["layer1.conv"] == LayerSpec(multiplier=MUL)
    assert "layer1.relu" not in answers


def test_specs_are_cut_to_the_questions_of_a_layer() -> None:
    answers = resolve(recipe(LayerSpec(multiplier=MUL, saved=CODES)), LAYERS)
    assert answers["layer1.relu"] == LayerSpec(saved=CODES)
    assert answers["stem"] == LayerSpec(multiplier=MUL, saved=CODES)


def test_recipes_unite_their_answers() -> None:
    united = recipe(MUL) | recipe(LayerSpec(saved=CODES)) | recipe(Quant_only())
    assert isinstance(united, Recipe)
    answers = resolve(united, LAYERS)
    assert answers["head"] == LayerSpec(Quant(dynamic=True), MUL, saved=CODES)
    assert recipe(united) is united


def Quant_only() -> LayerSpec:
    return LayerSpec(quant=Quant(dynamic=True))


def test_equal_answers_do_not_conflict_and_different_ones_do() -> None:
    assert resolve(recipe(MUL) | recipe(Product(MUL)), LAYERS)
    with pytest.raises(ConversionError) as problem:
        resolve(recipe(MUL) | recipe([Rule("head", OTHER)]), LAYERS)
    assert str(problem.value) == (
        "'head' has two answers to multiplier: random_1 from rule '.*' and random_2 "
        "from rule 'head'. Change one of the united recipes so that only one answers."
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            [Rule("layr1.*", MUL)],
            r"rule 'layr1\.\*' matched no layer\. Close names: 'layer1",
        ),
        ([Rule("conv", MUL)], r"rule 'conv' matched no layer\."),
        ([Rule("(", MUL)], r"rule '\(' is not a regular expression"),
        (
            [Rule(".*", MUL), Rule("head", OTHER)],
            r"rule 'head' contributes to no layer: rule '\.\*' comes first",
        ),
        (
            [Rule("layer1.relu", MUL)],
            r"matched 1 layers, such as 'layer1\.relu', but answers no question",
        ),
        ([], r"rules: got no rules"),
        ([MUL], r"rules: got a Multiplier; give a Multiplier, a Product"),
    ],
)
def test_rules_that_do_nothing_are_errors(rules: Any, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        resolve(recipe(rules), LAYERS)


def test_a_spec_for_each_kind_serves_layers_of_that_kind() -> None:
    kinds = {"stem": "convolution", "layer1.conv": "convolution", "head": "linear"}
    spec = ByKind(convolution=LayerSpec(multiplier=MUL))
    answers = resolve(recipe(spec), LAYERS, kinds)
    assert list(answers) == ["stem", "layer1.conv"]
    with pytest.raises(ConversionError) as problem:
        resolve(recipe([Rule("head", spec)]), LAYERS, kinds)
    assert str(problem.value) == (
        "rule 'head' matched 1 layers, such as 'head', but answers no question of "
        "theirs; it has answers for convolution layers only."
    )
