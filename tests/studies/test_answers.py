"""The sentences of every study: in a golden file for many scores, and when each claim is made."""

from pathlib import Path

import numpy as np
import pytest
from fabricated import row, study_rows
from golden import assert_golden

from echo_jax import statistics
from echo_jax.config import PARTS, changed
from echo_jax.studies import answers, verdicts
from echo_jax.studies.catalogue import STUDIES, fast
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.result_rows import Rows

GOLDEN = Path(__file__).parent / "golden" / "answers.txt"
EIGHT = changed(PARTS["context"], seeds=8)

CHANCE = {"accuracy": 0.01, "reached": "never"}
KNOWN = {"accuracy": 0.999, "reached": 300}
HALF = {"accuracy": 0.5, "reached": 300}
ONLY_6 = {"probe_before": [0.01] * 6 + [0.99, 0.01, 0.01]}
ONLY_1 = {"probe_before": [0.01, 0.99, 0.3] + [0.01] * 6}
ECHO_1, ECHO_3 = ({"follows_trained": np.eye(10)[lag] * 0.98} for lag in (1, 3))
NOT_TAUGHT = {
    "batch 6": CHANCE | ONLY_6,
    "batch 1": {"accuracy": 0.07, "reached": "never"} | ONLY_1,
}

SCENARIOS = {
    "parts": [
        (KNOWN, {"part 3, lag 1, one step at a time": CHANCE}),
        ({"accuracy": 0.2, "reached": [100] * 5 + ["never"] * 11}, {}),
    ],
    "mistake": [
        ({}, NOT_TAUGHT | {"batch 1; batches back 1": {"accuracy": 0.07, "probe_network": 0.25}}),
        ({}, NOT_TAUGHT | {"batch 1; batches back 2": {"accuracy": 0.957} | ONLY_1,
                           "batch 6; batches back all": KNOWN | ONLY_6}),
        (KNOWN | {"probe_before": [0.9] * 9}, {}),
        (CHANCE | {"probe_before": [0.1] * 9}, {}),
    ],
    "state": [
        (KNOWN | ONLY_6, {"window 5; state carried": {"accuracy": 0.98},
                          "window 2; lag 1; state carried": {"accuracy": 0.9}}),
        (KNOWN | ONLY_1, {"window 5; state carried": {"accuracy": 0.8},
                          "window 2; lag 1; state carried": {"accuracy": 0.9}}),
    ],
    "masking": [
        ({}, {f"lag 1; missing values {name}": {"rows_apart_missing": share,
                                               "rows_apart_full": 1 - share, "reached": 300}
              for name, share in {"extra token": 0.1, "masked": 0.2, "rows removed": 0.3}.items()}),
    ],
    "prefix": [
        (CHANCE, {"lag 5; context all so far": {"accuracy": 0.4}, "lag 1": KNOWN}),
    ],
    "lags": [
        (CHANCE, {f"window {w}; lag {n}": KNOWN for w in (5, 10, 21) for n in range(w)}
         | {"window 5; lag 3": KNOWN | {"reached": 900}}),
        (CHANCE, {}),
        (KNOWN, {}),
    ],
    "streams": [
        (HALF, {}),
        (CHANCE, {
            "trained on chunks of 5; lag 1": KNOWN, "trained on chunks of 5; lag 2": KNOWN,
            "trained on whole sequences; lag 7": KNOWN,
            "trained on whole sequences, 5 times as many; lag 5": {"accuracy": 0.75},
            "trained on chunks of 5, gradient through all; lag 5": {"accuracy": 0.25},
        }),
    ],
    "mlp": [
        (CHANCE, {
            "sees one value at a time; network LSTM": KNOWN,
            "sees one value at a time; network MLP with a delay line of 5; lag 1": KNOWN,
            "sees windows of 5; lag 1": KNOWN, "sees windows of 5; lag 4": KNOWN,
        }),
        (CHANCE, {"sees windows of 5; network LSTM": KNOWN}),
        ({"accuracy": 0.4, "reached": "never"}, {}),
    ],
    "vocabulary": [(KNOWN, {"values 2": {"accuracy": 0.5}})],
    "length": [(CHANCE, {"length 25": KNOWN, "length 1000": KNOWN}), (CHANCE, {}), (KNOWN, {})],
    "size": [
        (CHANCE, {"hidden 4; sequences 500": KNOWN, "hidden 6; sequences 500": KNOWN,
                  "hidden 15; sequences 300": KNOWN, "hidden 3; sequences 2500": KNOWN}),
    ],
    "framing": [
        (HALF, {"part 2; framing classes": KNOWN, "framing values in [0, 1]": {"accuracy": 0.25}}),
    ],
    "explain": [({"follows_untrained": [0.01] * 10}, {"lag 1": ECHO_1, "lag 3": ECHO_3})],
    "future": [
        (CHANCE | {"accuracy": list(0.01 + np.linspace(-0.0005, 0.0005, 16)),
                   "fed_back_distinct": [20.0] + [3.0] * 7, "fed_back_repeats": 0.9,
                   "fed_back_answers": [7, 9] * 25}, {"lag 1": KNOWN}),
        (CHANCE | {"accuracy": list(0.01 + np.linspace(-0.009, 0.009, 16)),
                   "fed_back_distinct": [20.0] * 8, "fed_back_repeats": 0.1}, {}),
        (KNOWN | {"fed_back_distinct": [20.0] * 8, "fed_back_repeats": 0.9}, {}),
    ],
    "advice": [(HALF, {"change none": CHANCE}), (HALF, {})],
    "cells": [
        (KNOWN | {"reached": 1500}, {
            "cell gru": {"reached": 300}, "cell mamba2; used alone": CHANCE | {"reached": "never"},
        }),
        (CHANCE, {}),
    ],
}  # fmt: skip
"""For each study the scores of all its grid points, and others where the labels match."""


