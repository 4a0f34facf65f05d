"""A design: a family with its numbers chosen, for operands of some width and sign."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules

from ...errors import TableError, close_names
from ..gatecost import model_cost
from ..metrics import IntTable
from ..multiplier import Multiplier
from ..naming import conventional_prefix
from ..netlist import Netlist, build_netlist
from .family import Family
from .magnitude import by_magnitude, product_by_magnitude
from .operand import Shape, operand_grid

# Every other module of this package describes families.
MACHINERY = {"design", "family", "magnitude", "operand"}

NAME = re.compile(r"mul([2-8])(?:x([2-8]))?([us])_(sm_)?([a-z][a-z0-9]*)((?:_\w+?)*)")


@dataclass(frozen=True)
class Design:
    """One multiplier that can be built, fully described by its name.

    Args:
        family: how it multiplies.
        values: the numbers its family leaves to choose.
        shape: operand widths and signedness.
        magnitude: whether an unsigned family multiplies magnitudes of signed operands.
    """

    family: Family
    values: tuple[int, ...]
    shape: Shape
    magnitude: bool = False

    @property
    def name(self) -> str:
        """Such as `mul8u_trunc_6`, `mul8x4u_drum_3` or `mul8s_sm_mitchell`."""
        prefix = conventional_prefix(self.shape[:2], self.shape.signed)
        magnitude = "sm_" if self.magnitude else ""
        return f"{prefix}{magnitude}{self.family.spell(self.values)}"

    def netlist(self) -> Netlist:
        """Its gates."""
        describe = self.family.circuit
        if self.magnitude:
            describe = partial(by_magnitude, describe)
        return build_netlist(
            lambda a, b: describe(a, b, *self.values), self.shape[:2], self.shape.signed
        )

    def definition(self) -> IntTable:
        """All products by the arithmetic definition, without the circuit.

        A product that leaves its 2^(bits_a + bits_b) values wraps, as a word does.
        """
        a, b = operand_grid(self.shape)
        product = self.family.product
        if self.magnitude:
            product = partial(product_by_magnitude, product)
        full = 1 << (self.shape.a + self.shape.b)
        lowest = -full // 2 if self.shape.signed else 0
        wrapped = (product(a, b, *self.values) - lowest) % full + lowest
        return wrapped.astype("int32")

    def multiplier(self) -> Multiplier:
        """The table that its circuit computes, and what the circuit costs."""
        netlist = self.netlist()
        return Multiplier.from_array(
            netlist.table(),
            signed=self.shape.signed,
            name=self.name,
            source=f"design: {self.family.summary}",
            cost=model_cost(netlist),
        )


@cache
def families() -> dict[str, Family]:
    """All families by name, found in the modules of this package.

    Example:
        >>> families()["trunc"].parameters[0].meaning
        'the number k of dropped columns'
    """
    package = __name__.rpartition(".")[0]
    places = import_module(package).__path__
    names = sorted({module.name for module in iter_modules(places)} - MACHINERY)
    found: dict[str, Family] = {}
    for module in names:
        for family in _families_in(f"{package}.{module}"):
            if family.name in found:
                raise TableError(f"{module}: a family '{family.name}' exists already.")
            found[family.name] = family
    return found


def _families_in(module: str) -> tuple[Family, ...]:
    content = import_module(module)
    if not hasattr(content, "FAMILIES"):
        raise TableError(f"{module} defines no FAMILIES, a tuple of Family.")
    return content.FAMILIES


def shipped_names() -> list[str]:
    """Names of the designs that axsim ships as tables, family by family."""
    return [name for family in families().values() for name in family.shipped]


def find_design(name: str) -> Design:
    """The design of this name, shipped or not.

    Args:
        name: `mul8u_<family>_<parameters>`; `mul8s_` for signed operands, `mul8x4u_`
            for 8 and 4 bits, `mul8s_sm_<family>_...` for an unsigned family on the
            magnitudes of signed operands. Widths are 2 to 8 bits.

    Raises:
        TableError: if there is no such family, or its parameters do not fit.

    Example:
        >>> find_design("mul8u_bam_h2_v5").values
        (2, 5)
    """
    parts = NAME.fullmatch(name)
    if not parts:
        raise TableError(
            f"design {name!r}: a name is mul<bits>u_<family>_<parameters> with 2 to 8 "
            f"bits, such as mul8u_trunc_6.{close_names(name, shipped_names())}"
        )
    first, second, sign, magnitude, word, rest = parts.groups()
    if word not in families():
        near = close_names(name, shipped_names()) or close_names(word, families())
        raise TableError(f"design {name!r}: there is no family '{word}'.{near}")
    family, shape = (
        families()[word],
        Shape(int(first), int(second or first), sign == "s"),
    )
    _check_sign(name, family, sign, bool(magnitude))
    own_shape = shape._replace(signed=False) if magnitude else shape
    values = family.read(name, rest.split("_")[1:], own_shape)
    design = Design(family, values, shape, bool(magnitude))
    if design.name != name:
        raise TableError(f"design {name!r} is written '{design.name}'.")
    return design


def _check_sign(name: str, family: Family, sign: str, magnitude: bool) -> None:
    if magnitude and (sign == "u" or "u" not in family.signs):
        raise TableError(
            f"design {name!r}: sm_ puts an unsigned family on signed operands, as in "
            "mul8s_sm_mitchell."
        )
    if not magnitude and sign not in family.signs:
        wanted, instead = ("unsigned", "s_sm_") if sign == "s" else ("signed", "s_")
        raise TableError(
            f"design {name!r}: '{family.name}' is defined for {wanted} operands only; "
            f"write {name.replace(f'{sign}_', instead, 1)}."
        )


def build_design(name: str) -> Multiplier:
    """The multiplier of this name: its table and its modelled cost.

    Args:
        name: see `find_design`; any legal parameters, not only the shipped ones.

    Raises:
        TableError: if the name does not describe a design.

    Example:
        >>> build_design("mul8u_trunc_6").metrics().wce
        321
    """
    return find_design(name).multiplier()
