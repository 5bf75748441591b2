"""The answer to each study in three sentences of plain words, every number read from its rows.

What is said holds whatever the rows say: a sentence that could be false is chosen by the numbers.
"""

import math
from collections.abc import Callable, Sequence

from echo_jax import statistics
from echo_jax.config import from_dict
from echo_jax.rows import Row
from echo_jax.scores import decimals, median, number, percent, places, scores
from echo_jax.studies import LAG_UPDATES, Label

LEARNED = 0.99
"""The accuracy from which on a network is said to have learned."""

MARGIN = 0.002
"""Accuracies nearer to chance than this are called equivalent to it."""


class Rows:
    """The rows of a study, found by their labels."""

    def __init__(self, found: Sequence[Row]) -> None:
        """Look them up in these."""
        self._found = found

    def __call__(self, **labels: Label) -> Row:
        """The first row that has these labels; KeyError where it was not run."""
        (row, *_) = self.all(**labels)
        return row

    def all(self, **labels: Label) -> list[Row]:
        """All rows that have these labels; KeyError where there is none."""
        named = {name.replace("_", " "): value for name, value in labels.items()}
        found = [row for row in self._found if named.items() <= row["labels"].items()]
        if not found:
            raise KeyError(f"no row has the labels {named}")
        return found


def of(name: str, found: Sequence[Row]) -> list[str]:
    """The sentences of a study; of one that has no words yet, or lacks a row, the general ones."""
    try:
        return ANSWERS[name](Rows(found))
    except KeyError:
        return general(found)


def general(found: Sequence[Row]) -> list[str]:
    """The cell with the best accuracy, the one with the worst, and how many have learned."""
    ranked = sorted(found, key=lambda row: median(row, "accuracy"))
    learned = sum(median(row, "accuracy") >= LEARNED for row in found)
    return [
        f"Best: {ranked[-1]['cell']}, with {accuracy(ranked[-1])}.",
        f"Worst: {ranked[0]['cell']}, with {accuracy(ranked[0])}.",
        f"{learned} of {len(found)} reach a median accuracy of 99%.",
    ]


def accuracy(row: Row) -> str:
    """The median accuracy; of a network at chance with what chance is."""
    value, chance = median(row, "accuracy"), row["floors"]["accuracy"]
    if abs(value - chance) < MARGIN:
        return f"{percent(value)} (chance is {percent(chance)})"
    return percent(value)


def when(row: Row) -> str:
    """When 99% was reached in training, and in how many seeds."""
    reached = scores(row, "sequences_to_99")
    count = median(row, "sequences_to_99")
    seeds = f"{sum(n is not None for n in reached)} of {len(reached)} seeds"
    return "never" if math.isinf(count) else f"after {number(count)} sequences ({seeds})"


def bits(row: Row) -> str:
    """The recalled bits, of all that there are."""
    most = math.log2(row["config"]["task"]["vocab_size"])
    return f"{decimals(median(row, 'recalled_bits'))} of {most:.2f} bits"


def learned(row: Row) -> bool:
    """Whether the median accuracy is at least 99%."""
    return median(row, "accuracy") >= LEARNED


def named(values: Sequence[Label]) -> str:
    """Labels in a sentence, a run of whole numbers by its ends: 0 to 4, 7 and 9."""
    runs: list[list[Label]] = []
    for value in values:
        follows = runs and isinstance(value, int) and value - 1 == runs[-1][-1]
        runs[-1].append(value) if follows else runs.append([value])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"


def parts(rows: Rows) -> list[str]:
    """What each part reaches, and when."""
    two, three, four = rows.all()
    return [
        f"Part 2, the current value: {accuracy(two)} on fresh sequences; 99% {when(two)}.",
        f"Part 3, lag 1 with one step at a time and batches of 6: {accuracy(three)}; 99% "
        f"{when(three)}.",
        f"Part 4, lag 1 with windows of 5: {accuracy(four)}; 99% {when(four)}.",
    ]


def mistake(rows: Rows) -> list[str]:
    """Absent from the state; present, but not taught; taught."""
    six, one = rows(batch=6, batches_back=1), rows(batch=1, batches_back=1)
    all_six, two, whole = (
        rows(batch=6, batches_back="all"),
        rows(batch=1, batches_back=2),
        rows(batch=1, batches_back="all"),
    )
    first, second = places(one, "accuracy_by_position")[1][1:4:2]
    healed = median(two, "accuracy") >= LEARNED * knowable(two)
    return [
        f"With batches of 6 the value is not there: row r continues row r - 6, a probe finds the "
        f"value one step back in {probed(six, 1)} of the states that rows are handed and the one "
        f"six steps back in {probed(six, 6)}, and the network is right in {accuracy(six)}, with "
        f"the gradient through all batches in {accuracy(all_six)}.",
        f"With batches of 1 it is there, a probe finds it in "
        f"{probed(rows(batches_back='untrained'), 1)} of the states of an untrained network, but "
        f"the gradient is cut before it: the network ends at {accuracy(one)} (its second row "
        f"{percent(first)}, its fourth {percent(second)}), and then a probe finds the value in "
        f"{probed(one, 1)}.",
        f"{'What heals it is' if healed else 'It is not healed by'} a gradient that passes back "
        f"through one batch more: {accuracy(two)}, and through all of them {accuracy(whole)}, "
        f"where {percent(knowable(two))} of the targets can be known at all.",
    ]


