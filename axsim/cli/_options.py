"""Options of a command from the fields of a frozen record, with their words."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import Field, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

Command = Callable[..., None]


def with_options(*records: type) -> Callable[[Command], Command]:
    """Gives a command an option for each field that these records take.

    The command takes them as keyword arguments; `take` makes a record of its own.

    Args:
        records: frozen dataclasses whose fields are `Annotated` with their words.
    """

    def give(command: Command) -> Command:
        options = [option for record in records for option in _options(record)]
        own = inspect.signature(command, eval_str=True)
        kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
        command.__signature__ = own.replace(parameters=[*kept, *options])  # pyright: ignore[reportFunctionMemberAccess]
        command.__annotations__ = {p.name: p.annotation for p in [*kept, *options]}
        return command

    return give


def take(record: type[Any], given: dict[str, Any]) -> Any:
    """A record from what a command was given; what it took is no longer in `given`."""
    chosen = {field.name: given.pop(field.name) for field in _chosen_fields(record)}
    # A repeatable option comes as a list, or as nothing.
    repeatable = {f.name for f in fields(record) if isinstance(f.default, tuple)}
    return record(
        **{k: tuple(v or ()) if k in repeatable else v for k, v in chosen.items()}
    )


def _options(record: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_option(*get_args(hints[field.name])),
        )
        for field in _chosen_fields(record)
    ]


def _chosen_fields(record: type[Any]) -> list[Field[Any]]:
    """Those that are not the record's own to fill."""
    return [field for field in fields(record) if field.init]


def _option(kind: Any, words: str) -> Any:
    """The annotation of an option; one of several words is checked by the record."""
    if get_origin(kind) is Literal:
        kind = str
    if get_origin(kind) is tuple:
        kind = list[get_args(kind)[0]]
        words = f"{words.removesuffix('.')}; repeatable."
    return Annotated[kind, typer.Option(help=words)]
