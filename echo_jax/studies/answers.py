"""The answer to each study in three sentences of plain words, every number read from its rows.

Words that depend on the numbers are chosen by them. What does not is the rule of the task itself.
"""

import math
from collections.abc import Callable, Sequence

from echo_jax import statistics
from echo_jax.config import from_dict
from echo_jax.core.target_place import knowable_share
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.studies.catalogue import LAG_UPDATES, PATIENCE, Label
from echo_jax.studies.records import Row
from echo_jax.studies.scores import median, places, scores

LEARNED = 0.99
"""The accuracy from which on a network is said to have learned."""

MARGIN = 0.002
"""Accuracies nearer to chance than this are called equivalent to it, fixed before anything was run;
of many values those that are nearer than a fifth of chance."""

ABSENT, PRESENT = 0.01, 0.5
"""A value is absent from states where a probe finds it so little more often than by chance, and
there where it finds it this often."""


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
        found = self.some(**labels)
        if not found:
            raise KeyError(f"no row has the labels {labels}")
        return found

    def some(self, **labels: Label) -> list[Row]:
        """All rows that have these labels, if any."""
        named = {name.replace("_", " "): value for name, value in labels.items()}
        return [row for row in self._found if named.items() <= row["labels"].items()]


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
    value, chance = median(row, "accuracy"), row["floors"]["accuracy"]
    return percent(value) + " (chance)" * (abs(value - chance) <= min(MARGIN, chance / 5))


def when(row: Row) -> str:
    """When 99% was reached in training; in how many seeds, where not in all."""
    reached = scores(row, "sequences_to_99")
    count, seeds = median(row, "sequences_to_99"), sum(n is not None for n in reached)
    if not seeds:
        return "never reaches 99%"
    if math.isinf(count):
        return f"reaches 99% in no more than {seeds} of {len(reached)} seeds"
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
    two, three, four = (
        rows(part=name)
        for name in (
            "2, the current value",
            "3, lag 1, one step at a time",
            "4, lag 1, windows of 5",
        )
    )
    blind = four["floors"]["order_blind_accuracy"]
    return [
        f"Part 2, the current value, ends at {accuracy(two)}, part 3, lag 1 one step at a time, at "
        f"{accuracy(three)}, and part 4, lag 1 with windows of 5, at {accuracy(four)}.",
        f"Part 2 {when(two)}, part 3 {when(three)} and part 4 {when(four)}.",
        f"What part 4 reaches is {'no ' * (median(four, 'accuracy') <= blind)}more than knowing "
        f"which values its window holds, but not where: that order-blind floor is "
        f"{percent(blind)}.",
    ]


def mistake(rows: Rows) -> list[str]:
    """Absent from the state; present, but not taught; taught."""
    six, one = rows(batch=6, batches_back=1), rows(batch=1, batches_back=1)
    all_six = rows(batch=6, batches_back="all")
    two, whole = (rows(batch=1, batches_back=k) for k in (2, "all"))
    untrained = rows(batches_back="untrained")
    heals = "heals" if taught(two) else "does not heal"
    return [
        nowhere(six),
        unreached(untrained, one),
        f"A gradient that passes back through one batch more {heals} the second cause, "
        f"{accuracy(two)}, and through all of them {accuracy(whole)} (with batches of 1 "
        f"{percent(knowable(two))} can be known, and the rest guessed); for the first cause it is "
        f"of {'no ' * (not learned(all_six))}use, {accuracy(all_six)}.",
    ]


def nowhere(six: Row) -> str:
    """Where the value is with batches of 6."""
    far, near = probed(six, 6), probed(six, 1)
    if not absent(six, 1):
        return (
            f"With batches of 6 a probe finds the value 6 steps back in {far} of the states that "
            f"rows are handed, the one 1 step back in {near}, and {accuracy(six)} are right."
        )
    return (
        f"With batches of 6 the value is nowhere: row r continues row r - 6, whose state holds the "
        f"value 6 steps back (a probe finds it in {far} of the states) and not the one "
        f"1 step back ({near}), so the network is right in {accuracy(six)}."
    )


