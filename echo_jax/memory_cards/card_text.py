"""A memory card in words: its name, its numbers, a line for each measure, and an answer.

The terminal, the page of a card, the page of all cards and the figures use the same words.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from echo_jax.memory_benchmark.protocol import TASKS
from echo_jax.memory_cards.schema import Row
from echo_jax.memory_cards.summary import span_estimate
from echo_jax.report.number_formats import decimals, number, percent, three_digits

Card = Mapping[str, Any]

KINDS = {
    **dict.fromkeys(("ShiftRegister", "LeakyIntegrator", "Memoryless"), "control"),
    **dict.fromkeys(("CausalConvolution", "SlidingWindowAttention", "mlp"), "reference"),
}
"""Cells of known memory, and cells that are not recurrent; all others are `recurrent`."""

NOT_MEASURED = "not measured"

AT_LEAST = "\u2265\u2009"
"""A sign and a narrow space, short for "at least"."""


def kind_of(card: Card) -> str:
    """`recurrent`, `reference` (not recurrent) or `control` (its memory is known)."""
    module, _, name = card["cell"]["cell"].rpartition(":")
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


def protocol_words(card: Card) -> str:
    """The name, the version and the first digits of the hash of a protocol."""
    protocol = card["protocol"]
    return f"{protocol['name']} {protocol['version']} ({card['protocol_hash'][:8]})"


def chance(card: Card) -> str:
    """The accuracy of guessing."""
    return percent(1 / card["protocol"]["vocab_size"])


def span_of(card: Card, task: str, threshold: str = "0.99") -> Row | None:
    """The span of a task at a threshold; None if the card does not have it."""
    return (card["rows"][f"{task}_span"] or {}).get(threshold)


class Reach(NamedTuple):
    """The median of a span and its interval; `at_least` marks a lower bound."""

    median: float
    low: float | None
    high: float | None
    at_least: bool
    high_at_least: bool


def reach(span: Row) -> Reach:
    """A span of a card; a number is a lower bound if longer spans of undecided seeds raise it."""
    pairs = zip(span["by_seed"], span["at_least"], strict=True)
    unbounded = span_estimate(math.inf if more else lag for lag, more in pairs)
    median, low, high = (span[name] for name in ("median", "low", "high"))
    return Reach(median, low, high, unbounded["median"] != median, unbounded["high"] != high)


def span_words(span: Row, at_least: str = "at least ") -> tuple[str, str]:
    """The median of a span and its interval, which is empty for one seed.

    12 and 8 to 20          at least 500 and 200 to at least 500
    """
    found = reach(span)
    median = f"{at_least * found.at_least}{found.median:,g}"
    if found.low is None or found.high is None:
        return median, ""
    return median, f"{found.low:,g} to {at_least * found.high_at_least}{found.high:,g}"


def bounds(found: Mapping[str, Any], shown: Callable[[float], str], infinite: str = "never") -> str:
    """The interval of an estimate, as in 12 to 20; empty if there is none."""
    if found["low"] is None and found.get("coverage") is None:
        return ""
    ends = (found["low"], found["high"])
    return " to ".join(infinite if end is None else shown(end) for end in ends)


def nats(value: float | None) -> str:
    """A loss with three digits, because those of long sequences are small."""
    return "infinite" if value is None else f"{value:#.3g}".rstrip(".")


def counted(count: int, word: str) -> str:
    """A count of things: 1 seed, 8 seeds."""
    return f"{count:,} {word}{'s' * (count != 1)}"


class Line(NamedTuple):
    """A measure of a card in words; empty where something is missing.

    value     the median over seeds
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
    """A line for each measure of a card, also for those that it does not have."""
    makers: Mapping[str, tuple[str, Callable[[Any, Card], list[Line]]]] = {
        "stream_span": ("stream span", lambda spans, _: _span_lines("stream", spans)),
        "hold_span": ("hold span", lambda spans, _: _span_lines("hold", spans)),
        "capacity": ("capacity", _capacity_lines),
        "linear": ("linear capacity", _linear_lines),
        "learning": ("learning", _learning_lines),
        "beyond": ("beyond", _beyond_lines),
        "cause": ("cause", _cause_lines),
        "price": ("cost", _cost_lines),
        "copy": ("copy memory", _copy_lines),
        "rates": ("learning rate", _rate_lines),
    }
    found: list[Line] = []
    for name, (label, make) in makers.items():
        part = card["rows"][name]
        missing = [Line(label, NOT_MEASURED, note=card["not_measured"].get(name, ""))]
        found += missing if part is None else make(part, card)
    return found


