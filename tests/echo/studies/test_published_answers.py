"""Every number of the published answers is that of the committed rows, in its order."""

import re

import numpy as np
import pytest
from labelled_rows import Rows, median
from scipy import stats

from echo_jax import statistics
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.echo.studies.result_rows import places, scores, summary
from echo_jax.echo.studies.study_tables import compared
from echo_jax.echo.target_place import knowable_share
from echo_jax.report.number_formats import decimals, number, percent

SETTING = re.compile(
    r"(?:\b(?:[Pp]arts?|[Ll]ags?|windows?(?: of)?|(?:batches|chunks) of|row r -|last|first) \d+"
    r"(?: (?:and|to) \d+)?|\b\d+ steps? back)(?![.,]?\d|%)"
    r"|99%(?= (?:after|or more|of part|and ends))|(?:reach|reaches|at) 99%"
)
"""Numbers that say what was run: part 4, lags 0 to 4, windows of 5, 6 steps back, until 99%."""

PARTS = "parts 2, 3 and 4, until 99%"

NUMBER = re.compile(r">?\d[\d,]*(?:\.\d+)?(?:e-\d+)?%?(?<![,])")


def accuracy(row):
    return percent(median(row, "accuracy"))


def until_99(row):
    return number(median(row, "sequences_to_99"))


def probed(row, back):
    return percent(places(row, "probe before")[1][back])


def position(row, place):
    first, shares = places(row, "accuracy_by_position")
    return [percent(shares[place]), str(first + 1 + place % len(shares))]


def bits(row):
    whole = np.log2(row.config.task.vocab_size)
    return [decimals(median(row, "recalled_bits")), f"{whole:.2f}"]


def rows_apart(rows, kind):
    return [percent(median(row, f"rows_apart {kind}")) for row in rows]


def p_of(*pairs):
    """The adjusted p-values of pairs of rows, compared in accuracy."""
    tests = [statistics.paired_comparison(*(scores(row, "accuracy") for row in pair)).p_value
             for pair in pairs]  # fmt: skip
    return [f"{p:.2g}" for p in statistics.holm(tests)]


def p_in(name, rows, second, score="accuracy"):
    """The adjusted p-value of a row in the paired tests of its study."""
    (p,) = (
        each.p
        for each in compared(STUDIES[name], rows)
        if (each.second, each.score) == (second, score)
    )
    return f"{p:.2g}"


def learned(rows):
    return [row for row in rows if median(row, "accuracy") >= 0.99]


def surely(rows):
    """Rows whose whole interval is at 99% or more."""
    return [row for row in rows if summary(row, "accuracy").interval.low >= 0.99]


def mean_interval(values):
    """The 90% interval of a mean by Student's t: both one-sided tests at 5% (Schuirmann 1987)."""
    return stats.ttest_1samp(values, 0).confidence_interval(0.9)


def equivalent(values, target):
    """True where the whole interval of the mean is within 0.2 points of a target."""
    low, high = mean_interval(values)
    return target - 0.002 <= low and high <= target + 0.002


def is_chance(row):
    return equivalent(scores(row, "accuracy"), row.baseline_accuracy)


def parts(rows):
    two, three, four = rows
    assert is_chance(three)
    assert summary(four, "accuracy").interval.low > four.order_blind_accuracy
    blind = percent(four.order_blind_accuracy)
    return [*map(accuracy, (two, four, three)), "0.2", until_99(two), until_99(four), blind]


def mistake(rows):
    one, two = rows.each("batches_back", 1, 2, batch=1)
    six, untrained = rows(batches_back=1, batch=6), rows(batches_back="untrained")
    assert is_chance(six)
    of = len(two.config.task.row_times)
    known = [f"{knowable_share(two.config) * of:.0f}", str(of)]
    return [
        probed(six, 6), probed(six, 1), accuracy(six), probed(untrained, 1), probed(one, 1),
        accuracy(one), accuracy(two), *known, *p_of((one, two)),
        accuracy(rows(batches_back="all", batch=6)),
    ]  # fmt: skip