def knowable(row: Row) -> float:
    """The share of the targets that the network of a row is given at all."""
    return from_dict(row["config"]).knowable


def probed(row: Row, steps: int) -> str:
    """How often the probe finds the value so many steps back in the state that a row is handed."""
    return percent(places(row, "probe before")[1][steps])


def state(rows: Rows) -> list[str]:
    """Part 4 with and without; why; and the windows of 2."""
    zero, carried = (rows(window=5, lag=1, batch=5, state=name) for name in ("zero", "carried"))
    gain = median(carried, "accuracy") - median(zero, "accuracy")
    word = "helps" if gain > 0 else "harms" if gain < 0 else "changes nothing"
    swapped = percent(median(carried, "other_state accuracy"))
    narrow = [rows(window=2, lag=1, batch=5, state=name) for name in ("zero", "carried")]
    two = [rows(window=2, lag=2, batch=1, state=name) for name in ("zero", "carried")]
    five = [rows(window=2, lag=2, batch=5, state=name) for name in ("zero", "carried")]
    return [
        f"On part 4 the carried state {word}: {accuracy(carried)} with it and {accuracy(zero)} "
        f"without, 99% {when(carried)} and {when(zero)}.",
        f"Row r is handed the state of row r - 5: a probe finds the value 5 steps back in "
        f"{probed(carried, 5)} of them and the one that is asked for, 1 step back, in "
        f"{probed(carried, 1)}; set to zero in a network trained with it, the accuracy becomes "
        f"{swapped}, so for row r it is noise.",
        f"With a window of 2 and lag 1 the same noise costs more, {accuracy(narrow[1])} with and "
        f"{accuracy(narrow[0])} without; lag 2 is outside that window, and the state gives "
        f"{accuracy(two[1])} with batches of 1, where row r - 1 has seen the value, "
        f"and {accuracy(five[1])} with batches of 5, where row r - 5 has not (without: "
        f"{percent(median(two[0], 'accuracy'))} and {percent(median(five[0], 'accuracy'))}).",
    ]


def masking(rows: Rows) -> list[str]:
    """Rows with missing values, rows without, and what it costs to remove them."""
    token, masked, removed = (
        rows(lag=1, missing_values=name) for name in ("extra token", "masked", "rows removed")
    )

    def missing(row: Row) -> str:
        return percent(median(row, "rows_apart missing"))

    def full(row: Row) -> str:
        return percent(median(row, "rows_apart full"))

    return [
        f"Lag 1: with an extra token {missing(token)} of the rows with missing values are right, "
        f"with masked steps {missing(masked)}, and a network that never saw such rows, asked about "
        f"masked ones, {missing(removed)}.",
        f"Rows without missing values: {full(token)}, {full(masked)} and {full(removed)}; 99% "
        f"{when(token)}, {when(masked)} and {when(removed)}.",
        "With an extra token the value asked for is always the same number of steps after the "
        "start of the window; where masked steps hold the state, the network starts at another "
        "step in each of the first rows, and has to learn all those cases.",
    ]


def prefix(rows: Rows) -> list[str]:
    """The window against all so far, for a lag inside the window and one outside."""
    near, far = (
        [rows(lag=lag, context=name) for name in ("window of 5", "all so far")] for lag in (1, 5)
    )
    first, curve = places(far[1], "accuracy_by_position")
    return [
        f"Lag 1: all so far reaches {accuracy(near[1])}, 99% {when(near[1])}; the window of 5 "
        f"{accuracy(near[0])}, {when(near[0])}.",
        f"Lag 5 lies outside the window: {accuracy(far[0])} with it, {accuracy(far[1])} "
        f"({bits(far[1])}) "
        "with all so far.",
        f"By position: with lag 5 and all so far {percent(curve[0])} where the prefix has "
        f"{first + 1} values and {percent(curve[-1])} where it has {first + len(curve)}.",
    ]


