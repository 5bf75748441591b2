"""Tasks: those built in, what a task may not do, and the run and the card of one."""

import bisect
import functools
import itertools
import sys
import types

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
import scipy
from made_up_cards import card as card_of
from made_up_cards import lag_row, stored
from scipy.optimize import minimize_scalar
from tiny_memory import NUMBERS

import echo_jax
from echo_jax.cells import registry
from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.by_task.checked_task import task_of
from echo_jax.memory.by_task.task_measurement import TaskMeasurement
from echo_jax.memory.by_task.task_rows_and_bits import MeasuredTask, TaskRow, TaskScore
from echo_jax.memory.card.card_call import CardResult
from echo_jax.memory.card.make_card import (
    MIXED,
    CardRequest,
    beside,
    bits_in_words,
    plan_of,
    requests_of,
    there,
)
from echo_jax.memory.comparison import comparability, comparison_sentences
from echo_jax.memory.pages import card_pages, table
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.tasks import TaskRows, adding, noisy_recall, text

SIZES = {"updates": 6, "updates_at_once": 3, "pilot_updates": 3, "budgets": [3], "streams": 300}
SMALL = Protocol(**NUMBERS | SIZES)


def last_seen(tokens=4, **changed):
    """An own task: the input of two steps before, for all but the first two."""

    def draw(key, rows, part):
        inputs = jax.random.randint(key, (rows, 7), 0, tokens)
        counts = jnp.broadcast_to(jnp.arange(7) > 1, inputs.shape)
        return inputs, jnp.roll(inputs, 2, axis=1), counts

    return types.SimpleNamespace(**{"tokens": tokens, "answers": tokens, "draw": draw} | changed)


def recited(row):
    shown = [x for x in row if x < 8]
    return [shown[max(0, t - 24)] for t in range(len(row))]


def recalled(row):
    keys, known, answers = noisy_recall.KEYS, {}, []
    for t, x in enumerate(row):
        answers.append(known.get(x, 0))
        if keys <= x < keys + noisy_recall.VALUES and row[t - 1] < keys:
            known[row[t - 1]] = x - keys
    return answers


def of_pairs(row):
    known = dict(itertools.pairwise(row[:48]))
    return [known[x] - 64 if x < 64 else 0 for x in row]


def most_frequent(row):
    followed = np.zeros((8, 8))
    answers = []
    for t, state in enumerate(row):
        if t:
            followed[row[t - 1], state] += 1
        answers.append(followed[state].argmax())
    return answers


def added(row):
    size = adding.NUMBERS
    return [sum(x - size for x in row[: t + 1] if x >= size) % size for t in range(len(row))]


SOLVED = {
    "selective_copy": (recited, 1.0, 1.0),
    "noisy_recall": (recalled, 1.0, 1.0),
    "by_key": (of_pairs, 1.0, 1.0),
    "in_context": (most_frequent, 0.65, 0.8 + 0.2 / 8),  # who knows the automaton has the most
    "adding": (added, 1.0, 1.0),
    "parity": (lambda row: np.cumsum(row) % 2, 1.0, 1.0),
}


@pytest.mark.parametrize("name", SOLVED)
def test_a_hand_written_solution_is_right_and_the_present_input_tells_nothing(name):
    task = task_of(name, STANDARD)
    draw = jax.jit(lambda key: task.draw(key, 10_000, "final", task.levels[-1]))
    inputs, targets, counts = map(np.asarray, draw(jax.random.key(7)))
    solve, least, most = SOLVED[name]
    answers = np.array([solve(row) for row in inputs[:100]])
    accuracy = (answers == targets[:100])[counts[:100]].mean()
    assert least <= accuracy <= most
    assert {*targets[counts].tolist()} == {*range(task.answers)}
    joint = np.zeros((task.tokens, task.answers))
    np.add.at(joint, (inputs[counts], targets[counts]), 1)
    best = joint.max(axis=1).sum() / joint.sum()  # of all functions of the present input
    assert best == pytest.approx(1 / task.answers, abs=0.02)


