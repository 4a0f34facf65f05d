"""The device that a name means."""

from __future__ import annotations

import torch

from ..errors import BackendError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of a name; plain `cuda` is each process's own.

    Raises:
        BackendError: where there is no such device.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise BackendError(
            f"device={name!r}; it is 'cpu', 'cuda' or 'cuda:N'."
        ) from problem
    if device.type != "cuda":
        return device
    found = torch.cuda.device_count()
    index = int(name.partition(":")[2] or local_rank)
    if index >= found:
        raise BackendError(
            f"device={name!r} needs CUDA device {index}, and torch "
            f"{torch.__version__} finds {found}. Use device='cpu'."
        )
    return torch.device("cuda", index)
