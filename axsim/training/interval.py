"""How well a share is known from a sample."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share: never outside 0 and 1, honest near them.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Args:
        hits: 0 to `count`.
        count: at least 1.
        level: how often the true share is inside, between 0 and 1.

    Example:
        >>> [round(bound, 3) for bound in wilson(8, 10)]
        [0.49, 0.943]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = hits / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    below, above = ((centre + side) / (1 + z * z / count) for side in (-spread, spread))
    # Rounding leaves 1e-17 where nothing was hit.
    return (below if hits else 0.0), (above if hits < count else 1.0)
