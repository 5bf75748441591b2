"""The answer to each study in three sentences of plain words, every number read from its rows.

What is said holds whatever the rows say: a sentence that could be false is chosen by the numbers.
"""

import math
from collections.abc import Callable, Sequence

from echo_jax import statistics
from echo_jax.config import from_dict
from echo_jax.rows import Row
from echo_jax.scores import decimals, median, number, percent, places, scores
from echo_jax.studies import LAG_UPDATES, PATIENCE, Label

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
    """The median accuracy, and whether it is no other than chance."""
    value = median(row, "accuracy")
    return percent(value) + " (chance)" * (abs(value - row["floors"]["accuracy"]) < MARGIN)


def when(row: Row) -> str:
    """When 99% was reached in training; in how many seeds, where not in all."""
    reached = scores(row, "sequences_to_99")
    count, seeds = median(row, "sequences_to_99"), sum(n is not None for n in reached)
    if math.isinf(count):
        return "never reaches 99%"
    some = f" ({seeds} of {len(reached)} seeds)" * (seeds < len(reached))
    return f"reaches 99% after {number(count)} sequences{some}"


def bits(row: Row) -> str:
    """The recalled bits, of all that there are."""
    most = math.log2(row["config"]["task"]["vocab_size"])
    return f"{decimals(median(row, 'recalled_bits'))} of {most:.2f} bits"


def higher(first: Row, second: Row) -> int:
    """Whether the second has the higher accuracy, 1, or the lower, -1, seed by seed.

    0 where the interval of the median difference holds 0, or there is none.
    """
    pair = ([value or 0.0 for value in scores(row, "accuracy")] for row in (first, second))
    interval = statistics.paired_comparison(*pair).interval
    if interval is None or interval.low <= 0 <= interval.high:
        return 0
    return 1 if interval.low > 0 else -1


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
        f"Part 2, the current value, ends at {accuracy(two)}, part 3, lag 1 one step at a time, at "
        f"{accuracy(three)}, and part 4, lag 1 with windows of 5, at {accuracy(four)}.",
        f"Part 2 {when(two)}, part 3 {when(three)} and part 4 {when(four)}.",
        f"What part 4 reaches is more than knowing which values its window holds, but not where: "
        f"that order-blind floor is {percent(four['floors']['order_blind_accuracy'])}.",
    ]


