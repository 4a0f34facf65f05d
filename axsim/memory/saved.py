"""The answer to a layer's fourth question: how it keeps what backward needs."""

from __future__ import annotations

from dataclasses import dataclass

from .codec import Codec
from .codecs.identity import Identity
from .codecs.rectified import Rectified
from .policies.fixed import Fixed
from .policy import Policy

EXACT = Identity()
EIGHT = Fixed(8)


@dataclass(frozen=True)
class Saved:
    """How a layer keeps what its backward pass needs.

    Masks of ReLU and dropout, and places of pooling, take the fewest bits that keep
    them exact, whatever is chosen here; so do the codes of a layer that computes on
    codes. Weights are never coded, and layers in eval mode keep what torch keeps.

    Args:
        codec: of the inputs of convolutions and linear layers.
        norm: of the inputs of batch norms; `BatchNormCodes` codes their outputs
            instead, which then serve the ReLU and the convolution behind them.
        policy: chooses the bits; layers that share the object share its state.
        others: of what no layer stands for keeps (other norms, activations, attention
            and functional calls, anywhere in the network); None leaves that to torch.
        swap: keep codes in the host's memory.
        relu: of the outputs of ReLUs; one code then serves the ReLU, the product behind
            it and the batch norm in front. None keeps a bit of each element.

    Example:
        >>> Saved().codec, Saved().others
        (Identity(), None)
    """

    codec: Codec = EXACT
    norm: Codec = EXACT
    policy: Policy = EIGHT
    others: Codec | None = None
    swap: bool = False
    relu: Rectified | None = None

    def __str__(self) -> str:
        codecs = (self.codec, self.norm, *([self.relu] if self.relu else []))
        names = dict.fromkeys(type(c).__name__ for c in codecs)
        return f"{', '.join(names)} by {type(self.policy).__name__}"
