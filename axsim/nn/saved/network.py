"""The part of a conversion that answers the fourth question."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ...memory.hooks import Tape
from ...memory.kept import checkpointed
from ...memory.policy import Policy
from ...memory.saved import Saved
from ...memory.store import Store
from ..spec import LayerSpec


def own_policies(answers: Mapping[str, LayerSpec]) -> dict[str, LayerSpec]:
    """The answers with policies of the network's own, shared where they were shared.

    A recipe serves several networks, but a policy's state is that of one.
    """
    copies: dict[int, Any] = {}
    return {
        name: replace(spec, saved=copy.deepcopy(spec.saved, copies))
        for name, spec in answers.items()
    }


def saved_answers(answers: Mapping[str, LayerSpec]) -> list[Saved]:
    """The fourth answers that are not "as it was"."""
    return [spec.saved for spec in answers.values() if isinstance(spec.saved, Saved)]


def policies_of(answers: list[Saved]) -> tuple[Policy, ...]:
    """Every policy once."""
    return tuple({id(saved.policy): saved.policy for saved in answers}.values())


class Rest:
    """Keeps what no layer of a network stands for, in its forward passes.

    Args:
        tape: records the operations.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._open = ExitStack()

    def attach(self, net: nn.Module) -> None:
        """Has every forward pass in training recorded."""
        net.register_forward_pre_hook(self._enter)
        net.register_forward_hook(self._leave, always_call=True)

    def _enter(self, net: nn.Module, inputs: Any) -> None:
        if net.training and torch.is_grad_enabled() and not checkpointed():
            self._open.enter_context(self._tape.recording())

    def _leave(self, net: nn.Module, inputs: Any, output: Any) -> None:
        self._open.close()


def keep_rest(net: nn.Module, answers: list[Saved], store: Store) -> None:
    """Attaches hooks for what no layer stands for, where an answer speaks of it."""
    for saved in answers:
        if saved.others is not None:
            Rest(Tape(store, saved.others, saved.policy)).attach(net)
            return