def _span_lines(task: str, spans: Row) -> list[Line]:
    """A line for each threshold, the highest first, which is the span without more words."""
    found = []
    for i, threshold in enumerate(sorted(spans, key=float, reverse=True)):
        span = spans[threshold]
        label = f"{task} span" + f" at {float(threshold):.0%}" * (i > 0)
        median, interval = span_words(span)
        unit = ("step" if task == "stream" else "distractor") + "s" * (span["median"] != 1)
        value = f"{median} {unit}{' back' * (task == 'stream')}"
        after = f"next lag {span['next']:,}" if span["next"] else "the ladder ends there"
        found.append(Line(label, value, baseline="0", note=after, **evidence(span, interval)))
    return found


def _capacity_lines(capacity: Row, _: Card) -> list[Line]:
    exact, float16, noise = (capacity[name] for name in ("exact", "float16", "noise"))
    value = f"{decimals(exact['median'])} bits"
    note = (
        f"{decimals(float16['median'])} with the state in float16, {decimals(noise['median'])} "
        f"with noise in it; state of {counted(capacity['state_numbers'], 'number')}"
    )
    known = evidence(exact, bounds(exact, decimals))
    return [Line("capacity", value, baseline="0 bits", note=note, **known)]


def _linear_lines(linear: Row, _: Card) -> list[Line]:
    trained, numbers = linear["trained"], linear["state_numbers"]
    most = f"at most {numbers:,}; " if numbers else ""
    note = f"{most}{decimals(linear['untrained']['median'])} before training"
    known = evidence(trained, bounds(trained, decimals))
    value = decimals(trained["median"])
    return [Line("linear capacity", value, baseline="0", note=note, **known)]


def _learning_lines(learning: Row, card: Card) -> list[Line]:
    """A line for each task: its longest lag that has a median, or its first lag if none has."""
    found = []
    for task, of_lags in learning.items():
        if not of_lags:
            continue
        known = [line for line in of_lags if line["median"] is not None]
        line = known[-1] if known else of_lags[0]
        updates = f"{line['median']:,.0f}" if known else f"more than {card['protocol']['budget']:,}"
        value = f"{updates} updates to lag {line['lag']:,}"
        interval = bounds(line, number) and f"{bounds(line, number)} (95%)"
        seeds = f"{line['reached']} of {line['seeds']} seeds succeeded"
        runs = (row for row in card["raw"] if row["kind"] == "run" and row["task"] == task)
        failed = {run["seed"] for run in runs if run["failed"]}
        note = f"the loss of {counted(len(failed), 'seed')} became non-finite at some lag"
        note *= bool(failed)
        found.append(Line(f"learning, {task}", value, interval, seeds=seeds, note=note))
    return found


def _beyond_lines(beyond: Row, card: Card) -> list[Line]:
    """The accuracy on the longest streams."""
    times, accuracy = max(zip(beyond["times"], beyond["accuracy"], strict=True), key=itemgetter(0))
    value = f"{percent(accuracy['median'])} at {times:,g} times the length"
    note = f"trained at lag {beyond['lag']:,} on streams of {beyond['length']:,} steps"
    known = evidence(accuracy, bounds(accuracy, percent))
    return [Line("beyond", value, baseline=chance(card), note=note, **known)]


def _cause_lines(cause: Row, _: Card) -> list[Line]:
    failed = f"{counted(cause['failed'], 'seed')} failed" if cause["failed"] else "no seed failed"
    note = f"lag {cause['lag']:,}: {failed}"
    if cause["tried"]:
        note += f", {_by_curriculum(cause)}"
    for name in ("before", "after"):
        if cause[name] and cause[name]["median"] is not None:
            note += f"; relative gradient {name} training {cause[name]['median']:.2g}"
    return [Line("cause", cause["verdict"], note=note)]


def _by_curriculum(cause: Row) -> str:
    return f"{cause['learned']} of {cause['tried']} succeeded when trained on from a shorter lag"


def _cost_lines(cost: Row, _: Card) -> list[Line]:
    value = f"{cost['parameters']:,} parameters, {cost['state_bytes']:,} bytes of state"
    times = [
        f"{words} {us:,.4g} \u00b5s per step at batch {size}"
        for name, words in (("train", "training"), ("stream", "streaming"))
        for size, us in cost[name].items()
    ]
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


