"""The answer to each study in a few sentences, every number read from its rows.

Words that depend on the numbers are chosen by them, those that claim a difference or an equality by
a test of it. The last sentence says whether the answer is a finding, and by which test. Everything
else follows from the task itself.
"""

import math
from collections.abc import Callable, Sequence

from echo_jax import statistics
from echo_jax.core.target_place import accuracy_ceiling, knowable_share
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.studies import verdicts
from echo_jax.studies.catalogue import LONGER, MAX_UPDATES, STUDIES, TUTORIAL_SEQUENCES
from echo_jax.studies.grid_point import Label
from echo_jax.studies.result_rows import ResultRow, Rows
from echo_jax.studies.scores import median, places, scores, summary
from echo_jax.studies.verdicts import (
    LEARNED,
    MARGIN,
    at_chance,
    compared_in,
    difference,
    differences,
    equal,
    learned,
)


def of(name: str, rows: Sequence[ResultRow]) -> list[str]:
    """The sentences of a study; the general ones where it has none or lacks a row that they use."""
    try:
        found = Rows(rows)
        return [*ANSWERS[name](found), verdicts.VERDICTS[name](found)]
    except KeyError:
        return general(rows)


def general(rows: Sequence[ResultRow]) -> list[str]:
    """The grid points with the highest and the lowest accuracy, and how many have learned."""
    ranked = sorted(rows, key=lambda row: median(row, "accuracy"))
    return [
        f"Best: {ranked[-1].point}, with {accuracy(ranked[-1])}.",
        f"Worst: {ranked[0].point}, with {accuracy(ranked[0])}.",
        f"{sum(map(learned, rows))} of {len(rows)} reach a median accuracy of 99%.",
        _of_two(ranked)
        or "Not a finding: the best and the worst were picked after they were seen.",
    ]


def _of_two(ranked: Sequence[ResultRow]) -> str:
    """The verdict on two grid points, which nobody picked; empty for any other number."""
    if len(ranked) != 2:
        return ""
    (found,) = verdicts.differences(ranked)
    seeds = len(scores(ranked[0], "accuracy"))
    few = f" (from {seeds} seeds none is below 5%: use 6 or more)" * (seeds < 6)
    return verdicts.verdict(found.sign != 0, f"the two compared seed by seed, {found}{few}")


def accuracy(row: ResultRow) -> str:
    """The median accuracy, with a remark where the mean is equivalent to chance."""
    return percent(median(row, "accuracy")) + " (chance)" * at_chance(row)


def when(row: ResultRow) -> str:
    """The time at which training reached 99%; in how many seeds, where not in all."""
    reached = scores(row, "sequences_to_99")
    count, seeds = median(row, "sequences_to_99"), sum(n is not None for n in reached)
    if not seeds:
        return "never reaches 99%"
    if math.isinf(count):
        return f"reaches 99% in no more than {seeds} of {len(reached)} seeds"
    some = f" ({seeds} of {len(reached)} seeds)" * (seeds < len(reached))
    return f"reaches 99% after {number(count)} sequences{some}"


def bits(row: ResultRow) -> str:
    """The recalled bits, of the bits of a value."""
    known = decimals(median(row, "recalled_bits"))
    return f"{known} of {math.log2(row.config.task.vocab_size):.2f} bits"


def listed(values: Sequence[Label]) -> str:
    """Labels in a sentence, consecutive whole numbers by the first and last: 0 to 4, 7 and 9."""
    runs: list[list[Label]] = []
    for value in values:
        follows = runs and isinstance(value, int) and value - 1 == runs[-1][-1]
        runs[-1].append(value) if follows else runs.append([value])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else "none"


def probed(row: ResultRow, steps: int) -> str:
    """The share of the states before a row in which a probe finds the value so many steps back."""
    return percent(places(row, "probe before")[1][steps])


