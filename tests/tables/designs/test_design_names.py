"""Names of designs: each describes its design, wrong ones say what is wrong."""

from __future__ import annotations

import itertools
import re

import pytest

from axsim.errors import TableError
from axsim.tables.designs import (
    Design,
    build_design,
    families,
    find_design,
    shipped_names,
)
from axsim.tables.designs.family import Family, Shape


@pytest.mark.parametrize("family", families().values(), ids=lambda family: family.name)
def test_names_lead_back_to_their_design(family: Family) -> None:
    for (a, b), sign in itertools.product([(8, 8), (8, 4), (3, 7)], family.signs):
        shape = Shape(a, b, sign == "s")
        for values in family.legal_values(shape):
            design = Design(family, values, shape)
            assert find_design(design.name) == design
            if sign == "u":
                signed = Design(family, values, Shape(a, b, True), magnitude=True)
                assert find_design(signed.name) == signed


def test_a_built_design_carries_its_name_operands_and_cost() -> None:
    mul = build_design("mul8x4s_sm_bam_h1_v2")
    assert mul.name == "mul8x4s_sm_bam_h1_v2"
    assert mul.operands == "signed 8x4"
    assert "Broken array" in mul.source
    assert mul.cost is not None and mul.cost.origin == "axsim unit-gate model"


def test_shipped_names_are_distinct_designs_in_family_order() -> None:
    names = shipped_names()
    assert len(names) == len(set(names))
    for name in names:
        assert name in find_design(name).family.shipped


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trunc_6", "design 'trunc_6': a name is mul<bits>u_<family>_<parameters>"),
        ("mul9u_trunc_6", "with 2 to 8 bits, such as mul8u_trunc_6."),
        ("mul8u_trnc_6", "there is no family 'trnc'. Close names: 'mul8u_trunc_"),
        (
            "mul8u_trunc",
            "takes the number k of dropped columns, spelled for example 't",
        ),
        ("mul8u_trunc_6_2", "'trunc' takes the number k of dropped columns"),
        ("mul8u_trunc_k6", "spelled for example 'trunc_1'."),
        ("mul8u_trunc_06", "spelled for example 'trunc_1'."),
        ("mul8u_bam_2_5", "the vertical break v, spelled for example 'bam_h0_v0'."),
        ("mul8u_exact_3", "'exact' takes no parameters."),
        (
            "mul8u_trunc_16",
            "dropped columns is 16; for unsigned 8x8 operands it must be 1 to 15.",
        ),
        (
            "mul8s_perf_j3_k5",
            "rows is 5; for signed 8x8 operands and these others it must be 1 to 4.",
        ),
        ("mul8x8u_exact", "design 'mul8x8u_exact' is written 'mul8u_exact'."),
        ("mul8u_sm_udm_3", "sm_ puts an unsigned family on signed operands"),
        ("mul8s_udm_3", "unsigned operands only; write mul8s_sm_udm_3."),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name: str, message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)):
        find_design(name)
