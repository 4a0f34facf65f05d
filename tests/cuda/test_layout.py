"""Where codes lie, against plain loops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from axsim.cuda import layout, packed, table
from axsim.errors import BackendError

CPU = torch.device("cpu")


@given(st.data())
def test_reach_is_the_address_of_every_tap(data: st.DataObject) -> None:
    spatial = data.draw(st.integers(1, 3))

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(low, high)) for _ in range(spatial))

    kernel, stride, padding, dilation = some(1, 3), some(1, 3), some(0, 2), some(1, 2)
    spans = zip(kernel, dilation, padding, some(0, 4), strict=True)
    size = tuple(max(1, d * (k - 1) + 1 - 2 * p) + more for k, d, p, more in spans)
    found = layout.reach(size, kernel, stride, padding, dilation, CPU)
    plane = np.arange(np.prod(size), dtype=np.int32).reshape(size)
    padded = np.pad(plane, [(p, p) for p in padding], constant_values=-1)
    spans = zip(padded.shape, kernel, stride, dilation, strict=True)
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in spans]
    taps, pixels = (list(itertools.product(*map(range, n))) for n in (kernel, out))
    expected = [
        [
            padded[tuple(np.multiply(pixel, stride) + np.multiply(tap, dilation))]
            for pixel in pixels
        ]
        for tap in taps
    ]
    np.testing.assert_array_equal(found.numpy(), expected)


def some_product(**changes: Any) -> layout.Product:
    fields: dict[str, Any] = {
        "codes": torch.zeros(5, 2, 3, dtype=torch.uint8),
        "weights": torch.arange(2 * 3 * 1 * 4, dtype=torch.uint8).reshape(6, 1, 4),
        "reach": torch.zeros(4, 3, dtype=torch.int32),
        "images": 5,
        "channels": 1,
        "groups": 2,
        "outputs": 3,
        "image": 6,
        "channel": 3,
        "pad": 0,
        "sums": torch.zeros(5, 6, 3, dtype=torch.int32),
        "steps": (18, 3, 1),
    }
    return layout.Product(**{**fields, **changes})


def test_weights_are_packed_eight_outputs_wide() -> None:
    product = some_product()
    packed_weights = layout.packed_weights(product)
    assert packed_weights.shape == (2, 1, 4, 8)
    for group, output, tap in itertools.product(range(2), range(3), range(4)):
        found = packed_weights[group, 0, tap, output]
        assert found == product.weights[3 * group + output, 0, tap]
    assert not packed_weights[..., 3:].any()


def test_parts_cover_every_image_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LARGEST", 13)
    pieces = list(layout.parts(some_product()))
    assert [piece.images for piece in pieces] == [2, 2, 1]
    assert [piece.codes.numel() for piece in pieces] == [30, 18, 6]
    assert [piece.sums.numel() for piece in pieces] == [90, 54, 18]


def test_an_image_too_large_to_address_is_turned_away() -> None:
    with pytest.raises(BackendError, match=r"one image has 4,294,967,296 codes"):
        list(layout.parts(some_product(image=1 << 32)))


@given(
    st.integers(1, 200_000),
    st.integers(1, 300),
    st.integers(1, 5000),
    st.integers(1, 200),
    st.sampled_from([4, 8]),
)
def test_every_plan_can_be_launched(
    length: int, width: int, terms: int, several: int, most: int
) -> None:
    rows, part = packed.plan(length, width, terms, several, most)
    assert rows in (1, 2, 4, 8)
    assert rows <= most
    assert 1 <= part <= terms
    assert layout.tiles(terms, part) <= 65_535


@pytest.mark.parametrize(
    ("low", "high", "fits", "signed", "shift"),
    [
        (0, 65535, True, False, 0),
        (-32768, 32767, True, True, 0),
        (-9, 65025, True, False, -9),
        (70_000, 71_000, True, False, 70_000),
        (-40_000, -1, True, False, -40_000),
        (0, 65536, False, False, 0),
        (-(1 << 31), (1 << 31) - 1, False, False, 0),
    ],
)
def test_images_of_a_table_in_16_bits(
    low: int, high: int, fits: bool, signed: bool, shift: int
) -> None:
    entries = torch.full((16, 256), low, dtype=torch.int32)
    entries[3, 200] = high
    found = table.DeviceTable(entries)
    assert (found.fits_16_bits, found.signed) == (fits, signed)
    if not fits:
        return
    assert found.shift == shift
    kind = np.int16 if signed else np.uint16
    image = found.by_first.numpy().view(kind).astype(np.int64)
    assert image[3, 200] + shift == high
    assert image[15, 255] + shift == low
    assert not image[256].any()
    assert not image[:, 256:].any()
    square = (slice(256), slice(256))
    np.testing.assert_array_equal(found.by_second[square], found.by_first[square].T)
    exchanged = found.exchanged
    assert (exchanged.low, exchanged.high) == (low, high)
    assert int(exchanged.by_first.numpy().view(kind)[200, 3]) + shift == high


def test_a_table_is_prepared_once_and_again_where_it_changed() -> None:
    entries = torch.zeros(4, 4, dtype=torch.int32)
    first = table.device_table(entries)
    assert table.device_table(entries) is first
    entries[1, 2] = 7
    assert table.device_table(entries).high == 7
