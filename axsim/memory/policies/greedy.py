"""Bits where they lower the variance of gradients most (ActNN)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import OperandError
from ...kernels.pack import BLOCK, block_extremes, rows_of
from ..allocation import FEWEST, MOST, allocate
from ..codec import Bits, dense
from ..codecs.group_affine import single
from ..policy import Gradients, Policy, Slot


class Seen(NamedTuple):
    """A slot in the current step: cost of each sample, elements of one."""

    cost: Tensor
    size: int


class Greedy(Policy):
    """ActNN's two allocations of a budget of bits.

    The gradient's variance is the sum of C / (2^b - 1)^2 over samples and layers. For
    a layer of kernel area k, g groups and I pixels that saved groups of range R,

        C = k / (4 g) * G / I * sum(R^2) * S,   S = mean squared norm of dY per sample

    with S of the last step, 1 in the first; for a batch norm C = G / I * sum(R^2).
    Within a step every layer divides its own bits among its samples; `end_step`
    divides the whole budget among matrix products. A batch norm has the bits of the
    product that ran last before it; its cost knows no gradient and cannot be compared.

    Args:
        average: bits an element, 1 to 8.
        per_sample: divide the bits of a layer among its samples. Samples smaller than
            a group of codes share theirs.
        per_layer: divide the budget among layers.
        by_sample_index: estimate S for every sample of the data set by itself, from
            the epochs before; `begin_step` must then be told their indices.

    Raises:
        OperandError: for other averages.

    Example:
        >>> policy = Greedy(2, per_layer=False)
        >>> x = torch.linspace(-1, 1, 512) * torch.tensor([[1.0], [1.0], [1.0], [9.0]])
        >>> policy.bits(Slot("fc", "matmul_in"), x)
        tensor([1, 1, 2, 4], dtype=torch.uint8)
    """

    def __init__(
        self,
        average: float,
        per_sample: bool = True,
        per_layer: bool = True,
        by_sample_index: bool = False,
    ) -> None:
        if not FEWEST <= average <= MOST:
            raise OperandError(
                f"average={average}; a budget is {FEWEST} to {MOST} bits an element."
            )
        self.average = average
        self.per_sample = per_sample
        self.per_layer = per_layer
        self.by_sample_index = by_sample_index
        self._seen: dict[str, Seen] = {}
        self._averages: dict[str, float] = {}
        self._sensitivity: dict[str, Tensor] = {}
        self._indices: Tensor | None = None
        self._last_product = ""

    def begin_step(self, indices: Tensor) -> None:
        """Is told which samples of the data set the next batch has, int64[N]."""
        self._indices = indices

    def bits(self, slot: Slot, x: Tensor) -> Bits:
        """uint8[N] with the bits of every sample, or one width where they share.

        Raises:
            OperandError: where sample indices are needed and `begin_step` had none.
        """
        self.total = None
        if slot.kind == "norm_in":
            average = self._averages.get(self._last_product, self.average)
        else:
            average = self._averages.get(slot.name, self.average)
        if slot.kind == "matmul_in":
            self._last_product = slot.name
        if not x.dim() or not x.numel():
            return int(average)
        samples, size = len(x), x[0].numel()
        shares = self.per_sample and size >= BLOCK
        divides = self.per_layer and slot.kind == "matmul_in"
        if not (shares or divides):
            return int(average)
        cost = self._cost(slot, x)
        if divides:
            self._seen[slot.name] = Seen(cost, size)
        if not shares:
            return int(average)
        budget = int(samples * average)
        # Samples weigh the same, so that nothing of the budget stays.
        self.total = min(max(budget, FEWEST * samples), MOST * samples)
        return allocate(cost, torch.ones_like(cost), budget)

    def wants(self, slot: Slot) -> bool:
        """Every step's gradients of matrix products."""
        return slot.kind == "matmul_in"

    def observe(
        self, slot: Slot, load: Callable[[], Tensor], gradients: Gradients
    ) -> None:
        """Takes the squared norm of the output's gradient, of every sample.

        Gradients that overflowed, as they do under loss scaling, change nothing.
        """
        each = gradients.output.detach().flatten(1)
        wide = torch.promote_types(each.dtype, torch.float32)
        norms = torch.linalg.vector_norm(each, dim=1, dtype=wide).square().float()
        if self.by_sample_index:
            self._remember(slot, norms)
        else:
            mean = norms.mean()
            old = self._sensitivity.get(slot.name, torch.ones_like(mean))
            self._sensitivity[slot.name] = torch.where(mean.isfinite(), mean, old)

    def end_step(self) -> None:
        """Divides the budget among layers: the one time a step that waits for it."""
        seen, self._seen = self._seen, {}
        self._indices = None
        if not self.per_layer or not seen:
            return
        costs = [item.cost for item in seen.values()]
        sizes = [torch.full_like(i.cost, i.size) for i in seen.values()]
        weights = torch.cat(sizes)
        bits = allocate(torch.cat(costs), weights, self.average * weights.sum())
        parts = bits.float().split([len(cost) for cost in costs])
        means = torch.stack([part.mean() for part in parts]).tolist()
        self._averages = dict(zip(seen, means, strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The layers' shares of the budget, and what their gradients said."""
        return {
            "averages": dict(self._averages), "sensitivity": dict(self._sensitivity)
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
        self._averages = dict(state["averages"])
        self._sensitivity = dict(state["sensitivity"])

    def _cost(self, slot: Slot, x: Tensor) -> Tensor:
        x = single(dense(x))
        extremes = block_extremes(x, rows_of(x, 0))
        squares = (extremes[..., 1] - extremes[..., 0]).square().sum(1)
        # What is not finite is kept as it is, whatever its bits.
        squares = squares.nan_to_num(0, 0, 0)
        channels = x.shape[1] if x.dim() > 1 else 1
        cost = squares * (BLOCK * channels * len(x) / x.numel())
        if slot.kind != "matmul_in":
            return cost
        return cost * (slot.taps / (4 * slot.groups)) * self._weights_of(slot, len(x))

    def _weights_of(self, slot: Slot, samples: int) -> Tensor:
        """S, one or one for each sample."""
        known = self._sensitivity.get(slot.name, torch.ones(()))
        if not self.by_sample_index:
            return known
        indices = self._known_indices(samples)
        if known.dim() == 0:
            return known.expand(samples)
        norms = known[indices.clamp(max=len(known) - 1)]
        seen = (indices < len(known)) & ~norms.isnan()
        known_sum, count = norms.nan_to_num(0).mul(seen).sum(), seen.sum()
        mean = torch.where(count > 0, known_sum / count.clamp(min=1), 1.0)
        return torch.where(seen, norms, mean + 1e-9)

    def _known_indices(self, samples: int) -> Tensor:
        if self._indices is None or len(self._indices) != samples:
            found = "none" if self._indices is None else f"{len(self._indices)}"
            raise OperandError(
                f"a batch of {samples} samples and {found} sample indices; let the "
                "data set return (index, sample, target), and call "
                "policy.begin_step(indices) before every forward pass."
            )
        return self._indices

    def _remember(self, slot: Slot, norms: Tensor) -> None:
        """S[i] = (S[i] + norm) / 2 for the batch's samples, unseen ones the norm."""
        indices = self._known_indices(len(norms))
        known = self._sensitivity.get(slot.name, torch.ones(()))
        old = known if known.dim() else norms.new_empty(0)
        size = max(len(old), int(indices.max()) + 1)
        table = norms.new_full((size,), float("nan"))
        table[: len(old)] = old
        before = table[indices]
        later = torch.where(before.isnan(), norms, (before + norms) / 2)
        table[indices] = torch.where(norms.isfinite(), later, before)
        self._sensitivity[slot.name] = table
