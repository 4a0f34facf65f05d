"""Weights in files: safetensors written and read, `.pt` and `.pth` read."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ..errors import ModelError, close_names
from ..quant.quantizer import Quantizer

Weights = dict[str, Tensor]
SUFFIX = ".safetensors"
SHIPPED = Path(__file__).parent / "weights"
# Where training scripts keep the weights beside the optimiser's state.
NESTS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
# What DistributedDataParallel and torch.compile put before each name.
PREFIXES = ("module.", "_orig_mod.")


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Fills a model with the weights of a file; nothing in the file is run.

    Args:
        model: changed in place, or left as it is where the weights do not fit.
        path: safetensors, or what `torch.save` made of a state dict or of a dictionary
            that holds one as `state_dict`, `model` and the like.

    Returns:
        The model.

    Raises:
        ModelError: where the file cannot be read or holds more than tensors, or with
            the names and shapes that do not fit.

    Example:
        >>> net = build_network("digits_vit")
        >>> net = load_weights(net, shipped_weights("digits_vit"))
    """
    weights = read_weights(path)
    if _has_ranges(weights) and not _has_ranges(model.state_dict()):
        raise ModelError(_lacks_answers(Path(path)))
    return fill_weights(model, weights, Path(path).name)


def fill_weights(model: nn.Module, weights: Weights, name: str) -> nn.Module:
    """Fills a model with weights; `name` is where they are from, for messages.

    Raises:
        ModelError: with the names and shapes that do not fit; nothing was changed.
    """
    weights = _strip_prefixes(weights, model.state_dict())
    _check_fit(model, weights, name)
    # Old files have no batch counters; only a batch norm without momentum reads them.
    model.load_state_dict(weights, strict=False)
    return model


