"""Whatever accounts for saved activations, as its ledger."""

from __future__ import annotations

from ..errors import OperandError
from ..memory.hooks import Tape
from ..memory.ledger import Ledger
from ..memory.store import Store

Account = Store | Tape


def ledger_of(account: Account) -> Ledger:
    """The ledger of a store or a tape.

    Raises:
        OperandError: where nothing was saved yet.
    """
    store = account.store if isinstance(account, Tape) else account
    if not store.ledger.lines:
        raise OperandError(
            "nothing was saved yet; run a forward pass in training mode first, with "
            "gradients."
        )
    return store.ledger
