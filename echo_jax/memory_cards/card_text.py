"""A memory card in words: its name, its numbers, a line for each measure, and an answer.

The terminal, the page of a card, the page of all cards and the figures use the same words.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from echo_jax.config import BLOCK
from echo_jax.memory_benchmark.spans import Climb
from echo_jax.memory_cards.schema import Row
from echo_jax.memory_cards.summary import REST, total_bytes
from echo_jax.report.number_formats import decimals, percent, three_digits

Card = Mapping[str, Any]

KINDS = {
    **dict.fromkeys(("ShiftRegister", "LeakyIntegrator", "Memoryless"), "control"),
    **dict.fromkeys(("CausalConvolution", "SlidingWindowAttention", "mlp"), "reference"),
}
"""Cells of known memory, and cells that are not recurrent; all others are `recurrent`."""

NOT_MEASURED = "not measured"

NOT_REACHED = "not reached"

CLOCK_OVER = "the clock of {} was over"
"""Why a card lacks what the time limit of its protocol did not leave room for."""

NOT_ASKED = "does not ask for it"
"""End of the reason why a card lacks a measure of another protocol."""

AT_LEAST = "\u2265\u2009"
"""A sign and a narrow space, short for "at least"."""


def kind_of(card: Card) -> str:
    """`recurrent`, `reference` (not recurrent) or `control` (its memory is known)."""
    module, _, name = card["cell"]["cell"].removeprefix(BLOCK).rpartition(":")
    ours = module in ("", "echo_jax.controls", "echo_jax.cells.known_memory")
    return KINDS.get(name, "recurrent") if ours else "recurrent"


def names_of(cards: Sequence[Card]) -> list[str]:
    """A different name for each card: without a protocol that all have, with a digest if needed.

    lstm-full and gru-full: lstm and gru          two cards called lstm: lstm (3f2a91c4), lstm (...)
    """
    alike = len({card["protocol_hash"] for card in cards}) == 1
    names = [card["name"].removesuffix(f"-{card['protocol']['name']}" * alike) for card in cards]
    return [
        f"{name} ({card['digest'][:8]})" if names.count(name) > 1 else name
        for name, card in zip(names, cards, strict=True)
    ]


def was_too_long(card: Card, ladder: str) -> bool:
    """True for a ladder of the key task that the time limit of its protocol cut off."""
    return card["not_measured"].get(ladder) == CLOCK_OVER.format("keys")


def protocol_words(card: Card) -> str:
    """The name, the track, the version and the first digits of the hash of a protocol."""
    protocol, digits = card["protocol"], card["protocol_hash"][:8]
    return f"{protocol['name']} {protocol['version']} of the {protocol['track']} track ({digits})"


ASKED = {
    "lag": ("by lag", "steps back"),
    "hold": ("on demand", "distractors"),
    "marked": ("what was marked", "marked tokens"),
    "key": ("by key", "keys"),
    "copy": ("copy memory", "blanks"),
}
"""The name of a task in words, and the unit of its rungs."""


def ladder_name(ladder: Mapping[str, Any]) -> str:
    """A ladder in words: by lag, V 16."""
    return f"{ASKED[ladder['task']][0]}, V {ladder['vocab_size']}"


def baseline_of(ladder: Mapping[str, Any]) -> str:
    """The accuracy without memory: 1 / V; by key 2 / V, and 1 / K for known values."""
    if ladder["task"] == "key":
        return f"2/{ladder['vocab_size']}, or 1/K of who knows which values occurred"
    return f"1/{ladder['vocab_size']}"


def ladders_of(card: Card) -> list[tuple[Mapping[str, Any], Row]]:
    """Each ladder of a card that was measured, and its summary."""
    found = card["rows"]["ladders"] or {}
    return [(x, found[x["name"]]) for x in card["protocol"]["ladders"] if x["name"] in found]


def climbs_in(span: Row) -> list[Climb]:
    """The climbs of the seeds, from the summary of a ladder."""
    return [Climb(each["passed"], each["missed"]) for each in span["by_seed"]]


def chance(card: Card) -> str:
    """The accuracy of guessing on the first ladder."""
    return percent(1 / card["protocol"]["ladders"][0]["vocab_size"])


def span_words(span: Row, at_least: str = "at least ") -> tuple[str, str]:
    """A mean span and its interval: 19.3 and 17.1 to 21.8, at least 200 and from 200.

    Below 8 and no seed passed it, where every seed of a card missed the first rung, 8. Not reached,
    where the time ended before a seed passed or missed it.
    """
    if span.get("by_seed") and none_reached(span):
        return NOT_REACHED, ""
    if (by_seed := span.get("by_seed")) and none_passed(span):
        below = "<\u2009" if at_least == AT_LEAST else "below "
        return f"{below}{by_seed[0]['missed']:,}", "no seed passed it"
    mean = f"{at_least * span['at_least']}{three_digits(span['mean'])}"
    if span["high"] is None:
        return mean, f"from {three_digits(span['low'])}"
    return mean, f"{three_digits(span['low'])} to {three_digits(span['high'])}"


def none_passed(span: Row) -> bool:
    """True if every seed missed the first rung."""
    return all(each["passed"] == 0 and each["missed"] for each in span["by_seed"])


def none_reached(span: Row) -> bool:
    """True if the time ended before any seed passed or missed the first rung."""
    return all(each["passed"] == 0 and each["missed"] is None for each in span["by_seed"])


def climbs_words(span: Row) -> str:
    """The last rungs of the seeds, the smallest first, with how many seeds ended there: 16 (3)."""
    ends = sorted((each["passed"], each["missed"] is None) for each in span["by_seed"])
    counts = {end: ends.count(end) for end in ends}
    return ", ".join(
        f"{passed:,}{'+' * open_end} ({count})" for (passed, open_end), count in counts.items()
    )


def bounds(found: Mapping[str, Any], shown: Callable[[float], str], infinite: str = "never") -> str:
    """The interval of an estimate, as in 12 to 20; empty if there is none."""
    if found["low"] is None and found.get("coverage") is None:
        return ""
    ends = (found["low"], found["high"])
    return " to ".join(infinite if end is None else shown(end) for end in ends)


def nats(value: float | None) -> str:
    """A loss with three digits, because those of long sequences are small."""
    return "infinite" if value is None else f"{value:#.3g}".rstrip(".")


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def counted(count: int, word: str) -> str:
    """A count of things: 1 seed, 8 seeds."""
    return f"{count:,} {word}{'s' * (count != 1)}"


class Line(NamedTuple):
    """A measure of a card in words; empty where something is missing.

    value     the mean or median over seeds
    interval  its interval, with the coverage
    baseline  the value of a cell without memory
    note      what else is known, or why nothing was measured
    """

    label: str
    value: str
    interval: str = ""
    baseline: str = ""
    seeds: str = ""
    note: str = ""


def evidence(found: Row, interval: str) -> dict[str, str]:
    """Two fields of the line of an estimate: its interval with the coverage, and its seeds."""
    count = len(found["by_seed"])
    seeds = counted(count, "seed") + ", no interval" * (count == 1)
    return {"interval": f"{interval} ({found['coverage']:.1%})" if interval else "", "seeds": seeds}


def glance(card: Card) -> list[tuple[str, str, str]]:
    """The lines of a card in three columns: label, value, everything else."""
    found = []
    for line in lines(card):
        baseline = f"baseline {line.baseline}" if line.baseline else ""
        note = "; ".join(filter(None, (line.interval, baseline, line.seeds, line.note)))
        found.append((line.label, line.value, note))
    return found


def lines(card: Card) -> list[Line]:
    """A line for each measure of a card, also for those that were asked for and not measured."""
    makers: Mapping[str, tuple[str, Callable[[Any, Card], list[Line]]]] = {
        "ladders": ("span", lambda _, card: _span_lines(card)),
        "bits": ("bits held", _bits_lines),
        "linear": ("linear capacity", _linear_lines),
        "beyond": ("beyond", _beyond_lines),
        "cause": ("cause", _cause_lines),
        "price": ("cost", _cost_lines),
        "copy": ("copy memory", _copy_lines),
    }
    found: list[Line] = []
    for name, (label, make) in makers.items():
        part, why = card["rows"][name], card["not_measured"].get(name, "")
        if part is not None:
            found += make(part, card)
        elif NOT_ASKED not in why:
            found.append(Line(label, NOT_MEASURED, note=why))
    if why := card["not_measured"].get(REST):
        found.append(Line("the rest", NOT_MEASURED, note=why))
    return found


def _span_lines(card: Card) -> list[Line]:
    """A line for each ladder of the protocol, also for those that the time did not reach."""
    known = {ladder["name"]: span for ladder, span in ladders_of(card)}
    found = []
    for ladder in card["protocol"]["ladders"]:
        span, why = known.get(ladder["name"]), card["not_measured"].get(ladder["name"], "")
        if span is None or none_reached(span):
            found.append(Line(ladder_name(ladder), NOT_REACHED, note=why))
        else:
            found.append(_span_line(ladder, span, why))
    return found


def _span_line(ladder: Mapping[str, Any], span: Row, why: str = "") -> Line:
    """The geometric mean span of a ladder, and the last rungs of the seeds; why it was cut."""
    mean, interval = span_words(span)
    unit = ASKED[ladder["task"]][1]
    note = f"last passed: {climbs_words(span)}; {span['updates']:,} updates in all"
    if why:
        note += f"; what lies above was not reached, because {why}"
    return Line(
        ladder_name(ladder),
        f"{mean} {unit}",
        interval + " (95%)" * (not none_passed(span)),
        baseline_of(ladder),
        counted(len(span["by_seed"]), "seed"),
        note,
    )


def _bits_lines(bits: Row, card: Card) -> list[Line]:
    """The largest lower bound of the bits held between two steps, and what shows it."""
    held = bits["held"]
    price, ladders = card["rows"]["price"], card["protocol"]["ladders"]
    names = {ladder["name"]: ladder_name(ladder) for ladder in ladders}
    shown_by = names.get(bits["shown_by"], f"by a head for each lag ({bits['shown_by']})")
    note = f"shown {shown_by}"
    linear = {name: each["exact"]["median"] for name, each in bits["networks"].items()}
    if linear and bits["shown_by"] in names:
        most = max(linear, key=lambda name: linear[name])
        note += f"; a head for each lag decodes {three_digits(linear[most])} linearly ({most})"
    if price:
        note += f"; the state has {8 * total_bytes(price):,}"
    known = evidence(held, bounds(held, three_digits))
    value = f"at least {three_digits(held['median'])} bits"
    return [Line("bits held", value, baseline="0 bits", note=note, **known)]


def _linear_lines(linear: Row, _: Card) -> list[Line]:
    trained = linear["trained"]
    note = f"{decimals(linear['untrained']['median'])} before training"
    known = evidence(trained, bounds(trained, decimals))
    value = decimals(trained["median"])
    return [Line("linear capacity", value, baseline="0", note=note, **known)]


def _beyond_lines(beyond: Row, card: Card) -> list[Line]:
    """The accuracy on the longest streams."""
    times, accuracy = max(zip(beyond["times"], beyond["accuracy"], strict=True), key=itemgetter(0))
    value = f"{percent(accuracy['median'])} at {times:,g} times the length"
    note = f"trained at lag {beyond['lag']:,} on streams of {beyond['length']:,} steps"
    known = evidence(accuracy, bounds(accuracy, percent))
    return [Line("beyond", value, baseline=chance(card), note=note, **known)]


def _cause_lines(cause: Row, card: Card) -> list[Line]:
    name = ladder_name(card["protocol"]["ladders"][0])
    missed = f"{counted(cause['missed'], 'seed')} missed" if cause["missed"] else "no seed missed"
    note = f"{name}, {cause['lag']:,}: {missed} it"
    if cause["tried"]:
        note += f", {_by_curriculum(cause)}"
    if cause["change"] is not None:
        note += f"; another token there changes the answer by {cause['change']:.1g} at most"
    return [Line("cause", cause["verdict"], note=note)]


def _by_curriculum(cause: Row) -> str:
    return f"{cause['learned']} of {cause['tried']} passed when trained on from a shorter lag"


def _cost_lines(cost: Row, _: Card) -> list[Line]:
    """Trained numbers, bytes of state with those of the convolutions apart, and times."""
    value = f"{cost['parameters']:,} parameters, {cost['state_bytes']:,} bytes of state"
    times = [
        f"{words} {us:,.4g} \u00b5s per step at batch {size}"
        for name, words in (("train", "training"), ("stream", "streaming"))
        for size, us in cost[name].items()
    ]
    if cost["convolution_bytes"]:
        times.insert(0, f"and {cost['convolution_bytes']:,} bytes of the convolutions")
    return [Line("cost", value, note="; ".join(times))]


def _copy_lines(copy: list[Row], _: Card) -> list[Line]:
    return [
        Line(
            f"copy memory, T = {of['T']:,}",
            f"{nats(of['recall']['median'])} nats per recalled symbol",
            baseline=f"{nats(of['floor'])} nats",
            note=f"after {of['updates']:,} updates; loss of the whole sequence "
            f"{nats(of['loss']['median'])}, baseline {nats(of['loss_floor'])}",
            **evidence(of["recall"], bounds(of["recall"], nats, "infinite")),
        )
        for of in copy
    ]


def big_numbers(card: Card) -> list[tuple[str, str, str]]:
    """The numbers of a figure: name, value and interval, of what was measured."""
    found = [
        (ladder_name(ladder), *span_words(span, AT_LEAST)) for ladder, span in ladders_of(card)
    ]
    if bits := card["rows"]["bits"]:
        held = bits["held"]
        beside = bounds(held, three_digits)
        found.append(("bits held", f"{AT_LEAST}{three_digits(held['median'])}", beside))
    if cost := card["rows"]["price"]:
        more = cost["convolution_bytes"]
        beside = f"+ {more:,} of convolutions" if more else "of one stream"
        found.append(("bytes of state", three_digits(cost["state_bytes"]), beside))
        found.append(("parameters", three_digits(cost["parameters"]), ""))
    return found


def answer(card: Card) -> list[str]:
    """The conclusions that the numbers of a card support, a sentence each."""
    summary = card["rows"]
    found = [_span_sentence(*each) for each in ladders_of(card) if not none_reached(each[1])]
    if summary["bits"]:
        line = _bits_lines(summary["bits"], card)[0]
        found.append(f"Between two steps it held {line.value}, {line.note} {_beside(line)}.")
    if summary["cause"]:
        found.append(_cause_sentence(summary["cause"], card))
    if summary["copy"]:
        line = _copy_lines(summary["copy"][-1:], card)[0]
        found.append(f"In {line.label}, it ends at {line.value} {_beside(line)}.")
    return found or ["Nothing about its memory was measured."]


def _span_sentence(ladder: Mapping[str, Any], span: Row) -> str:
    """The sentence of one ladder."""
    line, first = _span_line(ladder, span), ladder["rungs"][0]
    if none_passed(span):
        unit = ASKED[ladder["task"]][1]
        return f"{capital(line.label)}: no seed passed the first rung ({first:,} {unit})."
    return f"{capital(line.label)}: {line.value} {_beside(line)}."


def capital(words: str) -> str:
    """Words that begin with a capital letter."""
    return words[0].upper() + words[1:]


def _beside(line: Line) -> str:
    """The seeds, interval and baseline of a score, in brackets."""
    interval = line.interval.replace(" (", ", ").rstrip(")")
    return f"({'; '.join(filter(None, (line.seeds, interval, f'baseline {line.baseline}')))})"


def _cause_sentence(cause: Row, card: Card) -> str:
    """The verdict on the first lag that fewer than half of the seeds passed, and its evidence."""
    lag = f"lag {cause['lag']:,}"
    missed = f"{cause['missed']} of {len(card['seeds'])} seeds missed it"
    if cause["verdict"] == "no limit found":
        return f"No limit was found: every seed passed every lag, to {lag}."
    if cause["verdict"] == "could not learn":
        others = [f"{cause['passed']} passed it"] * bool(cause["passed"])
        others += [_by_curriculum(cause)] * bool(cause["learned"])
        return (
            f"At {lag}, {missed}; {', and '.join(others)}: such cells can hold the value, but "
            "could not learn to."
        )
    if cause["verdict"] == "could not hold":
        return (
            f"At {lag}, {missed}, and its answer cannot depend on the requested token: replacing "
            "it changes nothing at any weights that were tried, or the state has fewer bits than "
            "the task needs."
        )
    if cause["verdict"] == "not held at any tested weights":
        return (
            f"At {lag}, {missed}, and replacing the requested token changed the answer by less "
            f"than rounding ({cause['change']:.1g} of the largest logit) at all weights that were "
            "tried."
        )
    closest = cause["closest"]
    best = f"; their best evaluations reached {percent(closest['median'])}" if closest else ""
    return (
        f"At {lag}, {missed}{best} (baseline {chance(card)}): whether such cells could not hold "
        "the value or could not learn to is undetermined."
    )
