"""The quantizer: a module that turns one tensor of a network into codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..errors import CalibrationError, OperandError
from .codes import Codes, encode
from .observers import MinMax, Observer, State
from .params import choose_params
from .scheme import SMALLEST_SCALE, Scheme
from .straight_through import fake_quantise

VERSION = 1

Mode = Literal["uncalibrated", "calibrating", "frozen", "dynamic", "learnable"]


class Quantizer(nn.Module):
    """Codes of one tensor of a network, with the range they cover.

    A new quantizer is uncalibrated. After `calibrate()` it watches what passes;
    `freeze()` then chooses scale and zero point once for all. With `dynamic` every
    tensor sets its own range. Scale and zero point keep their types under `half()`,
    and all of it is in the state dict.

    Args:
        scheme: which integers.
        observer: how the range is found.
        dynamic: find it anew for every tensor. Right for weights, which are the same
            for every batch; for activations the result then depends on the batch.
        name: how errors and reports call it.

    Example:
        >>> quantizer = Quantizer(Scheme(bits=4), name="fc.input").calibrate()
        >>> _ = quantizer(torch.tensor([0.0, 3.0]))
        >>> quantizer.freeze()(torch.tensor([0.25, 5.0]))
        tensor([0.2000, 3.0000])
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self,
        scheme: Scheme | None = None,
        observer: Observer | None = None,
        dynamic: bool = False,
        name: str = "",
    ) -> None:
        super().__init__()
        self.scheme = scheme or Scheme()
        self.observer = observer or MinMax()
        self.dynamic = dynamic
        self.name = name
        # Not buffers: DistributedDataParallel would overwrite them with rank 0's.
        self.seen: State | None = None
        self.calibrating = False
        self.register_buffer("scale", torch.empty(0))
        self.register_buffer("zero_point", torch.empty(0, dtype=torch.int32))

    @property
    def mode(self) -> Mode:
        """What a tensor that comes now would meet."""
        if self.calibrating:
            return "calibrating"
        if self.dynamic:
            return "dynamic"
        return "frozen" if self.scale.numel() else "uncalibrated"

    def forward(self, x: Tensor) -> Tensor:
        """The values that the codes of `x` stand for; `x` itself while calibrating.

        The gradient is straight-through inside the range of codes and 0 outside.

        Raises:
            CalibrationError: uncalibrated, or NaN or infinite values in calibration.
        """
        if self.calibrating:
            self.observe(x)
            return x
        return fake_quantise(x, *self.params(x), self.scheme)

    def codes(self, x: Tensor) -> Codes:
        """The codes of `x`; their values are what `forward` returns.

        Raises:
            CalibrationError: uncalibrated, or still calibrating.
        """
        scale, zero_point = self.params(x)
        raw = encode(x, scale, zero_point, self.scheme)
        return Codes(raw, scale, zero_point, self.scheme)

    def clipped(self, x: Tensor) -> Tensor:
        """What of `x` is encoded; a learned clip joins the graph here."""
        return x

    def params(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and zero point for `x`.

        Raises:
            CalibrationError: uncalibrated, or still calibrating.
        """
        mode = self.mode
        if mode == "frozen":
            return self.scale, self.zero_point
        if mode == "dynamic":
            return self._choose(self.observer.measure(_some(x), self.scheme.axis))
        raise CalibrationError(f"{self._title} {_UNREADY[mode]}")

    def calibrate(self) -> Quantizer:
        """Starts to watch what passes, with nothing seen; returns itself.

        Raises:
            CalibrationError: where there is nothing to calibrate.
        """
        if self.mode in ("dynamic", "learnable"):
            raise CalibrationError(
                f"{self._title} is {self.mode} and finds its range by itself; leave it "
                "out of the calibration."
            )
        self.calibrating, self.seen = True, None
        return self

    def observe(self, x: Tensor) -> None:
        """Takes a tensor into account; an empty one makes no difference.

        Raises:
            CalibrationError: for NaN or infinite values; `x` then is not counted.
        """
        if not x.numel():
            return
        new = self.observer.measure(x, self.scheme.axis)
        if not all(bool(t.isfinite().all()) for t in new):
            raise CalibrationError(
                f"{self._title} met {_describe_broken(x)} in calibration. Find the "
                "batch or the layer before it that produces them (a float run of the "
                "same batch shows it), then calibrate again."
            )
        self.seen = self.observer.add(self.seen, new) if self.seen else new

    def freeze(self) -> Quantizer:
        """Chooses scale and zero point from what was seen; returns itself.

        Raises:
            CalibrationError: where nothing was seen.
        """
        if not self.seen:
            raise CalibrationError(
                f"{self._title} saw no values in calibration. Its layer was not "
                "reached, or no batch came: check the calibration data, or exclude "
                "the layer with a rule."
            )
        return self.fix(*self._choose(self.seen))

    def fix(self, scale: Tensor, zero_point: Tensor) -> Quantizer:
        """Takes this scale and zero point, as an imported model has them.

        Args:
            scale: 2^-126 or more, finite; one, or one for each index of the scheme's
                axis.
            zero_point: whole numbers, quant_min … quant_max; 0 for symmetric codes.

        Raises:
            OperandError: for other values.
        """
        shape = () if self.scheme.axis is None else (-1,)
        self._check(scale, zero_point)
        self.scale = scale.detach().float().reshape(shape).clone()
        self.zero_point = zero_point.detach().int().reshape(shape).clone()
        self.calibrating, self.seen = False, None
        return self

    def extra_repr(self) -> str:
        name = f"{self.name!r}: " if self.name else ""
        source = "" if self.mode == "learnable" else f"{self.observer}, "
        return f"{name}{self.scheme}, {source}{self._describe_mode()}"

    def get_extra_state(self) -> Tensor:
        """Version, kind and scheme, as bytes of JSON in a tensor for safetensors."""
        told = {"version": VERSION, "kind": type(self).__name__}
        text = json.dumps(told | {"scheme": asdict(self.scheme)}, sort_keys=True)
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Refuses what another kind of quantizer wrote, or one with other codes.

        Raises:
            OperandError: for such a checkpoint.
        """
        found = _read_json(state, self._title)
        known = _read_json(self.get_extra_state(), self._title)
        for key, value in known.items():
            if found.get(key) != value:
                raise OperandError(
                    f"{self._title} has {key} {value}, but the checkpoint says "
                    f"{found.get(key)}. Build the network with the settings that the "
                    "checkpoint was made with, or calibrate anew."
                )

    def _choose(self, state: State) -> tuple[Tensor, Tensor]:
        return choose_params(*self.observer.range(state, self.scheme), self.scheme)

    def _check(self, scale: Tensor, zero_point: Tensor) -> None:
        low, high = self.scheme.quant_min, self.scheme.quant_max
        if self.scheme.symmetric:
            low = high = 0
        scale = scale.float()
        if scale.numel() != zero_point.numel() or (
            scale.numel() != 1 and self.scheme.axis is None
        ):
            problem = f"{scale.numel()} scales and {zero_point.numel()} zero points"
        elif not bool(((scale >= SMALLEST_SCALE) & scale.isfinite()).all()):
            problem = f"scales from {scale.min():.4g} to {scale.max():.4g}"
        elif not bool(((zero_point >= low) & (zero_point <= high)).all()):
            problem = f"zero points from {zero_point.min()} to {zero_point.max()}"
        else:
            return
        raise OperandError(
            f"{self._title} got {problem}; {self.scheme} needs finite float32 "
            f"scales of at least 2^-126 and as many zero points, each {low} … {high}."
        )

    @property
    def _title(self) -> str:
        return repr(self.name) if self.name else "a quantizer without a name"

    def _describe_mode(self) -> str:
        if self.mode != "frozen":
            return self.mode
        if self.scale.numel() > 1:
            span = f"{self.scale.min():.4g} … {self.scale.max():.4g}"
            return f"frozen: {self.scale.numel()} scales {span}"
        scale, zero = float(self.scale), int(self.zero_point)
        ends = self.scheme.quant_min, self.scheme.quant_max
        low, high = ((code - zero) * scale for code in ends)
        return f"frozen: scale {scale:.4g}, zero point {zero}, {low:.4g} … {high:.4g}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Quantizer:
        """Moves between devices but keeps types: half a scale is another scale."""

        def move(t: Tensor) -> Tensor:
            moved = fn(t)
            return moved if moved.dtype == t.dtype else t.to(moved.device)

        super()._apply(move, recurse)
        self.seen = tuple(map(move, self.seen)) if self.seen else None
        return self

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # Nothing is changed by a checkpoint that does not fit.
        if (extra := state_dict.get(prefix + "_extra_state")) is not None:
            self.set_extra_state(extra)
        new = [state_dict.get(prefix + key) for key in ("scale", "zero_point")]
        if new[0] is not None and new[1] is not None:
            if new[0].numel():
                self._check(new[0], new[1])
            # How many scales there are is known only after calibration.
            self.scale = self.scale.new_empty(new[0].shape)
            self.zero_point = self.zero_point.new_empty(new[1].shape)
        self.calibrating, self.seen = False, None
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


_UNREADY = {
    "uncalibrated": "is not calibrated: no range is known for its codes. Pass "
    "calibration=batches to axsim.approximate, or call calibrate(), run some batches "
    "and freeze(); dynamic=True takes the range of every tensor instead.",
    "calibrating": "is still calibrating. Call freeze() after the last batch.",
}


def _some(x: Tensor) -> Tensor:
    """A tensor that has a range: zeros for an empty batch, which needs none."""
    return x if x.numel() else x.new_zeros([max(1, size) for size in x.shape])


def _describe_broken(x: Tensor) -> str:
    nan, infinite = int(x.isnan().sum()), int(x.isinf().sum())
    return f"{nan} NaN and {infinite} infinite values among {x.numel():,}"


def _read_json(state: Tensor, title: str) -> dict[str, Any]:
    try:
        return dict(json.loads(bytes(state.cpu().tolist())))
    except (AttributeError, TypeError, ValueError) as error:
        raise OperandError(
            f"the checkpoint's description of {title} is unreadable ({error}); it was "
            "not written by a quantizer of axsim. Calibrate anew."
        ) from error
