from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from blobs import Unlabelled, build, make_blobs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset

import axsim as ax
from axsim import AxsimError, BackendError, DataError, ModelError, evaluate
from axsim.training.evaluation import Evaluation


class Echo(nn.Module):
    """Answers with the pixels of its images."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def data_of(rows: list[list[float]], labels: list[int]) -> TensorDataset:
    return TensorDataset(torch.tensor(rows)[:, None], torch.tensor(labels))


KNOWN = data_of([[2, 0, 1], [0, 0, 5], [1, 0, 0], [3, 4, 0]], [0, 2, 1, 1])


def test_the_figures_of_four_known_answers() -> None:
    found = evaluate(Echo(), KNOWN)
    assert found.n == 4
    assert found.predictions.tolist() == [0, 2, 0, 1]
    assert found.correct.tolist() == [True, True, False, True]
    assert found.accuracy == 0.75
    # Wilson for 3 of 4.
    assert found.interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    wanted = [([2, 0, 1], 0), ([0, 0, 5], 2), ([1, 0, 0], 1), ([3, 4, 0], 1)]
    losses = [math.log(sum(map(math.exp, row))) - row[i] for row, i in wanted]
    assert found.losses == pytest.approx(losses)
    assert found.loss == pytest.approx(sum(losses) / 4)
    assert found.top(1) == 0.75
    # Of two equal logits either may be second.
    assert found.top(3) == 1
    assert found.agreement is None
    assert found.seconds > 0
    assert found.samples_per_second == 4 / found.seconds


def test_agreement_is_with_the_exact_network_right_or_wrong() -> None:
    class Mirrored(Echo):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).flip(1)

    found = evaluate(Echo(), KNOWN, exact=Mirrored(), batch_size=3)
    # Mirrored answers 2, 0, 2, 1.
    assert found.agreement == 0.25
    assert evaluate(Echo(), KNOWN, exact=Echo()).agreement == 1
    other = evaluate(Mirrored(), KNOWN)
    assert evaluate(Echo(), KNOWN, exact=other).agreement == 0.25


def test_it_prints_as_a_table() -> None:
    fields = (np.eye(2, dtype="f4")[[0, 1, 1, 1]], np.array([0, 1, 1, 0]))
    head, _, row = str(Evaluation(*fields, None, 0.5)).splitlines()
    words = "images  accuracy %  95 % interval    loss  seconds  images/s"
    assert head == words
    assert row.split() == ["4", "75.00", "30.06..95.44", "0.5633", "0.50", "8"]
    assert repr(Evaluation(*fields, None, 0.5)) == "<Evaluation: 75.00 % of 4 images>"
    agreeing = str(Evaluation(*fields, np.array([0, 0, 1, 1]), 0.5))
    assert "agreement %" in agreeing
    assert " 75.00 " in agreeing.splitlines()[2]


@settings(deadline=None, max_examples=20)
@given(batch_size=st.integers(1, 50), seed=st.integers(0, 99))
def test_batches_and_order_change_nothing(batch_size: int, seed: int) -> None:
    torch.manual_seed(0)
    net, data = build(norm=True, dropout=0.5), make_blobs()
    whole = evaluate(net, data)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    again = evaluate(net, Subset(data, order.tolist()), batch_size=batch_size)
    assert np.array_equal(again.predictions, whole.predictions[order])
    assert np.allclose(again.logits, whole.logits[order], rtol=0, atol=1e-5)
    assert again.loss == pytest.approx(whole.loss, abs=1e-6)
    assert again.interval == whole.interval


def test_a_loader_is_taken_as_it_comes() -> None:
    data = make_blobs()
    loader = DataLoader(data, batch_size=7, drop_last=True)
    whole, part = evaluate(build(), data), evaluate(build(), loader)
    assert part.n == 42
    assert np.array_equal(part.labels, whole.labels[:42])
    batches = [(images, labels, "more") for images, labels in loader]
    assert np.array_equal(evaluate(build(), batches).logits, part.logits)


def test_every_module_keeps_its_mode() -> None:
    net = build(norm=True)
    net.train()
    net[1].eval()  # pyright: ignore[reportIndexIssue]
    before = {name: each.training for name, each in net.named_modules()}
    statistics = {name: each.clone() for name, each in net.named_buffers()}
    evaluate(net, make_blobs())
    assert {name: each.training for name, each in net.named_modules()} == before
    assert all(torch.equal(b, statistics[name]) for name, b in net.named_buffers())
    with pytest.raises(DataError):
        evaluate(net, Unlabelled())
    assert {name: each.training for name, each in net.named_modules()} == before


class TenViews(Dataset[tuple[Tensor, int]]):
    views = 10

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        ramp = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 1, 1, 3)
        return ramp * torch.tensor([1.0, index, 0]), 0


def test_the_outputs_of_several_views_are_averaged() -> None:
    found = evaluate(Echo(), DataLoader(TenViews(), batch_size=2))
    assert found.logits.tolist() == [[4.5, 0, 0], [4.5, 4.5, 0], [4.5, 9, 0]]


def test_progress_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    evaluate(Echo(), KNOWN, batch_size=3, progress=lambda *all: told.append(all))
    assert told == [(1, 2, ""), (2, 2, "")]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (TensorDataset(torch.ones(0, 3), torch.ones(0)), DataError, "is empty"),
        ([], DataError, "data is empty; there is nothing to evaluate"),
        (7, DataError, "data is a int; needed are a torch Dataset"),
        (
            Unlabelled(),
            DataError,
            r"gives a tensor of shape \(6, 1, 4, 4\) without lab",
        ),
        ([torch.ones(2, 3)], DataError, "without labels; needed are samples"),
        ([(torch.ones(2, 3),)], DataError, "gives tuple of 1 without labels"),
        ([(torch.ones(2, 3), "no")], DataError, "gives tuple of 2 without labels"),
        ([(torch.ones(2, 3), torch.ones(2))], DataError, "labels are torch.float32"),
        ([(torch.ones(2, 3), torch.ones(3).int())], DataError, r"shape \(3,\); needed"),
        (
            [(torch.ones(2, 3), torch.tensor([0, 3]))],
            DataError,
            "labels run from 0 to 3, and the network has 3 outputs",
        ),
        (
            [(torch.ones(2, 3), torch.tensor([0, -1]))],
            DataError,
            "labels run from -1 to 0",
        ),
        (
            data_of([[0, 0], [1, 2], [1, math.inf], [math.nan, 0]], [0, 1, 0, 1]),
            ModelError,
            r"Echo gives .* for 2 of 4 samples, first for sample 2 \(inf\)",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_named(
    data: Any, kind: type[AxsimError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        evaluate(Echo(), data, batch_size=8)


def test_other_misfits_are_named() -> None:
    with pytest.raises(
        DataError, match=r"answers 4 images with a tensor of shape \(4, 1"
    ):
        evaluate(nn.Identity(), KNOWN)
    with pytest.raises(DataError, match="exact is an evaluation of other data: its 45"):
        evaluate(Echo(), KNOWN, exact=evaluate(build(), make_blobs()))
    with pytest.raises(BackendError, match="device='gpu'; it is 'cpu', 'cuda' or"):
        evaluate(Echo(), KNOWN, device="gpu")
    with pytest.raises(
        BackendError, match=r"needs CUDA device 99, .* Use device='cpu'"
    ):
        evaluate(Echo(), KNOWN, device="cuda:99")


def test_a_converted_network_has_an_energy() -> None:
    mul = ax.load_multiplier("mul8u_trunc_6")
    net, data = build(), make_blobs()
    batch = torch.stack([data[i][0] for i in range(8)])
    converted = ax.approximate(net, mul, calibration=[batch])
    found = evaluate(converted, data)
    assert mul.cost is not None and mul.cost.power is not None
    products = ax.summary(converted).products
    assert found.energy is not None
    assert found.energy.value == pytest.approx(products * mul.cost.power)
    assert str(found).splitlines()[-1] == str(found.energy)
    assert evaluate(net, data).energy is None


class Wrapped(nn.Linear):
    """Answers as networks of some libraries do."""

    def forward(self, input: Tensor) -> Any:
        return {"logits": super().forward(input)}


def test_outputs_that_are_no_tensor_are_refused() -> None:
    data = TensorDataset(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))
    message = "Wrapped gives a dict; needed is one tensor"
    with pytest.raises(ModelError, match=message):
        evaluate(Wrapped(3, 2), data)
    with pytest.raises(ModelError, match=message):
        ax.train(Wrapped(3, 2), data, ax.TrainSettings(epochs=1, batch_size=2))
