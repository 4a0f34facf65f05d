"""The one place that keeps saved tensors: each once, and accounts for it."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from ..errors import AxsimWarning
from .codec import NO_HINTS, Codec, Hints, Packed
from .ledger import Ledger
from .policy import Policy, Slot
from .stream import Stream
from .swap import Place, Resident, Swapped

# Entries that are fetched before they are asked for: backward goes the way back.
PREFETCH = 2


class Entry:
    """One saved tensor; it counts as kept for as long as somebody holds it."""

    def __init__(self, slot: Slot, place: Place, number: int, storage: int) -> None:
        self.slot = slot
        self.place = place
        self.number = number
        self.storage = storage


@dataclass(frozen=True)
class Handle:
    """What a layer holds instead of the tensor; several may share an entry.

    Args:
        entry: what is kept.
        store: that keeps it.
        read: makes of the codes what this layer needs.
    """

    entry: Entry
    store: Store
    read: Callable[[Packed], Tensor] = Packed.decode

    def load(self) -> Tensor:
        """The tensor; may be called as often as wanted."""
        return self.read(self.store.take(self.entry))

    @property
    def raw(self) -> bool:
        """Whether the tensor itself is kept, because codes could not be."""
        return bool(self.entry.place.packed().why_raw)

    def view(self, read: Callable[[Packed], Tensor]) -> Handle:
        """The same codes, read differently.

        Args:
            read: such as `BatchNormCodes.mask` of a batch norm's codes.
        """
        return replace(self, read=read)


Take = Callable[[Handle], None]


class Store:
    """Keeps tensors for the backward pass in the codes that layers and policies choose.

    A tensor that is saved twice with one codec is kept once. Two tensors are the same
    where their storage, place in it, type and version are; the store holds the storage
    by a weak reference, which keeps its identity from being given to another while
    the memory itself is free.

    Args:
        seed: of the random stream.
        swap: keep codes in the host's pinned memory, where the device is a GPU.
        rank: of the process, by default what the process group says.
        errors: measure how far every tensor is from what is kept of it, which decodes
            it once more.

    Example:
        >>> from .codecs.group_affine import GroupAffine
        >>> from .policies.fixed import Fixed
        >>> store, x = Store(), torch.randn(4, 256)
        >>> handle = store.save(x, Slot("fc"), GroupAffine(), Fixed(2))
        >>> store.ledger.kept, handle.load().shape
        (272, torch.Size([4, 256]))
        >>> del handle
        >>> store.ledger.kept
        0
    """

    def __init__(
        self,
        seed: int = 0,
        swap: bool = False,
        rank: int | None = None,
        errors: bool = False,
    ) -> None:
        self.errors = errors
        self.stream = Stream(seed, rank)
        self.ledger = Ledger()
        self.swap = swap and _can_swap()
        self._entries: weakref.WeakValueDictionary[int, Entry] = (
            weakref.WeakValueDictionary()
        )
        self._known: dict[Hashable, _Known] = {}
        self._offers: dict[Hashable, _Offer] = {}
        self._storages: dict[int, _Counted] = {}
        self._saved = 0
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy has the settings and figures; what is kept belongs to the original."""
        empty = {n: {} for n in ("_known", "_offers", "_storages", "_streams")}
        return {**self.__dict__, **empty, "_entries": None, "_saved": 0}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._entries = weakref.WeakValueDictionary()

    def save(
        self,
        x: Tensor,
        slot: Slot,
        codec: Codec,
        policy: Policy,
        hints: Hints = NO_HINTS,
    ) -> Handle:
        """Keeps a tensor, or finds it kept.

        Args:
            x: the tensor.
            slot: the place in the network that saves it.
            codec: how it is kept.
            policy: chooses the bits.
            hints: for the codec; the store adds the random key.

        Returns:
            A handle: while it lives, so do the codes.
        """
        known = self.find(x, codec)
        if known is not None:
            spared = known.entry.place.nbytes
            self.ledger.share(slot.name, type(codec).__name__, spared)
            policy.join(slot, known.entry.slot)
            return known
        bits = policy.bits(slot, x)
        hints = replace(hints, key=self.stream.key(), total=policy.total)
        packed = codec.encode(x, bits, hints)
        handle = Handle(self._enter(slot, packed, x), self)
        self._remember(x, codec, handle)
        return handle

    def find(self, x: Tensor, codec: Codec | None = None) -> Handle | None:
        """The handle of a tensor that is kept already, or what `link` said it is.

        Args:
            x: the tensor.
            codec: that must have been used; None finds links only.
        """
        for key in (_key(x, None), _key(x, codec)):
            known = self._known.get(key)
            if known is not None and (entry := known.entry()) is not None:
                return Handle(entry, self, known.read)
        return None

    def link(self, x: Tensor, handle: Handle) -> None:
        """Says that a handle stands for a tensor, whichever codec it is saved with.

        One code of a batch norm's output can so be the mask of the ReLU behind it and
        the input of the convolution behind that.
        """
        self._remember(x, None, handle)

    def offer(self, x: Tensor, handle: Handle, codec: Codec, take: Take) -> None:
        """Says that codes of relu(x) could take the place of a handle's.

        Args:
            x: the input of the ReLU, if there will be one.
            handle: kept until then.
            codec: that it was kept with.
            take: is told the codes; it must hold neither the tensor nor the handle.
        """
        key, storage = _key(x, None), StorageWeakRef(x.untyped_storage())
        offer = _Offer(storage, weakref.ref(handle.entry), type(codec).__name__, take)
        self._offers[key] = offer
        _at_end(handle.entry, self._offers.pop, key, None)

    def offered(self, x: Tensor) -> Take | None:
        """What wants to be told codes of relu(x)."""
        offer = self._offers.get(_key(x, None))
        return None if offer is None else partial(self._replace, offer)

    def take(self, entry: Entry) -> Packed:
        """The codes of an entry, while those saved before it are fetched."""
        packed = entry.place.packed()
        if self.swap:
            for number in range(entry.number - PREFETCH, entry.number):
                if (before := self._entries.get(number)) is not None:
                    before.place.fetch()
        return packed

    def end_step(self) -> None:
        """Begins the account of the next training step."""
        self.ledger.end_step()

    def __str__(self) -> str:
        return str(self.ledger)

    def _enter(self, slot: Slot, packed: Packed, x: Tensor) -> Entry:
        self._saved += 1
        exact, storage = self._count(x)
        entry = Entry(slot, self._place(packed), self._saved, storage)
        self._entries[entry.number] = entry
        line = self.ledger.add(slot.name, packed, exact)
        if self.errors and packed.form.dtype == x.dtype:
            line.square += x.detach().double().square().sum().item()
            line.error += (packed.decode() - x.detach()).double().square().sum().item()
        _at_end(entry, self._leave, slot.name, packed.nbytes, storage)
        return entry

    def _replace(self, offer: _Offer, codes: Handle) -> None:
        entry = offer.entry()
        if entry is None:
            return
        # Torch itself would keep this tensor too, for as long as the codes live.
        self._storages[entry.storage].entries += 1
        _at_end(codes.entry, self._leave, entry.slot.name, 0, entry.storage)
        self.ledger.give_up(entry.slot.name, offer.codec, entry.place.nbytes)
        offer.take(codes)

    def _count(self, x: Tensor) -> tuple[int, int]:
        """Bytes of a tensor, 0 where its memory counts already, and whose they are."""
        storage = StorageWeakRef(x.untyped_storage())
        new = _Counted(storage, x.numel() * x.element_size())
        known = self._storages.setdefault(storage.cdata, new)
        known.entries += 1
        return known.bytes if known is new else 0, storage.cdata

    def _leave(self, slot: str, kept: int, storage: int) -> None:
        known = self._storages[storage]
        known.entries -= 1
        if not known.entries:
            del self._storages[storage]
        self.ledger.remove(slot, kept, 0 if known.entries else known.bytes)

    def _place(self, packed: Packed) -> Place:
        device = packed.payload[0].device if packed.payload else torch.device("cpu")
        if not self.swap or device.type != "cuda":
            return Resident(packed)
        if device not in self._streams:
            self._streams[device] = torch.cuda.Stream(device)
        return Swapped(packed, self._streams[device])

    def _remember(self, x: Tensor, codec: Codec | None, handle: Handle) -> None:
        key = _key(x, codec)
        storage = StorageWeakRef(x.untyped_storage())
        known = _Known(storage, weakref.ref(handle.entry), handle.read)
        self._known[key] = known
        _at_end(handle.entry, self._forget, key, known)

    def _forget(self, key: Hashable, known: _Known) -> None:
        if self._known.get(key) is known:
            del self._known[key]


