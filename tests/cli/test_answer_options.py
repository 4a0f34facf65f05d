"""The options that convert a network, and the recipes that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import axsim as ax
from axsim import ConversionError, ModelError
from axsim.cli import build_app
from axsim.cli._answers import Answers
from axsim.nn.recipe import Recipe, recipe, resolve
from axsim.nn.spec import QUESTIONS
from axsim.recipes.text import ABOUT, find_recipe, recipes, restrict
from axsim.zoo.checkpoint import read_metadata, read_weights

RESNET = ("--model", "digits_resnet", "--data", "digits")
SHIPPED = (*RESNET, "--weights", "shipped")
LINEAR = ("--model", "linear:build", "--data", "digits")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(build_app(), list(map(str, arguments)))


def resolved(rules: Recipe | None, *layers: str) -> dict[str, ax.LayerSpec]:
    assert rules is not None
    names = layers or ("stem", "head")
    kinds = {name: "linear" if name == "head" else "convolution" for name in names}
    return resolve(rules, dict.fromkeys(names, QUESTIONS), kinds)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def answered(text: str) -> list[str]:
    """The cells of the last evaluation: images, accuracy, interval, loss, agreement."""
    return [row for row in rows(text) if row[:1] == ["360"]][-1]


def test_nothing_named_converts_nothing() -> None:
    assert Answers().rules() is None
    assert Answers().words == ""


def test_a_multiplier_and_its_connection() -> None:
    answers = Answers(
        multiplier="mul8u_trunc_6", row="weight", pad="skip", gradient="table"
    )
    spec = resolved(answers.rules())["head"]
    mul = ax.load_multiplier("mul8u_trunc_6")
    assert spec == ax.LayerSpec(
        multiplier=ax.Product(mul, row="weight", pad="skip", gradient="table")
    )
    assert answers.words == (
        "--multiplier mul8u_trunc_6 --row weight --pad skip --gradient table"
    )


def test_a_policy_for_signs_brings_signed_codes() -> None:
    spec = resolved(Answers(multiplier="mul8u_exact", signs="shift").rules())["head"]
    assert isinstance(spec.quant, ax.Quant)
    assert spec.quant.activation and spec.quant.activation.signed
    assert spec.quant.weight and str(spec.quant.weight).startswith("int8 symmetric")


def test_codes_alone_are_exact_products_on_codes() -> None:
    spec = resolved(Answers(bits=4).rules())["head"]
    assert spec.multiplier is None
    assert isinstance(spec.quant, ax.Quant)
    assert str(spec.quant.activation) == "uint4 affine per tensor, 0 … 15"
    assert str(spec.quant.weight) == "int4 symmetric per axis 0, -8 … 7"


def test_some_layers_are_converted_and_some_stay_exact() -> None:
    names = ("stem", "stage1.0", "stage1.1", "head")
    chosen = Answers(multiplier="mul8u_trunc_6", only="st.*", exact=("stem",))
    found = resolved(chosen.rules(), *names)
    untouched = resolved(recipe(ax.Exact()), "stem")["stem"]
    assert list(found) == ["stem", "stage1.0", "stage1.1"]
    assert found["stem"] == untouched
    assert found["stage1.0"].product is not None
    # A recipe's own patterns are narrowed, not replaced.
    own = recipe([ax.Rule("stage1.*", ax.load_multiplier("mul8u_exact"))])
    narrowed = restrict([own], "stage1.1|head", ())
    assert list(resolved(narrowed, *names)) == ["stage1.1"]


def coded(bits: int, *, halves: bool = False, word: str = "x") -> Recipe:
    """A recipe without a multiplier, as it might be added to `axsim.recipes`."""
    assert halves in (True, False) and isinstance(word, str)
    return recipe(Answers(bits=bits // 2 if halves else bits).rules() or ())


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ax.recipes, "coded", coded, raising=False)


@pytest.mark.usefixtures("more")
def test_recipes_are_found_by_name_and_take_arguments() -> None:
    assert {"coded", "tfapprox"} <= recipes().keys()
    found = find_recipe("coded:8, halves=True,word=L3")
    assert (found.values, found.named) == ((8,), {"halves": True, "word": "L3"})
    spec = resolved(Answers(recipe=("coded:8,halves=True",)).rules())["head"]
    assert spec == resolved(Answers(bits=4).rules())["head"]


def test_a_recipe_about_a_multiplier_is_given_it() -> None:
    answers = Answers(multiplier="mul8u_trunc_6", recipe=("tfapprox:profile=axsim",))
    mul = ax.load_multiplier("mul8u_trunc_6")
    given = resolved(answers.rules())
    assert given == resolved(ax.recipes.tfapprox(mul, profile="axsim"))


def test_a_pattern_in_a_recipe_may_have_bars_and_commas() -> None:
    gate = "cg:gated=conv(1|2){1,2},parts=2|pg:gated=head,quantised=None"
    found = resolved(Answers(gate=gate).rules(), "conv1", "conv2", "head")
    splits = [str(spec.gate.split) for spec in found.values() if spec.gate]
    assert splits == ["1 of 2 channel groups first, grouped"] * 2 + [
        "high 2 bits first"
    ]


@pytest.mark.usefixtures("more")
def test_recipes_are_united_by_a_bar_or_by_repeating() -> None:
    both = ("coded:6 | coded:bits=6", "coded:6")
    assert len(Answers(recipe=both).rules() or ()) == 3
    # A multiplier that no recipe asks for is one answer more.
    answers = Answers(multiplier="mul8u_exact", recipe=("coded:8",))
    spec = resolved(answers.rules())["head"]
    assert spec.product is not None and isinstance(spec.quant, ax.Quant)


def test_a_gate_and_what_is_saved_are_recipes_by_their_question() -> None:
    """As the options are written in their help, and every recipe of its question."""
    gate, saved = "pg:bits=3,msb=2,target=1,weight=1e-3", "actnn:L3"
    layers = ("stem", "stage1.0.conv1", "stage1.0.conv2")
    found = resolved(Answers(gate=gate, saved=saved).rules(), *layers)
    gated = ax.recipes.precision_gating(3, msb=2, target=1, weight=1e-3)
    expected = gated | ax.recipes.actnn("L3")
    for name, spec in resolved(expected, *layers).items():
        assert (found[name].quant, found[name].gate) == (spec.quant, spec.gate)
        assert str(found[name].saved) == str(spec.saved)
    assert [n for n in layers if found[n].gate] == ["stage1.0.conv1"]
    assert Answers(gate=gate, saved=saved).words == f"--gate {gate} --saved {saved}"
    for question, names in ABOUT.items():
        for name in names:
            rules = Answers(recipe=(name,)).rules()
            specs = resolved(rules, *layers).values()
            assert any(getattr(spec, question) for spec in specs), name


def test_a_multiplier_is_under_gated_layers_and_all_others() -> None:
    layers = ("stem", "stage1.0.conv1", "stage1.0.conv2", "head")
    chosen = Answers(
        multiplier="mul8u_trunc_6", signs="sign-magnitude", gate="pg", exact=("head",)
    )
    found = resolved(chosen.rules(), *layers)
    products = [found[name].product for name in layers[:3]]
    assert [str(each) for each in products] == [str(products[0])] * 3
    assert products[0] and products[0].signs == "sign-magnitude"
    assert str(found["stem"].quant) == str(
        resolved(Answers(multiplier="mul8u_trunc_6", signs="sign-magnitude").rules())[
            "stem"
        ].quant
    )
    assert found["head"] == resolved(recipe(ax.Exact()), "head")["head"]
    gated = resolved(ax.recipes.precision_gating(mul=products[0]), *layers)
    assert {name: found[name] for name in gated} == gated


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"recipe": ("tfaprox",)},
         r"--recipe tfaprox: there is no recipe 'tfaprox'; there are .*tfapprox.* "
         r"Close names: 'tfapprox'\."),
        ({"recipe": ("tfapprox:tf2",)},
         r"--recipe tfapprox:tf2 is about a multiplier; name it with --multiplier\."),
        ({"recipe": ("coded:8,halvs=True",)},
         r"--recipe coded:8,halvs=True: got an unexpected keyword argument 'halvs'\. "
         r"It takes bits: .*, halves: .*; write NAME:value,key=value\."),
        ({"recipe": ("coded",)},
         r"--recipe coded: missing a required argument: 'bits'\. It takes bits: "),
        ({"gate": "actnn:L3"},
         r"--gate actnn:L3: there is no recipe 'actnn'; there are cg, channel_gating, "
         r"pg, precision_gating\."),
        ({"saved": "blpb:4"},
         r"--saved blpb:4: .* acgc, actnn, blpa, gact, rectified\. Close names: 'b"),
        ({"gate": "pg:bits=abc"},
         r"--gate pg:bits=abc: bits='abc' is of type str; it takes int\."),
        ({"gate": "cg:target=True"},
         r"target=True is of type bool; it takes float\."),
        ({"gate": "pg:bit=3"},
         r"--gate pg:bit=3: got an unexpected keyword argument 'bit'\. It takes bits:"),
        ({"multiplier": "mul8u_exact", "row": "weigth"},
         r"row='weigth'; choose one of 'activation', 'weight'\."),
    ],
)  # fmt: skip
def test_recipes_and_words_that_are_not_known(
    answers: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConversionError, match=message):
        Answers(**answers).rules()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--row", "weight"], "--row needs --multiplier."),
        (["--exact", "x"],
         "--exact needs --multiplier, --bits, --recipe, --gate or --saved."),
        (["--bits", "4", "--multiplier", "mul8u_exact"],
         "--bits 4 is for exact products; a table has codes of its own width. Leave "
         "out --bits, or name a narrower table."),
        (["--bits", "8", "--calibrate", "0"], "--calibrate 0; at least 1."),
        (["--layers"], "--layers shows how layers are approximated; name a "
         "--multiplier, --bits, a --recipe or a --gate."),
    ],
)  # fmt: skip
def test_options_that_say_nothing_are_refused(options: list[str], message: str) -> None:
    result = run("eval", *LINEAR, *options)
    assert result.exit_code == 2
    # The box around the message breaks its lines.
    assert message in " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())


def test_a_network_is_evaluated_under_a_table() -> None:
    result = run("eval", *SHIPPED, "--multiplier", "mul8u_trunc_8", "--layers")
    assert result.exit_code == 0, result.output
    title, _, _, _, exact, _, how, _, head, *summary = result.stdout.splitlines()
    row = answered(result.stdout)
    assert title.startswith("digits_resnet, shipped, on <digits, fold 0 of 5")
    # First without the table, then with it.
    assert float(exact.split()[1]) > 99
    assert how == "--multiplier mul8u_trunc_8"
    assert "agreement" in head
    accuracy, agreement = float(row[1]), float(row[4])
    # The exact network is 99.7 % right, so that hardly more agree than are right.
    assert accuracy < 60 and agreement == pytest.approx(accuracy, abs=0.6)
    lines = [line.split()[0] for line in summary if "mul8u_trunc_8" in line]
    assert len(lines) == 8 and lines[0] == "stem.conv" and lines[-1] == "head"


def test_a_table_file_and_an_exact_one_agree_with_the_network(tmp_path: Path) -> None:
    table = tmp_path / "mine_8u.npy"
    codes = np.arange(256, dtype=np.int64)
    np.save(table, np.outer(codes, codes))
    file = ax.load_multiplier(table, signed=False).save(tmp_path / "mul8u_mine.bin")
    result = run("eval", *SHIPPED, "--multiplier", file)
    assert float(answered(result.stdout)[4]) > 99


def test_what_is_retrained_is_evaluated_again(tmp_path: Path) -> None:
    options = ("--multiplier", "mul8u_trunc_8", "--exact", "x|h.*")
    trained = run(
        "train", *SHIPPED, *options, "--out", tmp_path, "--epochs", 1, "--lr", 0.02,
        "--calibrate", 64, "--batch-size", 64,
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    last = tmp_path / "last.safetensors"
    after = float(rows(trained.stdout)[2][5])
    before = answered(run("eval", *SHIPPED, *options).stdout)
    assert after > 60 > float(before[1])
    words = "--multiplier mul8u_trunc_8 --exact 'x|h.*' --calibrate 64"
    folder = tmp_path / "network"
    assert trained.stdout.splitlines()[-3:] == [
        f"wrote {last}",
        f"wrote {folder}, the network with its tables and ranges",
        f"next: axsim eval --model digits_resnet --data digits --weights {folder}",
    ]
    assert read_metadata(last)["answers"] == words
    assert "stem.conv.site.input_quantizer.scale" in read_weights(last)
    # The folder knows its tables; beside the weights alone they must be said again.
    for again in (("--weights", folder), ("--weights", last, *options)):
        evaluated = run("eval", *RESNET, *again)
        assert float(answered(evaluated.stdout)[1]) == after
    for refused, message in [
        (("--weights", last),
         "weights: last.safetensors is of a converted network; convert the model "
         "first as it was then, on the command line with the options of axsim train: "
         f"{words}. Or load the folder 'network' beside it."),
        (("--weights", folder, "--bits", 4),
         f"weights: the folder {folder} says itself how its network is converted; "
         "leave out --bits 4."),
    ]:  # fmt: skip
        problem = run("eval", *RESNET, *refused).exception
        assert isinstance(problem, ModelError)
        assert str(problem) == message


def test_an_interrupted_conversion_goes_on_with_resume(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    options = (*LINEAR, "--epochs", 2, "--bits", 3, "--calibrate", 32)
    assert run("train", *options, "--out", whole).exit_code == 0
    # Two passes calibrate and probe, 12 are an epoch, 3 validate it.
    stop = (*options, "--out", parted, "--model-option", "interrupted=22")
    assert run("train", *stop).exit_code == 130
    assert run("train", *options, "--out", parted, "--resume").exit_code == 0
    x, y = (read_weights(folder / "last.safetensors") for folder in (whole, parted))
    assert x.keys() == y.keys() and all((x[name] == y[name]).all() for name in x)
