"""The cards of docs/cards are what their rows say, and so are the sentences on them there.

Each sentence of docs/cards/README.md that names cells or numbers has a test here.
"""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from echo_jax import statistics
from echo_jax.cell_names import ANCHORS, CELLS, name_shown
from echo_jax.memory.all_questions import OF_MEMORY
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY, KeyRow, accuracy_bits, accuracy_of_list
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG, LagRow, lag_bits
from echo_jax.memory.card_contents import CARD_FILE, chosen_by, pilot_of
from echo_jax.memory.comparison import built_in_cards, card_names, comparability, significance
from echo_jax.memory.pages import table
from echo_jax.memory.protocol import PILOT_SEED, STANDARD
from echo_jax.report.number_formats import three_digits
from echo_jax.storage import atomic_files

DOCS = Path(__file__).parents[2] / "docs" / "cards"
REGISTER, RESERVOIR, PRESENT = "ProjectedRegister", "OrthogonalReservoir", "PresentInput"
CACHE, RING = "AttentionCache", "RingReservoir"
FROZEN = "FrozenDeltaNet", "FrozenLinearAttention"
MATRIX_STATES = {"delta-net", "gated-delta-net", "gla", "mlstm", "mamba2", "rwkv7"}


@pytest.fixture(scope="module")
def every():
    """All cards with their rows."""
    return built_in_cards.read_folder(DOCS)


@pytest.fixture(scope="module")
def cards(every):
    """The cards in the block at 400 bytes, by the name of the cell."""
    blocks = [x for x, _ in every if comparability.track(x) == "block"]
    return {card_names.cell_of(x): x for x in blocks if 360 <= x.state_bytes <= 440}


@pytest.fixture(scope="module")
def trained(cards):
    """Those whose recurrence is trained."""
    return {name: card for name, card in cards.items() if not card_names.is_control(card)}


def more(cards, question):
    """The pairs that the table tells apart: the cell with more bits, and the other."""
    return told(
        {name: bits.by_seed for name, card in cards.items() if (bits := card.bits(question))}
    )


def told(bits):
    """The pairs of names that the bits of their seeds tell apart, the one with more first."""
    names = [*bits]
    found = significance.pairs_of([*bits.values()])
    pairs = [(x.first, x.second) if x.difference > 0 else (x.second, x.first)
             for x in found if x.apart]  # fmt: skip
    return {(names[a], names[b]) for a, b in pairs}


def test_a_stored_card_is_that_of_its_rows(every):
    for card, _ in every:
        stored = atomic_files.read_json(DOCS / card.name / CARD_FILE)
        assert msgspec.to_builtins(card) == stored, card.name


def table_after(path, heading):
    """The rows of a Markdown table with some words in its heading: the first cell, and the rest."""
    text = path.read_text().partition(heading)[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in text.splitlines()[2:]]
    return {name: rest for name, *rest in rows}


NAMES = {name_shown(cell): cell for cell in (*CELLS, *ANCHORS)} | {
    "a register of 32-bit numbers": REGISTER,
    "a random orthogonal reservoir, not trained": RESERVOIR,
}
"""The cells of tables that are written by hand."""


def test_the_table_of_the_findings_has_the_means(cards):
    shown = table_after(DOCS / "README.md", ", 8 seeds |")
    assert len(shown) >= 7
    for name, texts in shown.items():
        card = cards[NAMES[name]]
        assert texts == [table.bits_text(card, x) for x in OF_MEMORY], name


def test_the_bare_cells_of_the_readme_have_the_means(every):
    by_name = {card.name: card for card, _ in every}
    shown = table_after(DOCS.parents[1] / "README.md", "| bare, ")
    assert len(shown) == 7
    for name, texts in shown.items():
        assert texts == [table.bits_text(by_name[f"{NAMES[name]}-state-bytes-400"], BY_LAG)], name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (RESERVOIR, "reaches {:.0f} bits ({:.0f} to {:.0f})"),
        ("lru", "the trained LRU with {:.0f}"),
        ("gru", "reach {:.1f} ({:.1f} to {:.0f}), and the picture shows one run, with 54.3"),
    ],
)
def test_the_readme_has_the_bits_of_cells_in_the_block(cards, name, words):
    bits = cards[name].known(BY_LAG)
    text = " ".join((DOCS.parents[1] / "README.md").read_text().split())
    assert words.format(bits.mean, min(bits.by_seed), max(bits.by_seed)) in text


