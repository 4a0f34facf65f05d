"""axsim: approximate arithmetic in neural networks, simulated bit for bit."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .errors import AxsimError as AxsimError
from .errors import AxsimWarning as AxsimWarning
from .errors import BackendError as BackendError
from .errors import CalibrationError as CalibrationError
from .errors import ConversionError as ConversionError
from .errors import DataError as DataError
from .errors import ModelError as ModelError
from .errors import OperandError as OperandError
from .errors import TableError as TableError
from .errors import TrainingError as TrainingError
from .tables.catalogue import multipliers as multipliers
from .tables.files import load_multiplier as load_multiplier
from .tables.files import load_multipliers as load_multipliers
from .tables.multiplier import Multiplier as Multiplier

if TYPE_CHECKING:
    from . import gating as gating
    from . import kernels as kernels
    from . import nn as nn
    from . import recipes as recipes
    from .analysis import plot as plot
    from .analysis.report import report as report
    from .analysis.runs import Runs as Runs
    from .analysis.sweep import sweep as sweep
    from .memory.hooks import compressed_activations as compressed_activations
    from .memory.saved import Saved as Saved
    from .nn import importers as importers
    from .nn.convert import approximate as approximate
    from .nn.plan import plan as plan
    from .nn.spec import Exact as Exact
    from .nn.spec import LayerSpec as LayerSpec
    from .nn.spec import Product as Product
    from .nn.spec import Quant as Quant
    from .nn.spec import Rule as Rule
    from .nn.summary import summary as summary
    from .quant.scheme import Scheme as Scheme
    from .tables.build import build_catalogue as build_catalogue
    from .training.evaluation import evaluate as evaluate
    from .training.loop import train as train
    from .training.settings import TrainSettings as TrainSettings
    from .zoo.checkpoint import load_weights as load_weights
    from .zoo.checkpoint import shipped_weights as shipped_weights
    from .zoo.converted import load_network as load_network
    from .zoo.converted import save_network as save_network
    from .zoo.data.calibration import calibration_images as calibration_images
    from .zoo.data.sources import load_data as load_data
    from .zoo.networks.factory import build_network as build_network

__version__ = "0.1.0"

# Public names whose homes load torch, numba or matplotlib, or are seldom used: they
# are imported when the name is first used.
_HOMES = {
    "Exact": ".nn.spec",
    "LayerSpec": ".nn.spec",
    "Product": ".nn.spec",
    "Quant": ".nn.spec",
    "Rule": ".nn.spec",
    "Runs": ".analysis.runs",
    "Saved": ".memory.saved",
    "Scheme": ".quant.scheme",
    "TrainSettings": ".training.settings",
    "approximate": ".nn.convert",
    "build_catalogue": ".tables.build",
    "build_network": ".zoo.networks.factory",
    "calibration_images": ".zoo.data.calibration",
    "compressed_activations": ".memory.hooks",
    "evaluate": ".training.evaluation",
    "gating": ".gating",
    "importers": ".nn.importers",
    "kernels": ".kernels",
    "load_data": ".zoo.data.sources",
    "load_network": ".zoo.converted",
    "load_weights": ".zoo.checkpoint",
    "nn": ".nn",
    "plan": ".nn.plan",
    "plot": ".analysis.plot",
    "recipes": ".recipes",
    "report": ".analysis.report",
    "save_network": ".zoo.converted",
    "shipped_weights": ".zoo.checkpoint",
    "summary": ".nn.summary",
    "sweep": ".analysis.sweep",
    "train": ".training.loop",
}
_MODULES = {"gating", "importers", "kernels", "nn", "plot", "recipes"}
__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "AxsimError",
    "AxsimWarning",
    "BackendError",
    "CalibrationError",
    "ConversionError",
    "DataError",
    "ModelError",
    "Multiplier",
    "OperandError",
    "TableError",
    "TrainingError",
    "load_multiplier",
    "load_multipliers",
    "multipliers",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'axsim' has no attribute {name!r}")
    home = import_module(_HOMES[name], __name__)
    value = home if name in _MODULES else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
