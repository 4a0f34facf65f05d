"""The tables of a saved network: shipped ones by name, others as files beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import AxsimWarning, ModelError, TableError
from ..tables.catalogue import find_shipped, shipped_table
from ..tables.cost import Cost
from ..tables.files import load_multiplier
from ..tables.multiplier import Multiplier, both, widths
from ..tables.recognise import recognise


@dataclass
class TableFolder:
    """Writes the tables of a network, each once.

    Args:
        folder: for the tables that are not shipped.
        described: what the document says of each, by the name it uses.
    """

    folder: Path
    described: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, mul: Multiplier) -> str:
        """Sees to it that a table can be found again; returns what it is called."""
        name = mul.name
        known = self.described.get(name)
        if known is not None and known["sha256"] != mul.sha256:
            name = f"{mul.name} {mul.sha256[:8]}"
        if name not in self.described:
            self.described[name] = self._describe(mul)
        return name

    def _describe(self, mul: Multiplier) -> dict[str, Any]:
        shipped = find_shipped(mul)
        if shipped is None:
            # Without the table's own name, which might not be one for a file.
            ending = "bin" if mul.bits == (8, 8) else "npy"
            place = {"file": f"table-{mul.sha256[:16]}.{ending}"}
            mul.save(self.folder / place["file"])
        else:
            place = {"shipped": shipped.name}
        return {
            **place,
            "sha256": mul.sha256,
            "name": mul.name,
            "bits": mul.bits,
            "signed": mul.signed,
            "source": mul.source,
            "cost": asdict(mul.cost) if mul.cost else None,
        }


def read_tables(described: Mapping[str, Any], folder: Path) -> dict[str, Multiplier]:
    """The tables that a document describes.

    Args:
        described: by the name that the document uses.
        folder: where the files are.

    Raises:
        TableError: where a table is missing or is not the one it was.
        ModelError: where the description is not one.
    """
    return {name: _read(name, each, folder) for name, each in described.items()}


def _read(name: str, given: Any, folder: Path) -> Multiplier:
    try:
        own = {"name": str(given["name"]), "source": str(given["source"])}
        cost = None if given["cost"] is None else _cost(given["cost"])
        with warnings.catch_warnings():
            # Whoever first loaded the table was told.
            warnings.simplefilter("ignore", AxsimWarning)
            mul = _load(given, folder)
        sha256 = str(given["sha256"])
    except (KeyError, TypeError) as problem:
        raise ModelError(
            f"the description of table {name!r} is damaged: {problem!r}. Save the "
            "network again."
        ) from problem
    if mul.sha256 != sha256:
        raise TableError(
            f"{name!r} has the hash {mul.sha256[:16]}…, but the network was saved with "
            f"{sha256[:16]}…: it is another table. Put the original there, or save the "
            "network again."
        )
    return replace(mul, cost=cost, **own)


def _load(given: Mapping[str, Any], folder: Path) -> Multiplier:
    if "shipped" in given:
        return recognise(shipped_table(str(given["shipped"])))
    file = str(given["file"])
    # A document cannot point out of its folder.
    if Path(file).name != file:
        raise ModelError(
            f"the table {file!r} lies outside the network's folder; it was not opened."
        )
    signed, bits = both(given["signed"]), widths(given["bits"])
    return load_multiplier(folder / file, signed=signed, bits=bits)


def _cost(given: Any) -> Cost:
    parts: dict[str, Any] = {**given, "units": tuple(given["units"])}
    return Cost(**parts)