BARE = {
    "a random orthogonal reservoir, not trained": "OrthogonalReservoir-state-bytes-400",
    "a register, one float32 number a token, 100 tokens": "ProjectedRegister-state-bytes-400",
    "a register, two float32 numbers a token, 50 tokens":
        "ProjectedRegister-numbers-2-state-bytes-400",
    "a ring, not trained": "RingReservoir-state-bytes-400",
    "a register, two int8 numbers a token, 64 tokens, 128 bytes":
        "ProjectedRegister-numbers-2-dtype-int8-slots-64",
    "the list: which values occurred, not with which keys": "ValueList",
    "a table written by hand, 65 bytes": "RecallTable",
}  # fmt: skip
IN_BLOCK = {
    "*present input*: no recurrence": PRESENT,
    "*present input*": PRESENT,
    "a random orthogonal reservoir, not trained": RESERVOIR,
    "a register, one float32 number a token, 100 tokens": REGISTER,
    "a ring, not trained": RING,
    "a cache of the last 25 inputs, read by attention": CACHE,
    "DeltaNet whose keys, values and queries are not trained": FROZEN[0],
    "GLA, likewise": FROZEN[1],
}


@pytest.mark.parametrize("question", OF_MEMORY)
def test_the_tables_of_what_a_bit_means_have_the_means_of_the_anchors(every, cards, question):
    by_name = {card.name: card for card, _ in every}
    shown = table_after(DOCS.parent / "what-a-bit-means.md", f"| {question.name}, ")
    assert len(shown) >= 4
    for name, texts in shown.items():
        known = [by_name.get(BARE.get(name)), cards.get(IN_BLOCK.get(name))]
        for text, card in zip(texts, known, strict=True):
            if card is None:
                assert text in ("-", "0"), name  # bare, the present input is not asked for
                continue
            bits = card.known(question)
            assert text.startswith("\u2265") == bits.at_least, name
            assert float(text.removeprefix("\u2265")) == pytest.approx(
                bits.mean, rel=0.005, abs=0.005
            ), name


def test_as_many_bytes_of_another_type_have_other_bits(every):
    named = {card.name: card for card, _ in every}
    half = named["OrthogonalReservoir-dtype-bfloat16-state-bytes-400"]
    whole = named["OrthogonalReservoir-state-bytes-400"]
    assert (half.state_bytes, half.state_numbers) == (whole.state_bytes, {"bfloat16": 200})
    assert half.known(BY_LAG).mean_text == "103"
    assert whole.known(BY_LAG).mean_text == "62.2"


def test_about_lags_4_on_matrix_states_hold_few_bits_and_two_fewer_than_10(cards, trained):
    known = {name: card.bits_by_lag.from_lag_4 for name, card in trained.items()}
    few, most = {"mamba2", "mlstm"}, {"rwkv7"}
    assert {name for name, bits in known.items() if bits < 10} == few | {"identity-rnn"}
    assert cards["identity-rnn"].bits_by_lag.mean < 0.01
    pilot = [x for x in cards["identity-rnn"].pilot if x.configuration.question == "by lag"]
    assert all(rate.mean < 0.01 for rate in pilot)
    assert [bits < 1 for bits in cards["lmu"].bits_by_lag.by_seed].count(True) == 1
    assert {name for name, bits in known.items() if 12 < bits < 23} == MATRIX_STATES - few - most
    assert known["rwkv7"] == pytest.approx(31, abs=0.5)
    assert cards[PRESENT].bits_by_lag.from_lag_4 < 0.05


def test_by_lag_an_untrained_ring_has_more_than_all_and_a_reservoir_than_most(cards, trained):
    pairs = more(cards, BY_LAG)
    assert len(trained) == 19
    for most in (REGISTER, RING):
        assert {name for name in trained if (most, name) in pairs} == {*trained}
    assert not [name for name in trained if (name, RESERVOIR) in pairs]
    late = told({name: card.budgets[1].by_seed for name, card in cards.items() if card.budgets})
    assert {name for name in trained if (name, RESERVOIR) in late} == {"exprnn", "lru"}