@pytest.fixture(autouse=True)
def quick_test(monkeypatch):
    """The sign-flip test of 16 seeds by one product, as SciPy takes a quarter of a second."""
    signs = {
        seeds: 1.0 - 2 * (np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1)
        for seeds in (4, 8, 10, 16)
    }

    def p_value(differences):
        sums = signs[len(differences)] @ np.asarray(differences)
        return float(np.mean(np.abs(sums) >= abs(np.sum(differences)) - 1e-12))

    monkeypatch.setattr(statistics, "sign_flip_test", p_value)


def said(name, everywhere, by_labels=None, few=False):
    """The sentences of a study for these scores."""
    study = fast(STUDIES[name]) if few else STUDIES[name]
    rng, rows = np.random.default_rng(0), []
    for point in study.points:
        labels = {f"{label} {value}" for label, value in point.labels.items()}
        given = dict(everywhere)
        for pattern, own in (by_labels or {}).items():
            given |= own if set(pattern.split("; ")) <= labels else {}
        rows.append(row(point, rng, **given))
    found = Rows(rows)
    return [*answers.ANSWERS[name](found), verdicts.VERDICTS[name](found)]


def test_the_sentences_of_every_study_are_those_of_the_golden_file():
    parts = []
    for name, scenarios in SCENARIOS.items():
        parts += [f"# {name}"] + ["\n".join(said(name, *scenario)) for scenario in scenarios]
        parts += ["\n".join(said(name, KNOWN, few=True))] * (
            name in ("streams", "vocabulary", "size")
        )
    assert set(SCENARIOS) == set(STUDIES)
    assert_golden("\n\n".join(parts) + "\n", GOLDEN)


