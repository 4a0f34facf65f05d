"""`axsim train`: a network trained on a data set, with an option for each setting."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import axsim as ax

from ..console import complain, say
from ._answers import Answers
from ._options import take, with_options
from ._pairs import parse_pairs

if TYPE_CHECKING:
    from torch import nn


@with_options(Answers, ax.TrainSettings)
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
    **given: Any,
) -> None:
    """Train a network; under torchrun, on several processes."""
    import torch

    from ._network import prepare

    answers, settings = take(Answers, given), take(ax.TrainSettings, given)
    torch.manual_seed(settings.seed)
    options = parse_pairs(data_option or [])
    prepared = prepare(
        model, parse_pairs(model_option or []), weights, answers, data, options
    )
    words = {
        "model": model,
        "data": data,
        "command": shlex.join(["axsim", *sys.argv[1:]]),
        **({"answers": answers.words} if answers.words else {}),
    }
    try:
        result = ax.train(
            prepared.net,
            ax.load_data(data, "train", **options),
            settings,
            out=out,
            resume=resume,
            validate=ax.load_data(data, "test", **options) if validate else None,
            words=words,
        )
    except KeyboardInterrupt:
        complain(f"interrupted; go on with the same command and --resume ({out})")
        raise typer.Exit(130) from None
    say(result)
    written = out / "last.safetensors"
    say(f"\nwrote {written}")
    if prepared.converted:
        written = _save(prepared.net, out / "network", model, model_option)
        say(f"wrote {written}, the network with its tables and ranges")
    say(f"next: {_next(model, data, written, model_option, data_option)}")


def _save(
    net: nn.Module, folder: Path, model: str, model_option: list[str] | None
) -> Path:
    """The converted network in a folder that needs no options to be evaluated."""
    # torchrun's processes have the same network; one of them writes.
    if os.environ.get("RANK", "0") == "0":
        own = None if ":" in model else model
        options = parse_pairs(model_option or [])
        ax.save_network(net, folder, network=own, options=options)
    return folder


def _next(
    model: str, data: str, weights: Path,
    model_option: list[str] | None, data_option: list[str] | None,
) -> str:  # fmt: skip
    """The command that evaluates what was trained."""
    words = ["axsim", "eval", "--model", model, "--data", data]
    words += ["--weights", str(weights)]
    words += [w for each in model_option or [] for w in ("--model-option", each)]
    words += [w for each in data_option or [] for w in ("--data-option", each)]
    return shlex.join(words)
