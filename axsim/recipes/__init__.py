"""Published systems as recipes: data that `approximate` takes, no code of their own."""

from . import text as text
from .acgc import acgc as acgc
from .actnn import actnn as actnn
from .blpa import blpa as blpa
from .channel_gating import channel_gating as channel_gating
from .gact import gact as gact
from .precision_gating import precision_gating as precision_gating
from .profiles import PROFILES as PROFILES
from .profiles import Profile as Profile
from .rectified import rectified as rectified
from .tfapprox import tfapprox as tfapprox
