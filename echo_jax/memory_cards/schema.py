"""What a memory card is made of, field by field. docs/card.md holds the tables of it. No jax."""

import itertools
from typing import Any

from echo_jax.memory_cards.json_types import (
    ARGUMENTS,
    COUNT,
    DATE,
    FLAG,
    HASH,
    NAME,
    NUMBER,
    POSITIVE,
    SHARE,
    TEXT,
    WHOLE,
    ByName,
    Field,
    Leaf,
    ListOf,
    OneOf,
    OrNull,
    Table,
    is_whole,
    one_of,
)

SCHEMA = 1
"""The version of what a card is made of: another number, other fields."""


def _rises(value: Any, least: int) -> bool:
    """Whether a value is a list of whole numbers, each above the one before, at least one."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(is_whole(each, least) for each in value)
        and all(below < above for below, above in itertools.pairwise(value))
    )


LADDER = Leaf("rising list of: whole number from 1", lambda value: _rises(value, 1))
LAGS = Leaf("rising list of: whole number from 0", lambda value: _rises(value, 0))
TASK = one_of("stream", "hold")
THRESHOLDS = Leaf(
    "list of: number from 0 to 1, at least one",
    lambda value: isinstance(value, list) and bool(value) and all(map(SHARE.holds, value)),
)

ESTIMATE_FIELDS = (
    Field("by_seed", ListOf(OrNull(NUMBER)), "a value of each seed; null for never, or unknown"),
    Field("median", OrNull(NUMBER), "over the seeds; null for never"),
    Field("low", OrNull(NUMBER), "of the order-statistic interval of the median; null of 1 seed"),
    Field("high", OrNull(NUMBER), "the same, and null for never"),
    Field("coverage", OrNull(SHARE), "the probability that such an interval covers the median"),
)
ESTIMATE = Table("an estimate", ESTIMATE_FIELDS)
SPAN = Table(
    "a span",
    (
        *ESTIMATE_FIELDS,
        Field(
            "at_least",
            ListOf(FLAG),
            "of each seed, whether nothing was decided beyond: its span is a lower bound",
        ),
        Field("next", OrNull(COUNT), "the rung above the median; null where the ladder ends"),
    ),
)

PROTOCOL = Table(
    "the protocol",
    (
        Field("name", TEXT, "`full`, `quick`, a subset of it, or `copy`"),
        Field("version", COUNT, "a change of anything is another version"),
        Field("vocab_size", Leaf("whole number from 2", lambda v: is_whole(v, 2)), "tokens, V"),
        Field("ladder", LADDER, "the lags that are tried"),
        Field("budget", COUNT, "updates per lag"),
        Field("evaluate_every", COUNT, "updates between two evaluations"),
        Field("thresholds", THRESHOLDS, "of accuracy, the highest ends a run"),
        Field("seeds", COUNT, "how many"),
        Field("rates", ListOf(POSITIVE), "learning rates that a cell may have"),
        Field("tuning_lags", ByName("task", ListOf(COUNT)), "those that it is chosen at, in order"),
        Field("tuning_seeds", ListOf(WHOLE), "those that choose it, and are not used again"),
        Field("tuning_updates", COUNT, "of each run that it is chosen by"),
        Field("rows", ListOf(TEXT), "what is measured"),
        Field("shortest_stream", COUNT, "steps of the streams of short lags"),
        Field("lags_per_stream", COUNT, "how many times its lag another stream is long"),
        Field("capacity_lags", COUNT, "heads of the network whose bits are added up"),
        Field("linear_lags", COUNT, "lags of the linear capacity"),
        Field("beyond", LADDER, "how much longer than those of training other streams are"),
    ),
    is_open=True,
)
CELL = Table(
    "the cell",
    (
        Field("cell", TEXT, "its name, or `package.module:Class`"),
        Field("args", ARGUMENTS, "its keyword arguments"),
        Field("source", OrNull(HASH), "of the file of its class; null for one with a short name"),
    ),
)

_SEED = Field("seed", WHOLE, "of the run")
_LAG = Field("lag", COUNT, "steps back, or distractors")
_LAGS = Field("lags", LAGS, "of the heads, or readouts")
_RATE = Field("rate", POSITIVE, "learning rate")
_PER_LAG = ListOf(OrNull(NUMBER))
_RUN = (
    _LAG,
    _RATE,
    _SEED,
    Field("accuracy", ListOf(OrNull(SHARE)), "on fresh data, at each evaluation"),
    Field(
        "confirmed",
        ListOf(OrNull(SHARE)),
        "on more, other fresh data; null below the lowest threshold",
    ),
    Field("failed", FLAG, "whether the loss became no number"),
)
_TIMES = ByName("batch size", ListOf(NUMBER))


def _raw(kind: str, *fields: Field) -> Table:
    named = Field("kind", one_of(kind), "what sort of raw row it is")
    return Table(f"raw row `{kind}`", (named, *fields))


RAW = OneOf(
    {
        "tune": _raw(
            "tune",
            Field("task", one_of("stream", "hold", "copy"), "what was trained"),
            Field("lag", COUNT, "steps back, distractors, or T"),
            _RATE,
            Field("seed", WHOLE, "one that no other row has"),
            Field("accuracy", ListOf(OrNull(SHARE)), "on fresh data, at each evaluation"),
            Field("failed", FLAG, "whether the loss became no number"),
        ),
        "run": _raw("run", Field("task", TASK, "what was trained"), *_RUN),
        "curriculum": _raw(
            "curriculum",
            Field("task", TASK, "what was trained"),
            *_RUN,
            Field("from", COUNT, "the lag that the weights were trained for before"),
        ),
        "bits": _raw(
            "bits",
            _SEED,
            _LAGS,
            Field("exact", _PER_LAG, "bits recalled from the state; null where training failed"),
            Field("float16", _PER_LAG, "after the state was rounded to 16 bits"),
            Field("noise", _PER_LAG, "after noise was added to it"),
            Field("state_numbers", WHOLE, "numbers in the state"),
        ),
        "linear": _raw(
            "linear",
            _SEED,
            _LAGS,
            Field("trained", _PER_LAG, "held-out r squared of a ridge readout of the state"),
            Field("untrained", _PER_LAG, "the same of the state before training"),
            Field("trained_null", _PER_LAG, "the same of inputs that the state knows nothing of"),
            Field("untrained_null", _PER_LAG, "the same"),
        ),
        "beyond": _raw(
            "beyond",
            _SEED,
            Field("lag", COUNT, "that it was trained for"),
            Field("length", COUNT, "of the streams that it was trained on"),
            Field("times", LADDER, "how much longer the streams are"),
            Field("accuracy", ListOf(OrNull(SHARE)), "on streams of each length"),
        ),
        "jacobian": _raw(
            "jacobian",
            _SEED,
            _LAG,
            Field(
                "before",
                ListOf(OrNull(NUMBER)),
                "before training, mean norm of the gradient of the answer's logit margin with "
                "respect to the input 0, 1, ..., lag steps back",
            ),
            Field("after", ListOf(OrNull(NUMBER)), "the same after training"),
            Field(
                "depends",
                FLAG,
                "whether the last of them is not 0, or another token there changes any logit, at "
                "these weights or at random ones around them",
            ),
        ),
        "price": _raw(
            "price",
            Field("parameters", WHOLE, "numbers that are trained"),
            Field("state_bytes", WHOLE, "of one stream"),
            Field("train", _TIMES, "microseconds per step of training, each time measured"),
            Field("stream", _TIMES, "the same, one step at a time"),
        ),
        "copy": _raw(
            "copy",
            Field("T", COUNT, "blanks between the symbols and their recall"),
            _SEED,
            _RATE,
            Field(
                "updates",
                LADDER,
                "at each evaluation; all are on the same sequences, which are not trained on",
            ),
            Field("loss", ListOf(OrNull(NUMBER)), "nats, mean over the whole sequence"),
            Field("recall", ListOf(OrNull(NUMBER)), "nats, mean over the ten recalled symbols"),
            Field("accuracy", ListOf(OrNull(SHARE)), "of the ten recalled symbols"),
        ),
    }
)

LEARNING_LINE = Table(
    "a line of learning",
    (
        _LAG,
        Field("seeds", COUNT, "that were run"),
        Field("reached", WHOLE, "seeds that reached the highest threshold"),
        Field(
            "median",
            OrNull(NUMBER),
            "updates until they did, by Kaplan and Meier; null where more than half did not",
        ),
        Field("low", OrNull(NUMBER), "of its 95% interval, by Brookmeyer and Crowley"),
        Field("high", OrNull(NUMBER), "the same; null where there is no bound"),
    ),
)
LEARNING = Table(
    "learning",
    (
        Field("stream", ListOf(LEARNING_LINE), "a line for each lag that was run"),
        Field("hold", ListOf(LEARNING_LINE), "the same"),
    ),
)
_OF_STATE = Field("state_numbers", OrNull(WHOLE), "numbers in the state; null where unknown")
CAPACITY = Table(
    "capacity",
    (
        Field("exact", ESTIMATE, "bits about the past in one state, summed over the lags"),
        Field("float16", ESTIMATE, "after the state was rounded to 16 bits"),
        Field("noise", ESTIMATE, "after small noise was added to it"),
        Field(
            "by_lag",
            Table(
                "capacity by lag",
                (_LAGS, Field("median", ListOf(NUMBER), "bits, median over the seeds")),
            ),
            "the memory function",
        ),
        _OF_STATE,
    ),
)
LINEAR = Table(
    "linear capacity",
    (
        Field(
            "by_lag",
            Table(
                "linear capacity by lag",
                (
                    _LAGS,
                    Field("trained", ListOf(NUMBER), "r squared less that of shuffled targets"),
                    Field("untrained", ListOf(NUMBER), "the same before training"),
                ),
            ),
            "medians over the seeds",
        ),
        Field("trained", ESTIMATE, "r squared less that of shuffled targets, summed over lags"),
        Field("untrained", ESTIMATE, "the same before training"),
        _OF_STATE,
    ),
)
BEYOND = Table(
    "beyond",
    (
        Field("lag", COUNT, "that was trained"),
        Field("length", COUNT, "of the streams that it was trained on"),
        Field("times", ListOf(POSITIVE), "how much longer the streams are"),
        Field("accuracy", ListOf(ESTIMATE), "at each of these lengths"),
    ),
)
CAUSE = Table(
    "cause",
    (
        Field("lag", COUNT, "that is looked at: the first that seeds miss, or the last there is"),
        Field("arrived", WHOLE, "seeds that reached it from scratch"),
        Field("failed", WHOLE, "seeds that did not"),
        Field("tried", WHOLE, "of these, seeds that were trained on from a shorter lag"),
        Field("learned", WHOLE, "of these, seeds that then reached it"),
        Field(
            "closest",
            OrNull(ESTIMATE),
            "best accuracy at an evaluation of each seed that never reached it, from scratch or "
            "trained on; null where every seed did",
        ),
        Field(
            "before",
            OrNull(ESTIMATE),
            "gradient of the input that is asked for, as a share of that of the input just now, "
            "before training; a seed is null where the latter is 0",
        ),
        Field("after", OrNull(ESTIMATE), "the same after training"),
        Field(
            "profile",
            OrNull(
                Table(
                    "the profile of gradients",
                    (
                        Field("before", _PER_LAG, "of the input 0, 1, ..., lag steps back"),
                        Field("after", _PER_LAG, "the same after training"),
                    ),
                )
            ),
            "medians over the seeds of these shares",
        ),
        Field(
            "verdict",
            one_of("could not learn", "could not hold", "undetermined", "no limit found"),
            "`could not learn`: some seeds fail and another reaches it, or one of these trained on "
            "from a shorter lag; `could not hold`: the gradient is exactly 0, and nothing depends "
            "on that input; `no limit found`: every seed reached every rung",
        ),
    ),
)
PRICE = Table(
    "price",
    (
        Field("parameters", WHOLE, "numbers that are trained"),
        Field("state_bytes", WHOLE, "of one stream"),
        Field("train", ByName("batch size", NUMBER), "median microseconds per step of training"),
        Field("stream", ByName("batch size", NUMBER), "the same, one step at a time"),
    ),
)
COPY = Table(
    "a line of copy memory",
    (
        Field("T", COUNT, "blanks between the symbols and their recall"),
        Field("seeds", COUNT, "that were run"),
        Field("recall", ESTIMATE, "nats of a recalled symbol, at the last evaluation"),
        Field("floor", NUMBER, "the same without memory, ln 8"),
        Field("loss", ESTIMATE, "nats, mean over the whole sequence"),
        Field("loss_floor", NUMBER, "the same without memory, 10 ln 8 / (T + 20)"),
        Field("updates", COUNT, "until the last evaluation"),
    ),
)
_SPANS = OrNull(ByName("threshold", SPAN))
RATE = Table(
    "a learning rate",
    (
        Field("rate", POSITIVE, "the best one"),
        Field("lag", COUNT, "that it was chosen at"),
        Field("decided", FLAG, "whether it ended at the lowest threshold or above there"),
    ),
)
ROWS = Table(
    "the rows",
    (
        Field("rates", OrNull(ByName("task", RATE)), "the learning rate of each task"),
        Field("stream_span", _SPANS, "tokens back that it can hand back from a running stream"),
        Field("hold_span", _SPANS, "distractors over which it can hold one value"),
        Field("learning", OrNull(LEARNING), "updates to the highest threshold, lag by lag"),
        Field("capacity", OrNull(CAPACITY), "bits about the past in one state"),
        Field("linear", OrNull(LINEAR), "linear memory capacity (Jaeger 2001)"),
        Field("beyond", OrNull(BEYOND), "accuracy on streams longer than trained"),
        Field("cause", OrNull(CAUSE), "why the stream span is no longer"),
        Field("price", OrNull(PRICE), "sizes and times"),
        Field("copy", OrNull(ListOf(COPY)), "the copy-memory task"),
    ),
)
CARD = Table(
    "a card",
    (
        Field("schema", COUNT, f"the version of this declaration, {SCHEMA}"),
        Field("name", NAME, "of the card, and of its files"),
        Field("cell", CELL, "what was measured"),
        Field("protocol", PROTOCOL, "what was fixed"),
        Field("protocol_hash", HASH, "of the protocol, its names sorted"),
        Field("seeds", ListOf(WHOLE), "those of the raw rows, all but those of `tune`"),
        Field("raw", ListOf(RAW), "what was measured, to six digits"),
        Field("rows", ROWS, "what it says about the cell; null for what was not measured"),
        Field("not_measured", ByName("row", TEXT), "why, of each row that is null"),
        Field("device", TEXT, "where it was measured"),
        Field("versions", ByName("program", TEXT), "of the programs that did"),
        Field("date", DATE, "on which it was"),
        Field("seconds", ByName("part", NUMBER), "that it took"),
        Field(
            "digest",
            HASH,
            "of all but name, device, versions, date, seconds, the times of the price, and itself",
        ),
    ),
)
