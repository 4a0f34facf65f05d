"""What a multiplier costs in hardware, and who said so."""

from __future__ import annotations

from dataclasses import dataclass

PDK45_UNITS = ("mW", "µm²", "ns")
MODEL_UNITS = ("× exact 8x8", "× exact 8x8", "× exact 8x8")


@dataclass(frozen=True)
class Cost:
    """Power, area and delay of one circuit, None where nobody published a figure.

    Args:
        origin: who measured or modelled the figures; costs of different origins
            are never compared.
        power, area, delay: the figures, in `units`.
        units: of power, area and delay.
        basis: how far the figures can be trusted, one clause.

    Example:
        >>> print(Cost("EvoApproxLib, PDK45", power=0.189, area=437.4, delay=1.48))
        power 0.189 mW, area 437.4 µm², delay 1.48 ns (EvoApproxLib, PDK45)
    """

    origin: str
    power: float | None = None
    area: float | None = None
    delay: float | None = None
    units: tuple[str, str, str] = PDK45_UNITS
    basis: str = ""

    def __str__(self) -> str:
        figures = zip(
            ("power", "area", "delay"),
            (self.power, self.area, self.delay),
            self.units,
            strict=True,
        )
        known = [f"{what} {value:g} {unit}" for what, value, unit in figures
                 if value is not None]  # fmt: skip
        return f"{', '.join(known) or 'nothing published'} ({self.origin})"

    def comparable(self, other: Cost) -> bool:
        """Whether both were obtained in one way, so that their ratio means much."""
        return (self.origin, self.units) == (other.origin, other.units)