def keeping(rows):
    def of(network, score="accuracy", sequences=2000, write=percent):
        return write(median(rows(network=network, sequences=sequences), score))

    def grown(part):
        return [of("LSTM", f"newest {part}", at, decimals) for at in (1, 2000)]

    wide, held = "tanh RNN of 200 units", "probe before 1"
    made, ahead = "LSTM, state made by its first weights", "LSTM, asked for the {} value"
    at_lag_2, current = of("LSTM, lag 2", held), of(ahead.format("current"), held)
    assert current == of(ahead.format("next"), held)
    pairs = [(f"{network}, frozen", network) for network in ("LSTM", "tanh RNN")]
    bits = [[of(x, "recalled_bits", write=decimals) for x in pair] for pair in pairs]
    p = [
        p_in("keeping", rows, rows(network=network, sequences=2000), "recalled_bits")
        for _, network in pairs
    ]
    return [
        "200", of(f"{wide}, frozen"), of(f"{wide}, frozen", sequences=16_000), "16,000",
        of(wide), of(wide, sequences=16_000), "16,000",
        of("LSTM", held, 1), of("LSTM", held), of("LSTM"),
        of(made), of(made, sequences=8000), "8,000", *grown("explained"), *grown("variance"),
        at_lag_2, current, *bits[0], "50", *bits[1], *p,
        of("LSTM in a block"), of("LSTM in a block", sequences=8000), "8,000",
    ]  # fmt: skip


def state(rows):
    zero, carried = rows.each("state", "zero", "carried", window=5, lag=1, batch=5)
    narrow = rows.each("state", "carried", "zero", window=2, lag=1, batch=5)
    one, five = rows.each("batch", 1, 5, window=2, lag=2, state="carried")
    assert is_chance(five)
    return [
        until_99(carried), accuracy(carried), until_99(zero), accuracy(zero),
        p_in("state", rows, carried), probed(carried, 5), probed(carried, 1),
        *map(accuracy, narrow), accuracy(one), accuracy(five),
    ]  # fmt: skip


def masking(rows):
    token, masked, removed = three = rows.each(
        "missing_values", "extra token", "masked", "rows removed", lag=1
    )
    assert until_99(masked) == "inf"  # never
    tokens = rows.each("lag", 1, 3, missing_values="extra token")
    p = [p_in("masking", rows, row, "rows_apart missing") for row in tokens]
    apart = [*rows_apart(three, "missing"), *p, *rows_apart(three, "full")]
    return [*apart, until_99(token), until_99(removed)]


def prefix(rows):
    (near, near_all), (far, far_all) = (
        rows.each("context", "window of 5", "all so far", lag=lag) for lag in (1, 5)
    )
    assert is_chance(far)
    (p,) = set(p_of((near, near_all), (far, far_all)))
    return [
        until_99(near), accuracy(near), until_99(near_all), accuracy(near_all), accuracy(far),
        accuracy(far_all), *bits(far_all), p, *position(far_all, 0), *position(far_all, -1),
    ]  # fmt: skip


def lags(rows):
    inside = [row for row in rows if row.config.task.lag < row.config.task.window]
    outside = [row for row in rows if row not in inside]
    tutorial = [row for row in learned(inside) if row.labels | {"lag": 0} == rows(
        window=5, hidden=50, lag=0).labels]  # fmt: skip
    assert [row.labels["lag"] for row in tutorial] == [0, 1, 2, 3, 4]
    slowest = max(tutorial, key=lambda row: median(row, "sequences_to_99"))
    assert slowest.labels["lag"] == 1
    best = max(outside, key=lambda row: median(row, "accuracy"))
    most = max(row.updates for row in rows)
    counts = [len(inside), len(learned(inside)), len(surely(learned(inside)))]
    return [number(most), *map(str, counts), "50", until_99(slowest), str(len(outside)),
            accuracy(best)]  # fmt: skip