def absent(row: ResultRow, steps: int) -> bool:
    """True where a probe finds the value so many steps back less than 1 point above chance."""
    return places(row, "probe before")[1][steps] < row.baselines.accuracy + 0.01


def _parts(rows: Rows) -> list[str]:
    two, three, four = rows
    blind, interval = four.baselines.order_blind_accuracy, summary(four, "accuracy").interval
    above = int(interval.low > blind) - int(interval.high < blind) if interval else 0
    said = {1: "exceeds", 0: "is not told apart from", -1: "stays below"}[above]
    return [
        f"Part 2 (the current value) ends at {accuracy(two)}, part 3 (lag 1, one step at a time) "
        f"at {accuracy(three)}, and part 4 (lag 1, windows of 5) at {accuracy(four)}.",
        f"Part 2 {when(two)}, part 3 {when(three)} and part 4 {when(four)}.",
        f"Part 4 {said} the order-blind baseline of {percent(blind)}, the best score possible from "
        "the set of values in the window, ignoring their order.",
    ]


def _mistake(rows: Rows) -> list[str]:
    one, two, whole = rows.each("batches_back", 1, 2, "all", batch=1)
    six, all_six = rows.each("batches_back", 1, "all", batch=6)
    untrained = rows(batches_back="untrained")
    far, near = probed(six, 6), probed(six, 1)
    lead = f"With batches of 6 the accuracy is {accuracy(six)}."
    if absent(six, 1) and not absent(six, 6):
        lead = (
            "With batches of 6 the state holds the value 6 steps back, not the one 1 step back "
            "that is asked for."
        )
    there = places(untrained, "probe before")[1][1] >= 0.5
    second = places(one, "accuracy_by_position")[1][1]
    but = "and it is learned" if _taught(one) else "but no gradient reaches it"
    total, share = len(two.config.task.row_times), knowable_share(two.config)
    ceiling = accuracy_ceiling(two.config, two.baselines.accuracy) or share
    removes = "removes" if _taught(two) else "does not remove"
    return [
        lead,
        "Row r starts from the state of row r - 6. A linear probe, fitted to read a value out of "
        f"such states, finds the one 6 steps back in {far} of them and the one 1 step back in "
        f"{near}; the accuracy is {accuracy(six)}.",
        f"With batches of 1 the value is {'' if there else 'hardly '}in the state, found in "
        f"{probed(untrained, 1)} of the states before training, {but}: the accuracy "
        f"is {accuracy(one)}, with {percent(second)} in the second row of a sequence and "
        f"{percent(median(one, 'probe network'))} in late rows, where a probe finds the value in "
        f"{probed(one, 1)} of the states after training.",
        f"A gradient that passes through one more batch {removes} "
        f"the second cause: the accuracy is {accuracy(two)}, and {accuracy(whole)} through all "
        f"batches (ceiling {percent(ceiling)}: {round(share * total)} of {total} known, the first "
        "guessed). Against the first cause it "
        f"{'helps' if learned(all_six) else 'does not help'}: {accuracy(all_six)}.",
    ]


def _taught(row: ResultRow) -> bool:
    """True where the accuracy is nearly as high as the share of targets that can be known."""
    return median(row, "accuracy") >= LEARNED * knowable_share(row.config)


