"""What a report says of the runs of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from . import plot
from .comparison import SMALL_DPI
from .front import listed
from .page import Html, explained, join, picture, table, tag
from .run import Run
from .run_front import run_tradeoff
from .runs import Runs, energies, interval, percent, subject

WITHIN = 0.01  # of the float accuracy: what the summary calls little
HEAD = ("", "table", "operands", "accuracy %", "95 % interval", "agreement %", "loss",
        "MAE %", "WCE %", "bias %", "MRE %", "energy", "seconds")  # fmt: skip
CAPTION = (
    "Every dot is a table under the network, the line joins those that no other beats "
    "in both accuracy and energy, thin bars are 95 % intervals. Steps of the vertical "
    "axis are equal ratios of wrong answers. Dots whose intervals overlap may change "
    "places on other images."
)
HEATMAP = (
    "{name}: accuracy {accuracy} %, MAE {mae:.3g} %. Signed error of every product. "
    "Most weights are small: their codes lie near the middle where they are unsigned, "
    "near 0 where they are signed."
)


def runs_section(runs: Runs) -> Html:
    """Front, ranked table, heatmaps of the front and how all of it was made."""
    ranked = runs.ranked
    front = _front(runs)
    parts = [tag("p", summary(runs), class_="lead")]
    if ranked:
        parts += [tag("h2", "Accuracy against energy"), *_scatters(runs)]
        parts += [tag("h2", "All tables, by accuracy"), _ranking(ranked, front)]
    if runs.failed:
        parts += [tag("h2", "Failed"), _failures(runs.failed)]
    if front:
        parts += [tag("h2", "Tables of the front"), _heatmaps(runs, front)]
    return join([*parts, tag("h2", "How this was made"), explained(_facts(runs))])


def title(runs: Runs) -> str:
    """What the page is called."""
    return f"{runs[0].model} under {len(runs)} table{'s' if len(runs) > 1 else ''}"


def summary(runs: Runs) -> str:
    """What was run, how many tables cost little accuracy, and which is cheapest."""
    floats = runs[0].float_accuracy
    good = [
        run for run in runs.ranked if (run.accuracy or 0.0) >= floats - WITHIN - 1e-12
    ]
    sentence = (
        f"{subject(runs[0])}. {len(good)} of {len(runs)} tables lose at most one point."
    )
    priced = [run for run in good if run.energy is not None]
    # What counts in two units has no cheapest.
    if len(energies(priced)) != 1:
        return sentence
    best = min(priced, key=lambda run: run.energy or 0.0)
    return (
        f"{sentence} The cheapest of them is {best.table}: {percent(best.accuracy)} % "
        f"at {best.energy:,.0f} {best.energy_unit}."
    )


def _front(runs: Runs) -> list[Run]:
    """The runs of every front that is drawn."""
    kept: set[str] = set()
    for group in _drawn(runs):
        found = run_tradeoff(group)
        kept |= {found.names[i] for i in found.front}
    return [run for run in runs.ranked if run.table in kept]


def _drawn(runs: Runs) -> list[Runs]:
    """For each origin of costs its runs, and those of the widest operands alone."""
    origins: dict[tuple[str, str], list[Run]] = {}
    for run in runs.ranked:
        if run.energy is not None:
            origins.setdefault((run.cost_origin, run.cost_units), []).append(run)
    groups: list[Runs] = []
    for same in origins.values():
        widest = max(_width(run.operands) for run in same)
        wide = [run for run in same if _width(run.operands) == widest]
        groups += [Runs(same)] if len(wide) == len(same) else [Runs(same), Runs(wide)]
    return groups


def _width(operands: str) -> tuple[int, ...]:
    """Both widths of operands such as `unsigned 8x4` or `signed 8 x unsigned 4`."""
    words = operands.replace("x", " ").split()
    return tuple(int(word) for word in words if word.isdecimal())


def _scatters(runs: Runs) -> list[Html]:
    parts: list[Html] = []
    for group in _drawn(runs):
        widths = sorted({_width(run.operands) for run in group}, reverse=True)
        kinds = ["×".join(map(str, width)) for width in widths]
        parts.append(tag("p", f"Tables of {' and '.join(kinds)} bits:"))
        parts.append(picture(plot.pareto(group), CAPTION, wide=True))
    bare = [run.table for run in runs.ranked if run.energy is None]
    if bare:
        sentence = f"Without an energy, as no power is known: {listed(bare)}."
        parts.append(tag("p", sentence, class_="muted"))
    return parts


def _ranking(ranked: Sequence[Run], front: Sequence[Run]) -> Html:
    linked = {run.table for run in front}
    rows = [_row(place, run, linked) for place, run in enumerate(ranked, 1)]
    note = "; ".join([*energies(ranked), "linked: tables of the front"])
    words = ("table", "operands")
    return join(
        [
            tag("p", f"{note[:1].upper()}{note[1:]}.", class_="muted"),
            table(HEAD, rows, words=words),
        ]
    )


def _row(place: int, run: Run, linked: set[str]) -> tuple[str, ...]:
    link = tag("a", run.table, href=f"#table-{run.table_hash}")
    return (
        str(place),
        link if run.table in linked else run.table,
        run.operands,
        percent(run.accuracy),
        interval(run),
        percent(run.agreement),
        f"{run.loss:.4f}",
        *(
            f"{value:.3g}"
            for value in (
                run.mae_percent, run.wce_percent, run.bias_percent, run.mre_percent
            )
        ),
        "unknown" if run.energy is None else f"{run.energy:,.0f}",
        f"{run.seconds:.2f}",
    )  # fmt: skip


def _failures(failed: Sequence[Run]) -> Html:
    return tag("ul", *(tag("li", f"{run.table}: {run.error}") for run in failed))


def _heatmaps(runs: Runs, front: Sequence[Run]) -> Html:
    pictures: list[Html] = []
    absent: list[str] = []
    for run in front:
        mul = runs.multiplier(run)
        if mul is None:
            absent.append(run.table)
            continue
        caption = HEATMAP.format(
            name=run.table, accuracy=percent(run.accuracy), mae=run.mae_percent
        )
        drawn = picture(plot.error_heatmap(mul), caption, dpi=SMALL_DPI)
        pictures.append(tag("div", drawn, id=f"table-{run.table_hash}"))
    parts = [tag("div", *pictures, class_="plots")]
    if absent:
        note = f"Not at hand, so not drawn: {listed(absent)}."
        parts.append(tag("p", note, class_="muted"))
    return join(parts)


def _facts(runs: Runs) -> list[tuple[str, str, str]]:
    def every(field: str) -> str:
        return ", ".join(dict.fromkeys(str(getattr(run, field)) for run in runs))

    return [
        ("command", every("command") or "ax.sweep(...)", "that made the rows"),
        ("network", every("model"), f"weights {every('weights_hash')}"),
        ("data", every("data"), f"{every('n')} images, hash {every('data_hash')}"),
        ("recipe", every("recipe") or "the table under every layer",
         f"settings {every('settings_hash')}: recipe, calibration, seed, version"),
        ("seed", every("seed"), "of torch's generator, before each table"),
        ("versions", f"axsim {every('axsim')}, torch {every('torch')}",
         "when the rows were made"),
        ("seconds", f"{sum(run.seconds for run in runs):,.1f}",
         "to convert and evaluate, summed over the tables"),
    ]  # fmt: skip