def streams(rows):
    chunks, whole = (
        rows.each("lag", 1, 5, 10, trained_on=name) for name in ("chunks of 5", "whole sequences")
    )
    (p,) = set(p_of(*zip(chunks, whole, strict=True)))
    through = rows(trained_on="chunks of 5, gradient through all", lag=5)
    longer = rows(trained_on="whole sequences, 5 times as many", lag=5)
    assert through.updates == longer.updates
    return [
        *map(accuracy, (*chunks, *whole)), p, *bits(chunks[1]), bits(whole[1])[0],
        accuracy(through), accuracy(longer),
    ]  # fmt: skip


def mlp(rows):
    seen = {"sees": "windows of 5"}
    window = [rows(**seen, network=name, lag=lag) for lag in (1, 4, 5) for name in ("LSTM", "MLP")]
    for lstm, perceptron in zip(window[::2], window[1::2], strict=True):
        apart = np.subtract(scores(perceptron, "accuracy"), scores(lstm, "accuracy"))
        assert equivalent(apart, 0.0)
    lstm, alone, line = (
        rows.each("lag", 1, 5, sees="one value at a time", network=name)
        for name in ("LSTM", "MLP", "MLP with a delay line of 5")
    )
    assert all(map(is_chance, [*window[4:], *alone, line[1]]))
    return [*map(accuracy, window), "0.2", *map(accuracy, (*lstm, *alone, *line))]


def vocabulary(rows):
    two = rows(values=2, input="one-hot")
    inputs = ("one-hot", "embedding of 64", "embedding of 64, tied")
    large = []
    for row in rows.each("values", 10_000, 50_000, input=inputs[2]):
        minutes = f"{row.seconds['train'] / 60:.1f}"
        size, updates = number(row.config.task.vocab_size), number(row.updates)
        large += [size, accuracy(row), *bits(row), updates, minutes, str(row.config.seeds)]
    return [
        accuracy(two), *bits(two), percent(two.baseline_accuracy),
        *map(accuracy, rows.each("input", *inputs, values=1000)), *large[:-1],
    ]  # fmt: skip


def length(rows):
    assert surely(rows) == rows
    short, long = rows[0].labels, rows[-1].labels
    lowest = min(median(row, "accuracy") for row in rows)
    of_short = [short["viable rows"], short["batch"]]
    of_long = [long["viable rows"], long["rows used"]]
    ends = [number(short["length"]), number(long["length"])]
    (updates,) = {round(row.updates, -2) for row in rows}
    return [*ends, number(updates), "5", percent(lowest), ends[0], *map(str, of_short), ends[1],
            *map(str, of_long)]  # fmt: skip


def size(rows):
    numbers = []
    for part, whole, most in ((2, 500, 15), (4, 2000, 50)):
        of_part = Rows(learned(rows.all(part=part)))
        for sequences in (whole, 5 * whole):
            some = of_part.all(sequences=sequences)
            numbers += [str(min(row.labels["hidden"] for row in some)), number(sequences)]
        fewest = min(row.labels["sequences"] for row in of_part.all(hidden=most))
        numbers += [str(most), number(fewest)]
    return numbers


def framing(rows):
    found = []
    for part in (2, 4):
        classes, values = rows.each("framing", "classes", "values in [0, 1]", part=part)
        distance = [decimals(median(row, "distance")) for row in (classes, values)]
        found.append([accuracy(classes), distance[0], accuracy(values), distance[1]])
    worst = decimals(rows[0].baseline_distance)
    p = [p_in("framing", rows, rows(framing="values in [0, 1]", part=part)) for part in (2, 4)]
    two, four = found
    return [two[0], two[1], "0", "1", *two[2:], worst, *four, *p]


def explain(rows):
    ahead, trained = [], []
    for row in rows:
        lag, shares = row.config.task.lag, places(row, "follows trained")[1]
        trained += [percent(shares[lag]), percent(max(np.delete(shares, lag)))]
        by_seed = np.array(scores(row, "follows trained"))
        ahead.append(by_seed[:, lag] - np.delete(by_seed, lag, axis=1).max(axis=1))
    p = statistics.holm([statistics.sign_flip_test(each) for each in ahead])
    untrained = max(max(places(row, "follows untrained")[1]) for row in rows)
    return [*trained, *(f"{each:.2g}" for each in p), percent(untrained)]


