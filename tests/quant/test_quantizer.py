"""Quantizers: what they do in each mode, what they print, how they travel."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from axsim.errors import CalibrationError, OperandError
from axsim.quant.codes import encode
from axsim.quant.mse import MSE
from axsim.quant.observers import MinMax, MovingAverage, Observer
from axsim.quant.pact import PactQuantizer
from axsim.quant.params import choose_params
from axsim.quant.percentile import Percentile
from axsim.quant.quantizer import Quantizer
from axsim.quant.scheme import PerAxis, Scheme
from axsim.quant.straight_through import fake_quantise

PER_CHANNEL = Scheme(signed=True, symmetric=True, granularity=PerAxis(0))


def values(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def frozen(scheme: Scheme | None = None, name: str = "") -> Quantizer:
    quantizer = Quantizer(scheme, name=name).calibrate()
    quantizer(values(0, 6, 10))
    return quantizer.freeze()


def test_life_of_a_quantizer() -> None:
    x = values(1, 4, 5)
    quantizer = Quantizer(name="conv1.input")
    assert quantizer.mode == "uncalibrated"
    assert quantizer.calibrate().mode == "calibrating"
    assert quantizer(x) is x
    quantizer(2 * x)
    assert quantizer.freeze().mode == "frozen"
    params = choose_params(2 * x.min(), 2 * x.max(), Scheme())
    assert torch.equal(quantizer.scale, params[0])
    assert torch.equal(quantizer.zero_point, params[1])
    # A frozen range does not follow what comes later.
    assert torch.equal(quantizer(9 * x), fake_quantise(9 * x, *params, Scheme()))
    codes = quantizer.codes(9 * x)
    assert torch.equal(codes.raw, encode(9 * x, *params, Scheme()))
    assert torch.equal(codes.values(), quantizer(9 * x))


@pytest.mark.parametrize("scheme", [Scheme(bits=4), PER_CHANNEL], ids=str)
@pytest.mark.parametrize(
    "observer", [MinMax(), Percentile(99.0), MSE(steps=8)], ids=str
)
def test_dynamic_takes_the_range_of_every_tensor(
    observer: Observer, scheme: Scheme
) -> None:
    quantizer = Quantizer(scheme, observer, dynamic=True)
    assert quantizer.mode == "dynamic"
    for seed in (1, 2):
        x = values(seed, 3, 50) * seed
        once = Quantizer(scheme, observer).calibrate()
        once(x)
        assert torch.equal(quantizer(x), once.freeze()(x))
        assert torch.equal(quantizer.codes(x).values(), quantizer(x))
    assert quantizer.state_dict()["scale"].numel() == 0


def test_dynamic_makes_nan_visible() -> None:
    x = torch.tensor([1.0, torch.nan])
    for observer in (MinMax(), Percentile(), MSE(steps=4)):
        quantizer = Quantizer(observer=observer, dynamic=True)
        assert bool(quantizer(x).isnan().all())
        assert bool(quantizer.codes(x).values().isnan().all())


@pytest.mark.parametrize(
    "observer", [MinMax(), Percentile(90.0, bins=256), MSE(steps=8, bins=256)], ids=str
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_frozen_ranges_do_not_depend_on_batches(
    observer: Observer, data: st.DataObject
) -> None:
    x = values(3, 12, 7) * torch.logspace(-3, 3, 12)[:, None]
    order = data.draw(st.permutations(range(12)))
    size = data.draw(st.integers(1, 12))
    whole, parts = (Quantizer(observer=observer).calibrate() for _ in range(2))
    whole(x)
    for batch in x[order].split(size):
        parts(batch)
    assert torch.equal(parts.freeze().scale, whole.freeze().scale)
    assert torch.equal(parts.zero_point, whole.zero_point)


def test_gradient_is_straight_through_in_every_mode() -> None:
    x = torch.tensor([-9.0, 0.5, 9.0], requires_grad=True)
    fixed = Quantizer(Scheme(4, signed=True, symmetric=True))
    fixed.fix(torch.tensor(0.5), torch.tensor(0))
    watching, dynamic = Quantizer().calibrate(), Quantizer(dynamic=True)
    for quantizer, expected in (
        (fixed, [0, 1, 0]),
        (watching, [1, 1, 1]),
        (dynamic, [1, 1, 1]),
    ):
        (gradient,) = torch.autograd.grad(quantizer(x).sum(), x)
        assert gradient.tolist() == expected


@pytest.mark.parametrize("use", ["forward", "codes", "params"])
def test_uncalibrated_use_names_the_layer_and_the_next_step(use: str) -> None:
    quantizer = Quantizer(name="layer1.conv2.input")
    message = r"'layer1.conv2.input' is not calibrated.*calibration=batches to axsim"
    with pytest.raises(CalibrationError, match=message):
        getattr(quantizer, use)(torch.ones(2))
    with pytest.raises(CalibrationError, match="a quantizer without a name is not"):
        getattr(Quantizer(), use)(torch.ones(2))


def test_codes_wait_for_the_end_of_calibration() -> None:
    quantizer = Quantizer(name="fc").calibrate()
    with pytest.raises(CalibrationError, match=r"'fc' is still calibrating. Call free"):
        quantizer.codes(torch.ones(2))


@pytest.mark.parametrize(
    ("bad", "count"),
    [
        ([torch.nan, 1.0], "1 NaN and 0 infinite values among 2"),
        ([torch.inf, -torch.inf, torch.nan], "1 NaN and 2 infinite values among 3"),
    ],
)
@pytest.mark.parametrize("observer", [MinMax(), MovingAverage(), MSE()], ids=str)
def test_nan_and_infinity_stop_a_calibration(
    observer: Observer, bad: list[float], count: str
) -> None:
    quantizer = Quantizer(observer=observer, name="conv").calibrate()
    quantizer(torch.tensor([-1.0, 1.0]))
    with pytest.raises(CalibrationError, match=f"'conv' met {count}.*Find the batch"):
        quantizer(torch.tensor(bad))
    # What was good before it still counts.
    clean = Quantizer(observer=observer).calibrate()
    clean(torch.tensor([-1.0, 1.0]))
    assert torch.equal(quantizer.freeze().scale, clean.freeze().scale)


def test_nothing_seen_cannot_be_frozen() -> None:
    quantizer = Quantizer(name="unused").calibrate()
    quantizer(torch.empty(0, 3))
    with pytest.raises(CalibrationError, match=r"'unused' saw no values.*not reached"):
        quantizer.freeze()


def test_what_finds_its_range_by_itself_is_not_calibrated() -> None:
    with pytest.raises(CalibrationError, match="'w' is dynamic and finds its range"):
        Quantizer(dynamic=True, name="w").calibrate()
    with pytest.raises(CalibrationError, match="'a' is learnable and finds"):
        PactQuantizer(name="a").calibrate()


def test_fix_takes_imported_parameters() -> None:
    quantizer = Quantizer(Scheme(granularity=PerAxis(1)))
    quantizer.fix(torch.tensor([0.5, 2.0]).double(), torch.tensor([3, 255]))
    assert (quantizer.scale.dtype, quantizer.zero_point.dtype) == (
        torch.float32,
        torch.int32,
    )
    assert quantizer(torch.tensor([[0.6, -3.0]])).tolist() == [[0.5, -4.0]]
    single = Quantizer().fix(torch.tensor([0.5]), torch.tensor([7]))
    assert single.scale.shape == single.zero_point.shape == ()


@pytest.mark.parametrize(
    ("scheme", "scale", "zero_point", "message"),
    [
        (Scheme(), [0.1, 0.2], [0, 0], "2 scales and 2 zero points"),
        (Scheme(granularity=PerAxis(0)), [0.1, 0.2], [0], "2 scales and 1 zero points"),
        (Scheme(), [0.0], [0], "scales from 0 to 0.*at least 2"),
        (Scheme(), [1e-40], [0], "scales from 1e-40 to 1e-40"),
        (Scheme(), [float("nan")], [0], "scales from nan to nan"),
        (Scheme(), [float("inf")], [0], "scales from inf to inf"),
        (Scheme(), [0.1], [256], "zero points from 256 to 256.*each 0 … 255"),
        (Scheme(4, True, True), [0.1], [1], "zero points from 1 to 1.*each 0 … 0"),
    ],
)
def test_fix_refuses_impossible_parameters(
    scheme: Scheme, scale: list[float], zero_point: list[int], message: str
) -> None:
    quantizer = Quantizer(scheme, name="w")
    with pytest.raises(OperandError, match=f"'w' got {message}"):
        quantizer.fix(torch.tensor(scale), torch.tensor(zero_point))


def test_print_is_one_line_that_says_everything() -> None:
    quantizer = Quantizer(name="fc.input").fix(torch.tensor(0.5), torch.tensor(2))
    assert repr(quantizer) == (
        "Quantizer('fc.input': uint8 affine per tensor, 0 … 255, MinMax(), "
        "frozen: scale 0.5, zero point 2, -1 … 126.5)"
    )
    weight = Quantizer(PER_CHANNEL, Percentile(99.9))
    head = "Quantizer(int8 symmetric per axis 0, -128 … 127, Percentile("
    assert repr(weight) == f"{head}percentile=99.9, bins=8192), uncalibrated)"
    weight.fix(torch.tensor([0.25, 0.5]), torch.tensor([0, 0]))
    assert repr(weight).endswith("frozen: 2 scales 0.25 … 0.5)")
    assert repr(Quantizer(dynamic=True)).endswith("MinMax(), dynamic)")
    assert repr(Quantizer().calibrate()).endswith("MinMax(), calibrating)")


@pytest.mark.parametrize("scheme", [Scheme(), PER_CHANNEL], ids=str)
def test_state_dict_fills_a_new_quantizer(scheme: Scheme, tmp_path: Path) -> None:
    source, x = frozen(scheme), values(4, 6, 10)
    save_file(source.state_dict(), tmp_path / "codes.safetensors")
    loaded = Quantizer(scheme)
    loaded.load_state_dict(load_file(tmp_path / "codes.safetensors"))
    assert loaded.mode == "frozen"
    assert torch.equal(loaded(x), source(x))
    torch.save(source.state_dict(), tmp_path / "codes.pt")
    again = Quantizer(scheme).calibrate()
    again.load_state_dict(torch.load(tmp_path / "codes.pt", weights_only=True))
    assert torch.equal(again(x), source(x))


def test_state_dict_of_an_uncalibrated_one_takes_calibration_back() -> None:
    loaded = frozen()
    loaded.load_state_dict(Quantizer().state_dict())
    assert loaded.mode == "uncalibrated"


def test_state_dict_inside_a_network_and_by_assignment() -> None:
    source = nn.Sequential(frozen(), nn.Linear(10, 2), frozen(PER_CHANNEL))
    loaded = nn.Sequential(Quantizer(), nn.Linear(10, 2), Quantizer(PER_CHANNEL))
    loaded.load_state_dict(source.state_dict(), assign=True)
    for one, other in zip(source.buffers(), loaded.buffers(), strict=True):
        assert torch.equal(one, other)


def test_a_half_precision_checkpoint_loads_as_float32() -> None:
    state = frozen().state_dict()
    state["scale"] = state["scale"].half()
    loaded = Quantizer()
    loaded.load_state_dict(state)
    assert loaded.scale.dtype == torch.float32


def edited(**changes: Any) -> dict[str, Any]:
    return frozen().state_dict() | changes


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (frozen(Scheme(bits=4)).state_dict(), "'q' has scheme .*but the checkpoint"),
        (PactQuantizer().state_dict(), "'q' has kind Quantizer.* says PactQuantizer"),
        (
            edited(_extra_state=torch.zeros(3, dtype=torch.uint8)),
            "of 'q' is unreadable",
        ),
        (edited(_extra_state={"version": 1}), "of 'q' is unreadable"),
        (edited(_extra_state=torch.tensor([52], dtype=torch.uint8)), "is unreadable"),
        (edited(scale=torch.tensor(-1.0)), "'q' got scales from -1 to -1"),
        (edited(zero_point=torch.tensor(300)), "'q' got zero points from 300 to 300"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(
    state: dict[str, Any], message: str
) -> None:
    quantizer = Quantizer(name="q").fix(torch.tensor(0.5), torch.tensor(3))
    with pytest.raises(OperandError, match=message):
        quantizer.load_state_dict(state, strict=False)
    assert (quantizer.scale, quantizer.zero_point) == (0.5, 3)


def test_half_keeps_scales_and_moves_the_rest() -> None:
    quantizer, linear, pact = frozen(PER_CHANNEL), nn.Linear(10, 2), PactQuantizer(4)
    network, scale = nn.Sequential(quantizer, linear, pact), quantizer.scale.clone()
    network.half()
    assert torch.equal(quantizer.scale, scale)
    assert linear.weight.dtype == torch.float16
    assert pact.alpha.dtype == torch.float32
    assert pact.alpha.requires_grad
    y = network(values(5, 6, 10).half())
    assert y.dtype == torch.float16
    network.to(torch.float64)
    assert quantizer.scale.dtype == torch.float32
    assert quantizer(values(5, 6, 10).double()).dtype == torch.float64


def test_devices_move_everything() -> None:
    watching = Quantizer().calibrate()
    watching(torch.ones(3))
    fixed = frozen()
    nn.Sequential(fixed, watching).to("meta")
    assert fixed.scale.is_meta
    assert all(t.is_meta for t in watching.seen or ())


def test_copies_are_independent() -> None:
    watching = Quantizer().calibrate()
    watching(torch.tensor([1.0]))
    twin = copy.deepcopy(watching)
    twin(torch.tensor([5.0]))
    assert watching.freeze().scale < twin.freeze().scale


def network() -> nn.Module:
    weight = Quantizer(Scheme(4, granularity=PerAxis(0)), dynamic=True)
    return nn.Sequential(frozen(), weight, PactQuantizer(3, alpha=1.0))


# torch's own tracer makes an instance of every autograd function it meets.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_compiles_in_one_graph() -> None:
    results: list[list[Tensor]] = []
    for compiled in (False, True):
        module = network()
        call = module
        if compiled:
            call = torch.compile(module, backend="aot_eager", fullgraph=True)
        x = values(6, 6, 10).requires_grad_()
        y = call(x)
        y.square().sum().backward()
        gradients = [t.grad for t in (x, *module.parameters())]
        results.append([y.detach(), *(g for g in gradients if g is not None)])
    assert len(results[0]) == 3
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
