"""What docs/cards/README.md says by hand is what the rows of the cards say."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from echo_jax import statistics
from echo_jax.memory.card import best_of_seeds, bits_by_key, bits_by_lag
from echo_jax.memory.card_rows import KeyRow, LagRow
from echo_jax.memory.make_card import Plan, plan_of
from echo_jax.memory.pages import built_in_cards, table, told_apart
from echo_jax.memory.pages.questions import BY_LAG, QUESTIONS
from echo_jax.memory.protocol import STANDARD

DOCS = Path(__file__).parents[2] / "docs" / "cards"
MATRICES = ("delta-net", "gated-delta-net", "gla", "mamba2", "mlstm", "rwkv7")

TOLD_APART = {
    "bits_by_lag": ("exprnn", "lru", "lmu", "simple", "lstm", "slstm", "rwkv7"),
    "bits_by_key": ("AttentionCache", "delta-net", "gated-delta-net", "lstm", "minlstm"),
}
"""Cells that the sentences name in this order, each told apart from the next: ten pairs."""

ALIKE = (
    {"lstm", "AttentionCache", "s5", "lstm-chrono", "gru"},
    {"minlstm", "mingru", "rg-lru"},
    {"gated-delta-net", "delta-net"},
)
"""Sets of cells that the sentences name together: only within one are pairs alike by lag."""


@pytest.fixture(scope="module")
def every():
    return built_in_cards.read_folder(DOCS)


@pytest.fixture(scope="module")
def whole(every):
    """The cards in the block with their rows."""
    return [x for x in every if told_apart.track(x[0]) == "block"]


@pytest.fixture(scope="module")
def cards(whole):
    """The cards in the block at 400 bytes, by the name of the cell."""
    return {table.cell_of(x): x for x, _ in whole if x.state_bytes < 800}


@pytest.fixture(scope="module")
def text():
    return re.sub(r"\s+", " ", (DOCS / "README.md").read_text("utf-8"))


def test_neighbours_that_a_sentence_orders_are_told_apart(cards):
    pairs = [(q, *of) for q, names in TOLD_APART.items() for of in itertools.pairwise(names)]
    seeds = {(q, x): getattr(cards[x], q).by_seed for q, *names in pairs for x in names}
    assert min(map(len, seeds.values())) == 8
    p_values = [statistics.permutation_test(seeds[q, a], seeds[q, b]) for q, a, b in pairs]
    assert max(statistics.holm(p_values)) < 0.05
    assert all(getattr(cards[a], q).mean > getattr(cards[b], q).mean for q, a, b in pairs)


def test_the_readme_has_the_rows_of_the_five_best_cells_by_each_question(cards):
    readme = (DOCS.parents[1] / "README.md").read_text("utf-8").partition("| cell | bits by lag |")
    first, _, *shown = "".join(readme[1:]).partition("\n\n")[0].splitlines()
    whole = table.cards_table([*cards.values()])
    places = [whole.headings.index(heading) for heading in first[2:-2].split(" | ")]
    rows = {row[0]: f"| {' | '.join(row[i] for i in places)} |" for row in whole.rows}
    best = [sorted(cards, key=lambda x: -q.mean(cards[x]))[:5] for q in QUESTIONS]
    assert {*shown} == {rows[name] for names in best for name in names}


def test_the_numbers_of_the_findings_are_those_of_the_seeds(cards, text):
    for name in (*TOLD_APART["bits_by_lag"], "lstm-chrono", "s5", "gru"):
        seeds = cards[name].bits_by_lag.by_seed
        assert f"({min(seeds):.0f} to {max(seeds):.0f}" in text, name
    seeds = [x for name in ALIKE[1] | {"gla"} for x in cards[name].bits_by_lag.by_seed]
    assert f"GLA ({min(seeds):.0f} to {max(seeds):.0f})" in text
    of = {name: f"{cards[name].bits_by_key.mean:.0f}" for name in ("AttentionCache", *MATRICES)}
    assert f"({of['AttentionCache']} bits in the mean), then DeltaNet ({of['delta-net']})" in text
    assert (
        f"gated DeltaNet {of['gated-delta-net']}, Mamba-2 {of['mamba2']}, mLSTM {of['mlstm']}, "
        f"RWKV-7 and GLA {of['gla']}."
    ) in text
    assert of["gla"] == of["rwkv7"]
    vectors = {x: of for x, of in cards.items() if x not in ("AttentionCache", *MATRICES)}
    assert max(bits for card in vectors.values() for bits in card.bits_by_key.by_seed) == 12
    assert "sLSTM has 11.1 bits in the mean, the LSTM 10.4, S5 9.5" in text
    means = {name: card.bits_by_key.mean for name, card in vectors.items()}
    assert [f"{means[x]:.1f}" for x in ("slstm", "lstm", "s5")] == ["11.1", "10.4", "9.5"]
    assert f"the chrono LSTM {means['lstm-chrono']:.1f}." in text
    assert {round(means[x]) for x in ("minlstm", "mingru", "gru", "identity-rnn")} == {6, 7}
    weak = [means[x] for x in ("lru", "rg-lru", "exprnn", "lmu", "simple")]
    assert f"have {min(weak):.1f} to {max(weak):.1f}, no more than" in text
    assert max(weak) < means["Memoryless"]


def by_rate(rows, rate):
    return bits_by_lag([row for row in rows if row.rate == rate], STANDARD).by_seed


def test_rates_and_schedules_are_chosen_as_the_findings_say(whole):
    small = {table.cell_of(x): rows for x, rows in whole if x.state_bytes < 800}
    lag = {
        name: {row.rate for row in best_of_seeds(rows, LagRow, STANDARD)}
        for name, rows in small.items()
    }
    assert {x for x, rates in lag.items() if rates == {0.1}} == {"exprnn", "lru", "AttentionCache"}
    identity = [row for row in small["identity-rnn"] if isinstance(row, LagRow)]
    assert (len(identity), sum(row.final is None for row in identity)) == (24, 20)
    lost = [name for name, rows in small.items() if max(by_rate(rows, 0.1)) < 21]
    assert len({*lost} - {"Memoryless"}) == 14
    slow = {name: by_rate(small[name], 0.01) for name in ("lstm", "lru", "simple")}
    assert [round(f(slow[x])) for x in ("lstm", "lru") for f in (min, max)] == [67, 71, 121, 128]
    assert statistics.permutation_test(slow["lru"], slow["simple"]) < 0.001
    key = {
        x: [row.rate for row in best_of_seeds(rows, KeyRow, STANDARD)] for x, rows in small.items()
    }
    assert all(key[x].count(0.003) >= 6 for x in ("delta-net", "gla", "mlstm"))
    ramp = [x for name, rows in small.items() if name not in ("AttentionCache", *MATRICES)
            for x in rows if getattr(x, "schedule", "") == "ramp"]  # fmt: skip
    assert max(bits_by_key([row], STANDARD).mean for row in ramp) < 5


def test_the_small_rate_is_chosen_at_larger_sizes_as_the_findings_say(whole):
    chosen = {}
    for made, rows in whole:
        if made.state_bytes > 800:
            rates = [row.rate for row in best_of_seeds(rows, KeyRow, STANDARD)]
            chosen.setdefault(table.cell_of(made), []).extend(rates)
    slow = {name: rates.count(0.003) for name, rates in chosen.items()}
    assert [slow[x] for x in ("mlstm", "gla", "rwkv7")] == [8, 8, 7]
    assert max(slow[x] for x in ("delta-net", "mamba2", "gated-delta-net", "AttentionCache")) < 4


def test_the_ranges_at_larger_states_are_those_of_the_seeds(whole, text):
    larger = [card for card, _ in whole if card.state_bytes > 800]
    assert len(larger) == 17
    for card in larger:
        plan = Plan(STANDARD, card.configuration, range(len(card.seeds)))
        assert plan == plan_of(STANDARD, True, 4, "ramp")
        seeds = card.bits_by_key.by_seed
        whole = f"{min(seeds):.0f} to {max(seeds):.0f}"
        assert (len(seeds), whole in text or whole == "4 to 4") == (4, True), card.name
        if table.cell_of(card) in ("delta-net", "gated-delta-net", "mamba2") and card.keys > 30:
            assert min(seeds) > 6 * card.keys == 192
    assert {table.cell_of(card) for card in larger if card.on_plateau} == {"lru", "rg-lru"}


def test_bare_cells_have_the_bits_by_lag_of_the_findings_and_more_in_the_block(every, cards, text):
    bare = {table.cell_of(x): (x.bits_by_lag.by_seed, x, rows) for x, rows in every
            if told_apart.track(x) == "bare"}  # fmt: skip
    names = sorted(bare, key=lambda name: -np.mean(bare[name][0]))
    assert names == ["exprnn", "lru", "simple", "s5", "lmu", "lstm", "lstm-chrono", "gru"]
    p_values, added = [], {}
    for name, (seeds, made, _) in bare.items():
        in_block = cards[name].bits_by_lag.by_seed
        assert f"({min(seeds):.0f} to {max(seeds):.0f})" in text
        p_values.append(statistics.permutation_test(in_block, seeds))
        added[name] = np.mean(in_block) - np.mean(seeds)
        assert max(made.bits_by_key.by_seed) < 4.5
    assert max(statistics.holm(p_values)) < 0.05
    assert sorted((round(x), name) for name, x in added.items())[::7] == [(10, "s5"), (56, "lmu")]
    by_name = [bare[x][0] for x in names]
    first = [statistics.permutation_test(*seeds) for seeds in itertools.pairwise(by_name[:4])]
    assert max(statistics.holm(first)) < 0.05
    assert not np.diag(told_apart.compared(by_name).apart, 1)[3:].any()
    mean = f"lag, {np.mean(by_name[0]):.0f} at the best of three rates"
    assert mean in (DOCS.parents[1] / "README.md").read_text("utf-8").replace("\n", " ")
    slow = by_rate(bare["lstm"][2], 0.01)
    assert f"at 0.01 alone the LSTM has {min(slow):.0f} to {max(slow):.0f}" in text


def test_by_key_matrices_but_delta_net_are_not_told_apart(cards):
    names = [name for name in cards if name != "Memoryless"]
    apart = told_apart.compared([cards[name].bits_by_key.by_seed for name in names]).apart
    places = [names.index(name) for name in MATRICES if name != "delta-net"]
    assert not apart[np.ix_(places, places)].any()
    assert apart[names.index("delta-net"), places].all()


def test_by_lag_only_cells_that_are_named_together_are_not_told_apart(cards):
    shown = {name: card for name, card in cards.items() if name != "Memoryless"}
    apart = told_apart.compared([card.bits_by_lag.by_seed for card in shown.values()]).apart
    for pair in np.argwhere(np.triu(~apart, 1)):
        assert any({[*shown][i] for i in pair} <= alike for alike in ALIKE)


def opposite(names, first, second):
    """The number of pairs that the first seeds tell apart, and those of another order then."""
    apart, means = told_apart.compared(first).apart, (first.mean(axis=1), second.mean(axis=1))
    signs = [np.sign(np.subtract.outer(mean, mean)) for mean in means]
    assert apart.sum() > 100
    places = np.argwhere(np.triu(apart & (signs[0] != signs[1])))
    return apart.sum() // 2, [{names[i] for i in pair} for pair in places]


@pytest.mark.parametrize("question", QUESTIONS)
def test_pairs_that_half_of_the_seeds_tell_apart_have_the_same_order_in_the_others(cards, question):
    seeds = np.array([question.of(card).by_seed for card in cards.values()])
    assert opposite([*cards], seeds[:, :4], seeds[:, 4:])[1] == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_all_pairs_but_one_have_the_same_order_in_the_seeds_8_to_15(whole, text, question):
    """Of the default configuration; `card --seeds 16` makes the seeds of the file."""
    late = json.loads(Path(__file__).with_name("seeds_8_to_15.json").read_text())
    small = {table.cell_of(x): rows for x, rows in whole if x.state_bytes < 800}
    measure = bits_by_lag if question is BY_LAG else bits_by_key
    default = [[x for x in small[name] if x.configuration in STANDARD.default] for name in late]
    first = np.array([measure(rows, STANDARD).by_seed for rows in default])
    second = np.array([of[question.field] for of in late.values()])
    by_lag, by_key = (189, [{"simple", "exprnn"}]), (148, [{"gla", "mlstm"}])
    assert opposite([*late], first, second) == (by_lag if question is BY_LAG else by_key)
    assert (len(late), "188 of 189 by lag and 147 of 148 by key" in text) == (20, True)
