"""Which tensors and devices kernels can work on."""

from __future__ import annotations

import torch

from ..errors import BackendError, OperandError
from .compile import check_capability, check_packages
from .kernel import SIMULATED


def check_operands(codes: dict[str, torch.Tensor], table: torch.Tensor) -> None:
    """Turns away tensors that no kernel may be handed.

    Args:
        codes: the operands by the name a caller knows them by.
        table: int32[rows, columns], each at most 256.

    Raises:
        BackendError: for tensors off the GPU, or on several.
        OperandError: for other dtypes or a table of another shape.
    """
    for name, operand in codes.items():
        if operand.dtype != torch.uint8:
            raise OperandError(
                f"{name} has dtype {operand.dtype}; raw codes are torch.uint8. View "
                "int8 codes as uint8: the table is indexed by the byte."
            )
    if table.dtype != torch.int32 or table.ndim != 2 or max(table.shape) > 256:
        raise OperandError(
            f"the table is {table.dtype}{list(table.shape)}; kernels take torch.int32 "
            "of at most 256 by 256."
        )
    check_devices({**codes, "table": table})


def why_no_device(device: torch.device) -> str | None:
    """Why no kernel can run on a device; None where kernels can.

    Example:
        >>> print(why_no_device(torch.device("cpu")))
        kernels run on a CUDA device; this one is 'cpu'.
    """
    if device.type != "cuda":
        return f"kernels run on a CUDA device; this one is {str(device)!r}."
    if not torch.cuda.is_available():
        return (
            "torch sees no CUDA device. Install NVIDIA's driver and a torch built for "
            'CUDA, or use device="cpu".'
        )
    try:
        check_packages()
        check_capability(torch.cuda.get_device_capability(device))
    except BackendError as problem:
        return str(problem)
    return None


def check_devices(tensors: dict[str, torch.Tensor]) -> None:
    """Turns away tensors that are not all on one GPU.

    Raises:
        BackendError: naming the tensor, or the devices.
    """
    if SIMULATED:
        return
    devices = {name: str(tensor.device) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        if not tensor.is_cuda:
            raise BackendError(
                f"{name} is on {devices[name]!r}; CUDA kernels need every tensor on "
                "the GPU. Move it with .cuda(), or all of them to the CPU."
            )
    if len(set(devices.values())) > 1:
        raise BackendError(
            f"the operands are on different devices: {devices}. Move them to one."
        )
