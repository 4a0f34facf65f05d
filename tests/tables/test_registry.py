from __future__ import annotations

from axsim import Multiplier
from axsim.tables.registry import circuit_names, circuits, later_names


def test_all_published_circuits_are_there() -> None:
    assert len(circuit_names()) == 247
    aliases = {tuple(c.name for c in same) for same in circuits().values() if same[1:]}
    assert aliases == {("mul8u_E9R", "mul8u_199Z"), ("mul8u_LM7", "mul8u_EXZ")}


def test_exact_circuits_have_the_hash_of_the_exact_table() -> None:
    kinds = {key[1:] for key in circuits()}
    exact = {
        c.name: key for key, same in circuits().items() for c in same if c.mae == 0
    }
    assert {key[1:] for key in exact.values()} == kinds
    for name, (sha256, bits, signed) in exact.items():
        mul = Multiplier.from_function(lambda a, b: a * b, signed=signed, bits=bits)
        assert mul.sha256 == sha256, name


def test_figures_are_those_of_the_table() -> None:
    mul = Multiplier.from_function(lambda a, b: (a & ~1) * b, signed=True)
    (circuit,) = circuits()[mul.sha256, mul.bits, mul.signed]
    assert circuit.name == "mul8s_1KR8"
    assert (circuit.mae, circuit.rank) == (mul.metrics().mae, mul.rank)
    assert circuit.cost.power == 0.369


def test_the_reused_name_belongs_to_one_circuit_in_each_version() -> None:
    assert later_names()["mul8u_17C8"].name == "mul8u_17KS"
    assert circuit_names()["mul8u_17C8"].mae > 4857