def test_without_the_block_seven_of_ten_trained_cells_have_more_than_a_reservoir(every):
    bare = [x for x, _ in every if x.state_bytes == 400 and not x.name.startswith("block")]
    [reservoir] = [x for x in bare if x.name == "OrthogonalReservoir-state-bytes-400"]
    trained = [x for x in bare if not card_names.is_control(x)]
    pairs = told({x.name: x.bits_by_lag.by_seed for x in [reservoir, *trained]})
    assert len(trained) == 10
    assert len([x for x in trained if (x.name, reservoir.name) in pairs]) == 7


def from_lag_4(every, name, updates):
    """The bits about lags 4 on of each seed after so many updates."""
    [rows] = [rows for card, rows in every if card.name == f"block-{name}-state-bytes-400"]
    runs = [row for row in rows if isinstance(row, LagRow) and row.seed < PILOT_SEED]
    return [lag_bits(row.final, STANDARD)[3:].sum() for row in runs if row.updates == updates]


def test_updates_gain_most_in_five_cells_and_two_cells_lose_seeds(every, trained):
    """Of those that learned by lag: all but the identity RNN."""
    learned = {name: card for name, card in trained.items() if card.bits_by_lag.mean > 1}
    gains = {
        name: np.mean(from_lag_4(every, name, 10_000)) / np.mean(from_lag_4(every, name, 3000)) - 1
        for name in learned
    }
    most, least = {"lstm", "lstm-chrono", "gla", "mingru", "minlstm"}, {"delta-net", "mlstm"}
    assert {name for name, gain in gains.items() if gain > 0.16} == most
    assert all(0.215 < gains[name] < 0.245 for name in most)
    assert all(0.055 < gains[name] < 0.075 for name in least)
    gru = learned["gru"]
    of_seeds = np.divide(gru.budgets[1].by_seed, gru.bits_by_lag.by_seed)
    assert np.sort(1 - of_seeds)[-3:][[0, 2]] == pytest.approx([0.24, 0.40], abs=0.005)
    assert np.sum(of_seeds < 1) == 3
    lmu = learned["lmu"]
    before_and_after = zip(lmu.bits_by_lag.by_seed, lmu.budgets[1].by_seed, strict=True)
    assert [before > 1 > after for before, after in before_and_after].count(True) == 1


def test_by_key_five_matrix_states_alone_recall_more_than_one_value(cards, trained):
    """One remembered value answers half of the questions about two pairs."""
    asked = {name: card.bits_by_key for name, card in trained.items() if card.bits_by_key}
    assert asked.keys() == trained.keys()
    associate = MATRIX_STATES - {"mamba2"}
    one = (1 + 1 / STANDARD.values) / 2
    assert accuracy_bits(2, one, STANDARD.values) == pytest.approx(4.1, abs=0.05)
    assert {name for name, bits in asked.items() if bits.mean > 4.15} == associate
    reached = {name: x.associated for name, x in asked.items() if x.associated is not None}
    assert reached.keys() == associate
    assert (min(reached.values()), max(reached.values())) == (500, 700)
    assert max(cards[PRESENT].bits_by_key.by_seed) < 0.01


@pytest.mark.parametrize(
    ("name", "seeds", "bits"),
    [("delta-net", 6, 39), (FROZEN[0], 1, 15), ("gla", 7, 26), (FROZEN[1], 3, 11), (CACHE, 8, 33)],
)
def test_so_many_seeds_associate_and_have_so_many_bits(cards, name, seeds, bits):
    of = cards[name].bits_by_key
    assert len(of.seeds) - of.never == seeds
    known = sorted(of.by_seed)[-seeds:]
    assert np.mean(known) == pytest.approx(bits, abs=0.5)


def test_two_seeds_of_delta_net_do_not_associate(cards):
    *others, last = sorted(cards["delta-net"].bits_by_key.by_seed)
    assert others[:2] == pytest.approx([3.1, 3.5], abs=0.05)
    assert (others[2], last) == pytest.approx((38, 41), abs=0.5)


