"""Networks that other libraries quantised, with their own scales, codes and biases."""

from .brevitas import from_brevitas as from_brevitas
from .pt2e import from_pt2e as from_pt2e
