"""The codec benchmark on one small tensor: what it covers and how it prints."""

from __future__ import annotations

import json

import pytest

from axsim.analysis.bench.codec import SUBJECTS, TYPES, CodecBench, run


@pytest.fixture(scope="module")
def result() -> CodecBench:
    return run(shape=(2, 3, 16, 16), repeats=1)


def test_every_codec_type_and_layout_is_measured(result: CodecBench) -> None:
    codecs = {(type(codec).__name__, b) for codec, bits in SUBJECTS for b in bits}
    assert {(t.codec, t.bits) for t in result.timings} == codecs
    assert len({(t.dtype, t.layout) for t in result.timings}) == 2 * len(TYPES)
    assert len(result.timings) == 2 * len(TYPES) * len(codecs)


def test_rates_are_bytes_of_float32_in_a_second(result: CodecBench) -> None:
    for timing in result.timings:
        assert timing.bytes == 4 * 2 * 3 * 16 * 16
        assert timing.rates == (
            timing.bytes / timing.pack,
            timing.bytes / timing.unpack,
        )
    kept = {t.bits: t.bits_kept for t in result.timings if t.codec == "GroupAffine"}
    assert kept[2] == 2 + 1 / 8


def test_prints_as_a_table_and_survives_json(result: CodecBench) -> None:
    assert "GroupAffine" in str(result)
    numbers = json.loads(json.dumps(result.to_dict()))
    assert len(numbers["timings"]) == len(result.timings)
    assert numbers["timings"][0]["pack_rate"] > 0
