"""Converted networks in folders: a readable description, weights and tables.

spec.json            the answers of every layer, what was counted, hashes
weights.safetensors  weights, buffers and frozen ranges
table-….bin          tables that are not shipped with axsim
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError, close_names
from ..nn.convert import approximate
from ..nn.document import Reader, Writer
from ..nn.fold import Folded, fold_pair
from ..nn.layer import ApproxLayer
from ..nn.plan import plan, site_costs
from ..nn.site import Site
from ..nn.spec import Exact, LayerSpec, Rule
from .checkpoint import Weights, fill_weights, read_weights, write_tensors
from .networks.factory import build_network
from .table_folder import TableFolder, read_tables

FORMAT, VERSION = "axsim network", 1
SPEC, WEIGHTS = "spec.json", "weights.safetensors"


def save_network(
    net: nn.Module,
    folder: str | Path,
    *,
    network: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a converted network, so that it gives the same outputs when loaded.

    Args:
        net: what `approximate` returned, also after training.
        folder: made where it is absent; an older network in it is replaced.
        network: name for `build_network` of the network before conversion, so that
            `load_network` can build it itself.
        options: of that network.

    Returns:
        The folder.

    Raises:
        ConversionError: where the network was not returned by `approximate`.
        ModelError: where an importer made the network, an answer or a state has no
            description, or the folder cannot be written.

    Example:
        >>> save_network(net, "coarse", network="digits_resnet")  # doctest: +SKIP
        PosixPath('coarse')
    """
    # torch.compile wraps the network that was converted.
    net = getattr(net, "_orig_mod", net)
    known, target = plan(net), Path(folder)
    if known.imported:
        raise ModelError(
            f"{type(net).__name__} was imported, with codes that no recipe describes. "
            "Save its state_dict(); to load it, import the quantised original again "
            "and call load_state_dict()."
        )
    _check_states(net)
    _make_folder(target)
    tables = TableFolder(target)
    writer = Writer(tables.add)
    specs, layers = _describe_layers(net, writer)
    weights = write_tensors(net.state_dict(), target / WEIGHTS)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "network": network and {"name": network, "options": dict(options or {})},
        "training": net.training,
        "weights": {"file": WEIGHTS, "sha256": _hash(weights)},
        "tables": tables.described,
        "shared": writer.shared,
        "specs": specs,
        "layers": layers,
        "folded": known.folded.pairs,
        "kept": known.folded.kept,
        "products": known.products,
        "exact": known.exact,
        "unreached": known.unreached,
    }
    _write(_layout(document), target / SPEC)
    return target


def load_network(folder: str | Path, model: nn.Module | None = None) -> nn.Module:
    """A converted network from a folder; nothing in it is run.

    Args:
        folder: what `save_network` wrote.
        model: the network before conversion, freshly built and left untouched; where
            None, the one that `save_network` was told the name of.

    Returns:
        A converted copy, calibrated as it was, in the mode it was in.

    Raises:
        ModelError: where the folder is no saved network or is damaged, or with the
            layers, names and shapes that do not fit the model.
        TableError: where a table is not the one that the network was saved with.

    Example:
        >>> net = load_network("coarse")  # doctest: +SKIP
    """
    source = Path(folder)
    document = _read_document(source / SPEC)
    model = _build(document) if model is None else model
    tables = read_tables(_section(document, "tables"), source)
    reader = Reader(tables, _section(document, "shared"))
    rules = _read_rules(document, reader, model)
    net = approximate(_folded(document, model), rules)
    weights = _read_weights(document, source)
    _check_kinds(weights, net)
    fill_weights(net, weights, f"{source.name}/{WEIGHTS}")
    _restore_plan(document, net)
    return net.train(document.get("training") is True)


def _check_states(net: nn.Module) -> None:
    """Refuses what safetensors cannot hold."""
    for key, state in net.state_dict().items():
        if not isinstance(state, Tensor):
            raise ModelError(
                f"save: the state {key!r} is a {type(state).__name__}; only tensors "
                "can be saved. Let the module keep it as a buffer."
            )