def _state(rows: Rows) -> list[str]:
    zero, carried = rows.each("state", "zero", "carried", window=5, lag=1, batch=5)
    narrow = rows.each("state", "zero", "carried", window=2, lag=1, batch=5)
    one, five = rows.each("batch", 1, 5, window=2, lag=2, state="carried")
    unknown = "makes no difference that these seeds show"
    effect = {1: "helps", 0: unknown, -1: "harms"}
    table = compared_in(STUDIES["state"], rows)
    found, narrow_found = difference(table, carried), difference(table, narrow[1])
    harm, narrow_harm = (
        median(a, "accuracy") - median(b, "accuracy") for a, b in ((zero, carried), narrow)
    )
    more = narrow_harm > max(harm, 0) and narrow_found.sign < 0
    noise = "It is noise to row r, which starts" if absent(carried, 1) else "Row r starts"
    return [
        f"On part 4 the carried state {effect[found.sign]}: with it a network "
        f"{when(carried)} and ends at {accuracy(carried)}; without it a network {when(zero)} and "
        f"ends at {accuracy(zero)}.",
        f"{noise} from the state of row r - 5: a probe finds the value 5 steps back in "
        f"{probed(carried, 5)} of the states and the target, 1 step back, in "
        f"{probed(carried, 1)}. With a window of 2 "
        f"{'the harm is larger:' if more else 'a network ends at'} {accuracy(narrow[1])} with the "
        f"state and {accuracy(narrow[0])} without.",
        "Where the window lacks the value (window 2, lag 2), a state that has seen it gives "
        f"{accuracy(one)} with batches of 1, and one that has not gives {accuracy(five)} with "
        "batches of 5.",
    ]


def _masking(rows: Rows) -> list[str]:
    three = rows.each("missing_values", "extra token", "masked", "rows removed", lag=1)
    missing, full = (
        [percent(median(row, f"rows_apart {kind}")) for row in three]
        for kind in ("missing", "full")
    )
    token, masked, removed = map(when, three)
    return [
        f"On rows with missing values, at lag 1, the accuracy is {missing[0]} with an extra token, "
        f"{missing[1]} with masked steps, and {missing[2]} with such rows removed from training.",
        f"On rows without missing values it is {full[0]}, {full[1]} and {full[2]}. With the extra "
        f"token a network {token}, with masked steps it {masked}, with rows removed it {removed}.",
        "An extra token keeps all windows at the same length. Masked steps leave the state as it "
        "is, so the first rows of a sequence are in effect shorter, each of a different length.",
    ]


def _prefix(rows: Rows) -> list[str]:
    near, far = (rows.each("context", "window of 5", "all so far", lag=lag) for lag in (1, 5))
    first, curve = places(far[1], "accuracy_by_position")
    depends = "depends" if abs(curve[0] - curve[-1]) > 10 * MARGIN else "hardly depends"
    return [
        f"With lag 1 a network that sees all so far {when(near[1])} and ends at "
        f"{accuracy(near[1])}; with a window of 5 it {when(near[0])} and ends at "
        f"{accuracy(near[0])}.",
        f"Lag 5 is outside that window: {accuracy(far[0])} with the window, {accuracy(far[1])} "
        f"with all so far, {bits(far[1])}.",
        f"There the accuracy {depends} on the length of the prefix: {percent(curve[0])} with "
        f"{first + 1} values and {percent(curve[-1])} with {first + len(curve)}.",
    ]


def _lags(rows: Rows) -> list[str]:
    inside = [row for row in rows if row.config.task.lag < row.config.task.window]
    outside = [row for row in rows if row.config.task.lag >= row.config.task.window]
    good, beyond = (list(filter(learned, some)) for some in (inside, outside))
    same = [row for row in good if (row.labels["window"], row.labels["hidden"]) == (5, 50)]
    which = "no lag is learned"
    if same:
        slow = max(same, key=lambda row: median(row, "sequences_to_99"))
        learnt = listed([row.labels["lag"] for row in same])
        which = f"lags {learnt} are learned; the slowest, lag {slow.labels['lag']}, {when(slow)}"
    best = percent(max(median(row, "accuracy") for row in outside))
    return [
        f"The author guessed that each lag could be learned using the same structure: of "
        f"{len(inside)} combinations whose window holds the lag, {len(good)} end at 99% or more "
        f"within {MAX_UPDATES:,} updates.",
        f"With windows of 5 and 50 units, as in part 4 but from a zero state, {which}.",
        f"Of {len(outside)} combinations whose window does not hold the lag, {len(beyond)} reach "
        f"99% too; the best has {best}."
        if beyond
        else f"No lag outside the window is learned: the best of {len(outside)} such combinations "
        f"has {best}. Where every batch starts from a zero state, a longer lag needs a longer "
        "window, not a larger layer.",
    ]


