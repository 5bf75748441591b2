"""The cards that are committed: whole, by the protocols of today, on a page that says the same."""

import re
from pathlib import Path

import browser
import pytest

from echo_jax import atomic_files
from echo_jax.config import CELL_NAMES
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import all_cards_page, card_file
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page

CARDS = Path(__file__).parents[2] / "docs" / "cards"
REMAKE = "run `echo-jax probe --report docs/cards --readme docs/memory-card.md`"
THE_SAME_CELL = {"optimized-lstm", "mlp"}
"""Names of cells that compute what another one does."""
WITH_CARDS = set(CELL_NAMES[:9]) - THE_SAME_CELL
"""Names of the cells that protocol 1 was run on; later cells have no card of it."""


@pytest.fixture(scope="module")
def cards():
    return {path.stem: card_file.read(path) for path in sorted(CARDS.glob("*.json"))}


def of(cards, name):
    fixed = protocol.hash_of(protocol.PROTOCOLS[name])
    return {key: made for key, made in cards.items() if made["protocol_hash"] == fixed}


def test_every_cell_of_protocol_1_has_a_full_card_and_every_recurrent_one_a_copy_card(cards):
    full = {made["cell"]["cell"] for made in of(cards, "full").values()}
    assert {name for name in full if ":" not in name} == WITH_CARDS
    copy = {made["cell"]["cell"] for made in of(cards, "copy").values()}
    assert copy == WITH_CARDS
    assert len(cards) == len(of(cards, "full")) + len(of(cards, "copy"))

    for made in of(cards, "full").values():  # nothing was cut short
        missing = set(made["not_measured"]) - {"copy"}
        assert all("half of the seeds" in made["not_measured"][name] for name in missing)
    assert sum(path.stat().st_size for path in CARDS.rglob("*") if path.is_file()) < 5e6


@pytest.mark.parametrize(
    ("name", "past"),
    [("Memoryless", 0), *((f"ShiftRegister-slots-{past + 1}", past) for past in (1, 5, 50))],
)
def test_the_registers_come_out_to_the_step_and_a_cell_with_no_memory_at_every_floor(
    cards, name, past
):
    rows = cards[f"{name}-full"]["rows"]
    assert rows["stream_span"]["0.99"]["by_seed"] == [past] * 8
    assert rows["hold_span"]["0.99"]["median"] <= past
    assert rows["cause"]["verdict"] == "could not hold"
    for row, kind in (("capacity", "median"), ("linear", "trained")):
        by_lag = rows[row]["by_lag"]
        found = dict(zip(by_lag["lags"], by_lag[kind], strict=True))
        assert all(abs(value - (lag <= past)) < 0.02 for lag, value in found.items())


def test_the_leaky_integrator_has_its_linear_memory_function(cards):
    by_lag = cards["LeakyIntegrator-rate-0.9-full"]["rows"]["linear"]["by_lag"]
    for lag, value in zip(by_lag["lags"], by_lag["trained"], strict=True):
        assert abs(value - (1 - 0.9**2) * 0.9 ** (2 * lag)) < 0.02


def test_some_cell_beats_what_is_published_of_copy_memory_at_a_thousand(cards):
    best = min(
        line["recall"]["high"]
        for made in of(cards, "copy").values()
        for line in made["rows"]["copy"]
        if line["T"] == 1000
    )
    assert best < 2.0794 / 2


def test_the_page_has_the_table_of_the_cards(root, cards):
    _, shown, _ = atomic_files.between(root / "docs" / "memory-card.md", "cards")
    assert shown.strip() == all_cards_page.summary_table(list(cards.values())), REMAKE


@pytest.mark.slow
def test_the_page_says_what_the_cards_say(cards):
    """But for the figures, whose lines depend on the version of matplotlib."""
    command = "echo-jax probe --report docs/cards"
    page = all_cards_page.page_of(list(cards.values()), command)
    markdown = (CARDS / "README.md").read_text()
    assert markdown.startswith(markdown_page(page)), REMAKE

    def without_figures(text):
        return re.sub(r"<svg.*?</svg>", "<svg>", text, flags=re.S)

    shown = without_figures((CARDS / "page.html").read_text())
    assert shown.startswith(without_figures(html_page(page))), REMAKE


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_a_browser_finds_every_card_and_all_can_be_read(cards, tmp_path):
    page = CARDS / "page.html"
    assert page.stat().st_size < 2e6
    with browser.tab(tmp_path) as tab:
        for folded, opened in browser.audits(tab, page):
            assert folded["figures"] == 3
            assert folded["height"] < 12_000
            assert opened["figures"] > 3 + len(cards)


