"""docs/probe.md: its program, of fewer streams and updates."""

import re

import pytest


def test_the_program_of_the_page_runs(root, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    text = (root / "docs" / "probe.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    small = {
        "500 * 200": "120 * 60",
        "(500, 200)": "(120, 60)",
        "350": "80",
        "range(300)": "range(2)",
        "lags=16": "lags=3",
        "(len(letters), 64": "(len(letters), 8",
        "Linear(64": "Linear(8",
    }
    for old, new in small.items():
        assert old in code
        code = code.replace(old, new)
    exec(compile(code, "probe.md", "exec"), {})
    assert "the last token tells" in capsys.readouterr().out
    assert (tmp_path / "probe.png").stat().st_size > 10_000
