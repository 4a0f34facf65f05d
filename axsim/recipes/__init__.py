"""Published systems as recipes: data that `approximate` takes, no code of their own."""

from .profiles import PROFILES as PROFILES
from .profiles import Profile as Profile
from .tfapprox import tfapprox as tfapprox
