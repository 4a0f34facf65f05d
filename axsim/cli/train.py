"""`axsim train`: a network trained on a data set, with an option for each setting."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

import axsim as ax

from ..console import complain, say
from ._pairs import parse_pairs


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command an option for each field of `TrainSettings`, with its words."""
    hints = get_type_hints(ax.TrainSettings, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_option(*get_args(hints[field.name])),
        )
        for field in fields(ax.TrainSettings)
    ]
    own = inspect.signature(command, eval_str=True)
    kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    command.__signature__ = own.replace(parameters=[*kept, *options])  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {p.name: p.annotation for p in [*kept, *options]}
    return command


def _option(kind: Any, words: str) -> Any:
    """The annotation of an option; one of several words is checked by the settings."""
    if get_origin(kind) is Literal:
        kind = str
    if get_origin(kind) is tuple:
        kind = list[int]
        words = f"{words.removesuffix('.')}; repeatable."
    return Annotated[kind, typer.Option(help=words)]


@_with_settings
def train(
    model: Annotated[
        str,
        typer.Option(help="A network of axsim, torchvision:NAME or module:factory."),
    ],
    data: Annotated[str, typer.Option(help="digits, cifar10:/path and the like.")],
    out: Annotated[Path, typer.Option(help="Folder for weights, state and log.")],
    weights: Annotated[
        str | None,
        typer.Option(help="Begin with these: a file, or 'shipped'."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
    validate: Annotated[
        bool, typer.Option(help="Evaluate the test split after each epoch.")
    ] = True,
    model_option: Annotated[
        list[str] | None, typer.Option(help="Such as classes=100; repeatable.")
    ] = None,
    data_option: Annotated[
        list[str] | None, typer.Option(help="Such as fold=1; repeatable.")
    ] = None,
    **settings: Any,
) -> None:
    """Train a network; under torchrun, on several processes."""
    import torch

    milestones = tuple(settings.pop("milestones") or ())
    chosen = ax.TrainSettings(milestones=milestones, **settings)
    torch.manual_seed(chosen.seed)
    net = ax.build_network(model, **parse_pairs(model_option or []))
    if weights is not None:
        file = ax.shipped_weights(model) if weights == "shipped" else weights
        ax.load_weights(net, file)
    options = parse_pairs(data_option or [])
    words = {
        "model": model,
        "data": data,
        "command": shlex.join(["axsim", *sys.argv[1:]]),
    }
    try:
        result = ax.train(
            net,
            ax.load_data(data, "train", **options),
            chosen,
            out=out,
            resume=resume,
            validate=ax.load_data(data, "test", **options) if validate else None,
            words=words,
        )
    except KeyboardInterrupt:
        complain(f"interrupted; go on with the same command and --resume ({out})")
        raise typer.Exit(130) from None
    last = out / "last.safetensors"
    say(result)
    say(f"\nwrote {last}")
    say(f"next: axsim eval --model {model} --data {data} --weights {last}")
