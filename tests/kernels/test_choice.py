"""The choice of a path: by table and shape, within what can serve."""

from __future__ import annotations

import pytest
import torch
from cases import tables

from axsim import kernels
from axsim.errors import BackendError
from axsim.kernels import gpu
from axsim.kernels.choice import choose_cpu
from axsim.kernels.cpu import PATHS, VARIANTS
from axsim.kernels.table import table_of, tensor_of

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


@pytest.mark.usefixtures("plain_cpu")
def test_a_plain_cpu_lacks_the_shuffle_alone() -> None:
    missing = kernels.missing()
    assert missing["gather"] is missing["factored"] is None
    assert "no AVX-512 VBMI" in str(missing["shuffle"])
    assert kernels.variant() == "float32 torch"


@pytest.mark.usefixtures("plain_cpu")
def test_a_plain_cpu_multiplies_factors_where_that_pays() -> None:
    depthwise = kernels.describe_convolution((8, 64, 28, 28), (64, 1, 3, 3), groups=64)
    for name, shape, path in (
        ("exact_u8", CONV, "factored"),
        ("rank_4_s8", CONV, "factored"),
        ("rank_4_s8", depthwise, "gather"),
        ("random_u16", CONV, "gather"),
    ):
        assert kernels.choose(tables()[name], shape, "cpu") == path


def test_weights_too_large_to_pack_are_refused() -> None:
    wide = kernels.describe_convolution((1, 8192, 1), (20_000, 8192, 1))
    vectors = VARIANTS["AVX-512 VNNI"]
    reason = vectors.why_not(table_of(tables()["exact_u8"]), wide, False)
    assert reason is not None and "156 MiB" in reason


@pytest.mark.parametrize("name", ["exact_u8", "rank_4_s8", "random_u4u8"])
def test_a_gpu_is_given_a_path_without_a_gpu_being_there(name: str) -> None:
    """The choice needs shapes only; here the table lies on the CPU."""
    table = table_of(tables()[name])
    tensor = tensor_of(table.mul, torch.device("cpu"))
    one = kernels.describe_convolution((8, 64, 28, 28), (64, 1, 3, 3), groups=64)
    low_rank = name != "random_u4u8"
    assert gpu.choose(tensor, table, CONV, False) == (
        "factored" if low_rank else "packed"
    )
    assert gpu.choose(tensor, table, one, False) == "depthwise"
