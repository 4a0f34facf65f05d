"""Which paths this machine has, and why it lacks the others."""

from __future__ import annotations

from ..tables.multiplier import Multiplier, exact_products
from . import gpu
from .contract import Convolution
from .cpu import PATHS
from .features import cpu_name
from .table import table_of

# A table and a shape that every path serves where the machine lets it.
_EASY = Multiplier(exact_products((8, 8), (False, False)), (False, False))
_SMALL = Convolution(1, 1, 1, (1,), (1,), (1,), (0,), (1,), 1)


def missing(device: str = "cpu") -> dict[str, str | None]:
    """Every path of a kind of device, with the reason why this machine lacks it.

    Args:
        device: "cpu" or "cuda".

    Returns:
        None as the reason of a path that is there.

    Example:
        >>> missing()["gather"] is None
        True
    """
    if device == "cuda":
        return gpu.missing()
    table = table_of(_EASY)
    return {name: path.why_not(table, _SMALL, False) for name, path in PATHS.items()}


def paths(device: str = "cpu") -> list[str]:
    """The paths this machine has, for `backend=`."""
    return [name for name, reason in missing(device).items() if reason is None]


def device_name(device: str = "cpu") -> str:
    """The CPU or GPU as its maker calls it.

    Raises:
        BackendError: for a GPU where torch sees none.
    """
    return cpu_name() if device == "cpu" else gpu.device_name()
