"""The progress of training, in plain lines."""

from echo_jax.host import progress


def test_where_there_is_neither_a_terminal_nor_a_notebook_ten_lines_are_said(capsys):
    said = []
    with progress.TrainingProgress(200, 0, said.append) as bar:
        for done in range(10, 201, 10):
            bar.update(done, 4.6, 0.01)
    assert 10 <= len(said) <= 11
    assert said[-1].startswith("200/200 sequences")
    assert capsys.readouterr() == ("", "")