def _describe_layers(
    net: nn.Module, writer: Writer
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The different specs, and each layer's with the codes that come of it."""
    specs: dict[str, Any] = {}
    layers: dict[str, Any] = {}
    for name, module in net.named_modules():
        if not isinstance(module, ApproxLayer):
            continue
        described = writer.write(module.spec)
        equal = (key for key, known in specs.items() if known == described)
        key = next(equal, f"spec {len(specs) + 1}")
        specs[key] = described
        codes = {
            part: f"{site.input_quantizer.scheme} x {site.weight_quantizer.scheme}"
            for part, site in module.named_modules()
            if isinstance(site, Site)
        }
        layers[name] = {"kind": type(module).__name__, "spec": key, "codes": codes}
    return specs, layers


def _layout(value: Any, indent: str = "") -> str:
    """JSON with an entry a line, but short entries as a whole on one."""
    flat = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(indent) + len(flat) <= 88 or not isinstance(value, dict | list | tuple):
        return flat
    deeper = indent + "  "
    if isinstance(value, dict):
        opening, closing = "{}"
        entries = [
            f"{json.dumps(str(key), ensure_ascii=False)}: {_layout(each, deeper)}"
            for key, each in value.items()
        ]
    else:
        opening, closing = "[]"
        entries = [_layout(each, deeper) for each in value]
    joined = f",\n{deeper}".join(entries)
    return f"{opening}\n{deeper}{joined}\n{indent}{closing}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ModelError(f"save: {folder} cannot be made: {problem}.") from problem


def _write(text: str, target: Path) -> None:
    """Writes a file that is seen under its name when it is complete."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as problem:
        raise ModelError(f"save: {target} cannot be written: {problem}.") from problem
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _read_document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ModelError(
            f"{file} cannot be read: {problem}. Give a folder that save_network wrote."
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise ModelError(
            f"{file} is damaged, or cut off: {problem}. Save the network again."
        ) from problem
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f"{file} was not written by save_network.")
    if document.get("version") != VERSION:
        raise ModelError(
            f"{file} is of version {document.get('version')}; this axsim reads version "
            f"{VERSION}. Use the axsim that wrote it, or save the network again."
        )
    return document


def _section(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict):
        raise ModelError(f"{SPEC} lacks {key!r}, or it is damaged; save again.")
    return found


def _pairs(document: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    found = document.get(key)
    if not isinstance(found, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in found
    ):
        raise ModelError(f"{SPEC} lacks {key!r}, or it is damaged; save again.")
    return tuple((str(first), str(second)) for first, second in found)


def _names(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key)
    if not isinstance(found, list):
        raise ModelError(f"{SPEC} lacks {key!r}, or it is damaged; save again.")
    return tuple(map(str, found))


def _build(document: Mapping[str, Any]) -> nn.Module:
    """The network before conversion, where the document names one of axsim's own."""
    if document.get("network") is None:
        raise ModelError(
            "the folder does not say which network was converted; build it and pass "
            "it: load_network(folder, model)."
        )
    network = _section(document, "network")
    name, options = network.get("name"), _section(network, "options")
    # "module:factory" would run code that whoever wrote the file has chosen.
    if not isinstance(name, str) or ":" in name:
        raise ModelError(
            f"the folder names the network {name!r}, which is not one of axsim's own; "
            "nothing was run. Where you trust it, build it and pass it: "
            "load_network(folder, model)."
        )
    return build_network(name, **options)


def _read_rules(
    document: Mapping[str, Any], reader: Reader, model: nn.Module
) -> list[Rule]:
    """A rule for each layer that was converted, and none for others."""
    described = _section(document, "specs")
    specs = {key: reader.read(each) for key, each in described.items()}
    layers = _section(document, "layers")
    present = dict(model.named_modules())
    absent = [name for name in layers if name not in present]
    if absent:
        shown = ", ".join(absent[:8]) + (", …" if absent[8:] else "")
        raise ModelError(
            f"{type(model).__name__} lacks {len(absent)} of the {len(layers)} "
            f"converted layers: {shown}.{close_names(absent[0], present)} Build the "
            "network that was converted, with its options."
        )
    rules: list[Rule] = []
    for name, layer in layers.items():
        spec = specs.get(str(layer.get("spec"))) if isinstance(layer, dict) else None
        if not isinstance(spec, LayerSpec):
            raise ModelError(f"{SPEC} has no answers for {name!r}; save again.")
        rules.append(Rule(re.escape(name), spec))
    return rules or [Rule(".*", Exact())]


def _folded(document: Mapping[str, Any], model: nn.Module) -> nn.Module:
    """The model without the batch norms that became part of layers."""
    pairs = _pairs(document, "folded")
    if not pairs:
        return model
    net = copy.deepcopy(model)
    for layer, norm in pairs:
        try:
            fold_pair(net, layer, norm)
        except (AttributeError, RuntimeError) as problem:
            raise ModelError(
                f"{norm!r} was folded into {layer!r}, but {type(model).__name__} has "
                f"no such pair ({problem}). Build the network that was converted, with "
                "its options."
            ) from problem
    return net


def _read_weights(document: Mapping[str, Any], folder: Path) -> Weights:
    file = folder / WEIGHTS
    weights = read_weights(file)
    if _hash(file) != _section(document, "weights").get("sha256"):
        raise ModelError(
            f"{file} is not what {SPEC} was saved with. Save the network again; to put "
            "other weights into a loaded network, use load_weights."
        )
    return weights


def _check_kinds(weights: Weights, net: nn.Module) -> None:
    """Refuses to turn numbers of one type into another's, which changes outputs."""
    for key, own in net.state_dict().items():
        if key in weights and weights[key].dtype != own.dtype:
            raise ModelError(
                f"the network was saved with {key} as {weights[key].dtype}, but the "
                f"model has {own.dtype}; pass model.to({weights[key].dtype})."
            )


def _restore_plan(document: Mapping[str, Any], net: nn.Module) -> None:
    """Puts back into the network's plan what a sample had shown."""
    products = _section(document, "products")
    if not all(isinstance(count, int) for count in products.values()):
        raise ModelError(f"{SPEC} has damaged counts of products; save again.")
    known = plan(net)
    known.products, known.costs = products, site_costs(net)
    known.exact, known.unreached = (
        _names(document, key) for key in ("exact", "unreached")
    )
    known.folded = Folded(_pairs(document, "folded"), _pairs(document, "kept"))


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
