"""Trained networks in use: the Python calls, and predict.py in real processes."""

import functools
import shutil
import signal
import subprocess

import answer_in_numpy
import numpy as np
import pytest
from run_folders import shapes_of
from running import command

import echo_jax
from echo_jax.echo.run import checkpoint
from echo_jax.exceptions import ConfigError

SETTINGS = {
    "length": 12, "window": 3, "hidden_size": 12, "lag": 1, "sequences": 120,
    "learning_rate": 0.02, "evaluation_sequences": 50,
}  # fmt: skip
KINDS = {
    "windows": {"batch_size": 1, "stateful": False},
    "stateful": {"batch_size": 2, "seeds": 3, "seed": 4},
    "streams": {"batch_size": 2, "layout": "streams"},
}
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def predict(call):
    return functools.partial(call, "predict.py")


def train_here(folder, **options):
    """A run in this process, where jax is there already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return echo_jax.train(**SETTINGS | options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of two kinds."""
    folder = tmp_path_factory.mktemp("runs")
    for kind in ("windows", "stateful"):
        train_here(folder, vocab_size=10, out=kind, **KINDS[kind])
    return folder


INPUT = np.random.default_rng(3).integers(0, 10, 40).tolist()


loaded = functools.cache(echo_jax.load)


def printed(answers):
    """Answers as the command prints them."""
    return ["-" if answer is None else str(answer) for answer in answers]


def test_numbers_in_numbers_out(runs, predict):
    expected = loaded(runs / "windows").predict(INPUT)
    assert expected[:2] == [None, None]
    right = np.mean([a == b for a, b in zip(expected[2:], INPUT[1:-1], strict=True)])
    assert right > 0.9  # it has learned to echo
    done = predict("windows", *INPUT, cwd=runs)
    assert done.stdout == " ".join(printed(expected)) + "\n"
    assert done.stderr == (
        "- is no answer: with window 3 and lag 1, the first answer needs 3 values\n"
    )
    few = predict("windows", *INPUT[:2], cwd=runs)
    assert (few.stdout, few.stderr) == (
        "- -\n",
        done.stderr.replace("\n", ", 1 more than were given\n"),
    )


@pytest.mark.parametrize(("of", "seed"), [("windows", 0), ("stateful", 2)])
def test_the_weights_of_a_run_answer_in_numpy_as_in_echo_jax(runs, of, seed):
    first = KINDS[of].get("seed", 0)
    expected = echo_jax.load(runs / of, seed=first + seed).predict(INPUT)[2:]
    assert answer_in_numpy.answers(runs / of, INPUT, seed) == expected
    assert len(set(expected)) > 5


def test_any_number_of_sequences_of_any_kind_of_list_or_array(runs):
    network = loaded(runs / "windows")
    alone = network.predict(INPUT)
    assert network.predict(tuple(INPUT)) == alone
    assert network.predict(np.array(INPUT, np.uint8)) == alone
    assert network.predict(np.array(INPUT, float)) == alone
    assert network.predict([str(x) for x in INPUT]) == alone
    assert network.predict([INPUT]) == [alone]
    assert network.predict(np.array([INPUT, INPUT[::-1]])) == [alone, network.predict(INPUT[::-1])]
    ragged = [INPUT[:n] for n in (3, 0, 40, 17, 1)]
    assert network.predict(ragged) == [alone[:n] for n in (3, 0, 40, 17, 1)]
    assert network.predict([]) == []
    assert all(type(x) is int for x in alone[2:])


@pytest.mark.parametrize(
    "kind", ["windows", "stateful", pytest.param("streams", marks=pytest.mark.slow)]
)
def test_single_steps_and_probabilities_are_those_of_the_answers(runs, kind):
    if not (runs / kind).exists():
        train_here(runs, vocab_size=10, out=kind, **KINDS[kind])
    network = loaded(runs / kind)
    answers, (chances, _) = network.predict(INPUT), network.predict([INPUT, []], probabilities=True)
    there = [answer is not None for answer in answers]
    np.testing.assert_array_equal(np.isfinite(chances).all(axis=1), there)
    np.testing.assert_allclose(chances[there].sum(axis=1), 1, rtol=1e-5)
    assert chances[there].argmax(axis=1).tolist() == [x for x in answers if x is not None]
    state, steps = network.start(), []
    for token in INPUT:
        state, answer = network.step(state, token)
        assert answer.token == answer.logits.argmax()
        steps.append(int(answer.token) if answer.exists else None)
    assert steps == answers


def test_each_seed_is_a_network_of_its_own(runs, predict):
    answers = [
        predict("stateful", *INPUT, "--seed", seed, cwd=runs).stdout.split() for seed in (4, 5, 6)
    ]
    assert answers == [
        printed(loaded(runs / "stateful", seed).predict(INPUT)) for seed in (4, 5, 6)
    ]
    assert answers[0] != answers[1] != answers[2]
    unnamed = predict("stateful", 1, cwd=runs)
    assert unnamed.stderr.startswith("seed 4 answers, one of 3 seeds: --seed chooses another\n")


