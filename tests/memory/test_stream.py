"""Keys of the random stream."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.distributed as dist

from axsim.memory.stream import Stream


def test_a_seed_gives_the_same_keys_again() -> None:
    first, second = Stream(seed=3), Stream(seed=3)
    keys = [first.key() for _ in range(5)]
    assert keys == [second.key() for _ in range(5)]


def test_seeds_ranks_and_tensors_have_keys_of_their_own() -> None:
    streams = [Stream(seed, rank) for seed in (-1, 0, 1) for rank in range(4)]
    keys = {stream.key() for stream in streams for _ in range(100)}
    assert len(keys) == 1200
    assert max(keys) < 1 << 64


def test_the_rank_is_the_process_groups(tmp_path: Path) -> None:
    stream = Stream()
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert stream.key() == Stream(rank=0).key()
        assert stream.rank == 0
    finally:
        dist.destroy_process_group()


def test_the_rank_is_torchruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "2")
    assert Stream().key() == Stream(rank=2).key() != Stream(rank=0).key()
