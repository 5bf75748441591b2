"""The page of the protocol has the numbers of the code."""

import re

import numpy as np
import pytest
from made_up_cards import card

from echo_jax.core.training import ADAM
from echo_jax.memory import answers_to_bits as bits
from echo_jax.memory import protocol


@pytest.fixture(scope="module")
def page(root):
    """The text of the page, with every run of white space as one space."""
    return re.sub(r"\s+", " ", (root / "docs" / "protocol.md").read_text())


def spaced(numbers):
    return " ".join(map(str, numbers))


SENTENCES = (
    f"version {card([]).protocol}",
    f"for every n from 1 to {protocol.LAGS}?",
    f"A stream has {protocol.STEPS} independent tokens, uniform over V = {protocol.SYMBOLS}",
    f"After the steps {', '.join(map(str, protocol.ASKED[:3]))}, ..., {protocol.ASKED[-1]} "
    f"({len(protocol.ASKED)} of them)",
    f"E = {protocol.STREAMS} x {len(protocol.ASKED)} = {protocol.STREAMS * len(protocol.ASKED):,}",
    f"There are M = {protocol.KEYS} keys",
    f"**Kmax** is {protocol.PAIRS_OF_SMALL} for a state of up to {protocol.SMALL_STATE} bytes and "
    f"{protocol.PAIRS_OF_LARGE} above",
    f"uses {protocol.ROWS} rows an update",
    f"min(i / ({protocol.RAMP} U), 1)",
    f"{protocol.PAST} times itself plus {1 - protocol.PAST:.2f} times",
    f"above {protocol.LEARNED}, K rises",
    f"K = {spaced(protocol.pairs_asked(24))} and, up to a Kmax of 64, "
    f"{spaced(protocol.PAIRS[10:])} are asked",
    f"within {protocol.PLATEAU_WITHIN} of that at every K of {protocol.PLATEAU_FROM} and more",
    f"Adam ({ADAM['b1']}, {ADAM['b2']}, epsilon 1e-7,",
    f"norm if that is above {protocol.LARGEST_NORM:.0f}",
    f"U = {protocol.UPDATES:,} of {protocol.ROWS} fresh",
    f"{protocol.RECALLS} rows of each K",
    f"{protocol.STREAMS} streams",
    f"by more than {protocol.SCANS_AGREE}",
    f"within {1 - protocol.CEILING:.0%} of the most",
    f"| seeds | 0 to {protocol.DEFAULT_SEEDS - 1} | {protocol.DEFAULT_SEEDS} to "
    f"{protocol.FULL_SEEDS - 1} |",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_page_has_the_number_of_the_code(page, sentence):
    assert sentence in page


def test_the_page_has_every_configuration(page):
    assert "| by lag | rate 0.01 | 0.03 and 0.1 |" in page
    assert "| by key | ramp 0.01 | ramp 0.003, adaptive 0.01 and 0.003 |" in page
    assert [(of.question, of.rate, of.schedule) for of in protocol.FULL] == [
        ("by lag", 0.01, None),
        ("by lag", 0.03, None),
        ("by lag", 0.1, None),
        ("by key", 0.01, "ramp"),
        ("by key", 0.003, "ramp"),
        ("by key", 0.01, "adaptive"),
        ("by key", 0.003, "adaptive"),
    ]
    assert (protocol.FULL[0], protocol.FULL[3]) == protocol.DEFAULT
    assert ADAM["eps"] == 1e-7


def test_the_page_has_the_accuracies_of_a_list_of_the_values(page):
    table = re.search(r"K +(2 3 .*?64) accuracy ([\d. ]+)", page)
    for pairs, accuracy in zip(table[1].split(), table[2].split(), strict=True):
        assert bits.accuracy_of_list(int(pairs)) == pytest.approx(float(accuracy), abs=5e-4)


def test_the_page_has_accuracy_bits(page):
    assert "48 at e = 0, 39.5 at e = 0.1, 16.1 at e = 0.5" in page
    for wrong, expected in ((0, 48), (0.1, 39.5), (0.5, 16.1)):
        assert bits.accuracy_bits(8, 1 - wrong) == pytest.approx(expected, abs=0.05)


def test_a_list_of_the_values_has_many_bits_of_cross_entropy(page):
    values = np.random.default_rng(0).integers(protocol.KEYS, size=(20_000, 16))
    share = (values[:, :, None] == values[:, None]).mean(axis=2)
    known = (np.log2(protocol.KEYS) + np.log2(share)).sum(axis=1).mean()
    assert f"has {known:.1f} of them at K = 16" in page
