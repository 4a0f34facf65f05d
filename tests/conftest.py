"""What several rooms' tests share: where the real tables are, and odd multipliers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from axsim.kernels import features
from axsim.kernels.choice import choose_cpu
from axsim.tables.multiplier import Multiplier

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def evoapprox() -> Path:
    """The folder of real EvoApprox tables, where the machine has one."""
    folder = Path(os.environ.get("AXSIM_EVOAPPROX", ROOT / "../shared/evoapprox"))
    if not folder.is_dir():
        pytest.skip(f"no EvoApprox tables at {folder}; set AXSIM_EVOAPPROX to a copy")
    return folder


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Interruptions arrive: a shell that runs tests in the background ignores them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def plain_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without vector units of any kind."""
    monkeypatch.setattr(features, "has", lambda feature: False)  # pyright: ignore[reportUnknownLambdaType]
    choose_cpu.cache_clear()
    yield
    choose_cpu.cache_clear()


def random_multiplier(
    seed: int,
    bits: tuple[int, int] = (8, 8),
    signed: tuple[bool, bool] = (False, False),
    spread: int = 300,
) -> Multiplier:
    """Exact products plus noise: asymmetric, and not zero at zero."""
    noise = np.random.default_rng(seed).integers(
        -spread, spread + 1, (1 << bits[0], 1 << bits[1])
    )
    exact = Multiplier(np.zeros(noise.shape, int), signed).exact
    return Multiplier(exact + noise, signed, f"random_{seed}")
