"""The page of the protocol has the numbers of the code."""

import re

import numpy as np
import pytest
from made_up_cards import card

from echo_jax.learner.update import ADAM
from echo_jax.memory import protocol
from echo_jax.memory.by_key import key_rows_and_bits
from echo_jax.memory.protocol import STANDARD


@pytest.fixture(scope="module")
def page(root):
    """The text of the page, with every run of white space as one space."""
    return re.sub(r"\s+", " ", (root / "docs" / "protocol.md").read_text())


def listed(numbers):
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}"


SENTENCES = (
    f"version {card([]).protocol}",
    f"for every n from 1 to {STANDARD.lags}?",
    f"A stream has {STANDARD.asked[-1] + 1} independent tokens, uniform over "
    f"V = {STANDARD.symbols}",
    f"After {len(STANDARD.asked)} of its steps",
    f"asked after steps {', '.join(map(str, STANDARD.asked[:3]))}, ..., {STANDARD.asked[-1]} ",
    f"E = {STANDARD.streams} x {len(STANDARD.asked)} = {STANDARD.streams * len(STANDARD.asked):,}",
    f"There are M = {STANDARD.keys} keys",
    f"**Kmax** is {STANDARD.pairs_of_small} for a state of up to {STANDARD.small_state} bytes and "
    f"{STANDARD.pairs_of_large} above",
    f"uses {STANDARD.rows} rows an update",
    f"min(i / ({STANDARD.ramp} U), 1)",
    *(f"Kmax = {most} {' '.join(map(str, STANDARD.pairs_up_to(most)))}" for most in (24, 64)),
    f"after every {STANDARD.updates_at_once} updates, {STANDARD.recalls} rows with "
    f"{STANDARD.associated} pairs",
    f"with seeds {protocol.PILOT_SEED} to {protocol.PILOT_SEED + STANDARD.pilot_seeds - 1}",
    f"| updates of a run | {STANDARD.pilot_updates} | {STANDARD.updates:,} |",
    f"| rates | {listed(STANDARD.rates)} | {listed(STANDARD.rates_by_key)} |",
    f"{STANDARD.fillers} fillers for each layer",
    f"Adam ({ADAM['b1']}, {ADAM['b2']}, epsilon {ADAM['eps']},".replace("e-0", "e-"),
    f"norm if that is above {STANDARD.largest_norm:.0f}",
    f"U of {STANDARD.rows} fresh sequences: {STANDARD.updates:,}",
    f"{STANDARD.recalls} rows of each K",
    f"{STANDARD.streams} streams",
    f"by more than {protocol.SCANS_AGREE}",
    f"within {1 - protocol.CEILING:.0%} of the most",
    f"| by lag | {STANDARD.updates:,} updates at the rate of the pilot | "
    f"{' and '.join(f'{x:,}' for x in STANDARD.budgets)} updates |",
    f"| seeds | 0 to {STANDARD.default_seeds - 1} | {STANDARD.default_seeds} to "
    f"{STANDARD.full_seeds - 1} |",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_page_has_the_number_of_the_code(page, sentence):
    assert sentence in page


def test_the_page_has_the_accuracies_of_a_list_of_the_values(page):
    table = re.search(r"K +(2 3 .*?64) accuracy ([\d. ]+)", page)
    for pairs, accuracy in zip(table[1].split(), table[2].split(), strict=True):
        assert key_rows_and_bits.accuracy_of_list(int(pairs), 64) == pytest.approx(
            float(accuracy), abs=5e-4
        )


def test_the_page_has_accuracy_bits(page):
    assert "48 at e = 0, 39.5 at e = 0.1, 16.1 at e = 0.5" in page
    for wrong, expected in ((0, 48), (0.1, 39.5), (0.5, 16.1)):
        assert key_rows_and_bits.accuracy_bits(8, 1 - wrong, 64) == pytest.approx(
            expected, abs=0.05
        )


def test_a_list_of_the_values_has_many_bits_of_cross_entropy(page):
    values = np.random.default_rng(0).integers(STANDARD.values, size=(20_000, 16))
    share = (values[:, :, None] == values[:, None]).mean(axis=2)
    known = (np.log2(STANDARD.values) + np.log2(share)).sum(axis=1).mean()
    assert f"{known:.1f} bits of cross-entropy at K = 16" in page
