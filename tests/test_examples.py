"""The examples in docstrings run and show what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pkgutil import walk_packages

import numpy as np
import pytest
import torch

import axsim

# Of `cuda` the examples need a device.
LEFT_OUT = {"cuda", "__main__"}
# What an example may use without importing it: what its reader has at hand.
AT_HAND = {"np": np, "torch": torch, "nn": torch.nn, "ax": axsim}


def modules() -> list[str]:
    names = [module.name for module in walk_packages(axsim.__path__, "axsim.")]
    return [name for name in names if name.split(".")[1] not in LEFT_OUT]


@pytest.mark.parametrize("name", modules())
def test_examples_show_what_they_say(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Some write a file.
    monkeypatch.chdir(tmp_path_factory.mktemp("examples"))
    module = import_module(name)
    room = import_module(".".join(name.split(".")[:2]))
    public = {each: getattr(axsim, each) for each in axsim.__all__}
    names = {**vars(room), **public, **AT_HAND, **vars(module)}
    result = doctest.testmod(module, globs=names, optionflags=doctest.ELLIPSIS)
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
