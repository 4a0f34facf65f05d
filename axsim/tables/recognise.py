"""Which known circuit a table is, whatever its file is called.

Names were reused between the versions of EvoApproxLib and many tables in circulation
are transposed, so a table is known by its content and by nothing else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import AxsimWarning
from .catalogue import ShippedEntry, find_shipped, shipped_entry, shipped_names
from .cost import Cost
from .misreading import misreading
from .multiplier import Multiplier
from .registry import ORIGIN, Circuit, circuit_names, circuits, later_names


@dataclass(frozen=True)
class Identity:
    """The known circuit that a table is.

    Args:
        name: of the circuit, by its publisher.
        aliases: its other names; those of EvoApproxLib's version 2022 say so.
        origin: who published it.
        transposed: whether the table has the operands of the circuit exchanged.
        symmetric: whether exchanging them changes nothing.
        rank: of the error, where it is known.
    """

    name: str
    aliases: tuple[str, ...] = ()
    origin: str = ORIGIN
    transposed: bool = False
    symmetric: bool = False
    rank: int | None = None

    def __str__(self) -> str:
        also = f" (also {', '.join(self.aliases)})" if self.aliases else ""
        order = ", operands exchanged" if self.transposed else ""
        return f"{self.name} of {self.origin}{also}{order}"


@dataclass(frozen=True)
class _Match:
    """The entries of registry and shipped index that have one content."""

    published: tuple[Circuit, ...]
    shipped: ShippedEntry | None
    transposed: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the circuit is called; none of these names belongs to another."""
        own = () if self.shipped is None else (self.shipped.name,)
        return (*(circuit.name for circuit in self.published), *own)

    @property
    def later_names(self) -> tuple[str, ...]:
        """What version 2022 calls it; version 1 may call another circuit so."""
        return tuple(c.name_2022 for c in self.published if c.name_2022)

    @property
    def cost(self) -> Cost | None:
        """A published cost before a modelled one."""
        if self.published:
            return self.published[0].cost
        return None if self.shipped is None else self.shipped.cost

    @property
    def rank(self) -> int | None:
        if self.published:
            return self.published[0].rank
        return None if self.shipped is None else self.shipped.rank


def recognise(mul: Multiplier) -> Multiplier:
    """The same multiplier with its identity, and its cost if it had none.

    Warns with `AxsimWarning` where the name belongs to another circuit, where a known
    circuit is transposed, where a signed table has the defect of AdaPT's converter and
    where an unknown table makes more sense with other operands.

    Args:
        mul: any multiplier; one that is not known comes back as it is.

    Example:
        >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
        >>> recognise(exact).identity.rank
        0
    """
    match = _find(mul)
    for problem in _problems(mul, match):
        # The caller of load_multiplier is two frames up.
        warnings.warn(problem, AxsimWarning, stacklevel=3)
    if match is None:
        return mul
    return replace(mul, identity=_identity(mul, match), cost=mul.cost or match.cost)


def transposed_identity(identity: Identity | None) -> Identity | None:
    """The identity of the table with its operands exchanged."""
    if identity is None or identity.symmetric:
        return identity
    return replace(identity, transposed=not identity.transposed)


def _find(mul: Multiplier) -> _Match | None:
    """Registry and shipped index by content, as it is and then transposed."""
    exchanged = Multiplier(mul.table.T, (mul.signed[1], mul.signed[0]))
    return _look_up(mul, transposed=False) or _look_up(exchanged, transposed=True)


def _look_up(mul: Multiplier, transposed: bool) -> _Match | None:
    entry = find_shipped(mul)
    published = circuits().get(mul.content, ())
    return _Match(published, entry, transposed) if published or entry else None


def _identity(mul: Multiplier, match: _Match) -> Identity:
    name = mul.name if mul.name in match.names else match.names[0]
    others = tuple(other for other in match.names if other != name)
    published = any(name == circuit.name for circuit in match.published)
    return Identity(
        name=name,
        aliases=(*others, *(f"{later} (v2022)" for later in match.later_names)),
        origin=ORIGIN if published else "axsim",
        transposed=match.transposed,
        symmetric=mul.is_symmetric,
        rank=match.rank,
    )


def _problems(mul: Multiplier, match: _Match | None) -> Iterator[str]:
    """What is probably not as the user thinks, one sentence each."""
    label = f"{mul.name} ({mul.source})"
    claim = _other_claim(mul.name, match)
    if match is None and (meant := misreading(mul)):
        yield f"{label} is probably not what it was read as: {meant}."
    elif match is None and has_adapt_defect(mul):
        yield (
            f"{label} shows the known defect of AdaPT's table converter: each product "
            "of two negative operands is that of their magnitudes, but those of mixed "
            f"signs differ. Its MAE is {mul.metrics().mae:.5g}"
            f"{f', but {claim}' if claim else ''}. Unless the circuit approximates the "
            "finished product, make the table anew from its C model: "
            "axsim convert MODEL.c TABLE.bin --allow-compile."
        )
    elif claim is not None and match is None:
        yield (
            f"{label} is none of the known circuits, but {claim}; this table has MAE "
            f"{mul.metrics().mae:.5g}. No published power, area or delay is attached: "
            "cite the table by its hash, or rename it."
        )
    elif claim is not None and match is not None:
        later = ", in version 2022 called so" if mul.name in match.later_names else ""
        yield (
            f"{label} holds {match.names[0]}{later}, but {claim}. Figures and cost are "
            f"those of {match.names[0]}; rename the file to match."
        )
    if match is not None and match.transposed:
        yield (
            f"{label} is {match.names[0]} with its operands exchanged: its first "
            "operand, the activation, is the circuit's second. For the circuit's own "
            'order use Multiplier.swapped() or row="weight".'
        )


def _other_claim(name: str, match: _Match | None) -> str | None:
    """Who gives the name to a circuit that is not the one recognised, if anyone.

    Version 1 goes before version 2022: a name that the two give to different circuits
    is version 1's.
    """
    if match is not None and name in match.names:
        return None
    if owner := circuit_names().get(name):
        return (
            f"version 1 of {ORIGIN} gives the name {name} to another circuit, of MAE "
            f"{owner.mae:g}"
        )
    if match is not None and name in match.later_names:
        return None
    if owner := later_names().get(name):
        return (
            f"version 2022 of {ORIGIN} gives the name {name} to {owner.name}, of MAE "
            f"{owner.mae:g}"
        )
    if name in shipped_names():
        mae = shipped_entry(name).figures["mae"]
        return f"axsim ships another table called {name}, of MAE {mae:.5g}"
    return None


def has_adapt_defect(mul: Multiplier) -> bool:
    """Whether M[a, b] = M[-a, -b] for all a, b in -127..-1, not M[-a, b] = -M[a, b].

    AdaPT's notebook passes magnitudes to the circuit where both operands are negative.
    """
    if mul.signed != (True, True) or mul.bits != (8, 8):
        return False
    a = np.arange(1, 128)[:, None]
    b = np.arange(1, 128)
    negative = mul.table[-a, -b]
    mirrored = np.array_equal(negative, mul.table[a, b])
    return mirrored and not np.array_equal(mul.table[a, -b], -negative)
