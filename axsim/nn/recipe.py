"""Recipes: rules in order, united question by question."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import get_args

from ..errors import ConversionError, close_names
from ..tables.multiplier import Multiplier
from .spec import ByKind, Kind, LayerSpec, Product, Rule

Answers = LayerSpec | Multiplier | Product | ByKind


class Recipe(tuple["tuple[Rule, ...]", ...]):
    """Groups of rules: within a group the first match wins, groups are united.

    `p | q` unites two recipes: each layer takes the answers of both, and two different
    answers to one question of one layer are an error.

    Example:
        >>> first, second = recipe([Rule("a", Exact())]), recipe([Rule("b", Exact())])
        >>> len(first | second)
        2
    """

    __slots__ = ()

    def __or__(self, other: Iterable[tuple[Rule, ...]]) -> Recipe:
        return Recipe((*self, *other))


def recipe(rules: Recipe | Iterable[Rule] | Answers) -> Recipe:
    """A recipe from what a caller may give: rules, a spec or a multiplier for all."""
    if isinstance(rules, Recipe):
        return rules
    if isinstance(rules, Answers):
        return Recipe(((Rule(".*", rules),),))
    group = tuple(rules) if isinstance(rules, Iterable) else (rules,)  # pyright: ignore[reportUnnecessaryIsInstance]
    strangers = [rule for rule in group if not isinstance(rule, Rule)]  # pyright: ignore[reportUnnecessaryIsInstance]
    if strangers or not group:
        found = f"a {type(strangers[0]).__name__}" if strangers else "no rules"
        raise ConversionError(
            f"rules: got {found}; give a Multiplier, a Product, a LayerSpec, a recipe, "
            "or a list of ax.Rule(pattern, spec)."
        )
    return Recipe((group,))


def resolve(
    rules: Recipe,
    layers: Mapping[str, frozenset[str]],
    kinds: Mapping[str, str] | None = None,
) -> dict[str, LayerSpec]:
    """The answers for each layer.

    Args:
        rules: the recipe.
        layers: name of each layer that can be approximated, and its kind's questions.
        kinds: of the layers, for rules with a spec for each kind.

    Returns:
        The layers that have answers, in the order given.

    Raises:
        ConversionError: where a rule contributes to no layer, or two groups give one
            question of a layer different answers.
    """
    united: dict[str, LayerSpec] = {}
    owners: dict[tuple[str, str], Rule] = {}
    useful: set[int] = set()
    for group in rules:
        for name, questions in layers.items():
            rule = next((r for r in group if _matches(r, name)), None)
            if rule is None:
                continue
            kind = (kinds or {}).get(name, "")
            answers = rule.answers(kind).cut(questions).answers()
            if answers:
                useful.add(id(rule))
            known = united.get(name, LayerSpec())
            for question, answer in answers.items():
                _check_conflict(name, question, known, answer, rule, owners)
                owners[name, question] = rule
            united[name] = replace(known, **answers)  # pyright: ignore[reportArgumentType]
    for group in rules:
        for rule in group:
            if id(rule) not in useful and not _is_rest(rule, group):
                raise ConversionError(_useless(rule, group, layers))
    return {
        name: united[name] for name in layers if united.get(name, LayerSpec()).answers()
    }


def _is_rest(rule: Rule, group: tuple[Rule, ...]) -> bool:
    """Whether a rule is for what the others leave, which may be nothing."""
    return len(group) > 1 and rule is group[-1] and rule.pattern == ".*"


def _matches(rule: Rule, name: str) -> bool:
    try:
        return re.fullmatch(rule.pattern, name) is not None
    except re.error as problem:
        raise ConversionError(
            f"rule {rule.pattern!r} is not a regular expression: {problem}. Patterns "
            "match dotted names as a whole, such as 'layer1.*'."
        ) from problem


def _check_conflict(
    name: str, question: str, known: LayerSpec, answer: object, rule: Rule,
    owners: dict[tuple[str, str], Rule],
) -> None:  # fmt: skip
    other = getattr(known, question)
    if other is None or other == answer:
        return
    raise ConversionError(
        f"{name!r} has two answers to {question}: {other} from rule "
        f"{owners[name, question].pattern!r} and {answer} from rule {rule.pattern!r}. "
        "Change one of the united recipes so that only one answers."
    )


def _useless(
    rule: Rule, group: tuple[Rule, ...], layers: Mapping[str, frozenset[str]]
) -> str:
    matched = [name for name in layers if _matches(rule, name)]
    if not matched:
        plain = re.sub(r"\\(.)|\.\*", r"\1", rule.pattern)
        return (
            f"rule {rule.pattern!r} matched no layer."
            f"{close_names(plain, layers) or _some_names(layers)} Give a pattern for "
            "layers here, in recipes as gated=."
        )
    first = {next(r.pattern for r in group if _matches(r, name)) for name in matched}
    if first != {rule.pattern}:
        return (
            f"rule {rule.pattern!r} contributes to no layer: rule {min(first)!r} comes "
            "first for all it matches. Put the more special rule first."
        )
    return (
        f"rule {rule.pattern!r} matched {len(matched)} layers, such as {matched[0]!r}, "
        f"but answers no question of theirs{_kinds_of(rule)}."
    )


def _some_names(layers: Mapping[str, frozenset[str]]) -> str:
    names = [repr(name) for name in layers if name][:6]
    if not names:
        return " The network is one layer; its name is ''."
    text = ", ".join(names) + (", …" if len(layers) > len(names) else "")
    return f" Layers here: {text}."


def _kinds_of(rule: Rule) -> str:
    """Which kinds of layer a rule speaks of, where that may be why it is no use."""
    if not isinstance(rule.spec, ByKind):
        return ""
    spoken = [kind for kind in get_args(Kind) if rule.spec.for_kind(kind).answers()]
    return f"; it has answers for {', '.join(spoken) or 'no'} layers only"