def _streams(rows: Rows) -> list[str]:
    chunks, whole = (
        {row.labels["lag"]: row for row in rows.all(trained_on=name)}
        for name in ("chunks of 5", "whole sequences")
    )
    through = rows(trained_on="chunks of 5, gradient through all", lag=5)
    longer = rows.all(trained_on="whole sequences, 5 times as many", lag=5)
    equal = f"; whole sequences with as many updates reach {accuracy(longer[0])}" if longer else ""
    said = [f"lag {lag}, {accuracy(chunks[lag])} and {accuracy(whole[lag])}" for lag in (1, 5, 10)]
    good = [listed([lag for lag in each if learned(each[lag])]) for each in (chunks, whole)]
    short = all(
        not learned(row) and median(row, "recalled_bits") >= 1 for row in (chunks[5], whole[5])
    )
    return [
        f"Accuracy in chunks of 5 with the state carried and in whole sequences: "
        f"{'; '.join(said)}. Lags that reach 99%: {good[0]} in chunks, {good[1]} in whole "
        "sequences.",
        f"{'Below 99% much is remembered all the same: at' if short else 'At'} lag 5 a network "
        f"recalls {bits(chunks[5])} in chunks and {bits(whole[5])} in whole sequences, where the "
        "gradient reaches every value.",
        "With a gradient through all earlier chunks, which each update runs again, chunks of 5 "
        f"reach {accuracy(through)} ({bits(through)}) at lag 5{equal}.",
    ]


def _mlp(rows: Rows) -> list[str]:
    lstm, perceptron = (
        rows.each("lag", 1, 4, 5, sees="windows of 5", network=name) for name in ("LSTM", "MLP")
    )
    same = all(map(equal, lstm, perceptron))
    pairs = zip(lstm, perceptron, strict=True)
    differ = not same and any(each.sign for each in differences(*pairs))
    does = ", nothing" if same else " they differ" if differ else " these seeds do not settle it"
    said = (
        f"{accuracy(a)} and {accuracy(b)} at lag {a.labels['lag']}"
        for a, b in zip(lstm, perceptron, strict=True)
    )
    stream, alone, line = (
        rows.each("lag", 1, 5, sees="one value at a time", network=name)
        for name in ("LSTM", "MLP", "MLP with a delay line of 5")
    )
    supplied = learned(line[0]) and not learned(line[1]) and _remembered(stream) != "nothing"
    return [
        f"On windows of 5{does}: the LSTM and an MLP with about "
        f"as many parameters reach {', '.join(said)}, which is outside the window.",
        f"One value at a time, the LSTM remembers {_remembered(stream)}: {accuracy(stream[0])} at "
        f"lag 1 and {accuracy(stream[1])} at lag 5. The MLP sees only the current value: "
        f"{accuracy(alone[0])} and {accuracy(alone[1])}.",
        f"With a delay line of the last 5 values the MLP reaches {accuracy(line[0])} and "
        f"{accuracy(line[1])}{': its memory has to be supplied, the LSTM has its own' * supplied}.",
    ]


def _remembered(rows: Sequence[ResultRow]) -> str:
    """The part of its targets that a network remembers, in words, by its best row."""
    if all(map(learned, rows)):
        return "what it needs"
    above = max(median(row, "accuracy") - row.baselines.accuracy for row in rows)
    return "a part of what it needs" if above > MARGIN else "nothing"