def _rate_lines(rates: Row, _: Card) -> list[Line]:
    """The rate of each task; a guess if no rate learned the lag it was chosen at."""
    found = []
    for task, of in rates.items():
        note = f"chosen at {'T' if task == 'copy' else 'lag'} {of['lag']:,}"
        note += ", which no rate learned: a guess" * (not of["decided"])
        found.append(Line(f"learning rate, {task}", f"{of['rate']:g}", note=note))
    return found


def big_numbers(card: Card) -> list[tuple[str, str, str]]:
    """The six numbers of a figure: name, value and interval; empty if not measured."""
    summary, found = card["rows"], []
    for task in TASKS:
        span = span_of(card, task)
        found.append((f"{task} span, lags", *(span_words(span, AT_LEAST) if span else ("", ""))))
    bits = summary["capacity"] and summary["capacity"]["exact"]
    words = (three_digits(bits["median"]), bounds(bits, three_digits)) if bits else ("", "")
    found.append(("bits in the state", *words))
    cost = summary["price"]
    sizes = [three_digits(cost[name]) if cost else "" for name in ("parameters", "state_bytes")]
    times = [cost[name].get("1") if cost else None for name in ("stream", "train")]
    streaming, training = ("" if us is None else f"{three_digits(us)} \u00b5s" for us in times)
    return [
        *found,
        ("parameters", sizes[0], ""),
        ("bytes of state", sizes[1], "a stream"),
        ("streaming step", streaming, training and f"training {training}"),
    ]


def answer(card: Card) -> list[str]:
    """The conclusions that the numbers of a card support, a sentence each."""
    summary, found = card["rows"], []
    for task, (ability, begin) in {
        "stream": ("echo any past token", "From a running stream it echoes the token"),
        "hold": ("hold a value", "It holds one value over"),
    }.items():
        if summary[f"{task}_span"]:
            line = _span_lines(task, summary[f"{task}_span"])[0]
            none = line.value.startswith("0 ")
            said = f"It was not seen to {ability}" if none else f"{begin} {line.value}"
            found.append(f"{said} {_beside(line)}.")
    if capacity := summary["capacity"]:
        (line,), exact = _capacity_lines(capacity, card), capacity["exact"]
        least = exact["median"] if exact["low"] is None else exact["low"]
        said = "was not seen to hold anything" if least <= 0 else f"holds at least {line.value}"
        found.append(
            f"One state of {counted(capacity['state_numbers'], 'number')} {said} about the last "
            f"{card['protocol']['capacity_lags']:,} tokens {_beside(line)}."
        )
    if summary["cause"]:
        found.append(_cause_sentence(summary["cause"], card))
    if summary["copy"]:
        line = _copy_lines(summary["copy"][-1:], card)[0]
        found.append(f"In {line.label}, it ends at {line.value} {_beside(line)}.")
    return found or ["Nothing about its memory was measured."]


def _beside(line: Line) -> str:
    """The seeds, interval and baseline of a score, in brackets."""
    interval = line.interval.replace(" (", ", ").rstrip(")")
    return f"({'; '.join(filter(None, (line.seeds, interval, f'baseline {line.baseline}')))})"


def _cause_sentence(cause: Row, card: Card) -> str:
    lag, failed = f"lag {cause['lag']:,}", f"{cause['failed']} of {len(card['seeds'])} seeds failed"
    if cause["verdict"] == "no limit found":
        return f"No limit was found: every seed succeeded at every lag, to {lag}."
    if cause["verdict"] == "could not learn":
        others = [f"{cause['arrived']} succeeded"] * bool(cause["arrived"])
        others += [_by_curriculum(cause)] * bool(cause["learned"])
        return (
            f"At {lag}, {failed} from scratch; {', and '.join(others)}: such cells can hold the "
            "value, but could not learn to."
        )
    if cause["verdict"] == "could not hold":
        return (
            f"At {lag}, {failed}, and the answer does not depend on the requested input (its "
            "gradient is 0, and replacing that token changes nothing, at all weights that were "
            "tried): the cell could not hold the value."
        )
    if not cause["failed"]:
        return f"At {lag} no seed is known to have failed: the card shows no limit."
    also = ", and also when trained on from a shorter lag" * bool(cause["tried"])
    closest = cause["closest"]
    known = evidence(closest, bounds(closest, percent))
    beside = _beside(Line("", "", baseline=chance(card), **known))
    return (
        f"At {lag}, {failed} from scratch{also}; their best evaluations reached "
        f"{percent(closest['median'])} {beside}: whether such cells could not hold the value or "
        "could not learn to is undetermined."
    )
