"""Codes in pinned memory of the host, copied while the device computes."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from .codec import Packed
from .kept import check_version


class Place(Protocol):
    """Where codes lie between forward and backward."""

    @property
    def nbytes(self) -> int:
        """Bytes of them."""
        ...

    def fetch(self) -> None:
        """Begins to bring the codes back, where they are elsewhere."""
        ...

    def packed(self) -> Packed:
        """The codes, on the device that made them."""
        ...


class Resident:
    """Codes that stay where they are."""

    def __init__(self, packed: Packed) -> None:
        self._packed = packed
        self._versions = [t._version for t in packed.payload]

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return self._packed.nbytes

    def fetch(self) -> None:
        """Nothing to do."""

    def packed(self) -> Packed:
        """The codes."""
        # A tensor kept as it is may be somebody else's too.
        for tensor, version in zip(self._packed.payload, self._versions, strict=True):
            check_version(tensor, version)
        return self._packed


class Swapped:
    """Codes on their way to the host or back, on a stream of their own.

    Args:
        packed: on a CUDA device.
        stream: for the copies, of that device.
    """

    def __init__(self, packed: Packed, stream: torch.cuda.Stream) -> None:
        self._stream = stream
        self._arrived: tuple[list[Tensor], torch.cuda.Event] | None = None
        # The codes are complete when the work queued so far is.
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        with torch.cuda.stream(stream):
            self._host = packed.moved([_pinned(t) for t in packed.payload])
        for tensor in packed.payload:
            # Its memory must not be used again before the copy has ended.
            tensor.record_stream(stream)

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return self._host.nbytes

    def fetch(self) -> None:
        """Begins to copy the codes back; a second call does nothing."""
        self._arrived = self._arrived or self._copied()

    def packed(self) -> Packed:
        """The codes, once the copy has ended; the device's copy is then given up."""
        payload, event = self._arrived or self._copied()
        self._arrived = None
        current = torch.cuda.current_stream(self._stream.device)
        current.wait_event(event)
        for tensor in payload:
            tensor.record_stream(current)
        return self._host.moved(payload)

    def _copied(self) -> tuple[list[Tensor], torch.cuda.Event]:
        device = self._stream.device
        with torch.cuda.stream(self._stream):
            payload = [t.to(device, non_blocking=True) for t in self._host.payload]
            event = torch.cuda.Event()
            event.record(self._stream)
            return payload, event


def _pinned(t: Tensor) -> Tensor:
    host = torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, pin_memory=True)
    return host.copy_(t, non_blocking=True)


def can_swap() -> bool:
    """Whether there is a device whose memory the host's can relieve."""
    return torch.cuda.is_available()


def leave_no_gaps() -> None:
    """Tells CUDA's allocator to extend its segments instead of beginning others."""
    torch._C._accelerator_setAllocatorSettings("expandable_segments:True")  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
