"""docs/protocol.md says what the fields and the rules say; REWRITE_GOLDEN=1 makes its tables."""

import math
import re

import pytest
from golden import assert_golden

from echo_jax.cells.state_size import sized
from echo_jax.commands.flags import help_of
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import PROTOCOLS, hash_of, to_dict
from echo_jax.memory_benchmark.spans import Climb, mean_span

COLUMNS = [(name, track) for track in ("cell", "block") for name in ("full", "quick")]
COLUMNS += [("keys", "block"), ("copy", "cell")]
"""All protocols, in the order of the page."""


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "protocol.md").read_text()


def written(value):
    if isinstance(value, dict):
        return "; ".join(f"{name} {written(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(written, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def hashes():
    return "\n".join(f"- `{n}`, {track}: `{hash_of(PROTOCOLS[n, track])}`" for n, track in COLUMNS)


def ladders():
    rows = [
        (
            *(f"{name}, {track}", f"`{each['name']}`", each["task"], written(each["vocab_size"])),
            *(written(each["rungs"]), written(each["coarse"]), f"{each['threshold']:.0%}"),
        )
        for name, track in COLUMNS
        for each in to_dict(PROTOCOLS[name, track])["ladders"]
    ]
    return table(["protocol", "ladder", "task", "V", "rungs", "coarse", "passed at"], rows)


def differences():
    of_all = [to_dict(PROTOCOLS[key]) for key in COLUMNS]
    rows = [
        (f"`{field}`", *(written(each[field]) for each in of_all))
        for field in of_all[0]
        if field not in ("name", "track", "ladders")
        and any(each[field] != of_all[0][field] for each in of_all)
    ]
    return table(["field", *(f"{name}, {track}" for name, track in COLUMNS)], rows)


def fields():
    meanings = help_of(protocol.Protocol)
    known = to_dict(PROTOCOLS["full", "cell"]) | {"ladders": "see [the ladders](#the-ladders)"}
    rows = [(f"`{field}`", written(value), meanings[field]) for field, value in known.items()]
    return table(["field", "`full`, cell", "what it is"], rows)


def test_the_page_has_the_hashes_the_ladders_and_the_fields_of_all_protocols(root, page):
    assert set(COLUMNS) == set(PROTOCOLS)
    for part in (hashes, ladders, differences, fields):
        begin, end = f"<!-- {part.__name__} -->\n", f"\n<!-- end of {part.__name__} -->"
        assert page.count(begin) == page.count(end) == 1
        between = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
        page = between.sub(f"\n{part()}\n".replace("\\", r"\\"), page)
    assert_golden(page, root / "docs" / "protocol.md")


def test_the_example_of_a_mean_span_is_that_of_the_rule(page):
    found = mean_span([Climb(16, 20), Climb(16, 20), Climb(20, 25)], 1)
    middles = (math.sqrt(16 * 20), math.sqrt(16 * 20), math.sqrt(20 * 25))
    assert f"midpoints   {' '.join(f'{x:.1f}' for x in middles)}  " in page
    assert re.search(rf"mean span   {found.mean:.1f} +{found.low:.1f} to {found.high:.1f}\n", page)


def test_the_page_has_the_options_that_give_a_cell_400_bytes(page):
    for shown, name, given in (
        ("`lstm`", "lstm", {}),
        ("`block:delta-net`", "block:delta-net", {}),
        ("`block:mlstm` with `layers=2`", "block:mlstm", {"layers": 2}),
    ):
        found = sized(name, given, 400, 2)
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {shown} |")]
        assert line.split("|")[2].startswith(f" features {found.args['features']}:")
        assert line.endswith(f" {found.bytes} |")


def test_the_page_says_how_often_a_network_below_the_threshold_passes(page):
    binom = pytest.importorskip("scipy.stats").binom
    known = to_dict(PROTOCOLS["full", "cell"])
    counts = known["answers"], known["answers"] * known["confirmation"]

    def passes(accuracy):
        """The share of runs that pass at 99%, of networks that stay at an accuracy."""
        both = math.prod(binom.sf(math.ceil(0.99 * n) - 1, n, accuracy) for n in counts)
        return 1 - (1 - both) ** (known["budget"] // known["evaluate_every"])

    assert (
        f"accuracy of 98.5% passes for one at 99% in {passes(0.985):.1%} of its runs, one at 98.7% "
        f"in {passes(0.987):.0%}, one at 98.8% in {passes(0.988):.0%}"
    ) in " ".join(page.split())
