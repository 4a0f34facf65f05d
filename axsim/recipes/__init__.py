"""Published systems as recipes: data that `approximate` takes, no code of their own."""

from .acgc import acgc as acgc
from .actnn import actnn as actnn
from .blpa import blpa as blpa
from .gact import gact as gact
from .profiles import PROFILES as PROFILES
from .profiles import Profile as Profile
from .tfapprox import tfapprox as tfapprox
