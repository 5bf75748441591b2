"""The progress of training: a bar in a notebook without ipywidgets, plain lines elsewhere."""

import re
import sys
import types

import pytest

from echo_jax.host import progress


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows in one cell, first to last; IPython is no dependency."""
    contents = []

    class Handle:
        def update(self, content):
            contents.append(content)

    def display(content, display_id):
        assert display_id
        assert not contents
        contents.append(content)
        return Handle()

    stub = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", stub)
    return contents


def train(said):
    with progress.TrainingProgress(200, 0, said.append) as bar:
        for done in range(10, 201, 10):
            bar.update(done, 4.6, 0.01)


def test_a_notebook_has_one_bar_and_no_lines(shown, monkeypatch, capsys):
    console = progress.Console
    monkeypatch.setattr(progress, "Console", lambda **_: console(force_jupyter=True))
    said = []
    train(said)
    assert len(shown) == 20
    assert re.fullmatch(
        r'<progress value="1.0000"></progress> 200/200 sequences  .*  accuracy 1.0%', shown[-1]
    )
    assert not said
    assert capsys.readouterr() == ("", "")


def test_where_there_is_neither_a_terminal_nor_a_notebook_ten_lines_are_said(capsys):
    said = []
    train(said)
    assert 10 <= len(said) <= 11
    assert said[-1].startswith("200/200 sequences")
    assert capsys.readouterr() == ("", "")