def test_what_the_gap_costs_is_what_the_rows_with_and_without_it_have(cards):
    """Those without are of `Protocol(fillers=0)`: no_gap_rows.jsonl, a line for each run."""
    without: dict[tuple[str, float], list[KeyRow]] = {}
    for line in Path(__file__).with_name("no_gap_rows.jsonl").read_text().splitlines():
        values = msgspec.json.decode(line)
        row = msgspec.convert({x: of for x, of in values.items() if x != "cell"}, KeyRow)
        without.setdefault((values["cell"], row.rate), []).append(row)
    said = (DOCS.parent / "what-a-bit-means.md").read_text().partition("What the gap costs")[2]
    said = said.partition("\n## ")[0]
    for (name, rate), rows in without.items():
        assert [row.seed for row in rows] == [0, 1, 2, 3]
        bits = BY_KEY.measure(rows, STANDARD).mean
        [usual] = (x for x in cards[name].configuration if x.question == "by key")
        if usual.rate == rate:
            with_gap = np.mean(cards[name].bits_by_key.by_seed[:4])
        else:
            [with_gap] = [x.mean for x in cards[name].pilot if x.configuration.rate == rate]
        numbers = [three_digits(x) for x in (with_gap, bits)]
        cells = rf"\| {numbers[0]}( \(seeds of the pilot\))? \| {numbers[1]} \|"
        assert re.search(cells, said), name


def test_the_protocol_says_how_often_another_pilot_would_have_chosen_otherwise(every):
    """Without one of its three seeds."""
    said = []
    for question in OF_MEMORY:
        choices, changed = question.pilot(STANDARD), []
        for _, rows in every:
            pilot = [row for row in rows if row.seed >= PILOT_SEED and row.configuration in choices]
            chosen = chosen_by(pilot_of(pilot, STANDARD), choices)
            for seed in {row.seed for row in pilot}:
                fewer = pilot_of([row for row in pilot if row.seed != seed], STANDARD)
                changed.append(chosen_by(fewer, choices) != chosen)
        said.append(f"{question.name} in {sum(changed)} of {len(changed)}")
    text = " ".join((DOCS.parent / "protocol.md").read_text().split())
    assert f"would have chosen another rate {said[0]} cases and {said[1]}" in text


CLAIMS = (
    ("by lag", REGISTER, "exprnn", 3000),
    ("by lag", RING, "exprnn", 3000),
    ("by lag", "exprnn", RESERVOIR, 10_000),
    ("by lag", "lru", RESERVOIR, 10_000),
    ("by key", "delta-net", FROZEN[0], 3000),
    ("by key", "gla", FROZEN[1], 3000),
)
"""The comparisons of the findings, in their order: the first cell has more bits."""


def test_the_comparisons_of_the_findings_are_one_family_whose_p_values_are_adjusted(cards):
    """Holm over the exact tests; each stands behind its sentence."""
    p_values = []
    for question, more, fewer, updates in CLAIMS:
        first, second = (bits_after(cards[name], question, updates) for name in (more, fewer))
        assert np.mean(first) > np.mean(second), (more, fewer)
        p_values.append(statistics.permutation_test(first, second))
    text = (DOCS / "README.md").read_text()
    printed = [float(x) for x in re.findall(r"adjusted\s+p\s+=\s+([\d.]+)", text)]
    assert printed == [float(f"{p:.1g}") for p in statistics.holm(p_values)]


def bits_after(card, question, updates):
    """The bits of the seeds of a card after so many updates."""
    [of] = [x for x in OF_MEMORY if x.name == question]
    return dict(card.measured(of))[updates].by_seed


