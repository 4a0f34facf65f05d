"""Groups of channels: base and rest are a partition, grouped and shuffled as said."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from axsim.errors import ConversionError
from axsim.gating.channels import Channels
from axsim.gating.split import Part, Shape
from axsim.nn.gated_reals import base_mask


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4), st.booleans(),
       st.booleans())  # fmt: skip
def test_every_product_is_in_exactly_one_part(
    parts: int, inputs: int, outputs: int, grouped: bool, shuffle: bool
) -> None:
    split = Channels(parts, grouped, shuffle)
    shape = Shape(parts * inputs, parts * outputs)
    seen = torch.zeros(shape.outputs, shape.channels, dtype=torch.int)
    for part in (*split.base(shape), *split.rest(shape)):
        assert part.channels is not None
        rows = seen[slice(*part.outputs)]
        rows[:, list(part.channels)] += 1
    assert bool((seen == 1).all())
    kept = base_mask(split.base(shape), torch.empty(shape.outputs, shape.channels))
    assert kept.mean().item() == pytest.approx(split.base_work(shape))


def test_the_shuffle_is_the_published_one() -> None:
    split = Channels(4, grouped=True, shuffle=True)
    found = [part.channels for part in split.base(Shape(8, 4))]
    assert found == [(0, 2), (4, 6), (1, 3), (5, 7)]
    assert Channels(4).base(Shape(8, 4)) == (Part((0, 4), (0, 1)),)


def test_a_grouped_base_is_a_grouped_convolution() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 5, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(12, 8, 3, 3, generator=generator, dtype=torch.float64)
    kept = base_mask(Channels(4, grouped=True).base(Shape(8, 12)), weight)
    blocks = torch.cat([weight[3 * g : 3 * g + 3, 2 * g : 2 * g + 2] for g in range(4)])
    torch.testing.assert_close(
        F.conv2d(x, weight * kept),
        F.conv2d(x, blocks, groups=4),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.mark.parametrize(
    ("split", "shape", "words"),
    [
        (Channels(4), Shape(6, 8, name="c"), "'c' has 6 input channels, which 4 parts"),
        (Channels(4), Shape(3, 8, name="c"), "'c' has 3 input channels, which 4 parts"),
        (
            Channels(4, grouped=True),
            Shape(8, 6, name="c"),
            "'c' has 6 outputs, which 4",
        ),
        (Channels(2), Shape(8, 8, 4, name="c"), "'c' has groups=4; a channel gate"),
    ],
)
def test_what_cannot_be_split_is_refused(
    split: Channels, shape: Shape, words: str
) -> None:
    with pytest.raises(ConversionError, match=words):
        split.check(shape)


def test_a_single_part_is_refused() -> None:
    with pytest.raises(ConversionError, match="parts=1; give a whole number of 2"):
        Channels(1)