def mistake(rows: Rows) -> list[str]:
    """Absent from the state; present, but not taught; taught."""
    six, one = rows(batch=6, batches_back=1), rows(batch=1, batches_back=1)
    two, whole = (rows(batch=1, batches_back=k) for k in (2, "all"))
    untrained, second = rows(batches_back="untrained"), places(one, "accuracy_by_position")[1][1]
    healed = median(two, "accuracy") >= LEARNED * knowable(two)
    return [
        f"With batches of 6 the value is nowhere: row r continues row r - 6, whose state holds the "
        f"value 6 steps back (a probe finds it in {probed(six, 6)} of the states) and not the one "
        f"1 step back ({probed(six, 1)}), so the network is right in {accuracy(six)}.",
        f"With batches of 1 the value is there, found in {probed(untrained, 1)} of the states "
        f"before training, but no gradient reaches it: {accuracy(one)} are right, "
        f"{percent(second)} in the second row of a sequence, and after training a probe finds it "
        f"in {probed(one, 1)} of the states.",
        f"A gradient that passes back through one batch more {'heals' if healed else 'changes'} "
        f"it: {accuracy(two)}, through all of them {accuracy(whole)}, where "
        f"{percent(knowable(two))} "
        "of the targets can be known at all.",
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
    word = {1: "helps", 0: "makes no difference that these seeds show", -1: "harms"}[
        higher(zero, carried)
    ]
    narrow = [rows(window=2, lag=1, batch=5, state=name) for name in ("zero", "carried")]
    one, five = (rows(window=2, lag=2, batch=batch, state="carried") for batch in (1, 5))
    return [
        f"On part 4 the carried state {word}: with it a network {when(carried)} and ends at "
        f"{accuracy(carried)}, without it {when(zero)} and ends at {accuracy(zero)}.",
        f"It is noise to row r, which is handed the state of row r - 5: a probe finds the value 5 "
        f"steps back in {probed(carried, 5)} of the states and the one that is asked for in "
        f"{probed(carried, 1)}; a window of 2 suffers more, {accuracy(narrow[1])} with the state "
        f"and {accuracy(narrow[0])} without.",
        f"Where the window lacks the value, window 2 and lag 2, a state that has seen it gives "
        f"{accuracy(one)} with batches of 1, and one that has not {accuracy(five)} with batches of "
        "5.",
    ]


def masking(rows: Rows) -> list[str]:
    """Rows with missing values, rows without, and what it costs to remove them."""
    token, masked, removed = (
        rows(lag=1, missing_values=name) for name in ("extra token", "masked", "rows removed")
    )
    missing, full = (
        [percent(median(row, f"rows_apart {rows_}")) for row in (token, masked, removed)]
        for rows_ in ("missing", "full")
    )
    return [
        f"Rows with missing values, lag 1: {missing[0]} are right with an extra token, "
        f"{missing[1]} with masked steps, and {missing[2]} if such rows were removed from "
        "training.",
        f"Rows without missing values: {full[0]}, {full[1]} and {full[2]}; with the extra token a "
        f"network {when(token)}, with masked steps it {when(masked)}, with rows removed it "
        f"{when(removed)}.",
        "An extra token leaves the value asked for at the same step of every window; where masked "
        "steps hold the state, each of the first rows starts at a step of its own, and is a case "
        "to be learned by itself.",
    ]


def prefix(rows: Rows) -> list[str]:
    """The window against all so far, for a lag inside the window and one outside."""
    near, far = (
        [rows(lag=lag, context=name) for name in ("window of 5", "all so far")] for lag in (1, 5)
    )
    first, curve = places(far[1], "accuracy_by_position")
    return [
        f"With lag 1 a network that sees all so far {when(near[1])} and ends at "
        f"{accuracy(near[1])}; with a window of 5 it {when(near[0])} and ends at "
        f"{accuracy(near[0])}.",
        f"Lag 5 lies outside that window: {accuracy(far[0])} with it, {accuracy(far[1])} with all "
        f"so far, {bits(far[1])}.",
        f"There the length of the prefix counts: {percent(curve[0])} are right where it has "
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
    lstm, perceptron = (
        [rows(sees="windows of 5", network=name, lag=lag) for lag in (1, 4, 5)]
        for name in ("LSTM", "MLP")
    )
    same = [learned(row) for row in lstm] == [learned(row) for row in perceptron]
    said = (
        f"lag {a['labels']['lag']} {accuracy(a)} and {accuracy(b)}"
        for a, b in zip(lstm, perceptron, strict=True)
    )
    alone = {
        (row["labels"]["network"], row["labels"]["lag"]): accuracy(row)
        for row in rows.all(sees="one value at a time")
    }
    line = "MLP with a delay line of 5"
    return [
        f"On windows of 5 {'nothing' if same else 'not the same'}: the LSTM and an MLP with as "
        "many "
        f"parameters have {', '.join(said)}; lag 5 is outside the window.",
        f"One value at a time the LSTM keeps what it needs, lag 1 {alone['LSTM', 1]} and lag 5 "
        f"{alone['LSTM', 5]}; the MLP has the current value alone, {alone['MLP', 1]} and "
        f"{alone['MLP', 5]}.",
        f"Handed a delay line of the last 5 values the MLP has {alone[line, 1]} and "
        f"{alone[line, 5]}: it needs a memory handed to it, the LSTM is one.",
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
    """Which lengths are learned, and which rows they give."""
    found = rows.all()
    short, long = found[0], found[-1]
    good = [f"{row['labels']['length']:,}" for row in found if learned(row)]
    all_of_them = len(good) == len(found)
    return [
        f"{'Every one tried' if all_of_them else 'Of those tried'}: {', '.join(good)} reach 99% "
        f"within {LAG_UPDATES:,} updates, with B = min(5, viable rows).",
        f"Length {short['labels']['length']} gives {short['labels']['viable rows']} viable row, so "
        f"B is {short['labels']['batch']}; length {long['labels']['length']:,} gives "
        f"{long['labels']['viable rows']} of which {long['labels']['rows used']} fill whole "
        "batches.",
        "A length that leaves fewer viable rows than a batch is refused, in one sentence that says "
        "what to change.",
    ]


def size(rows: Rows) -> list[str]:
    """The smallest layer and the fewest sequences that learn each part."""
    said = []
    for part, whole in ((2, 500), (4, 2000)):
        all_of_it = rows.all(part=part)
        most = max(row["labels"]["hidden"] for row in all_of_it)

        def least(label: str, found: list[Row], **fixed: Label) -> str:
            good = [
                row["labels"][label]
                for row in found
                if learned(row) and fixed.items() <= row["labels"].items()
            ]
            return f"{min(good):,}" if good else "none of those tried"

        said.append(
            f"Part {part} is learned with {least('hidden', all_of_it, sequences=whole)} units in "
            f"the tutorial's {whole:,} sequences, and with "
            f"{least('hidden', all_of_it, sequences=PATIENCE * whole)} in {PATIENCE} times as "
            f"many; its {most} units need {least('sequences', all_of_it, hidden=most)} sequences."
        )
    return [*said, "Part 3 is learned by no layer in any number: its value is not there."]


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
        "An echo is right or wrong, and a regression is trained to be near: its error hardly tells "
        "44 from 45, and to a class they are as different as any two values.",
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
            f"{shares.index(most)} back in {percent(most)} of the sequences, and any other in "
            f"{percent(rest)} at most."
        )
    untrained = max(max(places(row, "follows untrained")[1]) for row in rows.all())
    return [
        *said,
        f"Before training it follows no input in more than {percent(untrained)}: who changes the "
        "last value and still sees the one before it answered sees what lag 1 means.",
    ]


def future(rows: Rows) -> list[str]:
    """Equivalent to chance; not below its loss; and what becomes of answers fed back."""
    ahead, echo = rows(lag=-1), rows(lag=1)
    chance, loss = ahead["floors"], median(ahead, "loss")
    said = statistics.mean_equivalent(
        [value or 0.0 for value in scores(ahead, "accuracy")], chance["accuracy"], MARGIN
    )
    first, *_, last = places(ahead, "fed_back distinct")[1]
    cycle = " ".join(map(str, echo["measured"]["fed_back"]["answers"][0][:8]))
    return [
        f"{'No' if said.equivalent else 'These seeds do not settle it'}: the mean accuracy is "
        f"{percent(said.mean)} (90% interval {percent(said.interval.low)} to "
        f"{percent(said.interval.high)}), "
        f"{'' if said.equivalent else 'not shown to be '}equivalent "
        f"to chance, {percent(chance['accuracy'])}, and the loss {loss:.4f} is "
        f"{'not ' * (loss >= chance['loss'])}below ln V, {chance['loss']:.4f}.",
        f"Fed back as inputs, its answers {'shrink and ' * (last < first)}repeat: {first:.1f} "
        f"different values among the first 25, {last:.1f} among the last, and "
        f"{percent(median(ahead, 'fed_back repeats'))} of the starts end in a cycle.",
        f"A network that has learned lag 1 only echoes what it is fed, {cycle}: it repeats, and "
        "foretells nothing.",
    ]


ANSWERS: dict[str, Callable[[Rows], list[str]]] = {
    each.__name__: each
    for each in (
        parts, mistake, state, masking, prefix, lags, streams, mlp, vocabulary, length, size,
        framing, explain, future,
    )
}  # fmt: skip
"""The words of each study, by its name."""