@dataclass(eq=False)
class _Counted:
    """Memory that torch itself would keep, and how many entries stand for it."""

    storage: StorageWeakRef
    bytes: int
    entries: int = 0


@dataclass(frozen=True, eq=False)
class _Offer:
    """An entry that other codes may take the place of."""

    storage: StorageWeakRef
    entry: Callable[[], Entry | None]
    codec: str
    take: Take


@dataclass(frozen=True, eq=False)
class _Known:
    """What a key stands for, and the storage that keeps the key unique."""

    storage: StorageWeakRef
    entry: Callable[[], Entry | None]
    read: Callable[[Packed], Tensor]


def _key(x: Tensor, codec: Codec | None) -> Hashable:
    # The storage's own address, which a weak reference keeps from being used again;
    # that of its data would be.
    storage = StorageWeakRef(x.untyped_storage())
    place = (x.storage_offset(), x.shape, x.stride(), x.dtype, x._version)
    return (storage.cdata, *place, codec)


def _at_end(entry: Entry, function: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function when an entry is let go, but not when Python ends."""
    weakref.finalize(entry, function, *arguments).atexit = False


def _can_swap() -> bool:
    if torch.cuda.is_available():
        return True
    warnings.warn(
        "swap=True without a CUDA device: codes stay in the memory of the CPU, where "
        "they are. Leave swap out to silence this.",
        AxsimWarning,
        stacklevel=3,
    )
    return False
