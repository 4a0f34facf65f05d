"""`axsim eval`: what a trained network is worth on a data set, exact or approximate."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

import axsim as ax

from ..console import say
from ._answers import Answers
from ._options import take, with_options
from ._pairs import parse_pairs


@with_options(Answers)
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
    layers: Annotated[
        bool, typer.Option("--layers", help="Also a line for each layer.")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Samples a batch.")] = 256,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that load data.")] = 0,
    model_option: Annotated[
        list[str] | None, typer.Option(help="Such as classes=100; repeatable.")
    ] = None,
    data_option: Annotated[
        list[str] | None, typer.Option(help="Such as fold=1; repeatable.")
    ] = None,
    **given: Any,
) -> None:
    """Evaluate a network: accuracy with its 95 % interval, loss, time."""
    from ._network import prepare

    answers: Answers = take(Answers, given)
    options = parse_pairs(data_option or [])
    prepared = prepare(
        model, parse_pairs(model_option or []), weights, answers, data, options
    )
    if layers and not prepared.converted:
        raise typer.BadParameter(
            "--layers shows how layers are approximated; name a --multiplier, --bits, "
            "a --recipe or a --gate."
        )
    chosen = ax.load_data(data, split, **options)
    measure = partial(ax.evaluate, data=chosen, batch_size=batch_size, device=device,
                      workers=workers)  # fmt: skip
    say(f"{model}, {weights or 'as built'}, on {chosen}\n")
    exact = measure(prepared.origin) if prepared.origin else None
    if exact:
        say(f"{exact}\n\n{answers.words}\n")
    say(measure(prepared.net, exact=exact))
    if prepared.converted and ax.plan(prepared.net).gates:
        gates = ax.plan(prepared.net).gate_report()
        say(f"\n{gates}" if layers else gates.totals)
    if layers:
        say(f"\n{ax.summary(prepared.net)}")