def test_a_column_of_a_csv_file_is_answered_line_by_line(runs, tmp_path, predict):
    network = loaded(runs / "windows")
    rows = "".join(f"{i},{x}\n" for i, x in enumerate(INPUT))
    (tmp_path / "my.csv").write_text("t,n\n" + rows)
    options = [runs / "windows", "--csv", "my.csv", "--column", "n"]
    done = predict(*options, cwd=tmp_path)
    assert done.stdout.splitlines() == printed(network.predict(INPUT))
    (tmp_path / "my.csv").write_text("n\n1\n2\n77\n3\n")
    refused = predict(*options, cwd=tmp_path, status=2)
    assert refused.stdout == ""
    assert "'77' in line 4" in refused.stderr
    skipped = predict(*options, "--unknown", "skip", cwd=tmp_path)
    expected = [*network.predict([1, 2]), None, network.predict([1, 2, 3])[2]]
    assert skipped.stdout.splitlines() == printed(expected)
    assert network.predict([1, 2, 77, 3], unknown="skip") == expected


@pytest.fixture(scope="module")
def foretelling(tmp_path_factory):
    """A folder with a text and a run that foretells its next character."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "my.txt").write_text("ab c\n" * 100)
    train_here(folder, text="my.txt", batch_size=1, lag=-1, sequences=200, out="run")
    return folder


def test_a_text_is_foretold_and_answers_are_fed_back(foretelling, predict):
    """The window of 3 is full with the third character."""
    (foretelling / "begin.txt").write_text("ab c")
    done = predict("run", "--text", "begin.txt", cwd=foretelling)
    assert done.stdout.splitlines() == ["-", "-", "c", "' '"]
    for given in (["a", "b", " "], ["ab "], ["ab", "c", "ab "]):
        done = predict("run", *given, "--generate", 7, cwd=foretelling)
        assert done.stdout == "c ' ' a b ' ' c ' '\n"
    done = predict("run", "--text", "begin.txt", "--generate", 3, cwd=foretelling)
    assert done.stdout == "' ' a b\n"


def test_answers_are_fed_back_only_where_they_are_the_next_value(foretelling, runs, predict):
    refused = predict("windows", 1, 2, 3, "--generate", 5, cwd=runs, status=2)
    assert "--generate 5 needs a network that predicts the next" in refused.stderr
    refused = predict("run", "a", "--generate", 5, cwd=foretelling, status=2)
    assert "--generate 5 has too few values for a first answer: give 2 more" in refused.stderr


def test_a_stream_names_the_place_of_what_it_refuses_or_skips_it(runs, predict):
    done = predict("windows", "--stream", cwd=runs, stdin="1 2 3\n4 x 5\n", status=2)
    assert "'x' at position 5" in done.stderr
    assert done.stdout.split() == printed(loaded(runs / "windows").predict([1, 2, 3, 4]))
    # More than is read at once, so the values come in several blocks.
    long = predict("windows", "--stream", cwd=runs, stdin="1 " * 40_000 + "x\n", status=2)
    assert "'x' at position 40001 " in long.stderr
    skipped = predict(
        "windows", "--stream", "--unknown", "skip", cwd=runs, stdin="1 2 3\n4 x 5\n"
    )  # fmt: skip
    assert skipped.stdout.splitlines()[4] == "-"
    assert len(skipped.stdout.splitlines()) == 6


def test_of_a_run_one_of_whose_seeds_failed_the_others_answer(runs, predict, tmp_path):
    shutil.copytree(runs / "stateful", tmp_path / "run")
    inputs = checkpoint.read_inputs(tmp_path / "run")
    saved = checkpoint.read_state(tmp_path / "run", inputs, shapes_of(inputs.config))
    saved.state.params["readout"]["bias"] = saved.state.params["readout"]["bias"].copy()
    saved.state.params["readout"]["bias"][0] = np.nan
    checkpoint.write(tmp_path / "run", inputs, saved)
    assert predict("run", 1, "--seed", 5, cwd=tmp_path).stdout
    assert "--seed 4 of run failed" in predict("run", 1, cwd=tmp_path, status=2).stderr


@pytest.mark.parametrize("token", [10, -1, 1.7, "1", True, None, [1, 2]])
def test_what_is_no_token_is_refused(runs, token):
    network = loaded(runs / "windows")
    with pytest.raises(ConfigError, match="is not a token, a whole number from 0 to 9"):
        network.step(network.start(), token)


@pytest.mark.slow
def test_an_interrupt_ends_a_stream_after_its_answers(runs, tmp_path):
    arguments = [runs / "windows", "--stream"]
    with subprocess.Popen(
        command("predict.py", *arguments), cwd=tmp_path, text=True, bufsize=1,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        answers = []
        for value in INPUT[:5]:
            process.stdin.write(f"{value}\n")
            answers.append(process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert [line[:2] for line in process.stderr.read().splitlines()] == ["- ", "- "]
    assert answers == printed(loaded(runs / "windows").predict(INPUT[:5]))