def unreached(untrained: Row, one: Row) -> str:
    """What becomes of the value with batches of 1."""
    there = places(untrained, "probe before")[1][1] >= PRESENT
    second = places(one, "accuracy_by_position")[1][1]
    but = "and is learned" if taught(one) else "but no gradient reaches it"
    return (
        f"With batches of 1 the value is {'' if there else 'hardly '}there, found in "
        f"{probed(untrained, 1)} of the states before training, {but}: {accuracy(one)} are right, "
        f"{percent(second)} in the second row of a sequence and "
        f"{percent(median(one, 'probe network'))} in late rows, of whose states a probe finds it "
        f"in {probed(one, 1)} after training."
    )


def taught(row: Row) -> bool:
    """Whether the network says nearly all that it can know."""
    return median(row, "accuracy") >= LEARNED * knowable(row)


def absent(row: Row, steps: int) -> bool:
    """Whether a probe finds the value so many steps back hardly more often than by chance."""
    return places(row, "probe before")[1][steps] < row["floors"]["accuracy"] + ABSENT


def knowable(row: Row) -> float:
    """The share of the targets that the network of a row is given at all."""
    return knowable_share(from_dict(row["config"]))


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
    cost, more = (
        median(a, "accuracy") - median(b, "accuracy") for a, b in ((zero, carried), narrow)
    )
    suffers = "suffers more," if more > max(cost, 0) and higher(*narrow) < 0 else "ends at"
    noise = "It is noise to row r, which is" if absent(carried, 1) else "Row r is"
    return [
        f"On part 4 the carried state {word}: with it a network {when(carried)} and ends at "
        f"{accuracy(carried)}, without it {when(zero)} and ends at {accuracy(zero)}.",
        f"{noise} handed the state of row r - 5: a probe finds the value 5 "
        f"steps back in {probed(carried, 5)} of the states and the one that is asked for in "
        f"{probed(carried, 1)}; a window of 2 {suffers} {accuracy(narrow[1])} with the state "
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
        "An extra token leaves every window as long as any other; where masked steps hold the "
        "state, the first rows are shorter ones, each of a length of its own.",
    ]


def prefix(rows: Rows) -> list[str]:
    """The window against all so far, for a lag inside the window and one outside."""
    near, far = (
        [rows(lag=lag, context=name) for name in ("window of 5", "all so far")] for lag in (1, 5)
    )
    first, curve = places(far[1], "accuracy_by_position")
    counts = "counts" if abs(curve[0] - curve[-1]) > 10 * MARGIN else "hardly counts"
    return [
        f"With lag 1 a network that sees all so far {when(near[1])} and ends at "
        f"{accuracy(near[1])}; with a window of 5 it {when(near[0])} and ends at "
        f"{accuracy(near[0])}.",
        f"Lag 5 lies outside that window: {accuracy(far[0])} with it, {accuracy(far[1])} with all "
        f"so far, {bits(far[1])}.",
        f"There the length of the prefix {counts}: {percent(curve[0])} are right where it has "
        f"{first + 1} values and {percent(curve[-1])} where it has {first + len(curve)}.",
    ]


def lags(rows: Rows) -> list[str]:
    """The author's guess, inside the window and outside."""
    inside = [row for row in rows.all() if row["labels"]["lag"] < row["labels"]["window"]]
    outside = [row for row in rows.all() if row["labels"]["lag"] >= row["labels"]["window"]]
    good, beyond = ([row for row in each if learned(row)] for each in (inside, outside))
    same = [row for row in good if row["labels"]["window"] == 5 and row["labels"]["hidden"] == 50]
    best = percent(max(median(row, "accuracy") for row in outside))
    return [
        f"The author guessed that each lag could be learned using the same structure: of "
        f"{len(inside)} combinations whose window holds the lag, {len(good)} end at 99% or more "
        f"within {LAG_UPDATES:,} updates.",
        f"With windows of 5 and 50 units, as in part 4 but from a zero state, {slowest(same)}.",
        f"Of {len(outside)} combinations whose window does not hold the lag {len(beyond)} reach it "
        f"too, the best with {best}."
        if beyond
        else f"No lag outside the window is: the best of {len(outside)} such combinations has "
        f"{best}; where rows start from zero a longer lag needs a longer window, not a larger "
        "layer.",
    ]


