from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from axsim import AxsimWarning, Multiplier
from axsim.tables import recognise as module
from axsim.tables.catalogue import ShippedEntry
from axsim.tables.cost import Cost
from axsim.tables.files import load_multiplier
from axsim.tables.recognise import Identity, recognise

#: Name, whether symmetric, rank of the error, power: as published.
REAL = [
    ("mul8u_1JFF", True, 0, 0.391),
    ("mul8u_2AC", False, 10, 0.311),
    ("mul8u_KEM", True, 15, 0.370),
    ("mul8u_GS2", False, 7, 0.356),
    ("mul8u_L40", False, 192, 0.189),
    ("mul8u_185Q", False, 150, 0.206),
    ("mul8u_QKX", False, 51, 0.029),
    ("mul8u_17KS", False, 19, 0.104),
]
real_tables = pytest.mark.parametrize(("name", "symmetric", "rank", "power"), REAL)


def exact(name: str = "table") -> Multiplier:
    return Multiplier.from_function(lambda a, b: a * b, signed=False, name=name)


def write_bin(mul: Multiplier, stem: Path) -> Path:
    return mul.save(stem.with_suffix(".bin"))


def write_npy(mul: Multiplier, stem: Path) -> Path:
    return mul.save(stem.with_suffix(".npy"))


def write_txt(mul: Multiplier, stem: Path) -> Path:
    np.savetxt(stem.with_suffix(".txt"), mul.table, fmt="%d")
    return stem.with_suffix(".txt")


def write_h(mul: Multiplier, stem: Path) -> Path:
    rows = ",".join(f"{{{','.join(map(str, row))}}}" for row in mul.table.tolist())
    stem.with_suffix(".h").write_text(f"const int32_t lut[256][256] = {{{rows}}};")
    return stem.with_suffix(".h")


@real_tables
def test_real_tables_are_recognised(
    evoapprox: Path, name: str, symmetric: bool, rank: int, power: float
) -> None:
    mul = load_multiplier(evoapprox / f"{name}.bin")
    assert mul.identity is not None and mul.cost is not None
    assert (mul.identity.name, mul.identity.transposed) == (name, False)
    assert (mul.identity.symmetric, mul.identity.rank) == (symmetric, rank)
    assert (mul.cost.origin, mul.cost.power) == ("EvoApproxLib, PDK45", power)


@real_tables
@pytest.mark.parametrize("write", [write_bin, write_npy, write_txt, write_h])
def test_renamed_tables_are_recognised_in_any_format(
    evoapprox: Path,
    tmp_path: Path,
    name: str,
    symmetric: bool,
    rank: int,
    power: float,
    write: Callable[[Multiplier, Path], Path],
) -> None:
    mul = load_multiplier(evoapprox / f"{name}.bin")
    renamed = load_multiplier(write(mul, tmp_path / "mine"), signed=False)
    assert renamed.name == "mine"
    assert renamed.identity is not None and renamed.identity.name == name
    assert (renamed.cost, renamed.identity.rank) == (mul.cost, rank)


@real_tables
def test_transposed_tables_are_recognised_with_a_warning(
    evoapprox: Path, tmp_path: Path, name: str, symmetric: bool, rank: int, power: float
) -> None:
    mul = load_multiplier(evoapprox / f"{name}.bin")
    path = replace(mul, table=mul.table.T).save(tmp_path / "mul8u_mine.bin")
    if symmetric:
        turned = load_multiplier(path)
    else:
        message = rf"mul8u_mine \(.*mul8u_mine\.bin\) is {name} with its operands exch"
        with pytest.warns(AxsimWarning, match=message):
            turned = load_multiplier(path)
    assert turned.identity is not None
    assert (turned.identity.name, turned.identity.rank) == (name, rank)
    assert turned.identity.transposed is not symmetric
    assert turned.cost == mul.cost
    back = turned.swapped()
    assert back.identity is not None and not back.identity.transposed
    assert turned.swapped() == mul


def test_the_name_that_version_2022_reused_is_a_warning(
    evoapprox: Path, tmp_path: Path
) -> None:
    path = load_multiplier(evoapprox / "mul8u_17KS.bin").save(
        tmp_path / "mul8u_17C8.bin"
    )
    message = (
        "holds mul8u_17KS, in version 2022 called so, but version 1 of EvoApproxLib "
        "gives the name mul8u_17C8 to another circuit, of MAE 4857.96. Figures and "
        "cost are those of mul8u_17KS"
    )
    with pytest.warns(AxsimWarning, match=message):
        mul = load_multiplier(path)
    assert mul.identity is not None
    assert mul.identity.aliases == ("mul8u_17C8 (v2022)",)