def _vocabulary(rows: Rows) -> list[str]:
    two = rows(values=2, input="one-hot")
    kinds = ("one-hot", "embedding of 64", "embedding of 64, tied")
    thousand = rows.each("input", *kinds, values=1000)
    reach = [accuracy(row) for row in thousand]
    take = [f"{row.parameters:,}" for row in thousand]
    sizes = [
        f"{row.labels['values']:,} values with a tied embedding: {accuracy(row)}, {bits(row)}, "
        f"after {row.trained.updates:,} updates, {row.seconds.train / 60:.1f} minutes for all "
        f"{row.config.seeds} seeds."
        for row in rows.all(input=kinds[-1])
        if row.config.task.vocab_size > 1000
    ] or [
        f"1,000 values take {take[0]} parameters one-hot, {take[1]} with an embedding and "
        f"{take[2]} with a tied one."
    ]
    return [
        "With two values chance is 50%, so bits say more than accuracy: "
        f"{accuracy(two)}, {bits(two)}. A thousand values reach {reach[0]} one-hot, {reach[1]} "
        f"with a learned embedding and {reach[2]} with a tied one, after as many sequences.",
        *sizes,
    ]


def _length(rows: Rows) -> list[str]:
    short, long = rows[0].labels, rows[-1].labels
    good = [f"{row.labels['length']:,}" for row in rows if learned(row)]
    return [
        f"{'All lengths tried' if len(good) == len(rows) else 'Lengths that'} end at 99% or more "
        f"after {MAX_UPDATES:,} updates, with B = min(5, viable rows): "
        f"{', '.join(good) or 'none'}.",
        f"Length {short['length']} gives {short['viable rows']} viable row, so B is "
        f"{short['batch']}; length {long['length']:,} gives {long['viable rows']}, of which "
        f"{long['rows used']} fill whole batches.",
        "A length with fewer viable rows than a batch is refused, in a sentence that says what to "
        "change.",
    ]


def _size(rows: Rows) -> list[str]:
    said = []
    for part, whole in TUTORIAL_SEQUENCES.items():
        found = rows.all(part=part)
        most = max(row.config.network.hidden_size for row in found)
        longer = rows.all(part=part, sequences=LONGER * whole)
        units = _least("hidden", rows.all(part=part, sequences=whole), " units")
        times = f", {_least('hidden', longer, ' units')} with {LONGER} times as many"
        counts = _least("sequences", rows.all(part=part, hidden=most))
        said.append(
            f"The smallest layer that learns part {part}: {units} with the tutorial's {whole:,} "
            f"sequences{times * bool(longer)}. The fewest sequences, with the tutorial's {most} "
            f"units: {counts}."
        )
    said.append("No layer learns part 3 with any number of sequences: the value is not available.")
    return said


def _least(label: str, rows: Sequence[ResultRow], unit: str = "") -> str:
    """The smallest value of a label with which a part is learned."""
    good = [row.labels[label] for row in rows if learned(row)]
    return f"{min(good):,}{unit}" if good else "none of those tried"


def _framing(rows: Rows) -> list[str]:
    said = []
    for part in (2, 4):
        classes, values = rows.each("framing", "classes", "values in [0, 1]", part=part)
        off, near = (decimals(median(row, "distance")) for row in (classes, values))
        said.append(
            f"Part {part}: as classes, {accuracy(classes)} of the answers match exactly, at a mean "
            f"distance of {off}; as values in [0, 1], {accuracy(values)}, at a distance of {near} "
            f"(the best constant answer: {values.baselines.distance:.0f})."
        )
    said.append(
        "An echo is either right or wrong. A regression is trained to be near: its error hardly "
        "distinguishes 44 from 45, while as classes they differ as much as any two values."
    )
    return said


def _explain(rows: Rows) -> list[str]:
    said = []
    for row in rows:
        shares = places(row, "follows trained")[1]
        most, *rest = sorted(shares, reverse=True)
        said.append(
            f"Trained for lag {row.labels['lag']}, the answer follows the input at lag "
            f"{shares.index(most)} in {percent(most)} of the sequences, and any other input in at "
            f"most {percent(max(rest))}."
        )
    untrained = max(max(places(row, "follows untrained")[1]) for row in rows)
    return [
        *said,
        f"Before training it follows no input in more than {percent(untrained)}. To see what lag 1 "
        "means, change the last value: the answer is still the value before it.",
    ]


