"""The two input sizes that a network may be laid out for."""

from __future__ import annotations

from ...errors import ModelError


def check_input_size(size: int) -> int:
    """The size, where there is a layout for it: 32 (CIFAR) or 224 (ImageNet)."""
    if size not in (32, 224):
        raise ModelError(
            f"input_size={size}; there are layouts for 32 (CIFAR) and 224 (ImageNet)."
        )
    return size