@pytest.mark.parametrize("name", ["mul8u_199Z", "mul8u_E9R", "mul8u_TD3", "mine"])
def test_an_alias_is_no_warning(name: str) -> None:
    zero = Multiplier.from_array(np.zeros((256, 256)), signed=False, name=name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        identity = recognise(zero).identity
    assert identity is not None
    names = {identity.name, *identity.aliases}
    assert names == {"mul8u_E9R", "mul8u_199Z", "mul8u_TD3 (v2022)"}
    assert identity.name == (name if name in names else "mul8u_E9R")


def test_a_name_of_another_circuit_is_a_warning() -> None:
    message = (
        "holds mul8u_1JFF, but version 1 of EvoApproxLib gives the name mul8u_DM1 to "
        "another circuit, of MAE 134"
    )
    with pytest.warns(AxsimWarning, match=message):
        mul = recognise(exact("mul8u_DM1"))
    assert mul.cost is not None and mul.cost.power == 0.391


@pytest.mark.parametrize(
    ("name", "owner"), [("mul8u_DM1", "another circuit"), ("mul8u_R92", "mul8u_CK5")]
)
def test_a_known_name_with_unknown_content_is_a_warning(name: str, owner: str) -> None:
    mul = Multiplier.from_function(lambda a, b: a * b + 3, signed=False, name=name)
    message = (
        rf"{name} \(function <lambda>\) is none of the known circuits, but version .* "
        rf"gives the name {name} to {owner}, of MAE .*; this table has MAE 3\."
    )
    with pytest.warns(AxsimWarning, match=message):
        mul = recognise(mul)
    assert mul.identity is None and mul.cost is None


def test_narrow_tables_are_recognised_in_both_orders() -> None:
    narrow = Multiplier.from_function(lambda a, b: a * b, signed=False, bits=(8, 3))
    assert recognise(narrow).identity is not None
    with pytest.warns(AxsimWarning, match="is mul8x3u_.* with its operands exchanged"):
        turned = recognise(narrow.swapped())
    assert turned.identity is not None and turned.identity.transposed


def test_signedness_is_part_of_the_content() -> None:
    with pytest.warns(AxsimWarning, match="but 0 if its operands are unsigned"):
        signed = recognise(Multiplier(exact().table, (True, True)))
    assert signed.identity is None


def test_a_cost_of_the_users_own_is_kept() -> None:
    own = Cost("synthesised here", power=1.0)
    assert recognise(replace(exact(), cost=own)).cost == own


def entry(mul: Multiplier, name: str) -> ShippedEntry:
    return ShippedEntry(
        name=name,
        family="family",
        about="",
        sha256=mul.sha256,
        bits=mul.bits,
        signed=mul.signed,
        rank=7,
        figures={},
        cost=Cost("modelled", power=0.5),
    )


def test_a_shipped_table_is_known_by_its_content(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mul = Multiplier.from_function(lambda a, b: a * b + 2 * a, signed=False)
    shipped = {mul: entry(mul, "mul8u_shipped_2")}
    monkeypatch.setattr(module, "find_shipped", shipped.get)
    found = recognise(mul)
    assert found.identity is not None
    assert (found.identity.name, found.identity.origin) == ("mul8u_shipped_2", "axsim")
    assert found.rank == 7
    assert found.cost == Cost("modelled", power=0.5)
    with pytest.warns(AxsimWarning, match="is mul8u_shipped_2 with its operands"):
        recognise(mul.swapped())


def test_a_shipped_name_is_taken_too(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(entry(exact(), "mul8u_shipped_2"), figures={"mae": 12.5})
    monkeypatch.setattr(module, "shipped_names", lambda: ["mul8u_shipped_2"])
    monkeypatch.setattr(module, "shipped_entry", lambda name: other)
    message = "axsim ships another table called mul8u_shipped_2, of MAE 12.5"
    with pytest.warns(AxsimWarning, match=message):
        recognise(exact("mul8u_shipped_2"))


def test_a_published_cost_goes_before_a_modelled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shipped = {exact(): entry(exact(), "mul8u_exact")}
    monkeypatch.setattr(module, "find_shipped", shipped.get)
    mul = recognise(exact())
    assert mul.cost is not None and mul.cost.power == 0.391
    assert mul.identity is not None
    assert mul.identity.aliases == ("mul8u_exact", "mul8u_1JJQ (v2022)")
    assert recognise(exact("mul8u_exact")).identity == replace(
        mul.identity,
        name="mul8u_exact",
        aliases=("mul8u_1JFF", "mul8u_1JJQ (v2022)"),
        origin="axsim",
    )


def asymmetric(a: Any, b: Any) -> Any:
    """A signed design that treats the signs of its operands differently."""
    return (a & ~3) * b + (b >> 2)


def with_adapt_defect(a: Any, b: Any) -> Any:
    """The same after AdaPT's converter: two negative operands go in as magnitudes."""
    both_negative = (a < 0) & (b < 0)
    return np.where(both_negative, asymmetric(-a, -b), asymmetric(a, b))


def test_the_defect_of_adapts_converter_is_a_warning() -> None:
    sound = Multiplier.from_function(asymmetric, signed=True, name="mul8s_1L2H")
    with pytest.warns(AxsimWarning, match="none of the known circuits"):
        recognise(sound)
    broken = Multiplier.from_function(with_adapt_defect, signed=True, name="mul8s_1L2H")
    message = (
        r"mul8s_1L2H .* the known defect of AdaPT.* name mul8s_1L2H to .* MAE 53\.334"
    )
    with pytest.warns(AxsimWarning, match=message) as caught:
        recognise(broken)
    assert len(caught) == 1


def test_sign_and_magnitude_designs_are_no_defect() -> None:
    mul = Multiplier.from_function(
        lambda a, b: np.sign(a) * np.sign(b) * (abs(a) & 126) * abs(b), signed=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert recognise(mul).identity is None


def test_an_identity_reads_as_a_sentence() -> None:
    identity = Identity("mul8u_KEM", ("mul8u_LK8 (v2022)",))
    sentence = "mul8u_KEM of EvoApproxLib (also mul8u_LK8 (v2022))"
    assert str(identity) == sentence
    assert str(replace(identity, transposed=True)) == f"{sentence}, operands exchanged"
