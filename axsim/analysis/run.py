"""One run: a table under a network, and what became of its accuracy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from .. import __version__
from ..errors import DataError
from ..tables.catalogue import find_shipped
from ..tables.cost import Cost
from ..tables.multiplier import Multiplier

HASH_LENGTH = 16  # hexadecimal digits
# How every line of a file of runs begins, by which a torn one is known as ours.
MARK = '{"axsim": "'


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a result depends on, as hashes; equal keys have equal results.

    Args:
        table: of the multiplier's content.
        weights: of the float network, its structure included.
        data: of every image and label, in order.
        settings: of recipe, calibration, seed and version of axsim.
    """

    table: str
    weights: str
    data: str
    settings: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row: the figures of a table, what the network did with it, and who says so.

    Where the table failed, `error` says why and the outcome is None; shares are 0..1.
    """

    axsim: str  #: version
    table: str
    operands: str
    family: str  #: of the design, "" unless the table is shipped
    mae: float
    mae_percent: float
    wce: float
    wce_percent: float
    bias: float
    bias_percent: float
    mse: float
    variance: float
    ep_percent: float
    mre_percent: float
    power: float | None
    area: float | None
    delay: float | None
    cost_units: str  #: of power, area and delay, separated by commas
    cost_origin: str
    model: str
    recipe: str
    data: str
    n: int  #: images
    float_accuracy: float
    accuracy: float | None
    low: float | None  #: ends of the 95 % interval of the accuracy
    high: float | None
    loss: float | None
    agreement: float | None  #: with the float network's class
    products: int | None  #: of one sample
    energy: float | None  #: of those whose circuit has a known power
    energy_unit: str
    priced: float  #: the share of the products that these are
    seconds: float  #: to convert and evaluate
    seed: int
    torch: str  #: version
    command: str
    error: str | None
    passing: bool  #: whether the error may be gone when tried again
    table_hash: str
    weights_hash: str
    data_hash: str
    settings_hash: str

    @property
    def key(self) -> Key:
        """By which a resumed sweep knows the row."""
        return Key(
            table=self.table_hash,
            weights=self.weights_hash,
            data=self.data_hash,
            settings=self.settings_hash,
        )

    @property
    def name(self) -> str:
        """The table's, as plots call it."""
        return self.table

    @property
    def cost(self) -> Cost | None:
        """The table's, where somebody gave one."""
        if not self.cost_origin:
            return None
        power, area, delay = self.cost_units.split(", ")
        return Cost(
            self.cost_origin, self.power, self.area, self.delay, (power, area, delay)
        )

    @property
    def exact(self) -> bool:
        """Whether every product of the table is exact."""
        return self.ep_percent == 0

    def line(self) -> str:
        """The row as a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def table_fields(mul: Multiplier) -> dict[str, Any]:
    """What a row says of the table itself."""
    m, cost, shipped = mul.metrics(), mul.cost, find_shipped(mul)
    return {
        "axsim": __version__,
        "table": mul.name,
        "operands": mul.operands,
        "family": shipped.family if shipped else "",
        **{name: getattr(m, name) for name in FIGURES},
        "power": cost.power if cost else None,
        "area": cost.area if cost else None,
        "delay": cost.delay if cost else None,
        "cost_units": ", ".join(cost.units) if cost else "",
        "cost_origin": cost.origin if cost else "",
    }


def hash_table(mul: Multiplier) -> str:
    """Of the content: tables of one hash have the same products."""
    return hashlib.sha256(repr(mul.content).encode()).hexdigest()[:HASH_LENGTH]


FIGURES = (
    "mae", "mae_percent", "wce", "wce_percent", "bias", "bias_percent", "mse",
    "variance", "ep_percent", "mre_percent",
)  # fmt: skip


def parse_run(line: str, where: str) -> Run:
    """The run that a line of a file says.

    Raises:
        DataError: where it is none, naming `where`.
    """
    try:
        row = json.loads(line)
    except ValueError as problem:
        raise DataError(f"{where} is no JSON ({problem}). {ADVICE}") from problem
    known = {field.name for field in fields(Run)}
    if not isinstance(row, dict) or set(row) != known:
        strange = sorted(known ^ set(row)) if isinstance(row, dict) else [repr(row)]
        raise DataError(
            f"{where} is no row of a sweep of axsim {__version__}: "
            f"{', '.join(map(str, strange[:4]))} is lacking or unknown. {ADVICE}"
        )
    return Run(**row)


ADVICE = "Name the file that a sweep wrote, or another one that does not exist yet."