def drawn_by(change):
    return last_seen(draw=lambda key, rows, part: change(*last_seen().draw(key, rows, part)))


def drawn_in_the_middle(key, rows, part, level):
    x, y, c = last_seen().draw(key, rows, part)
    return x, y + 6 * (level == 1), c


CHANCE = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("partiy", "^task='partiy' is not built in: use one of adding, by_key, digits"),
        ("not_there.py", "^task='not_there.py' does not exist"),
        (types.SimpleNamespace(tokens=3), "lacks answers and draw: define tokens"),
        (last_seen(levels=8), "has levels 8, which are empty or not a range"),
        (last_seen(levels=range(0)), "which are empty"),
        (last_seen(levels=range(3), draw=drawn_in_the_middle), "draws targets from 6 to 9 in"),
        (last_seen(baseline=3), "fails in baseline .TypeError"),
        (last_seen(baseline=lambda x: np.full((4, 7, 4), "a")), "has a baseline of <U1.4, 7, 4."),
        (last_seen(baseline=lambda x: x[..., None] * 0 + [2, -1, 0, 0]), "below 0 or above 1"),
        (last_seen(baseline=lambda inputs: inputs), r"of int32.4, 7.: return shares of .4, 7, 4."),
        (last_seen(baseline=lambda x: 0.75 * np.ones((4, 7, 4))), "sums to 3, not 1: give each"),
        (last_seen(answers=True), "has answers True, which is not a whole number"),
        (
            last_seen(draw=lambda key, rows: None),
            "test_by_task.py:.* 2 positional .* 3 were given.: draw takes key, rows, part and is",
        ),
        (
            last_seen(levels=range(1, 9)),
            "3 positional arguments but 4 were given.: draw takes key, rows, part, level and is",
        ),
        (drawn_by(lambda *of: of[:2]), "does not draw three arrays"),
        (drawn_by(lambda x, y, c: (x, y[:, :5], c)), r"draws int32.4, 7. int32.4, 5. bool"),
        (drawn_by(lambda x, y, c: (x, y, c * 1)), "and counts of bool"),
        (drawn_by(lambda x, y, c: (x, y + 1, c)), "draws targets from 1 to 4 in training, and"),
        (drawn_by(lambda x, y, c: (x - 1, y, c)), "draws inputs from -1 to 2 in training"),
        (drawn_by(lambda x, y, c: (x, y, c & False)), "has no target that counts in 4 rows"),
        (drawn_by(lambda x, y, c: (CHANCE.integers(0, 4, x.shape), y, c)), "the same key is used"),
        (drawn_by(lambda x, y, c: (x * 0, y * 0, c)), "the same rows for every key"),
        (
            drawn_by(lambda x, y, c: (x, y if x[0, 0] else x, c)),
            "fails in draw .TracerBoolConversionError.: draw takes .* so use jnp.where",
        ),
        (
            last_seen(draw=lambda k, r, p: [x[:, : len(p) - 2] for x in last_seen().draw(k, r, p)]),
            "other lengths",
        ),
        (last_seen(draw=lambda k, r, p: last_seen().draw(k, 4, p)), "for 300 rows of training"),
    ],
)  # fmt: skip
def test_what_a_task_may_not_do_is_one_sentence_before_anything_is_written(
    task, sentence, tmp_path
):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.card("lru", task=task, protocol=SMALL, out=tmp_path, beside=False, progress=False)
    assert not [*tmp_path.iterdir()]