def future(rows):
    ahead, echo = rows(lag=-1), rows(lag=1)
    assert is_chance(ahead)
    assert median(ahead, "loss") >= ahead.baseline_loss
    first, *_, last = places(ahead, "fed_back distinct")[1]
    mean = np.mean(scores(ahead, "accuracy"))
    interval = [percent(bound) for bound in mean_interval(scores(ahead, "accuracy"))]
    return [
        percent(mean), "90%", *interval, "0.2", percent(ahead.baseline_accuracy),
        f"{median(ahead, 'loss'):.4f}", f"{ahead.baseline_loss:.4f}", f"{first:.1f}", f"{last:.1f}",
        percent(median(ahead, "fed_back repeats")), "25",
        *map(str, scores(echo, "fed_back answers")[0][:4]),
    ]  # fmt: skip


def advice(rows):
    table = compared(STUDIES["advice"], rows)
    raised = [each for each in table if each.comparison.interval.low > 0 and each.p <= 0.05]
    counts = [str(len(raised)), str(len(table)), f"{max(each.p for each in raised):.2g}"]

    def changed(run, change):
        return accuracy(rows(run=run, change=change))

    gru, slow, fast = (
        "lag 3 with a GRU", "a learning rate of 0.0001", "a learning rate of 0.03",
    )  # fmt: skip
    ten, best = "lag 9 in a window of 10", "learning rate 0.001"
    assert changed(slow, best) == changed(fast, best)
    return [
        *counts, changed("lag 3", "none"), changed("lag 3", "stateful False"),
        changed(gru, "none"), changed(gru, "stateful False"), "6,000",
        changed("lag 3", "sequences 6000"), changed("lag 5", "none"),
        changed("lag 5", "window 6, stateful False"), "2", changed("lag 5", "bptt batches 2"),
        "0.003", changed(ten, "none"), changed(ten, "learning rate 0.003"),
        "0.001", changed(slow, "none"), "0.0001", changed(fast, "none"), "0.03",
        changed(slow, best),
    ]  # fmt: skip


def cells(rows):
    alone, block = (rows.all(used=used) for used in ("alone", "in a block"))
    lstm, *sooner = learned(alone)
    assert [x.labels["cell"] for x in sooner] == ["GRU", "tanh RNN", "sLSTM", "RWKV-7", "LMU"]
    begins = summary(lstm, "sequences_to_99").interval.low
    for row in [*sooner, *learned(block)]:
        assert summary(row, "sequences_to_99").interval.high < begins
    others = sorted((row for row in alone if row not in learned(alone)),
                    key=lambda row: median(row, "accuracy"))  # fmt: skip
    assert [others[i].labels["cell"] for i in (0, -1)] == ["Mamba-2", "GLA"]
    (missed,) = (row for row in block if row not in learned(block))
    assert missed.labels["cell"] == "expRNN"
    counts = [[str(len(learned(some))), str(len(some))] for some in (alone, block)]
    return [until_99(lstm), *counts[0], *map(until_99, sooner), accuracy(others[0]),
            accuracy(others[-1]), *counts[1], accuracy(missed)]  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_an_answer_is_that_of_the_rows(name):
    study, page = STUDIES[name], study_folder.folder() / study_folder.PAGE
    assert study_folder.answer(name)[-40:] in page.read_text()  # though labels were reworded
    answer = study_folder.answer(name).replace("Mamba-2", "").replace("RWKV-7", "")
    (rows,) = study_folder.rows_of(study_folder.folder(), {name: study}).values()
    expected = globals()[name]  # the function above
    assert NUMBER.findall(SETTING.sub("", answer)) == expected(Rows(rows))
    settings = re.findall(r"\d+", " ".join(SETTING.findall(answer)))
    notes = study_folder.paragraphs(name)[1:]
    known = " ".join([*(point.name for point in study.points), *notes, PARTS])
    assert set(settings) <= set(re.findall(r"\d+", known))