def test_the_findings_agree_with_the_cards(root, cards):
    text = " ".join((root / "docs" / "memory-card.md").read_text().split())
    rows = {name.removesuffix("-full"): made["rows"] for name, made in cards.items()}

    def span(name, task="stream"):
        return f"{rows[name][f'{task}_span']['0.99']['median']:.0f}"

    def updates(name, lag):
        lines = rows[name]["learning"]["stream"]
        return f"{next(line['median'] for line in lines if line['lag'] == lag):,.0f}"

    def estimate(found, factor=1):
        return found["median"], factor * found["low"], factor * found["high"]

    def bits(name):
        return estimate(rows[name]["capacity"]["exact"])

    def recall(name, blanks=1000):
        return estimate(next(x for x in rows[name]["copy"] if x["T"] == blanks)["recall"])

    lstm, cause = rows["lstm"], {name: rows[name]["cause"] for name in ("lstm", "simple", "lru")}
    closest = estimate(cause["lstm"]["closest"], 100)
    to_60 = sum(n >= 30 for n in lstm["stream_span"]["0.6"]["by_seed"])
    ring = "lru-r_min-0.999-r_max-1.0-recurrent_rate-0.01-copy"
    for said in (
        f"from {span('lstm', 'hold')} to at least {span('lstm-chrono', 'hold')} distractors and "
        f"leaves its stream span at {span('lstm-chrono')}",
        f"holds {span('identity-rnn', 'hold')} and echoes {span('identity-rnn')}.",
        f"stream ends at {span('lstm')} steps",
        f"{updates('lstm', 8)} updates for lag 8, {updates('lstm', 12)} for 12, "
        f"{updates('lstm', 20)} for 20.",
        f"(to 60% {to_60} of the 8 do)",
        "they come to {:.1%} ({:.1f} to {:.1f}), near to 99%".format(*closest),
        "100 numbers holds {:.0f} bits about the past ({:.0f} to {:.0f})".format(*bits("lstm")),
        "half as large, {:.0f} ({:.0f} to {:.0f}, for seeds differ)".format(*bits("simple")),
        f"learns lag 12 after {updates('simple', 12)} updates",
        f"bytes of state.** It echoes {span('lru')} steps back, holds a value over at least "
        f"{span('lru', 'hold')} distractors, and has all {bits('lru')[0]:.0f} bits",
        f"learns lag 20 after {updates('lru', 20)} updates",
        "in {learned} of {tried} seeds.".format(**cause["simple"]),
        "At lag {lag} {arrived} of 8 seeds arrive".format(**cause["lru"]),
        f"{recall('lstm-copy')[0]:.2f} nats after 600 updates",
        f"setting it is at {recall('lru-copy')[0]:.2f} (at T = 100 at "
        f"{recall('lru-copy', 100)[0]:.2f})",
        f"for 1,000 steps, stays at {recall('lstm-chrono-longest-1000-copy')[0]:.2f}.",
        "**{:.3f}** ({:.3f} to {:.3f}, 93%)".format(*recall(ring)),
    ):
        assert said in text, said
    assert rows["mingru"]["cause"] == rows["mingru"]["cause"] | {
        "verdict": "could not learn", "lag": 2, "failed": 8, "learned": 8,
    }  # fmt: skip


def test_the_page_of_the_card_has_the_calibration(root):
    table = (root / "docs" / "calibration.md").read_text()
    (at_8,), (at_12,) = (
        re.findall(rf"^\| {lag} \| [\d,]+ \| (\S+%) \| (\S+)% \|", table, re.M) for lag in (8, 12)
    )
    said = " ".join((root / "docs" / "memory-card.md").read_text().split())
    assert f"{at_8[0]} at lag 8 and {at_12[0]} at lag 12 for the LSTM" in said
    assert f"with standard errors of {at_8[1]} and {at_12[1]} points" in said
