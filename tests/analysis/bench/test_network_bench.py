"""The network benchmark on a tiny network: its parts and how it prints."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from axsim.analysis.bench import network as subject
from axsim.analysis.bench.network import NetworkBench, Timing, run
from axsim.cli import build_app
from axsim.errors import ModelError
from axsim.kernels import paths
from axsim.zoo.networks.factory import build_network


@pytest.fixture(scope="module")
def result() -> NetworkBench:
    return run("cpu", 1, "digits_resnet", ("mul8u_exact", "mul8s_trunc_4"), 2, 2)


def named(result: NetworkBench, name: str) -> Timing:
    return next(t for t in result.timings if t.multiplier == name)


def test_every_table_is_measured_and_taken_apart(result: NetworkBench) -> None:
    assert [t.multiplier for t in result.timings] == ["mul8u_exact", "mul8s_trunc_4"]
    assert [t.rank for t in result.timings] == [0, 4]
    for timing in result.timings:
        assert timing.seconds > 0
        assert timing.ratio > 0
        assert set(timing.paths) <= set(paths())
        parts = asdict(timing.parts)
        assert list(parts) == ["codes", "layout", "products", "rest"]
        assert min(parts.values()) >= 0
        assert timing.parts.codes > 0
        assert timing.parts.layout > 0


def test_prints_as_a_table_and_survives_json(result: NetworkBench) -> None:
    text = str(result)
    assert "digits_resnet, batch 2, float32:" in text
    assert "x float32" in text
    numbers = json.loads(json.dumps(result.to_dict()))
    assert numbers["timings"][1]["multiplier"] == "mul8s_trunc_4"
    assert numbers["timings"][1]["parts"]["codes"] > 0


def test_measuring_leaves_the_number_of_threads(result: NetworkBench) -> None:
    before = torch.get_num_threads()
    run("cpu", before + 1, "digits_resnet", ("mul8u_exact",), 1, 1)
    assert torch.get_num_threads() == before


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(ModelError, match="there is no network 'resnet'"):
        run("cpu", 1, "resnet")


@pytest.mark.parametrize(
    "name", ["digits_resnet", "digits_vit", "lenet5", "cifar_resnet8", "mobilenetv2"]
)
def test_networks_accept_the_images_they_are_given(name: str) -> None:
    net = build_network(name).eval()
    with torch.no_grad():
        assert net(subject.images_for(name, net, 2)).shape[0] == 2


def test_the_command_takes_model_tables_and_batch(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    options = ["--model", "digits_resnet", "--multiplier", "mul8u_mitchell",
               "--batch", "1", "--json", str(out)]  # fmt: skip
    found = CliRunner().invoke(build_app(), ["bench", "network", *options])
    assert found.exit_code == 0, found.output
    numbers = json.loads(out.read_text())
    assert (numbers["network"], numbers["batch"]) == ("digits_resnet", 1)
    assert [t["multiplier"] for t in numbers["timings"]] == ["mul8u_mitchell"]


def test_options_of_another_subject_are_refused() -> None:
    found = CliRunner().invoke(build_app(), ["bench", "kernels", "--multiplier", "x"])
    assert found.exit_code != 0
    message = str(found.exception or found.output)
    assert "bench kernels takes no --multiplier" in message