@pytest.mark.parametrize(
    ("accuracy", "vocab_size", "words"),
    [
        (0.0119, 100, "1.19% (chance)"), (0.0081, 100, "0.81% (chance)"), (0.0121, 100, "1.21%"),
        (0.0079, 100, "0.79%"), (0.0012, 1000, "0.12% (chance)"), (0.00121, 1000, "0.12%"),
        (0.4985, 2, "49.85% (chance)"), (0.49, 2, "49.00%"),
    ],
)  # fmt: skip
def test_an_accuracy_is_called_chance_only_near_it(accuracy, vocab_size, words):
    point = GridPoint({}, changed(EIGHT, vocab_size=vocab_size))
    assert answers.accuracy(row(point, 0, accuracy)) == words


def test_labels_in_a_sentence_and_never_only_where_no_seed_did():
    for values, words in [
        ([], "none"), ([3], "3"), ([0, 1, 2, 4], "0 to 2 and 4"), ([0, 2, 4], "0, 2 and 4"),
        ([0, 1, 2, 3, 4, 7, 9], "0 to 4, 7 and 9"), ([5, 6], "5 to 6"), (["a", "b"], "a and b"),
    ]:  # fmt: skip
        assert answers.listed(values) == words
    for seeds, words in {
        0: "never reaches 99%",
        4: "reaches 99% in no more than 4 of 8 seeds",
        5: "reaches 99% after 100 sequences (5 of 8 seeds)",
        8: "reaches 99% after 100 sequences",
    }.items():
        reached = [100] * seeds + ["never"] * (8 - seeds)
        assert answers.when(row(GridPoint({}, EIGHT), 0, reached=reached)) == words


@pytest.mark.parametrize(
    ("carried", "effect"),
    [
        ([0.98] * 16, "harms"), ([0.9995] * 16, "helps"),
        ([0.98, 0.9995] * 8, "makes no difference"), ([0.999] * 16, "makes no difference"),
    ],
)  # fmt: skip
def test_state_helps_or_harms_only_where_the_interval_excludes_0(carried, effect):
    words = said("state", KNOWN, {"window 5; state carried": {"accuracy": carried}})
    assert words[0].startswith(f"On part 4 the carried state {effect}")


def test_what_four_seeds_cannot_show_is_not_asserted():
    carried = {"window 5; state carried": {"accuracy": [0.8, 0.81, 0.82, 0.83]}}
    first, *_, last = said("state", KNOWN, carried, few=True)
    assert first.startswith("On part 4 the carried state makes no difference that these seeds show")
    test = "Not a finding: the difference in accuracy on part 4 has p (Holm) "
    assert last.startswith(test)
    assert float(last.removeprefix(test).rstrip(".")) > 0.5


def test_rows_are_found_by_their_labels():
    rows = Rows([row(GridPoint({"kind": name}, EIGHT), 0) for name in "ab"])
    assert rows(kind="b").point == "kind b"
    assert rows.all() == rows
    assert rows.all(kind="c") == []
    with pytest.raises(KeyError):
        rows(kind="c")


def test_without_sentences_or_rows_for_them_the_best_and_the_worst_are_named():
    scores = {"a": 0.5, "b": 0.995, "c": 0.01}
    rows = [row(GridPoint({"kind": name}, EIGHT), 0, value) for name, value in scores.items()]
    assert answers.of("of my own", rows) == answers.of("mistake", rows) == [
        "Best: kind b, with 99.50%.",
        "Worst: kind c, with 1.00% (chance).",
        "1 of 3 reach a median accuracy of 99%.",
        "Not a finding: the best and the worst were picked after they were seen.",
    ]  # fmt: skip


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_at_chance_nothing_is_said_to_be_learned(name, few):
    study = fast(STUDIES[name]) if few else STUDIES[name]
    found = answers.of(name, study_rows(study, **CHANCE))
    assert 3 <= len(found) <= 5
    assert found[-1].startswith(("A finding: ", "Not a finding: "))
    for claim in ("helps", "harms", "removes", "are learned", "what it needs", "larger", "99.9"):
        assert claim not in " ".join(found).replace("not a larger layer", "")