def slowest(found: Sequence[Row]) -> str:
    """Which lags are learned, and which of them takes longest."""
    if not found:
        return "no lag is learned"
    slow = max(found, key=lambda row: median(row, "sequences_to_99"))
    names = named([row["labels"]["lag"] for row in found])
    return f"lags {names} are learned; the slowest, lag {slow['labels']['lag']}, {when(slow)}"


def streams(rows: Rows) -> list[str]:
    """Chunks against whole sequences, and what more gradient or more data give."""
    chunks, whole = (
        {row["labels"]["lag"]: row for row in rows.all(trained_on=name)}
        for name in ("chunks of 5", "whole sequences")
    )
    through = rows(trained_on="chunks of 5, gradient through all", lag=5)
    as_many = rows.some(trained_on="whole sequences, 5 times as many", lag=5)
    equal = f"; whole sequences with as many updates {accuracy(as_many[0])}" if as_many else ""
    said = [f"lag {lag}: {accuracy(chunks[lag])} and {accuracy(whole[lag])}" for lag in (1, 5, 10)]
    learnt = [[lag for lag, row in each.items() if learned(row)] for each in (chunks, whole)]
    short = [
        not learned(row) and median(row, "recalled_bits") >= 1 for row in (chunks[5], whole[5])
    ]
    much = "Short of that much is remembered all the same: lag" if all(short) else "Lag"
    return [
        f"Chunks of 5 with the state carried, and whole sequences: {'; '.join(said)}; lags that "
        f"reach 99%: {named(learnt[0])} in chunks, {named(learnt[1])} in whole sequences.",
        f"{much} 5 leaves {bits(chunks[5])} in chunks "
        f"and {bits(whole[5])} in whole sequences, where the gradient reaches every value.",
        f"Chunks of 5 whose updates run all earlier chunks again, so that the gradient passes "
        f"through them, reach {accuracy(through)} ({bits(through)}) with lag 5{equal}.",
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
    stream, alone, line = (
        [rows(sees="one value at a time", network=name, lag=lag) for lag in (1, 5)]
        for name in ("LSTM", "MLP", "MLP with a delay line of 5")
    )
    told = learned(line[0]) and not learned(line[1]) and kept(stream) != "nothing"
    return [
        f"On windows of 5 {'nothing' if same else 'not the same'}: the LSTM and an MLP with "
        f"about as many parameters have {', '.join(said)}; lag 5 is outside the window.",
        f"One value at a time the LSTM keeps {kept(stream)}, lag 1 {accuracy(stream[0])} and lag 5 "
        f"{accuracy(stream[1])}; the MLP has the current value alone, {accuracy(alone[0])} and "
        f"{accuracy(alone[1])}.",
        f"Handed a delay line of the last 5 values the MLP has {accuracy(line[0])} and "
        f"{accuracy(line[1])}{': it needs a memory handed to it, the LSTM is one' * told}.",
    ]


def kept(found: Sequence[Row]) -> str:
    """How much of what it is asked for a network remembers, at its best."""
    if any(map(learned, found)):
        return "what it needs" if all(map(learned, found)) else "a part of what it needs"
    above = max(median(row, "accuracy") - row["floors"]["accuracy"] for row in found)
    return "a part of what it needs" if above > MARGIN else "nothing"


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
    large = [row for row in tied if row["labels"]["values"] > 1000]
    said.extend(
        f"{row['labels']['values']:,} values, embedding tied: {accuracy(row)}, {bits(row)}, after "
        f"{row['trained']['updates']:,} updates, {row['seconds']['train'] / 60:.1f} minutes for "
        f"all {row['config']['seeds']} seeds."
        for row in large
    )
    if not large:
        said.append(
            f"1,000 values are {thousand[0]['parameters']:,} parameters one-hot, "
            f"{thousand[1]['parameters']:,} with an embedding and {thousand[2]['parameters']:,} "
            "with a tied one."
        )
    return said


def length(rows: Rows) -> list[str]:
    """Which lengths are learned, and which rows they give."""
    found = rows.all()
    short, long = found[0], found[-1]
    good = [f"{row['labels']['length']:,}" for row in found if learned(row)]
    all_of_them = len(good) == len(found)
    return [
        f"{'Every one tried' if all_of_them else 'Of those tried'}: {', '.join(good) or 'none'} "
        f"end at 99% or more after {LAG_UPDATES:,} updates, with B = min(5, viable rows).",
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
        found = rows.all(part=part)
        most = max(row["labels"]["hidden"] for row in found)
        patient = [row for row in found if row["labels"]["sequences"] == PATIENCE * whole]
        units = least("hidden", [row for row in found if row["labels"]["sequences"] == whole])
        times = f", in {PATIENCE} times as many {least('hidden', patient)}"
        counts = least("sequences", [row for row in found if row["labels"]["hidden"] == most])
        these = f"learns it in the tutorial's {whole:,} sequences"
        smallest = f"the smallest layer tried that {these} has {units} units"
        fewest = f"the fewest sequences tried are {counts}"
        said.append(
            f"Part {part}: {smallest if units != 'none' else f'no layer tried {these}'}"
            f"{times * bool(patient)}; with the tutorial's {most} units "
            f"{fewest if counts != 'none' else 'no number of sequences tried is enough'}."
        )
    return [*said, "Part 3 is learned by no layer in any number: its value is not there."]


def least(label: str, found: Sequence[Row]) -> str:
    """The smallest value of a label with which a part is learned."""
    good = [row["labels"][label] for row in found if learned(row)]
    return f"{min(good):,}" if good else "none"


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
    first, *_, last = places(ahead, "fed_back distinct")[1]
    repeats = median(ahead, "fed_back repeats")
    done = ["shrink"] * (last < first) + ["repeat"] * (repeats >= PRESENT)
    cycle = " ".join(map(str, echo["measured"]["fed_back"]["answers"][0][:8]))
    return [
        foretold(ahead),
        f"Fed back as inputs, its answers {' and '.join(done) or 'neither shrink nor repeat'}: "
        f"{first:.1f} different values among the first 25, {last:.1f} among the last, and "
        f"{percent(repeats)} of the starts end in a cycle of at most 25.",
        f"A network that has learned lag 1 only echoes what it is fed, {cycle}: it repeats, and "
        "foretells nothing."
        if learned(echo)
        else f"Trained for lag 1 a network ends at {accuracy(echo)} and says {cycle}.",
    ]


def foretold(row: Row) -> str:
    """Whether the next value was known, by accuracy and by loss."""
    chance = row["floors"]
    loss, floor = round(median(row, "loss"), 4), round(chance["loss"], 4)  # as they are shown
    said = statistics.mean_equivalent(
        [value or 0.0 for value in scores(row, "accuracy")], chance["accuracy"], MARGIN
    )
    known = said.interval.low > chance["accuracy"] + MARGIN
    verdict = "No" if said.equivalent else "Yes" if known else "These seeds do not settle it"
    within = "all of it" if said.equivalent else "not all of it"
    return (
        f"{verdict}: the mean accuracy is {percent(said.mean)}, 90% interval "
        f"{percent(said.interval.low)} to {percent(said.interval.high)}, {within} within 0.2 "
        f"points of chance, {percent(chance['accuracy'])}, the margin fixed beforehand; the loss "
        f"{loss:.4f} is {'not ' * (loss >= floor)}below ln V, {floor:.4f}."
    )


ANSWERS: dict[str, Callable[[Rows], list[str]]] = {
    each.__name__: each
    for each in (
        parts, mistake, state, masking, prefix, lags, streams, mlp, vocabulary, length, size,
        framing, explain, future,
    )
}  # fmt: skip
"""The words of each study, by its name."""
