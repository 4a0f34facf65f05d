"""The examples in docstrings run and show what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import axsim

# A room joins once all its examples run by themselves.
ROOMS = ("errors", "console", "tables", "cli")


def modules() -> list[str]:
    names = [module.name for module in walk_packages(axsim.__path__, "axsim.")]
    return [name for name in names if name.split(".")[1] in ROOMS]


@pytest.mark.parametrize("name", modules())
def test_examples_show_what_they_say(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [
        example
        for name in modules()
        for test in finder.find(import_module(name))
        for example in test.examples
    ]
    assert len(found) > 30
