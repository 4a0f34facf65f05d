"""The ReLU behind a batch norm, whose codes can stand for the batch norm's input."""

from __future__ import annotations

import weakref

from torch import Tensor

from ...errors import TrainingError
from ...memory.codec import Norm, Packed
from ...memory.codecs.rectified import Rectified
from ...memory.kept import Later
from ...memory.store import Handle

CODEC = Rectified()


class Successor:
    """Waits for the codes of a ReLU, and has a batch norm read them as its input.

    Args:
        name: of the batch norm.
        norm: its weight and bias.
        statistics: mean and 1 / deviation of the batch.
        x: its input, of which only the type is used.
        place: where the batch norm looks for its input.
    """

    def __init__(
        self, name: str, norm: Norm, statistics: tuple[Tensor, Tensor], x: Tensor,
        place: Later,
    ) -> None:  # fmt: skip
        self._name = name
        self._norm = norm
        shape = [-1, *[1] * (x.dim() - 2)]
        self._mean, self._inverse = (t.view(shape) for t in statistics)
        self._dtype = x.dtype
        # The graph holds the place; nothing else may hold the codes.
        self._place = weakref.ref(place)
        self._taken = False

    def take(self, codes: Handle) -> None:
        """Has the batch norm read these codes of its ReLU's output."""
        place = self._place()
        if place is not None:
            self._taken = True
            place.kept = codes.view(self._input)

    def check(self, gradient: Tensor | None) -> bool:
        """Refuses a gradient of the output where the ReLU stops all that it sees.

        Returns:
            Whether it could be told.

        Raises:
            TrainingError: where something else reads the batch norm's output.
        """
        place = self._place()
        if not self._taken or place is None or gradient is None:
            return False
        mask = place.kept.view(CODEC.mask).load()  # pyright: ignore[reportAttributeAccessIssue]
        if bool(gradient[~mask].any()):
            raise TrainingError(
                f"{self._name}: its ReLU is not alone in reading this batch norm's "
                "output, so that codes of the ReLU do not say enough. Give the layer "
                "a rule with Saved(relu=None), or train with recipes.actnn."
            )
        return True

    def _input(self, packed: Packed) -> Tensor:
        normalised = CODEC.normalised(packed, self._norm)
        return normalised.div_(self._inverse).add_(self._mean).to(self._dtype)
