"""axsim: approximate arithmetic in neural networks, simulated bit for bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .analysis import plot as plot
    from .analysis.report import report as report
    from .errors import AxsimError as AxsimError
    from .errors import AxsimWarning as AxsimWarning
    from .errors import BackendError as BackendError
    from .errors import CalibrationError as CalibrationError
    from .errors import ConversionError as ConversionError
    from .errors import DataError as DataError
    from .errors import ModelError as ModelError
    from .errors import TableError as TableError
    from .errors import TrainingError as TrainingError
    from .tables.build import build_catalogue as build_catalogue
    from .tables.catalogue import multipliers as multipliers
    from .tables.files import load_multiplier as load_multiplier
    from .tables.files import load_multipliers as load_multipliers
    from .tables.multiplier import Multiplier as Multiplier
    from .training.evaluation import evaluate as evaluate
    from .training.loop import train as train
    from .training.settings import TrainSettings as TrainSettings
    from .zoo.checkpoint import load_weights as load_weights
    from .zoo.checkpoint import shipped_weights as shipped_weights
    from .zoo.data.sources import load_data as load_data
    from .zoo.networks.factory import build_network as build_network

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
    "TableError": ".errors",
    "TrainingError": ".errors",
    "Multiplier": ".tables.multiplier",
    "TrainSettings": ".training.settings",
    "build_catalogue": ".tables.build",
    "build_network": ".zoo.networks.factory",
    "evaluate": ".training.evaluation",
    "load_data": ".zoo.data.sources",
    "load_multiplier": ".tables.files",
    "load_multipliers": ".tables.files",
    "load_weights": ".zoo.checkpoint",
    "multipliers": ".tables.catalogue",
    "report": ".analysis.report",
    "shipped_weights": ".zoo.checkpoint",
    "train": ".training.loop",
}
# Public names that are modules themselves.
_MODULES = {"plot": ".analysis.plot"}
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
