"""Data sets and reference networks, with small trained ones for the offline demo."""

from .checkpoint import load_weights as load_weights
from .checkpoint import read_metadata as read_metadata
from .checkpoint import save_weights as save_weights
from .checkpoint import shipped_weights as shipped_weights
from .data.digits import digits_folds as digits_folds
from .data.loader import WithIndices as WithIndices
from .data.loader import make_loader as make_loader
from .data.sources import load_data as load_data
from .networks.factory import build_network as build_network
from .networks.factory import networks as networks
