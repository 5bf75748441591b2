"""The progress of training and of cards, in plain lines."""

from echo_jax.host import progress


def test_a_card_counts_from_its_first_updates_and_its_rate_leaves_compilation_out(monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    with progress.CardProgress("lstm", 8000, said.append) as bar:
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
            bar.update(run, updates)
        bar.line("seed 0: 4 bits")
    assert said == [
        "lstm  compiling; the time left follows from the first updates",
        "lstm  250/8,000 updates",
        "lstm  500/8,000 updates  25/s  5 min left",
        "lstm  2,000/8,000 updates  58/s  2 min left",
        "lstm  4,250/8,000 updates  67/s  56 s left",
        "lstm  8,000/8,000 updates, then they are scored",
        "lstm  seed 0: 4 bits",
    ]