def lags(rows: Rows) -> list[str]:
    """The author's guess, inside the window and outside."""
    inside = [row for row in rows.all() if row["labels"]["lag"] < row["labels"]["window"]]
    outside = [row for row in rows.all() if row["labels"]["lag"] >= row["labels"]["window"]]
    good = [row for row in inside if learned(row)]
    same = [row for row in good if row["labels"]["window"] == 5 and row["labels"]["hidden"] == 50]
    counts = [median(row, "sequences_to_99") for row in same]
    slow = same[counts.index(max(counts))] if same else inside[0]
    best = max(median(row, "accuracy") for row in outside)
    return [
        f"The author guessed that each lag could be learned using the same structure: of "
        f"{len(inside)} combinations whose window holds the lag, {len(good)} reach 99% within "
        f"{LAG_UPDATES:,} updates.",
        f"With the structure of part 4, window 5 and 50 units, lags "
        f"{named([row['labels']['lag'] for row in same])} are learned; the slowest, lag "
        f"{slow['labels']['lag']}, takes {number(median(slow, 'sequences_to_99'))} sequences.",
        f"No lag outside the window is: the best of {len(outside)} such combinations has "
        f"{percent(best)}, so a longer lag needs a longer window, not a larger layer.",
    ]


def streams(rows: Rows) -> list[str]:
    """Chunks against whole sequences, and what more gradient or more data give."""
    chunks, whole = (
        {row["labels"]["lag"]: row for row in rows.all(trained_on=name)}
        for name in ("chunks of 5", "whole sequences")
    )
    through = rows(trained_on="chunks of 5, gradient through all", lag=5)
    said = [f"lag {lag}: {accuracy(chunks[lag])} and {accuracy(whole[lag])}" for lag in (1, 5, 10)]
    learnt = [[lag for lag, row in each.items() if learned(row)] for each in (chunks, whole)]
    return [
        f"Chunks of 5 with the state carried, and whole sequences: {'; '.join(said)}; 99% is "
        f"reached for lags {named(learnt[0])} and {named(learnt[1])}.",
        f"Short of that much is remembered all the same: lag 5 leaves {bits(chunks[5])} in chunks "
        f"and {bits(whole[5])} in whole sequences, where the gradient reaches every value.",
        f"Chunks of 5 whose updates run all earlier chunks again, so that the gradient passes "
        f"through them, reach {accuracy(through)} ({bits(through)}) with lag 5.",
    ]


def mlp(rows: Rows) -> list[str]:
    """In the window both; outside neither; one value at a time the LSTM alone."""
    window = {
        (name, lag): accuracy(rows(sees="windows of 5", network=name, lag=lag))
        for name in ("LSTM", "MLP")
        for lag in (1, 4, 5)
    }
    alone = {
        (row["labels"]["network"], row["labels"]["lag"]): row
        for row in rows.all(sees="one value at a time")
    }
    line = "MLP with a delay line of 5"
    return [
        f"On windows nothing: lag 1 gives {window['LSTM', 1]} for the LSTM and {window['MLP', 1]} "
        f"for an MLP with as many parameters, lag 4 {window['LSTM', 4]} and {window['MLP', 4]}, "
        "and "
        f"lag 5, outside the window, {window['LSTM', 5]} and {window['MLP', 5]}.",
        f"One value at a time the LSTM keeps what it needs, lag 1 {accuracy(alone['LSTM', 1])} and "
        f"lag 5 {accuracy(alone['LSTM', 5])}; the MLP sees the current value alone, "
        f"{accuracy(alone['MLP', 1])} and {accuracy(alone['MLP', 5])}.",
        f"Handed a delay line of the last 5 values, the MLP has {accuracy(alone[line, 1])} and "
        f"{accuracy(alone[line, 5])}: it remembers what it is handed, and the LSTM is a memory of "
        "its own.",
    ]


def vocabulary(rows: Rows) -> list[str]:
    """Two values, many, and what an embedding changes."""
    two = rows(values=2, input="one-hot")
    thousand = [
        rows(values=1000, input=name)
        for name in ("one-hot", "embedding of 64", "embedding of 64, tied")
    ]
    said = [
        f"With two values chance is 50%, so look at the bits: {accuracy(two)}, {bits(two)}; a "
        f"thousand values reach {accuracy(thousand[0])} one-hot, {accuracy(thousand[1])} with a "
        f"learned embedding and {accuracy(thousand[2])} with a tied one, after as many sequences.",
    ]
    tied = rows.all(input="embedding of 64, tied")
    said.extend(
        f"{row['labels']['values']:,} values, embedding tied: {accuracy(row)}, {bits(row)}, in "
        f"{row['seconds']['train'] / 60:.1f} minutes for {row['config']['seeds']} seeds at once."
        for row in tied
        if row["labels"]["values"] > 1000
    )
    return said


