"""The progress of training and of cards, in plain lines."""

from echo_jax.host import progress


def test_the_time_left_of_a_card_is_that_of_the_rate_since_its_first_updates(monkeypatch):
    clock, said = [0.0], []
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
    with progress.CardProgress("lstm", 1000, said.append) as bar:
        for seconds in (60, 70, 80, 180, 180):  # a minute of compilation
            clock[0] = seconds
            bar.advance(200)
    assert said == [
        "lstm  compiling",
        "lstm  200/1,000 updates",
        "lstm  400/1,000 updates  20/s  30 s left",
        "lstm  600/1,000 updates  20/s  20 s left",
        "lstm  800/1,000 updates  5/s  40 s left",
        "lstm  1,000/1,000 updates, then they are scored",
    ]
