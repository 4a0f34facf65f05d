"""`ax.plot` finds each plot in the file of its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import axsim as ax
from axsim.analysis import plots
from tests.conftest import random_multiplier


def test_every_file_is_a_plot() -> None:
    files = Path(plots.__file__).parent.glob("[a-z]*.py")
    assert dir(ax.plot) == sorted(file.stem for file in files)
    for name in dir(ax.plot):
        assert getattr(ax.plot, name).__name__ == name


def test_an_unknown_plot_suggests_a_near_one() -> None:
    with pytest.raises(AttributeError, match="Close names: 'error_heatmap'"):
        _ = ax.plot.error_heatmp


def test_pyplot_is_never_loaded_and_nothing_is_shown() -> None:
    code = (
        "import sys, axsim as ax\n"
        "mul = ax.Multiplier.from_function(lambda a, b: a * b & ~3, signed=False)\n"
        "for name in dir(ax.plot):\n"
        "    plot = getattr(ax.plot, name)\n"
        "    if 'error' in name:\n"
        "        plot(mul).figure.draw_without_rendering()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_notebook_shows_axes_as_a_picture() -> None:
    axes = ax.plot.error_histogram(random_multiplier(0))
    picture, size = axes._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert size["width"] > size["height"] > 300


def test_axes_that_are_given_are_drawn_into_and_returned() -> None:
    figure = Figure()
    first, second = figure.subplots(1, 2)
    assert ax.plot.error_heatmap(random_multiplier(0), ax=first) is first
    assert ax.plot.error_histogram(random_multiplier(0), ax=second) is second
    stamps = [text.get_text() for text in figure.texts]
    assert stamps == [f"axsim {ax.__version__}"]