def length(rows: Rows) -> list[str]:
    """Which lengths are learned, and what an update is worth."""
    found = rows.all()
    good = [row["labels"]["length"] for row in found if learned(row)]
    short, long = found[0], found[-1]
    return [
        f"Every length from {short['labels']['length']} to {long['labels']['length']:,} gives "
        "valid "
        f"rows with B = min(5, viable); {len(good)} of {len(found)} reach 99%: "
        f"{', '.join(map(str, good))}.",
        f"Counted in updates, 99% comes after {number(median(short, 'updates_to_99'))} with length "
        f"{short['labels']['length']} (batches of {short['labels']['batch']}) and after "
        f"{number(median(long, 'updates_to_99'))} with length {long['labels']['length']:,}.",
        "A length that leaves fewer viable rows than a batch is refused in one sentence that says "
        "what to change.",
    ]


def size(rows: Rows) -> list[str]:
    """The smallest layer and the fewest sequences that learn each part."""
    said = []
    for part, whole in ((2, 500), (4, 2000)):
        units = [
            row["labels"]["hidden"] for row in rows.all(part=part, sequences=whole) if learned(row)
        ]
        most = max(row["labels"]["hidden"] for row in rows.all(part=part))
        counts = [
            row["labels"]["sequences"] for row in rows.all(part=part, hidden=most) if learned(row)
        ]
        said.append(
            f"Part {part}: the smallest layer tried that learns it in {whole:,} sequences has "
            f"{min(units, default='no')} units where the tutorial has {most}; with {most} units "
            "the "
            f"fewest sequences tried that do are {min(counts, default='none')} where it has "
            f"{whole:,}."
        )
    return [*said, "Part 3 is learned by no layer and no number of sequences, see `mistake`."]


def framing(rows: Rows) -> list[str]:
    """Exact matches and distance, of both."""
    said = []
    for part in (2, 4):
        classes, values = (
            rows(part=part, framing=name) for name in ("classes", "values in [0, 1]")
        )
        said.append(
            f"Part {part}: as classes {accuracy(classes)} of the answers match exactly, at a mean "
            f"distance of {median(classes, 'distance'):.2f}; as values in [0, 1] "
            f"{accuracy(values)}, "
            f"at a distance of {median(values, 'distance'):.2f} (the best constant guess: "
            f"{values['floors']['distance']:.0f})."
        )
    return [
        *said,
        "A regression is near before it is right: its error says how far off an answer is, and an "
        "echo must be exact, so nearly right is wrong; classes have no near, and are told at once.",
    ]


def explain(rows: Rows) -> list[str]:
    """Which input the answer follows, trained and untrained."""
    said = []
    for row in rows.all():
        shares = places(row, "follows trained")[1]
        most = max(shares)
        rest = max(share for i, share in enumerate(shares) if i != shares.index(most))
        said.append(
            f"Trained for lag {row['labels']['lag']}, the answer follows the input "
            f"{shares.index(most)} steps back in {percent(most)} of the sequences, and any other "
            "in "
            f"{percent(rest)} at most."
        )
    untrained = max(max(places(row, "follows untrained")[1]) for row in rows.all())
    return [
        *said,
        f"Before training it follows none, {percent(untrained)} at most: so a reader who changes "
        "the "
        "last value and sees the one before it answered is seeing lag 1 learned.",
    ]


def future(rows: Rows) -> list[str]:
    """Equivalent to chance; not below its loss; and what becomes of answers fed back."""
    ahead, echo = rows(lag=-1), rows(lag=1)
    chance = ahead["floors"]
    said = statistics.mean_equivalent(
        [value or 0.0 for value in scores(ahead, "accuracy")], chance["accuracy"], MARGIN
    )
    equal = (
        "is equivalent to chance" if said.equivalent else "is not shown to be equivalent to chance"
    )
    loss = median(ahead, "loss")
    side = "not below" if loss >= chance["loss"] else "below"
    first, *_, last = places(ahead, "fed_back distinct")[1]
    cycle = " ".join(map(str, echo["measured"]["fed_back"]["answers"][0][:8]))
    return [
        f"No: the accuracy {equal}, a mean of {percent(said.mean)}, 90% interval "
        f"{percent(said.interval.low)} to {percent(said.interval.high)}, where 1/V is "
        f"{percent(chance['accuracy'])} and the margin 0.2 points; the loss of {loss:.4f} is "
        f"{side} "
        f"ln V, {chance['loss']:.4f}.",
        f"Fed back as inputs, its answers shrink and repeat: {first:.1f} different values among "
        "the "
        f"first 25, {last:.1f} among the last, and {percent(median(ahead, 'fed_back repeats'))} of "
        "the starts end in a cycle.",
        f"A network that has learned lag 1 does what it was taught and echoes the last two values, "
        f"as in {cycle}: a cycle of "
        "answers, no forecast.",
    ]


ANSWERS: dict[str, Callable[[Rows], list[str]]] = {
    each.__name__: each
    for each in (
        parts, mistake, state, masking, prefix, lags, streams, mlp, vocabulary, length, size,
        framing, explain, future,
    )
}  # fmt: skip
"""The words of each study, by its name."""