def test_digits_name_what_is_missing_and_a_text_is_long_enough(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.delitem(sys.modules, "echo_jax.memory.tasks.digits", raising=False)
    with pytest.raises(ConfigError, match=r"^scikit-learn is needed.*: run pip"):
        task_of("digits", SMALL)
    with pytest.raises(ConfigError, match=r"none.txt does not exist or is not a regular file"):
        text.Characters(str(tmp_path / "none.txt"))
    (tmp_path / "short.txt").write_text("abc" * 100)
    with pytest.raises(ConfigError, match="has only 300 characters"):
        text.Characters(str(tmp_path / "short.txt"))
    (tmp_path / "long.txt").write_text("abc" * 1000)
    own = text.Characters(str(tmp_path / "long.txt"))
    inputs, targets, counts = task_of(own, SMALL).draw(jax.random.key(0), 2, "final", 1)
    assert own.tokens == 4
    assert ((inputs + 1) % 3 == targets).all()
    assert counts.all()


def test_a_linear_model_reads_digits_of_the_part_final():
    digits = task_of("digits", SMALL)
    drawn = digits.draw(jax.random.key(0), 500, "final", 1)
    found = digits.baseline(drawn)
    assert found.accuracy > 0.9
    assert 0.8 * np.log2(10) < found.bits < np.log2(10)


def test_the_majority_is_the_share_of_the_most_frequent_answer_that_counts():
    counts = np.array([[False, False, True, True, True]])
    rows = TaskRows(np.zeros((1, 5), int), np.array([[0, 0, 3, 1, 3]]), counts)
    assert task_of(last_seen(), SMALL).majority(rows) == pytest.approx(2 / 3)


def test_an_n_gram_model_has_the_conditional_entropy_of_a_markov_source(tmp_path):
    changes = np.array(
        [[0.7, 0.1, 0.1, 0.1], [0.1, 0.4, 0.4, 0.1], [0, 0, 0.5, 0.5], [0.5, 0, 0, 0.5]]
    )
    limits, states = changes.cumsum(axis=1).tolist(), [0]
    for x in np.random.default_rng(0).random(10**6):
        states.append(bisect.bisect(limits[states[-1]], x))
    (tmp_path / "chain.txt").write_text("".join("abcd"[x] for x in states))
    chain = task_of(text.Characters(str(tmp_path / "chain.txt")), SMALL)
    found = chain.baseline(chain.draw(jax.random.key(0), 2000, "final", 1))
    of_states = scipy.special.entr(changes).sum(axis=1)
    assert found.nats == pytest.approx(of_states[states].mean(), rel=0.01)


def test_the_level_of_an_own_task_rises_over_three_fifths_and_the_last_is_scored(root, tmp_path):
    page = (root / "docs" / "your-own-cell.md").read_text()
    (tmp_path / "my_task.py").write_text(page.partition("# my_task.py")[2].partition("```")[0])
    measurement = TaskMeasurement(
        ShiftRegister(3), SMALL, task_of(str(tmp_path / "my_task.py"), SMALL)
    )
    levels = [int(measurement.ramp(done)) for done in (0, 0.3, 0.59, 0.6, 1)]
    assert levels == [1, 6, 11, 12, 12]
    for level in levels:
        tokens, targets, scored = measurement.draw(jax.random.key(1), level)
        assert (scored.sum(axis=1) == level).all()
        assert (targets[scored] == tokens[:, :level].ravel()).all()
        assert (tokens[scored] == 8).all()
    sets = measurement.draw_sets(0, np.zeros(8, np.uint32))
    assert (sets.final.scored.sum(axis=1) == 12).all()
    measurement.task.levels = range(1, 9, 3)
    assert [int(measurement.ramp(done)) for done in (0, 0.3, 0.6, 1)] == [1, 4, 7, 7]
    params = measurement.init_params(jax.random.key(0))
    assert np.isfinite(jax.jit(measurement.loss)(params, jax.random.key(1), 0.0))


def test_the_score_is_that_of_numpy():
    """Of a register whose readout mostly finds the slot that is asked."""
    measurement = TaskMeasurement(ShiftRegister(3), SMALL, task_of(last_seen(), SMALL))
    kernel = 0.8 * jax.random.normal(jax.random.key(1), (12, 4)).at[8:].add(jnp.eye(4))
    params = {"cell": {}, "readout": {"kernel": kernel, "bias": jnp.zeros(4)}}
    sets = measurement.draw_sets(3, np.arange(8, dtype=np.uint32))

    def answers(drawn):
        counts = np.asarray(drawn.scored)
        logits = np.asarray(measurement.logits(params, drawn.tokens))
        return logits[counts], np.asarray(drawn.targets)[counts]

    def right(factor, logits, targets):
        shares = np.exp(factor * logits)
        return shares[np.arange(len(targets)), targets] / shares.sum(axis=1)

    known = answers(sets.calibration)
    fitted = minimize_scalar(lambda b: -np.log(right(b, *known)).mean(), bounds=(0, 9)).x
    scores = jax.jit(measurement.score)(params, sets)
    for found, drawn in ((scores.validation, sets.validation), (scores.final, sets.final)):
        logits, targets = answers(drawn)
        doubt = 1 / len(known[1])
        shares = np.bincount(targets) / len(targets)
        expected = (
            (logits.argmax(axis=1) == targets).mean(),
            -np.log((1 - doubt) * right(fitted, logits, targets) + doubt / 4).mean(),
            -(shares * np.log(shares)).sum(),
        )
        assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert scores.accuracy == pytest.approx(measurement.scan_accuracy(params, sets))


def test_beside_a_cell_stand_three_in_a_block_of_its_width_and_not_itself(tmp_path):
    asked = [CardRequest("block:lstm", {"width": 16, "features": 3}, None, 400)]
    found = beside(asked)
    assert {(x.cell[:6], str(x.args), x.state_bytes) for x in found} == {
        ("block:", "{'width': 16}", 400)
    }
    plan = plan_of(SMALL, False, 1, task=task_of(last_seen(), SMALL))
    asked = [CardRequest(registry.cell_class("lstm"), {"features": 3}, None, None)]
    made = requests_of([*asked, *beside(asked)], plan, tmp_path)
    names = [request.named.name.rpartition(":")[2] for request in made]
    assert names == ["lstm", "PresentInput", "OrthogonalReservoir"]
    asked = [CardRequest("lru", None, None, 3)]
    with pytest.raises(ConfigError, match="or leave it out by beside=False"):
        requests_of(beside(asked), plan, tmp_path)


def test_a_card_of_an_own_file_goes_on_to_the_same_rows(tmp_path):
    file = tmp_path / "parity_of_two.py"
    file.write_text(
        "import numpy as np\nfrom echo_jax.memory.tasks.parity import answers, draw, tokens\n"
        "def baseline(inputs): return np.stack([1 - inputs, inputs], axis=-1)\n"
    )
    card = functools.partial(
        echo_jax.card, "simple", args={"features": 3}, task=str(file), protocol=SMALL,
        seeds=2, beside=False, name="mine", out=tmp_path / "cards", progress=False,
    )  # fmt: skip
    whole = card()
    assert [row["question"] for row in whole.rows] == ["task"] * 6  # four are of the pilot
    assert [x.name for x in (tmp_path / "cards").iterdir()] == ["mine-parity_of_two"]
    bits, right = whole.card.bits_an_answer.baseline
    assert bits == pytest.approx(1 + (1 - right) * np.log2(1e-6), abs=2e-3)
    assert f"{bits:.3g} ({right:.1%})" in repr(whole)
    assert 0.5 <= whole.card.bits_an_answer.majority < 0.6
    folder = tmp_path / "cards" / "mine-parity_of_two"
    made, rows = cards.read(folder)
    older = msgspec.structs.replace(made, versions=made.versions | {"jax": "0.1"})
    cards.write_whole(older, rows[:3], folder)
    mixed = card()
    assert sorted(map(str, mixed.rows)) == sorted(map(str, whole.rows))
    assert mixed.card.remarks == [*whole.card.remarks, MIXED]
    cards.write_whole(older, rows, folder)
    assert card().card.remarks == whole.card.remarks  # nothing was made by another version


def test_a_task_of_the_package_is_stated_without_its_text():
    assert task_of("parity", SMALL).measured.source is None
    assert task_of(text.library, SMALL).measured.source is None
    assert task_of(last_seen(), SMALL).measured.source


def test_counts_may_be_integers_of_numpy():
    assert type(task_of(last_seen(answers=np.int64(4)), SMALL).answers) is int


def made_up(name, title, cell="gru", state_bytes=400, source="0", seeds=4):
    task = MeasuredTask(title, source * 64, "1" * 64)
    score = TaskScore(0.9, 0.2, 0.6931)
    rows = [TaskRow(seed, 0.01, 3000, task, score, score) for seed in range(seeds)]
    card = card_of([], cell, seeds=seeds, name=name, state_bytes=state_bytes)
    fields = {"task": task, "configuration": TaskMeasurement.question.pilot(STANDARD)[1:2]}
    return cards.with_rows(msgspec.structs.replace(card, **fields), rows), rows


def test_a_run_without_a_score_counts_as_no_bits_and_leaves_the_entropy_as_it_is():
    card, rows = made_up("gru-a", "a", seeds=2)
    lost = msgspec.structs.replace(rows[1], validation=None, final=None)
    bits, whole = (cards.with_rows(card, x).bits_an_answer for x in ([rows[0], lost], rows))
    assert bits.entropy == whole.entropy == pytest.approx(1, abs=1e-4)
    assert bits.mean == pytest.approx(whole.mean / 2, abs=1e-4)


def test_the_pilot_of_a_task_counts_the_bits_on_validation_data():
    scores = TaskScore(0.9, 0.2, 0.6931), TaskScore(1, 0, 0.6931)
    row = TaskRow(cards.PILOT_SEED, 0.01, 3000, MeasuredTask("a", None, "1" * 64), *scores)
    [choice] = cards.pilot_of([row], STANDARD)
    assert choice.mean == pytest.approx((0.6931 - 0.2) / np.log(2), abs=1e-4)


def test_the_bits_of_a_run_on_a_task_stand_beside_the_most_that_can_be_reached():
    _, (row, *_) = made_up("gru-a", "a")
    assert bits_in_words(row, STANDARD) == "0.71 of 1 bits an answer"
    assert bits_in_words(lag_row([4.0, 3.0]), STANDARD) == "7 bits"


@pytest.mark.parametrize("other", [("gru-a", "b"), ("gru-a", "a", "gru", 400, "1")])
def test_the_card_of_another_task_or_of_another_text_of_it_is_kept(tmp_path, other):
    folder = stored(*made_up("gru-a", "a"), tmp_path)
    assert len(there(folder, made_up("gru-a", "a")[0])[1]) == 4
    with pytest.raises(StorageError, match="another task"):
        there(folder, made_up(*other)[0])


def test_cards_of_tasks_are_tables_and_those_of_two_are_not_compared(tmp_path):
    for each in (("gru-a", "a"), ("mine", "a", "lstm", 200), ("gru-b", "b")):
        stored(*made_up(*each), tmp_path)
    found, _ = made_up("gru-a", "a")
    assert found.bits_an_answer.mean == pytest.approx((0.6931 - 0.2) / np.log(2), abs=1e-4)
    with pytest.raises(ConfigError, match="has no curve"):
        assert CardResult(found, []).figure
    assert table.shown([found]).splitlines()[2].split()[:3] == ["GRU", "0.71", "(0.71"]
    (said,) = comparison_sentences.compare([str(tmp_path / "gru-a"), str(tmp_path / "mine")])
    assert said.startswith("GRU scores as many bits as mine on the task a (0.71 and 0.71 bits")
    with pytest.raises(ConfigError, match=r"in task \(a 111111 000000 and b 111111 000000\)"):
        comparison_sentences.compare([str(tmp_path / "gru-a"), str(tmp_path / "gru-b")])
    found, other = (made_up("gru", "a", source=x, state_bytes=400 * (1 + int(x)))[0] for x in "02")
    assert comparability.differences([found, other]) == [
        "task (a 111111 000000 and a 111111 222222)"
    ]
    assert table.file_name([found]) != table.file_name([other])
    assert {row["task"] for row in table.tidy_rows([found])} == {"a 111111 000000"}
    card_pages.write_report(tmp_path)
    assert not (tmp_path / "explore.html").exists()
