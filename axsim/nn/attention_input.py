"""What attention takes: shapes and masks that fit each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import OperandError

CAUSAL = "torch.nn.Transformer.generate_square_subsequent_mask(length)"


def check_attention_input(
    layer: nn.MultiheadAttention,
    tokens: dict[str, Tensor],
    attn_mask: Tensor | None,
    key_padding_mask: Tensor | None,
    is_causal: bool,
) -> None:
    """Refuses what torch's attention refuses, where broadcasting would hide it.

    Args:
        layer: that is called.
        tokens: query, key and value by these names.
        attn_mask, key_padding_mask, is_causal: of the call.

    Raises:
        OperandError: for shapes that do not fit, for masks that are neither bool nor
            floating point, and for the hint of a causal mask without the mask.
    """
    _check_tokens(layer, tokens)
    if is_causal and attn_mask is None:
        raise OperandError(
            "is_causal=True with attn_mask=None; the hint alone masks nothing. Give "
            f"attn_mask={CAUSAL}."
        )
    batch, length, keys = _sizes(layer, tokens["query"], tokens["key"])
    groups = layer.num_heads * (1 if batch is None else batch)
    allowed = [(length, keys), (groups, length, keys)]
    _check_mask("attn_mask", attn_mask, allowed)
    padding = (keys,) if batch is None else (batch, keys)
    _check_mask("key_padding_mask", key_padding_mask, [padding])


def _check_tokens(layer: nn.MultiheadAttention, tokens: dict[str, Tensor]) -> None:
    """Refuses tokens of wrong widths, or that do not belong together."""
    query, key, value = tokens.values()
    widths = layer.embed_dim, layer.kdim, layer.vdim
    if query.dim() not in (2, 3) or not query.dim() == key.dim() == value.dim():
        fits = "all must have 3 dimensions, or all 2 for one entry without a batch"
    elif tuple(t.shape[-1] for t in tokens.values()) != widths:
        fits = "their last dimensions must be {}, {} and {}".format(*widths)
    elif key.shape[:-1] != value.shape[:-1]:
        fits = "every key needs its value: all but their last dimensions must agree"
    elif _sizes(layer, query, key)[0] != _sizes(layer, key, key)[0]:
        fits = (
            f"their batches must agree; this layer has batch_first={layer.batch_first}"
        )
    else:
        return
    # Not before it is needed: torch's compiler knows no join.
    shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tokens.items())
    raise OperandError(f"attention got {shapes}; {fits}.")


def _sizes(
    layer: nn.MultiheadAttention, query: Tensor, key: Tensor
) -> tuple[int | None, int, int]:
    """The batch, None without one, and the numbers of queries and keys."""
    if query.dim() == 2:
        return None, len(query), len(key)
    along = 1 if layer.batch_first else 0
    return query.shape[1 - along], query.shape[along], key.shape[along]


def _check_mask(name: str, mask: Tensor | None, allowed: list[tuple[int, ...]]) -> None:
    if mask is None:
        return
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise OperandError(
            f"{name} is {mask.dtype}; give bool, True where attention is not allowed, "
            "or floating-point numbers to add to the scores."
        )
    if tuple(mask.shape) not in allowed:
        fits = " or ".join(map(str, allowed))
        raise OperandError(f"{name} has shape {tuple(mask.shape)}; give one of {fits}.")
