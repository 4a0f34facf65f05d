"""The choice of a path: by table and shape, within what can serve."""

from __future__ import annotations

import pytest
from cases import tables

from axsim import kernels
from axsim.errors import BackendError
from axsim.kernels.choice import choose_cpu
from axsim.kernels.cpu import PATHS
from axsim.kernels.table import table_of

CONV = kernels.describe_convolution((8, 64, 28, 28), (64, 64, 3, 3), padding=1)
HERE = kernels.paths()


def test_every_machine_has_gather() -> None:
    assert "gather" in HERE
    assert set(kernels.missing()) == set(PATHS)


@pytest.mark.skipif("factored" not in HERE, reason=str(kernels.missing()))
def test_tables_of_low_rank_take_products_and_others_look_up() -> None:
    assert kernels.choose(tables()["exact_u8"], CONV, "cpu") == "factored"
    assert kernels.choose(tables()["rank_4_s8"], CONV, "cpu") == "factored"
    assert kernels.choose(tables()["random_u16"], CONV, "cpu") == "shuffle"


def test_a_table_that_nothing_else_holds_is_gathered() -> None:
    assert kernels.choose(tables()["extreme"], CONV, "cpu") == "gather"


def test_few_pixels_exchange_the_operands() -> None:
    head = kernels.describe_convolution((1, 512, 1), (1000, 512, 1))
    table = table_of(tables()["random_u16"])
    assert choose_cpu(table, head, False, "gather") == ("gather", True)
    assert choose_cpu(table, CONV, False, "gather") == ("gather", False)


def test_a_named_path_that_cannot_serve_is_refused() -> None:
    with pytest.raises(BackendError, match=r"'shuffle' cannot serve: .* Use backend"):
        choose_cpu(table_of(tables()["extreme"]), CONV, False, "shuffle")


def test_a_missing_gpu_has_its_reason() -> None:
    assert all(reason is None or reason for reason in kernels.missing("cuda").values())
