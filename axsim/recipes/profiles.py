"""Conformance profiles: the conventions of published simulators, as data.

PROFILES.md beside this file says which simulator differs from which, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import get_args

from ..nn.spec import Kind, Quant, Row
from ..quant.percentile import Percentile
from ..quant.scheme import PerAxis, Scheme

EVERY_KIND: Mapping[Kind, Row] = MappingProxyType(
    dict.fromkeys(get_args(Kind), "activation")
)


@dataclass(frozen=True)
class Profile:
    """What decides whether two simulators agree on one layer and one table.

    Args:
        quant: which integers stand for the values; None for those of the table.
        rows: the kinds of layer that are converted, and the operand of each that
            indexes the rows of the table.
    """

    quant: Quant | None = None
    rows: Mapping[Kind, Row] = field(default_factory=lambda: EVERY_KIND)


_TF2_CODES = Scheme(rounding="half_up", nudge="shift")
_ADAPT_CODES = Scheme(signed=True, symmetric=True, narrow=True)
# The smallest scale of PyTorch's x86 quantiser.
_PT2E_EPS = 2.0**-12

#: The profiles by name. A spec of one's own takes what it needs of them:
#: `ax.LayerSpec(ax.recipes.PROFILES["tf2"].quant, mul)`.
PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "axsim": Profile(),
        "tf2": Profile(
            Quant(_TF2_CODES, _TF2_CODES, dynamic=True),
            {"convolution": "activation"},
        ),
        "adapt": Profile(
            Quant(_ADAPT_CODES, _ADAPT_CODES, observer=Percentile(99.99)),
            {"convolution": "weight", "linear": "activation"},
        ),
        "pt2e": Profile(
            Quant(
                Scheme(eps=_PT2E_EPS),
                Scheme(
                    signed=True,
                    symmetric=True,
                    granularity=PerAxis(0),
                    clips_half_step=True,
                    eps=_PT2E_EPS,
                ),
            ),
            {"convolution": "activation", "linear": "activation"},
        ),
    }
)
