"""axsim: approximate arithmetic in neural networks, simulated bit for bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import kernels as kernels
    from .analysis import plot as plot
    from .analysis.report import report as report
    from .errors import AxsimError as AxsimError
    from .errors import AxsimWarning as AxsimWarning
    from .errors import BackendError as BackendError
    from .errors import CalibrationError as CalibrationError
    from .errors import ConversionError as ConversionError
    from .errors import DataError as DataError
    from .errors import ModelError as ModelError
    from .errors import OperandError as OperandError
    from .errors import TableError as TableError
    from .tables.build import build_catalogue as build_catalogue
    from .tables.catalogue import multipliers as multipliers
    from .tables.files import load_multiplier as load_multiplier
    from .tables.files import load_multipliers as load_multipliers
    from .tables.multiplier import Multiplier as Multiplier

__version__ = "0.1.0"

# Where each public name lives; a module is imported when a name is first used, so
# that `import axsim` loads neither torch nor numba nor matplotlib.
_HOMES = {
    "AxsimError": ".errors",
    "AxsimWarning": ".errors",
    "BackendError": ".errors",
    "CalibrationError": ".errors",
    "ConversionError": ".errors",
    "DataError": ".errors",
    "ModelError": ".errors",
    "OperandError": ".errors",
    "TableError": ".errors",
    "Multiplier": ".tables.multiplier",
    "build_catalogue": ".tables.build",
    "load_multiplier": ".tables.files",
    "load_multipliers": ".tables.files",
    "multipliers": ".tables.catalogue",
    "report": ".analysis.report",
}
# Public names that are modules themselves.
_MODULES = {"kernels": ".kernels", "plot": ".analysis.plot"}
__all__ = [*_HOMES, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(_MODULES[name], __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'axsim' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
