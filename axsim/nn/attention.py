"""Attention with all its products on codes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..gating.gate import Gate
from ..memory.policy import Slot
from ..memory.saved import Saved
from ..memory.store import Store
from .attention_input import check_attention_input
from .forms import LinearForm
from .layer import Answer, ApproxLayer
from .matmul import matmul
from .saved.attention import keep_attention
from .saved.keeper import Keeper
from .scores import GatedScores, check_scores, close, gated_scores
from .site import Site

PROJECTIONS = ("query", "key", "value")


class ApproxMultiheadAttention(ApproxLayer, nn.MultiheadAttention):
    """`torch.nn.MultiheadAttention` on a multiplier, which `spec=` names.

    The three projections, the scores QKᵀ, the mixture AV and the output projection
    are each a site of their own. Softmax and masks stay floating point. A gate of bits
    is one of the scores: where it is closed a key is not attended to; a query for which
    it is closed everywhere attends by the high bits alone (`axsim/nn/scores.py`).
    """

    kind = "attention"

    def __init__(
        self, *args: object, spec: Answer, name: str = "", **settings: object
    ) -> None:
        super().__init__(*args, **settings)  # pyright: ignore[reportArgumentType]
        self.adopt(spec, name)

    def build_sites(self, name: str) -> None:
        """Four sites with weights, two of activations alone."""
        self.sites = nn.ModuleDict()
        gate = self.spec.gate if isinstance(self.spec.gate, Gate) else None
        if gate:
            check_scores(gate, self.spec, name)
        if not self.spec.on_codes:
            return
        weighted = (*PROJECTIONS, "out")
        sites = {part: Site(self.spec, f"{name}.{part}") for part in weighted}
        sites |= {
            part: Site(self.spec, f"{name}.{part}", None)
            for part in ("scores", "mixture")
        }
        if gate:
            sites["scores"] = GatedScores(
                self.spec, f"{name}.scores", gate, self.num_heads, self.head_dim
            )
        self.sites.update(sites)
        self.sites.to(self.out_proj.weight.device)

    def remember(self, saved: Saved, store: Store, name: str) -> None:
        """Keeps the codes of every site, or what torch's own attention saves."""
        super().remember(saved, store, name)
        for part in self.sites:
            slot = Slot(f"{name}.{part}", "matmul_in")
            self._site(part).keeper = Keeper(saved, store, slot)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if not self.sites:
            with self._keeping_reals():
                return self.exactly(
                    query, key, value, key_padding_mask, need_weights, attn_mask,
                    average_attn_weights, is_causal,
                )  # fmt: skip
        tokens = {"query": query, "key": key, "value": value}
        check_attention_input(self, tokens, attn_mask, key_padding_mask, is_causal)
        batched = query.dim() == 3
        inputs = [
            t if batched else t.unsqueeze(1 - self.batch_first)
            for t in (query, key, value)
        ]
        inputs = [t if self.batch_first else t.transpose(0, 1) for t in inputs]
        # q, k, v: (N, heads, L, head_dim)
        q, k, v = (self._project(part, i, x) for i, (part, x) in
                   enumerate(zip(PROJECTIONS, inputs, strict=True)))  # fmt: skip
        k, v = self._extended(k, self.bias_k), self._extended(v, self.bias_v)
        scores, opened = self._scores(q / self.head_dim**0.5, k)
        mask = self._mask(attn_mask, key_padding_mask, scores, batched)
        if opened is not None:
            scores = close(scores, opened, mask)
        attention = torch.softmax(scores if mask is None else scores + mask, -1)
        dropped = F.dropout(attention, self.dropout, self.training)
        mixed = matmul(self._site("mixture"), dropped, v).transpose(1, 2).flatten(2)
        y = self._linear("out", mixed, self.out_proj.weight, self.out_proj.bias)
        y = y if self.batch_first else y.transpose(0, 1)
        weights = (
            self._reported(attention, average_attn_weights, batched)
            if need_weights
            else None
        )
        return (y if batched else y.squeeze(1 - self.batch_first)), weights

    def _keeping_reals(self) -> AbstractContextManager[Any]:
        if self.keeper is None:
            return nullcontext()
        return keep_attention(self.keeper, self.training, self.dropout)

    def _project(self, part: str, index: int, x: Tensor) -> Tensor:
        width = self.embed_dim
        rows = slice(index * width, (index + 1) * width)
        if self._qkv_same_embed_dim:
            weight = self.in_proj_weight[rows]
        else:
            weight = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)[index]
        # None with bias=False, which torch's annotation does not say.
        packed: Any = self.in_proj_bias
        bias = None if packed is None else packed[rows]
        y = self._linear(part, x, weight, bias)
        return y.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _linear(
        self, part: str, x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        site = self._site(part)
        if site.calibrating:
            site.observe(x)
            return F.linear(x, weight, bias)
        return site.multiply(x, weight, bias, LinearForm())

    def _scores(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor | None]:
        """The scores and, with a gate, where it was open."""
        site = self._site("scores")
        if isinstance(site, GatedScores):
            return gated_scores(site, q, k)
        return matmul(site, q, k.mT), None

    def _site(self, part: str) -> Site:
        site = self.sites[part]
        return site  # pyright: ignore[reportReturnType]

    def _extended(self, x: Tensor, extra: Tensor | None) -> Tensor:
        """Keys or values with the learned row and the row of zeros behind them."""
        if extra is not None:
            row = extra.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
            x = torch.cat([x, row.expand(len(x), -1, -1, -1)], 2)
        return F.pad(x, (0, 0, 0, 1)) if self.add_zero_attn else x

    def _mask(
        self, mask: Tensor | None, padding: Tensor | None, scores: Tensor, batched: bool
    ) -> Tensor | None:
        """What is added to the scores, -inf where attention is not allowed."""
        extra = (self.bias_k is not None) + self.add_zero_attn
        parts: list[Tensor] = []
        if mask is not None:
            added = _additive(mask, scores)
            if added.dim() == 3:
                added = added.unflatten(0, (-1, self.num_heads))
            parts.append(F.pad(added, (0, extra)))
        if padding is not None:
            rows = padding if batched else padding.unsqueeze(0)
            parts.append(F.pad(_additive(rows, scores), (0, extra))[:, None, None])
        return torch.stack(torch.broadcast_tensors(*parts)).sum(0) if parts else None

    def _reported(self, attention: Tensor, average: bool, batched: bool) -> Tensor:
        shown = attention.mean(1) if average else attention
        return shown if batched else shown.squeeze(0)


def _additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask of what is not allowed, or of what is added, as numbers to add."""
    if mask.dtype != torch.bool:
        return mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill_(mask, float("-inf"))
