"""Text tables and progress bars."""

from __future__ import annotations

import io
import sys

import pytest

from axsim.console import progress, progress_bar, say, text_table
from axsim.errors import close_names


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_numbers_to_the_right_words_to_the_left() -> None:
    table = text_table(
        [("a", 1.5), ("long name", 10)], ("name", "value"), left=["name"]
    )
    assert table == (
        "name       value\n"
        "---------  -----\n"
        "a            1.5\n"
        "long name     10"
    )  # fmt: skip


def test_a_table_without_rows_shows_its_head() -> None:
    assert text_table([], ("name",)) == "name\n----"


def test_progress_passes_items_on_in_silence_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(progress(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_progress_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress(iter("abc"), "counting", total=3)) == ["a", "b", "c"]
    assert "counting" in terminal.getvalue()


def test_a_bar_shows_the_note_and_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("training") as show:
        show(70, 100, "loss 0.31 [x]")
    assert "training" in terminal.getvalue()
    assert "70/100" in terminal.getvalue()
    assert "loss 0.31 [x]" in terminal.getvalue()


def test_one_of_several_processes_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    say("twice")
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        with progress_bar("training") as show:
            show(1, 2, "")
    assert terminal.getvalue() == ""
    monkeypatch.setenv("RANK", "0")
    say("once")
    assert capsys.readouterr() == ("once\n", "")


def test_close_names_are_a_sentence_or_nothing() -> None:
    known = ["layer1.0.conv1", "layer2.0.conv1", "head"]
    assert close_names("layr1.0.conv1", known, 1) == " Close names: 'layer1.0.conv1'."
    assert close_names("zzz", known) == ""


def test_one_bar_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("sweeping") as show:
        show(0, 2, "")
        assert list(progress([1, 2], "calibrating")) == [1, 2]
        with progress_bar("evaluating") as inner:
            inner(1, 1, "")
    assert "sweeping" in terminal.getvalue()
    assert "calibrating" not in terminal.getvalue()
    assert "evaluating" not in terminal.getvalue()
    assert list(progress([1], "afterwards")) == [1]
    assert "afterwards" in terminal.getvalue()
