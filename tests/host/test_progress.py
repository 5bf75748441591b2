"""The progress of grids, in plain lines."""

from echo_jax.host import progress


def test_a_grid_counts_from_its_first_updates_and_its_rate_leaves_compilation_out(monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    with progress.GridProgress({"a": 4000, "b": 4000}, said.append, "lstm", "updates") as bar:
        for seconds, run, updates in (
            (60, "a", 250),  # a minute of compilation
            (70, "b", 250),
            (80, "a", 500),
            (90, "a", 250),  # told late, or by a worker that tries the run again
            (90, "a", 1750),
            (120, "a", 4000),
            (130, "b", 4000),
            (140, "b", 4000),
        ):
            clock[0] = seconds
            bar.at_work(run, updates / 4000)
        bar.finished("a", "4 bits")
    assert said == [
        "lstm  compiling; the time left follows from the first updates",
        "lstm  0/2  250/8,000 updates",
        "lstm  0/2  500/8,000 updates  25/s  5 min left",
        "lstm  0/2  2,000/8,000 updates  58/s  2 min left",
        "lstm  0/2  4,250/8,000 updates  67/s  56 s left",
        "lstm  0/2  8,000/8,000 updates",
        "lstm  1/2  a: 4 bits",
    ]


def test_progress_that_nobody_wants_is_not_shown_in_a_terminal_either(monkeypatch, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # to rich a terminal
    for say in (None, lambda _: None):
        with progress.TrainingProgress(4, 0, say) as bar:
            bar.update(4, 1.0, 0.5)
        assert bool(capfd.readouterr().out) == bool(say)