def test_the_second_lesson_says_how_many_of_8_pairs_are_right(cards, every):
    text = " ".join((DOCS.parent / "lesson-plan.md").read_text().split())
    right = {"lstm": 1.3, "gru": 1.3, CACHE: 6.2}
    assert "LSTM and GRU recall 1.3 of 8 pairs" in text
    for name, of_8 in right.items():
        assert right_of(every, cards[name], 8).mean() == pytest.approx(of_8, abs=0.05), name
    of_8, of_24 = (np.sort(right_of(every, cards["delta-net"], pairs)) for pairs in (8, 24))
    assert "Six of eight DeltaNets recall about 7, the other two about 1" in text
    assert of_8 == pytest.approx([1] * 2 + [7] * 6, abs=0.5)
    assert "The six DeltaNets whose training succeeded recall 9 of 24 pairs" in text
    assert of_24[2:].mean() == pytest.approx(9, abs=0.5)
    assert right_of(every, cards[CACHE], 24).mean() < of_24.mean()
    assert right_of(every, cards["mamba2"], 8).mean() == pytest.approx(1, abs=0.5)
    assert 8 * accuracy_of_list(8, STANDARD.values) == pytest.approx(1.4, abs=0.05)


def test_the_second_lesson_answers_its_class_with_numbers_of_the_cards(cards, every):
    """The numbers with a decimal, in the order of the answers: right ones of 8 pairs, or of 24."""
    page = (DOCS.parent / "lesson-plan.md").read_text()
    answers = page.partition("### Questions about recall")[2].partition("##")[0]
    large = {card_names.cell_of(x): x for x, _ in every if x.state_numbers == {"float32": 400}}
    of_8 = {name: right_of(every, x, 8) for name, x in cards.items() if x.bits_by_key}
    first = large["lstm"], cards["lstm"], large["delta-net"]
    both = CACHE, "delta-net"
    ordered = [x for name, x in of_8.items() if name != CACHE and lag_mean(cards[name]) >= 100]
    found = [*(right_of(every, x, 8).mean() for x in first), *sorted(of_8[FROZEN[0]])[:-3:-1]]
    found += [f(of_8[x]) for x in ("gated-delta-net", "mlstm", "rwkv7") for f in (min, max)]
    found += [right_of(every, cards[x], pairs).mean() for x in both for pairs in (8, 24)]
    found.append(max(x.mean() for x in ordered))
    assert re.findall(r"\d\.\d", answers) == [f"{x:.1f}" for x in found]
    recall = [lag_mean(cards[x]) for x, right in of_8.items() if x != CACHE and right.mean() >= 4]
    assert f"hold at most {max(recall):.0f} bits" in answers
    assert f"| 7.2 | {right_of(every, large['delta-net'], 24).mean():.0f} |" in answers


def lag_mean(card):
    """The bits by lag; 0 of a card without."""
    return card.bits_by_lag.mean if card.bits_by_lag else 0.0


def right_of(every, card, pairs):
    """The numbers of right answers of each seed about so many pairs."""
    [of] = (x for x in card.configuration if x.question == "by key")
    [rows] = [rows for x, rows in every if x.name == card.name]
    runs = [x for x in rows if x.configuration == of and x.seed < PILOT_SEED]
    place = runs[0].pairs.index(pairs)
    return np.array([pairs * row.final[place] / row.queries[place] for row in runs])


def test_by_key_four_times_the_numbers_are_more_bits_of_matrix_states_alone(every):
    large = {card_names.cell_of(x): x for x, _ in every if x.state_numbers == {"float32": 400}}
    bits = {name: sorted(card.bits_by_key.by_seed) for name, card in large.items()}
    assert {len(of) for of in bits.values()} == {8}
    rounded = {name: (round(np.mean(of)), round(of[0]), round(of[-1])) for name, of in bits.items()}
    frozen, lstm = bits.pop(FROZEN[0]), bits.pop("lstm")
    text = " ".join((DOCS / "README.md").read_text().split())
    for name, words in (
        ("delta-net", "DeltaNet has at least {} bits ({} to {})"),
        ("gated-delta-net", "gated DeltaNet {} ({} to {})"),
        ("gla", "GLA {} ({} to {})"),
    ):
        assert words.format(*rounded[name]) in text
        assert large[name].bits_by_key.at_least == ("at least" in words)
    assert {*bits} == {"delta-net", "gated-delta-net", "gla"}
    assert [round(x) for x in frozen[-2:]] == [26, 42]
    assert "has 26 and 42 in two of eight seeds, and 3 to 4 in the others" in text
    assert {round(x) for x in frozen[:-2]} == {3, 4}
    assert round(np.mean(lstm), 1) == 4.0
    assert round(large["lstm"].parameters, -3) == 203_000