def _future(rows: Rows) -> list[str]:
    ahead, echo = rows(lag=-1), rows(lag=1)
    chance = ahead.baselines.accuracy
    loss, baseline = round(median(ahead, "loss"), 4), round(ahead.baselines.loss, 4)  # as shown
    test = statistics.mean_equivalent(scores(ahead, "accuracy"), chance, MARGIN)
    known = test.interval.low > chance + MARGIN
    verdict = "No" if test.equivalent else "Yes" if known else "These seeds do not settle it"
    first, *_, last = places(ahead, "fed_back distinct")[1]
    repeats = median(ahead, "fed_back repeats")
    done = ["become fewer"] * (last < first) + ["repeat"] * (repeats >= 0.5)
    cycle = " ".join(map(str, scores(echo, "fed_back answers")[0][:8]))
    return [
        f"{verdict}: the mean accuracy is {percent(test.mean)}, 90% interval "
        f"{percent(test.interval.low)} to {percent(test.interval.high)}, "
        f"{'all' if test.equivalent else 'not all'} of it within 0.2 points of chance, "
        f"{percent(chance)}, a margin fixed beforehand. The loss of {loss:.4f} is "
        f"{'not ' * (loss >= baseline)}below ln V, {baseline:.4f}.",
        f"Fed back as inputs, its answers {' and '.join(done) or 'neither become fewer nor repeat'}"
        f": {first:.1f} different values among the first 25, {last:.1f} among the last 25, and "
        f"{percent(repeats)} of the starts end in a cycle of at most 25 steps.",
        f"A network that has learned lag 1 repeats what it is fed, {cycle}, and predicts nothing."
        if learned(echo)
        else f"A network trained for lag 1 ends at {accuracy(echo)} and answers {cycle}.",
    ]


def _advice(rows: Rows) -> list[str]:
    table = compared_in(STUDIES["advice"], rows)
    raised = sum(difference(table, each.second).sign > 0 for each in table)
    said = []
    for run in dict.fromkeys(row.labels["run"] for row in rows):
        before, *after = rows.all(run=run)
        changes = (f"{accuracy(row)} with {row.labels['change']}" for row in after)
        said.append(f"{run} from {accuracy(before)} to {' and to '.join(changes)}")
    return [
        f"{raised} of {len(table)} changes raise the accuracy of a run that missed its goal.",
        f"They take {'; '.join(said)}.",
    ]


def _cells(rows: Rows) -> list[str]:
    lstm = rows(cell="lstm", used="alone")
    said = []
    for used in ("alone", "in a block"):
        some = rows.all(used=used)
        good = list(filter(learned, some))
        others = [f"{row.labels['cell']} {accuracy(row)}" for row in some if row not in good]
        rest = f"; the others end at {', '.join(others)}" if others else ""
        said.append(
            f"{used.capitalize()}, {len(good)} of {len(some)} cells learn part 4: "
            f"{listed([row.labels['cell'] for row in good])}{rest}."
        )
    alone, block = (
        [row.labels["cell"] for row in rows.all(used=used) if verdicts.sooner(row, lstm)]
        for used in ("alone", "in a block")
    )
    return [
        f"The LSTM of the tutorial {when(lstm)}. Sooner are {listed(alone)} alone, and "
        f"{len(block)} of {len(rows.all(used='in a block'))} cells in a block.",
        *said,
    ]


ANSWERS: dict[str, Callable[[Rows], list[str]]] = {
    each.__name__.removeprefix("_"): each
    for each in (
        _parts, _mistake, _state, _masking, _prefix, _lags, _streams, _mlp, _vocabulary, _length,
        _size, _framing, _explain, _future, _advice, _cells,
    )
}  # fmt: skip
"""The sentences of each study, by its name."""
