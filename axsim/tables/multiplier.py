"""The multiplier: a table of products indexed by the raw bytes of its operands."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import TableError
from .cost import Cost
from .metrics import IntTable, Metrics, measure, pair_weights
from .rank import integer_rank

if TYPE_CHECKING:
    from .factors import Factors
    from .recognise import Identity

MAX_BITS = 8
INT32 = np.iinfo(np.int32)

Signed = bool | tuple[bool, bool]
Content = tuple[str, tuple[int, int], tuple[bool, bool]]  #: sha256, bits, signed


def operand_values(bits: int, signed: bool) -> npt.NDArray[np.int32]:
    """What each raw code of an operand stands for: two's complement where signed.

    Example:
        >>> operand_values(2, signed=True)
        array([ 0,  1, -2, -1], dtype=int32)
    """
    codes = np.arange(1 << bits, dtype=np.int32)
    if not signed:
        return codes
    return np.where(codes >> (bits - 1), codes - (1 << bits), codes)


def exact_products(bits: tuple[int, int], signed: tuple[bool, bool]) -> IntTable:
    """The exact table for these operands."""
    a, b = (operand_values(*operand) for operand in zip(bits, signed, strict=True))
    return np.outer(a, b)


@dataclass(frozen=True, eq=False, repr=False)
class Multiplier:
    """One approximate multiplier: `table[a, b]` is its product of two raw codes.

    Args:
        table: int32[2^bits_a, 2^bits_b], widths 1 to 8; `a` is the activation, `b`
            the weight. Held read-only.
        signed: whether each operand is two's complement.
        name: how reports call it.
        source: the file or construction it came from.
        cost: published or modelled hardware cost; None where there is none.
        identity: which known circuit the content was recognised as.

    Example:
        >>> mul = Multiplier.from_function(lambda a, b: a * b & ~3, signed=False)
        >>> mul.table[3, 5], mul.metrics().wce
        (np.int32(12), 3)
    """

    table: IntTable
    signed: tuple[bool, bool]
    name: str = "unnamed"
    source: str = ""
    cost: Cost | None = None
    identity: Identity | None = None

    def __post_init__(self) -> None:
        given = np.asarray(self.table)
        table = np.array(_integers(given, self.name), dtype=np.int32, order="C")
        table.flags.writeable = False
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "signed", both(self.signed))

    @classmethod
    def from_array(
        cls,
        table: npt.ArrayLike,
        *,
        signed: Signed,
        name: str = "unnamed",
        source: str = "from_array",
        cost: Cost | None = None,
    ) -> Multiplier:
        """A multiplier from its table, `table[a, b]` indexed by raw codes.

        Args:
            table: whole numbers of int32 range, each side a power of two from 2 to 256.
            signed: for both operands, or `(signed_a, signed_b)`.

        Raises:
            TableError: for any other shape or content.
        """
        return cls(np.asarray(table), both(signed), name, source, cost)

    @classmethod
    def from_function(
        cls,
        function: Callable[[Any, Any], Any],
        *,
        signed: Signed,
        bits: tuple[int, int] = (8, 8),
        name: str = "unnamed",
        cost: Cost | None = None,
    ) -> Multiplier:
        """A multiplier from a function of two operand values.

        Args:
            function: takes two int64 arrays, or two Python integers, of operand
                *values* (negative where signed) and returns the products.
            signed: for both operands, or `(signed_a, signed_b)`.
            bits: operand widths, 1 to 8.

        Raises:
            TableError: if the widths or the returned products cannot make a table.
        """
        signs = both(signed)
        a, b = (
            operand_values(width, sign).astype(np.int64)
            for width, sign in zip(widths(bits), signs, strict=True)
        )
        table = _tabulate(function, a, b)
        return cls(table, signs, name, f"function {function_name(function)}", cost)

    def __reduce__(self) -> tuple[Any, ...]:
        return Multiplier, tuple(getattr(self, field.name) for field in fields(self))

    def __eq__(self, other: object) -> bool:
        """Same products on the same kind of operands; name and cost do not matter."""
        if not isinstance(other, Multiplier):
            return NotImplemented
        return self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)

    def __repr__(self) -> str:
        return f"<Multiplier {self.name}: {self.operands}, {self.sha256[:8]}>"

    def __str__(self) -> str:
        from .card import card

        return card(self)

    @property
    def bits(self) -> tuple[int, int]:
        """Widths of the two operands."""
        rows, columns = self.table.shape
        return rows.bit_length() - 1, columns.bit_length() - 1

    @property
    def operands(self) -> str:
        """The operands in words, such as `unsigned 8x8` or `signed 8 x unsigned 4`."""
        words = ["signed" if s else "unsigned" for s in self.signed]
        if words[0] == words[1]:
            return f"{words[0]} {self.bits[0]}x{self.bits[1]}"
        return f"{words[0]} {self.bits[0]} x {words[1]} {self.bits[1]}"

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: the table as little-endian int32, C order."""
        return hashlib.sha256(
            self.table.astype("<i4", copy=False).tobytes()
        ).hexdigest()

    @property
    def content(self) -> Content:
        """What tells this table from any other: the hash does not know its shape."""
        return self.sha256, self.bits, self.signed

    @cached_property
    def exact(self) -> IntTable:
        """The exact products of the same operands."""
        return exact_products(self.bits, self.signed)

    @cached_property
    def error(self) -> IntTable:
        """Approximate minus exact products.

        Raises:
            TableError: where a difference leaves int32.
        """
        wide = self.table.astype(np.int64) - self.exact
        if wide.max() > INT32.max or wide.min() < INT32.min:
            raise TableError(
                f"{self.name}: errors run from {wide.min()} to {wide.max()}, beyond "
                "int32; a multiplier's table stays near its products."
            )
        return wide.astype(np.int32)

    @cached_property
    def rank(self) -> int:
        """Rank of the error: 0 for an exact multiplier."""
        if self.identity is not None and self.identity.rank is not None:
            return self.identity.rank
        return integer_rank(self.error)

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether the operands can change places."""
        return self.signed[0] == self.signed[1] and np.array_equal(
            self.table, self.table.T
        )

    @cached_property
    def zero_preserving(self) -> bool:
        """Whether every product with 0 is 0, so that padding and skipped work agree."""
        return not (self.table[0].any() or self.table[:, 0].any())

    @cached_property
    def _uniform_metrics(self) -> Metrics:
        return measure(self.error, self.exact)

    def metrics(
        self,
        a: npt.ArrayLike | None = None,
        b: npt.ArrayLike | None = None,
        *,
        joint: npt.ArrayLike | None = None,
    ) -> Metrics:
        """Error figures, over all operand pairs alike or weighted by histograms.

        Args:
            a: counts of each raw activation code; None for uniform.
            b: counts of each raw weight code; None for uniform.
            joint: counts of each pair, instead of `a` and `b`.

        Example:
            >>> exact = Multiplier.from_function(lambda a, b: a * b, signed=False)
            >>> exact.metrics().mae
            0.0
        """
        weights = pair_weights((self.table.shape[0], self.table.shape[1]), a, b, joint)
        if weights is None:
            return self._uniform_metrics
        return measure(self.error, self.exact, weights)

    def factors(self, of: str = "error") -> Factors:
        """Exact integer factors of the error (or the `"table"`), cached by content."""
        from .factors import factorise

        return factorise(self, of)

    def swapped(self) -> Multiplier:
        """The same circuit with its operands exchanged."""
        from .recognise import transposed_identity

        return replace(
            self,
            table=self.table.T,
            signed=(self.signed[1], self.signed[0]),
            name=_toggled(self.name, "_swapped"),
            source=_toggled(self.source, ", operands swapped"),
            identity=transposed_identity(self.identity),
        )

    def save(self, path: str | Path) -> Path:
        """Writes the table as `.bin` (16 bits where it fits) or `.npy`."""
        from .files import save_multiplier

        return save_multiplier(self, path)


def both(signed: Any) -> tuple[bool, bool]:
    """A signedness for each operand, from one for both or a pair.

    Raises:
        TableError: for anything else; a word or None must not pass for True or False.

    Example:
        >>> both(True), both((True, False))
        ((True, True), (True, False))
    """
    pair = tuple(signed) if isinstance(signed, tuple | list) else (signed, signed)
    if len(pair) != 2 or not all(isinstance(each, bool | np.bool_) for each in pair):
        raise TableError(
            f"signed={signed!r}; choose True or False, or a pair such as (True, False) "
            "for operands a and b."
        )
    return bool(pair[0]), bool(pair[1])


def widths(bits: Any) -> tuple[int, int]:
    """The widths of both operands, checked.

    Raises:
        TableError: for anything but two whole numbers from 1 to 8.

    Example:
        >>> widths((8, 4))
        (8, 4)
    """
    pair = tuple(bits) if isinstance(bits, tuple | list) else ()
    fits = (isinstance(n, int | np.integer) and 1 <= n <= MAX_BITS for n in pair)
    if len(pair) != 2 or not all(fits):
        raise TableError(
            f"bits={bits!r}; operands have 1 to {MAX_BITS} bits each, as in "
            "bits=(8, 4)."
        )
    return int(pair[0]), int(pair[1])


def _toggled(text: str, ending: str) -> str:
    return text.removesuffix(ending) if text.endswith(ending) else text + ending


def function_name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _tabulate(
    function: Callable[[Any, Any], Any],
    a: npt.NDArray[np.int64],
    b: npt.NDArray[np.int64],
) -> npt.NDArray[Any]:
    """All products: by one call on arrays, or pair by pair where that fails.

    A scalar function often accepts arrays and means something else (`if a > b`, a
    `min`), so a few pairs are compared before the array result is believed.
    """
    rows, columns = np.meshgrid(a, b, indexing="ij")
    probes = [(i * 37 % len(a), i * 101 % len(b)) for i in range(16)]
    expected = [_scalar(function, int(a[i]), int(b[j])) for i, j in probes]
    # A scalar function may do anything when it meets arrays.
    with contextlib.suppress(Exception):
        table = np.asarray(function(rows, columns))
        found = [table[i, j] for i, j in probes] if table.shape == rows.shape else []
        if found and all(bool(x == y) for x, y in zip(found, expected, strict=True)):
            return table
    return np.array([[_scalar(function, int(x), int(y)) for y in b] for x in a])


def _scalar(function: Callable[[Any, Any], Any], a: int, b: int) -> Any:
    """One product; a vectorised function may need arrays even for one pair."""
    try:
        value = function(a, b)
    except Exception as scalar_problem:
        try:
            value = function(np.array([[a]]), np.array([[b]]))
        except Exception:
            raise TableError(
                f"from_function: {function_name(function)}({a}, {b}) raised "
                f"{type(scalar_problem).__name__}: {scalar_problem}"
            ) from scalar_problem
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iufb":
        raise TableError(
            f"from_function: {function_name(function)}({a}, {b}) returned {value!r}; "
            "it must return one whole number."
        )
    return array.reshape(())[()]


def _integers(table: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The table if it is one: right shape, whole numbers, int32 range."""
    allowed = tuple(1 << width for width in range(1, MAX_BITS + 1))
    if table.ndim != 2 or not all(side in allowed for side in table.shape):
        raise TableError(
            f"{name}: a table has shape (2^bits_a, 2^bits_b) with widths 1 to 8, such "
            f"as (256, 256); this one has {table.shape}."
        )
    if table.dtype.kind not in "iufb":
        raise TableError(
            f"{name}: a table holds whole numbers; this one has dtype {table.dtype}."
        )
    if table.dtype.kind == "f":
        bad = ~np.isfinite(table) | (table != np.trunc(table))
        if bad.any():
            a, b = (int(i) for i in np.argwhere(bad)[0])
            raise TableError(
                f"{name}: entry [{a}, {b}] is {table[a, b]}; a table holds whole "
                "numbers."
            )
    # As Python numbers: in a narrow type the limits themselves would overflow.
    low, high = table.min().item(), table.max().item()
    if low < INT32.min or high > INT32.max:
        raise TableError(
            f"{name}: values run from {low} to {high}; a table holds int32, "
            f"{INT32.min} to {INT32.max}."
        )
    return table
