"""What all importers share: codes as schemes, answers for layers, the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ...errors import ConversionError
from ...quant.scheme import Granularity, Scheme
from ..plan import ATTRIBUTE, Plan, probe, site_costs
from ..recipe import Answers, Recipe, recipe, resolve
from ..spec import QUESTIONS, Product, Rule, Untouched

Rules = Recipe | Iterable[Rule] | Answers


def scheme_of(
    zero_point: Tensor,
    signed: bool,
    bits: int,
    granularity: Granularity,
    limits: tuple[int, int] | None = None,
) -> Scheme:
    """The scheme of codes that exist already.

    Args:
        zero_point: one, or one for each output.
        signed: two's complement or not.
        bits: of a code.
        granularity: one scale, or one for each output.
        limits: smallest and largest code, None for all that the bits allow.
    """
    symmetric = signed and not bool(zero_point.any())
    every = Scheme(bits, signed, symmetric, granularity)
    if limits in (None, (every.quant_min, every.quant_max)):
        return every
    return Scheme(bits, signed, symmetric, granularity, limits=limits)


def products_for(rules: Rules, kinds: Mapping[str, str]) -> dict[str, Product]:
    """The multiplier of each imported layer; layers without one are left out.

    Args:
        rules: what the caller gave.
        kinds: of the layers, by name.

    Raises:
        ConversionError: where rules do not fit, or say more than the multiplier.
    """
    answers = resolve(recipe(rules), dict.fromkeys(kinds, QUESTIONS), kinds)
    products: dict[str, Product] = {}
    for name, spec in answers.items():
        for question, answer in spec.answers().items():
            if question != "multiplier" and not isinstance(answer, Untouched):
                raise ConversionError(
                    f"{name!r} has the answer {answer} to {question}, but an imported "
                    "layer keeps its own codes and takes a multiplier alone. Give a "
                    "Multiplier, a Product, or rules with nothing else."
                )
        if spec.product and not isinstance(spec.multiplier, Untouched):
            products[name] = spec.product
    return products


def attach_plan(
    net: nn.Module,
    exact: dict[str, nn.Module],
    unreached: Mapping[str, str],
    sample: Tensor | None,
    complete: bool = False,
) -> None:
    """Gives a network the plan that `ax.plan` and `ax.summary` read.

    Args:
        net: the imported network.
        exact: layers of torch left exact, by name.
        unreached: other places that form products exactly, and why.
        sample: a batch of inputs, from which products are counted.
        complete: whether `unreached` names every such place; otherwise the functional
            calls that the sample meets are added.
    """
    found = Plan(costs=site_costs(net)) if sample is None else probe(net, exact, sample)
    count = 1 if sample is None else len(sample)
    found.products = {name: total // count for name, total in found.products.items()}
    found.exact, found.imported = tuple(exact), True
    reasons = [f"{name}: {reason}" for name, reason in unreached.items()]
    others = [
        place
        for place in found.unreached
        if not (complete or place.rpartition(":")[0] in unreached)
    ]
    found.unreached = (*reasons, *others)
    setattr(net, ATTRIBUTE, found)