def save_weights(
    model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> Path:
    """Writes a model's state dict as safetensors, seen under its name when complete.

    Args:
        model: any module.
        path: ends in `.safetensors`.
        metadata: words to keep with it, for `read_metadata`.

    Raises:
        ModelError: where the path has another extension or cannot be written.

    Example:
        >>> save_weights(net, "net.safetensors", {"data": "digits"})  # doctest: +SKIP
        PosixPath('net.safetensors')
    """
    target = Path(path)
    if target.suffix != SUFFIX:
        raise ModelError(
            f"save: {target.name} ends in {target.suffix!r}; weights are written as "
            ".safetensors."
        )
    return write_tensors(model.state_dict(), target, metadata)


def write_tensors(
    tensors: Mapping[str, Tensor],
    target: Path,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes named tensors as safetensors, seen under the name when complete."""
    # Tensors that share memory, as tied weights do, are written for each of them.
    copies = {
        name: each.detach().to("cpu", copy=True).contiguous()
        for name, each in tensors.items()
    }
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        # Not save_file: others could not read what it writes, whatever the umask.
        with part.open("xb") as stream:
            stream.write(save(copies, dict(metadata or {})))
        part.replace(target)
    except (OSError, SafetensorError) as problem:
        raise ModelError(f"save: {target} cannot be written: {problem}.") from problem
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
    return target


def read_weights(path: str | Path) -> Weights:
    """The state dict in a file, recognised by its content.

    Raises:
        ModelError: where there is none or the file asks for more than tensors.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(9)
    except OSError as problem:
        hint = " A converted network's folder is for load_network." * file.is_dir()
        raise ModelError(
            f"weights: {file} cannot be read: {problem}.{hint}"
        ) from problem
    # Safetensors: the length of the header, of which any byte is possible, then JSON.
    # torch.save: a zip archive, in old files a pickle.
    if head[8:] != b"{" and head.startswith((b"PK\x03\x04", b"\x80")):
        return _find_state_dict(_read_torch(file), file.name)
    try:
        return load_file(file)
    except (SafetensorError, OSError, ValueError) as problem:
        raise ModelError(
            f"weights: {file.name} is neither safetensors nor a file of torch.save "
            f"({problem})."
        ) from problem


def read_metadata(path: str | Path) -> dict[str, str]:
    """The words kept in a safetensors file.

    Example:
        >>> read_metadata(shipped_weights("digits_resnet"))["data"]
        'digits'
    """
    try:
        with safe_open(path, "pt") as opened:
            return opened.metadata() or {}
    except (SafetensorError, OSError) as problem:
        raise ModelError(
            f"weights: {Path(path).name} is not safetensors ({problem})."
        ) from problem


def shipped_weights(name: str) -> Path:
    """The file of the trained weights that come with axsim.

    Raises:
        ModelError: where no weights of that network are shipped.

    Example:
        >>> shipped_weights("digits_resnet").name
        'digits_resnet.safetensors'
    """
    known = sorted(file.stem for file in SHIPPED.glob("*.safetensors"))
    if name not in known:
        raise ModelError(
            f"no weights of {name!r} are shipped; there are those of "
            f"{', '.join(known)}.{close_names(name, known)}"
        )
    return SHIPPED / f"{name}.safetensors"


def _read_torch(file: Path) -> Any:
    try:
        # A stream has no name from which torch would conclude a format.
        with file.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)
    # Damaged files raise anything; what would need code is an UnpicklingError.
    except Exception as problem:
        raise ModelError(f"weights: {file.name} {_reason(str(problem))}") from problem


def _reason(problem: str) -> str:
    """Why torch could not read a file as tensors alone, and what to do."""
    asked = re.search(r"GLOBAL (\S+)|class (\S+) was not", problem)
    advice = (
        "it was refused and nothing was run. Where you trust it, load it yourself and "
        "save its weights: torch.save(model.state_dict(), …)."
    )
    if asked:
        return f"needs the code of {asked[1] or asked[2]}, not only tensors; {advice}"
    if "TorchScript" in problem:
        return f"is a TorchScript program, not only tensors; {advice}"
    detail = re.search(r"WeightsUnpickler error:\s*(.+)", problem)
    shown = detail[1] if detail else problem.partition("\n")[0] or "it ends too soon"
    return f"is damaged or holds more than tensors: {shown}"


def _find_state_dict(content: Any, name: str) -> Weights:
    """The state dict itself, or where training scripts put it."""
    if isinstance(content, Mapping):
        if content and all(isinstance(each, Tensor) for each in content.values()):
            return {str(key): each for key, each in content.items()}
        for nest in NESTS:
            if isinstance(content.get(nest), Mapping):
                return _find_state_dict(content[nest], name)
        held = ", ".join(map(str, list(content)[:5])) or "nothing"
    else:
        held = f"a {type(content).__name__}"
    raise ModelError(
        f"weights: {name} holds {held}; needed is a state dict, or one kept under "
        f"{', '.join(NESTS)}."
    )


def _has_ranges(weights: Mapping[str, Any]) -> bool:
    return any(key.endswith(".input_quantizer.scale") for key in weights)


def _lacks_answers(file: Path) -> str:
    """What to do with weights of a converted network, as its training run tells it."""
    words = read_metadata(file).get("answers") if file.suffix == SUFFIX else None
    told = f": {words}" if words else ""
    return (
        f"weights: {file.name} is of a converted network; convert the model first as "
        f"it was then, on the command line with the options of axsim train{told}. Or "
        "load the folder 'network' beside it."
    )


def _strip_prefixes(weights: Weights, model: Mapping[str, Tensor]) -> Weights:
    """The weights without what every name begins with but the model's names do not."""
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if all(key.startswith(prefix) for key in weights) and not any(
                key.startswith(prefix) for key in model
            ):
                weights = {key.removeprefix(prefix): weights[key] for key in weights}
    return weights


def _check_fit(model: nn.Module, weights: Weights, name: str) -> None:
    """Refuses weights of other names, shapes or kinds of number."""
    expected = model.state_dict()
    # Quantizers take their ranges as they come.
    ranges = {
        f"{path}.{key}"
        for path, module in model.named_modules()
        if isinstance(module, Quantizer)
        for key in ("scale", "zero_point")
    }
    lacking = [
        key
        for key in expected
        if key not in weights and not key.endswith("num_batches_tracked")
    ]
    wrong = [
        f"{key} {_describe(weights[key])} for {_describe(each)}"
        for key, each in expected.items()
        if key in weights
        and key not in ranges
        and _describe(weights[key]) != _describe(each)
    ]
    unexpected = [key for key in weights if key not in expected]
    faults = [
        f"{what} ({len(keys)}): {', '.join(keys[:8])}{', …' if len(keys) > 8 else ''}"
        for what, keys in [
            ("missing", lacking),
            ("unexpected", unexpected),
            ("of another shape", wrong),
        ]
        if keys
    ]
    if faults:
        raise ModelError(
            f"weights: {name} does not fit {type(model).__name__}: {'; '.join(faults)}."
            " Build the network that was trained, with its options such as classes=."
        )


def _describe(each: Tensor) -> str:
    shape = "x".join(map(str, each.shape)) or "scalar"
    return shape if each.is_floating_point() else f"{shape} of {each.dtype}"
