"""A layer's way to the store: its answer, its slot, and what its gradients tell."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...memory.codec import NO_HINTS, Codec, Hints
from ...memory.kept import Kept, checkpointed, saving
from ...memory.policies.fixed import Fixed
from ...memory.policy import Gradients, Kind, Slot
from ...memory.saved import Saved
from ...memory.store import Handle, Store


class Keeper:
    """Keeps what one layer saves.

    The layer runs torch's own operation while hooks stand for its saved tensors, so
    that its outputs, its gradients' kernels, autocast, `retain_graph` and double
    backward are torch's; what is kept is let go when torch lets go of its own.

    Args:
        saved: the layer's answer.
        store: of the network.
        slot: the layer's place.
    """

    def __init__(self, saved: Saved, store: Store, slot: Slot) -> None:
        self.saved = saved
        self.store = store
        self.slot = slot

    def around(
        self, training: bool, pack: Callable[[Tensor], Kept]
    ) -> AbstractContextManager[Any]:
        """A context for the operation: its tensors go through `pack` where it trains.

        Checkpointed regions save nothing that would last, and compiled graphs do not
        call hooks of single operations: both are left to torch.
        """
        return saving(pack) if self.acts(training) else nullcontext()

    def acts(self, training: bool) -> bool:
        """Whether what an operation saves now goes to the store."""
        return (
            training
            and torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and not checkpointed()
        )

    def keep(self, x: Tensor, codec: Codec, hints: Hints = NO_HINTS) -> Handle:
        """The store's handle of a tensor, with the bits that the policy chooses."""
        return self.store.save(x, self.slot, codec, self.saved.policy, hints)

    def keep_exactly(
        self, x: Tensor, codec: Codec, kind: Kind, bits: int, hints: Hints = NO_HINTS
    ) -> Handle:
        """The handle of something that no policy has a say in."""
        slot = replace(self.slot, kind=kind)
        return self.store.save(x, slot, codec, Fixed(bits), hints)

    def watch(
        self, y: Tensor, handle: Handle | None, sort: Callable[[Any, Any], Gradients]
    ) -> None:
        """Shows the gradients of this pass to the policy, where it asks for them.

        Args:
            y: the layer's output.
            handle: of its input; None where it was not kept.
            sort: makes `Gradients` of those of the operation's inputs and outputs; it
                lives as long as the graph, so it must not hold the tensors.
        """
        policy, slot = self.saved.policy, self.slot
        if handle is None or y.grad_fn is None or not policy.wants(slot):
            return
        # The graph must not keep codes that backward has done with.
        reference = weakref.ref(handle)

        def observe(inputs: Any, outputs: Any) -> None:
            kept = reference()
            if kept is not None and outputs[0] is not None:
                policy.observe(slot, kept.load, sort(inputs, outputs))

        _operation(y).register_hook(observe)


def _operation(y: Tensor) -> Any:
    """The node of the operation itself, behind views of its result."""
    node: Any = y.grad_fn
    while (ahead := node.next_functions) and ahead[0][0] is not None:
        # To the product of inputs that do not lie in one piece torch adds the bias.
        if len(ahead) > 1 and node.name() != "AddBackward0":
            break
        node = ahead[0][0]
    return node
