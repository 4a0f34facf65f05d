"""`axsim eval`: what a trained network is worth on a data set."""

from __future__ import annotations

from typing import Annotated

import typer

import axsim as ax

from ..console import say
from ._pairs import parse_pairs


def eval(
    model: Annotated[
        str,
        typer.Option(help="A network of axsim, torchvision:NAME or module:factory."),
    ],
    data: Annotated[str, typer.Option(help="digits, cifar10:/path and the like.")],
    weights: Annotated[
        str | None,
        typer.Option(help="A file, or 'shipped'; by default the network as built."),
    ] = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    batch_size: Annotated[int, typer.Option(help="Samples a batch.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = 0,
    model_option: Annotated[
        list[str] | None, typer.Option(help="Such as classes=100; repeatable.")
    ] = None,
    data_option: Annotated[
        list[str] | None, typer.Option(help="Such as fold=1; repeatable.")
    ] = None,
) -> None:
    """Evaluate a network: accuracy with its 95 % interval, loss, time."""
    net = ax.build_network(model, **parse_pairs(model_option or []))
    if weights is not None:
        file = ax.shipped_weights(model) if weights == "shipped" else weights
        ax.load_weights(net, file)
    chosen = ax.load_data(data, split, **parse_pairs(data_option or []))
    say(f"{model}, {weights or 'as built'}, on {chosen}\n")
    say(ax.evaluate(net, chosen, batch_size=batch_size, device=device, workers=workers))
