"""All that a user can get wrong: one sentence that names the value, the rule and the fix.

Most command lines run in this process, where it can be seen that nothing is compiled; a few run
as a user runs them.
"""

import dataclasses
import fcntl
import os
import re
import resource
import shlex

import jax
import numpy as np
import pytest
from run_folders import OWN, PLAIN, inputs_of, make_run, sign_json, snapshot
from running import execute

import echo_jax
from echo_jax import atomic_files, config, machine
from echo_jax.commands import command_line
from echo_jax.config import NetworkConfig, RunConfig
from echo_jax.exceptions import ConfigError
from echo_jax.runs import run_folder
from echo_jax.runs.run_folder import RunSpec

pytestmark = pytest.mark.timeout(300)

COMPILED = []
"""An entry for every program that jax compiled in this process."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to stand in, with runs and columns of every kind, the bad ones above all."""
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: COMPILED.append(event) if "backend_compile" in event else None
    )
    place = tmp_path_factory.mktemp("place")
    make_run(place / "plain", PLAIN)
    atomic_files.write_json(place / "plain" / "result.json", {"config": config.to_dict(PLAIN)})
    of_values = dataclasses.replace(PLAIN, task=dataclasses.replace(PLAIN.task, framing="values"))
    make_run(place / "values", of_values)
    make_run(place / "half", OWN)
    make_run(place / "busy", OWN)
    make_run(place / "rbg", OWN)
    sign_json(place / "rbg" / "config.json", versions={"generator": "rbg"})
    make_run(place / "failed", PLAIN, last=np.nan)
    (place / "begun").mkdir()
    run_folder.write_inputs(place / "begun", inputs_of(OWN))
    (place / "cell").mkdir()
    own_cell = RunConfig(network=NetworkConfig(cell="mine:Cell"))
    run_folder.write_inputs(place / "cell", RunSpec(own_cell))
    (place / "link").symlink_to("plain")
    (place / "empty").mkdir()
    (place / "torn").mkdir()
    (place / "torn" / "config.json").write_text("{")
    (place / "taken").write_text("a file")
    os.mkfifo(place / "pipe")
    for name, content in COLUMNS.items():
        (place / f"{name}.csv").write_bytes(content)
    descriptor = os.open(place / "busy", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield place
    os.close(descriptor)


HUNDRED = b"".join(b"%d\n" % (7 * i % 5) for i in range(100))
COLUMNS = {
    "good": b"n\n" + HUNDRED,
    "two": b"a,b\n" + b"1,2\n3,4\n" * 50,
    "twice": b"n,n\n" + b"1,2\n3,4\n" * 50,
    "latin": b"n\n1\n\xe9\n",
    "unseen": b"n\n11\n\xce\xb2\n",
}

TRAIN = """
--part four                  | --part four is unknown: use one of current, no-context, context
--part                       | --part has no value: give one after it
--cell lstn                  | --cell 'lstn' is unknown: did you mean lstm, or module:NAME or
--cell transformer           | --cell 'transformer' is unknown: use one of lstm, gru, optimized
--cell nosuch.py             | cell 'nosuch.py' cannot be imported, there is no file nosuch.py here:
--cell nosuch.module:Cell    | cell 'nosuch.module:Cell' cannot be imported (ModuleNotFoundError:
--cell os:system             | cell 'os:system' is no cell: use a class derived from flax.linen.RNN
--cell os:nosuch             | cell 'os:nosuch' cannot be imported (AttributeError:
--widow 5                    | --widow is not an option: use --window, or see --help
--no-lag 1                   | --no-lag is not an option: use --lag, or see --help
--epochs 5                   | --epochs is not an option: every sequence is new and used once, use
--n_epoch=5                  | --n_epoch is not an option: every sequence is new and used once, use
--units 20                   | --units is not an option: units are --hidden-size (or --hidden) here
--verbose 0                  | --verbose is not an option: there is none, progress is a bar in a
--neurons 20                 | --neurons is not an option: units are --hidden-size (or --hidden)
--timesteps 5                | --timesteps is not an option: the time steps of a row are --window
--n-batch 5                  | --n-batch is not an option: rows in a batch are --batch-size (or
--lr 0.1                     | --lr is not an option: use --learning-rate
--stateless                  | --stateless is not an option: use --no-stateful
--optimizer Adam             | --optimizer Adam is unknown: use one of adam, keras-adam
-x                           | -x is not an option: see --help for all of them
--no-statful                 | --no-statful is not an option: use --no-stateful, or see --help
--stateful False             | False is no value of --stateful, a switch: use --stateful or --no-
--lag 1 --lag 2              | --lag is given more than once: give it once
--stateful --no-stateful     | --no-stateful is given more than once: give it once
--lag one                    | --lag one is not a whole number: use one such as 1
--lag {digits}               | --lag is too long for a number: use one such as 1
--lag                        | --lag has no value: give one after it
--lag 25                     | --lag 25 reaches outside a sequence of 25: use a lag from -24 to 24
--vocab-size 1               | --vocab-size 1 is below 2: use 2 or more
--length 10 --batch 7        | --length 10 gives 6 rows (window 5, lag 1), fewer than --batch 7:
--batch 30                   | length 25 gives 21 rows (window 5, lag 1), fewer than --batch 30: use
--hidden_size=0              | --hidden_size 0 is below 1: use 1 or more
--learning-rate fast         | --learning-rate fast is not a number: use one such as
--cluster local:2            | --cluster is not an option: sweep, study and probe take --cluster
--seed 2147483647 --seeds 2  | --seed 2147483647 is above 2147483646: use 2147483646 or less
--layout rows                | --layout rows is unknown: use one of windows, prefixes, streams
--framing values --encoding embedding | --encoding embedding embeds tokens, and framing values
--framing values --csv good.csv | --framing values is for integers, and the values of good.csv
--bptt-batches 2 --no-stateful | --bptt-batches 2 need a state that is carried from batch to batch:
--devices 0                  | --devices 0 is below 1: use 1 or more
--checkpoint-every 0         | --checkpoint-every 0 is below 1: use 1 or more
--seed-map pmap              | --seed-map pmap is unknown: use one of
--processes 2                | --processes is gone: one process uses all devices that it sees; --cl
--compilation-cache yes      | yes is no value of --compilation-cache, a switch: use --comp
--hidden 2147483647          | 206,158,442,112.0 GiB are needed at the least and this machine has
--seeds 2147483647           | 847,216.0 GiB are needed at the least and this machine has
--out                        | --out has no value: give one after it
--out ''                     | out . is a folder that exists already, and nothing is overwritten
--out taken                  | out taken is a file that exists already, and nothing is overwritten:
--out plain                  | out plain is a folder that exists already, and nothing is
--out begun                  | out begun is a folder that exists already, and nothing is
--out torn                   | out torn is a folder that exists already, and nothing is
--out taken/run              | out taken/run cannot be created (Not a directory): use a folder you
--out /proc/none/run         | out /proc/none/run cannot be created (No such file or directory):
--out new/{name}             | out new/xxx
--csv nosuch.csv             | file nosuch.csv does not exist or is not a regular file: use the name
--csv pipe                   | file pipe does not exist or is not a regular file: use the name of a
--csv two.csv                | file two.csv has 2 columns: use --column with one of 'a', 'b'
--csv two.csv --column c     | file two.csv has no column 'c': use --column with one of 'a', 'b'
--csv twice.csv --column n   | file twice.csv has 2 columns named 'n': give one of them another name
--csv latin.csv              | file latin.csv line 3 is not UTF-8: save the file as UTF-8
--csv good.csv               | column n of good.csv: 100 values with --held-out 0.2 give 80 to train
--csv good.csv --vocab-size 7 | column n of good.csv: vocab size 7 is not the number of its
--csv good.csv --held-out 1  | --held-out 1.0 is not a share between 0 and 1: use one such as 0.2
--column n                   | --column n has no file: name it with --csv FILE
--resume                     | --resume has no value: give one after it
--resume nosuch              | nosuch is not a folder that can be read (No such file or directory):
--resume taken               | taken is not a folder that can be read (Not a directory): use the
--resume empty               | empty/config.json cannot be read (No such file or directory): use the
--resume torn                | torn/config.json is damaged, its digest is not that of its
--resume busy                | busy is in use by another process: wait until it has ended, or stop
--resume half --lag 1        | --lag cannot be changed in a run that is resumed: leave it out, or
--resume half --no-stateful  | --no-stateful cannot be changed in a run that is resumed
--resume half --part context | --part cannot be changed in a run that is resumed
--resume half --out new      | --out cannot be changed in a run that is resumed
--resume half --sequences 3  | sequences 3 is below the 4 that half has done: use more, or start a
--resume half --cell gru     | cell 'gru' is not that of half, which has lstm: leave it out
--resume half --checkpoint_every 5 --sequences 1 | sequences 1 is below the 4 that half has done
--resume plain               | plain is finished, all 4 sequences: use a larger --sequences to go
--resume rbg                 | rbg has random numbers of 'rbg', and they would now be those of
--resume cell                | cell needs the cell mine:Cell, which is imported only if you name it
--resume cell --cell lstm    | cell needs the cell mine:Cell, which is imported only if you name
"""

PREDICT = """
{nothing}                    | Folder of the run is not given: name it, or see --help
plain                        | none of values, --csv FILE, --stream, --explain and --beyond N given
plain 1 --stream             | several of values, --csv FILE, --stream, --explain and --beyond N
plain --values 1             | --values is not an option: see --help for all of them
1 2 --run plain              | --run is not an option: name the folder of the run without a flag
plain --strem                | --strem is not an option: use --stream, or see --help
plain --explain --windows 0  | --windows 0 is out of range: use 1 to 2147483647
plain --explain --unknown skip | --unknown has no effect with --explain
plain 1 --windows 5          | --windows has no effect without --explain: leave it out
plain --explain --state s    | --state has no effect with --explain
plain 1 --unknown maybe      | --unknown maybe is unknown: use one of error, skip
plain 1 --seed 1             | seed 1 is not in plain: use one from 0 to 0
half 33 --seed 2             | seed 2 is not in half: use one from 3 to 4
plain 1 0 5                  | value '5' at position 3 is not in the vocabulary (the whole numbers
plain ''                     | value '' at position 1 is not in the vocabulary (the whole numbers 0
plain --csv unseen.csv       | value '11' in line 2 is not in the vocabulary (the whole numbers 0
nosuch 1                     | nosuch/config.json cannot be read (No such file or directory): use
begun 33                     | begun has no checkpoint yet: train on with --resume
failed 1                     | seed 0 of failed failed in training: use another --seed
cell 1                       | cell needs the cell mine:Cell, which is imported only if you name it
plain 1 --cell mine:Cell     | cell 'mine:Cell' is not that of plain, which has lstm: leave it out
plain 1 --state taken        | taken is damaged, its digest is not that of its content: name
plain 1 --state link         | link is not a regular file: name another file, or none to start
plain 1 --state empty        | empty is not a regular file: name another file, or none to start
plain 1 --state nosuch/state | --state nosuch/state would be in nosuch, which is not a folder
"""

SHOW = """
plain                        | plain stands alone: use --curve plain to show the run in it
nosuch                       | nosuch is not an option: see --help for all of them
--curve plain --rows 3       | --rows has no effect with --curve: leave it out
--units 20                   | --units is not an option: units are --hidden-size (or --hidden) here
--open                       | --open opens the figure of a run: name its folder with --curve
--rows 0                     | --rows 0 is below 1: use 1 or more
"""

SWEEP = """
--epochs 5                   | --epochs is not an option: every sequence is new and used once, use
--lag                        | --lag has no value: give one or several after it
--lag 1 1                    | lag 1 is given twice: give each value once
--stateful yes true          | stateful yes is given twice: give each value once
--stateful maybe             | --stateful maybe is unknown: use one of yes, no, true, false, True,
--lag 99                     | lag 99: lag 99 reaches outside a sequence of 25: use a lag from -24
--out taken                  | taken cannot be a folder of studies (File exists): use another
--out plain                  | plain has 'checkpoint.msgpack' in it and is no folder of studies: use
--cell nosuch:C --out new    | cell 'nosuch:C' cannot be imported (ModuleNotFoundError:
"""

STANDS_FOR = {"digits": "9" * 5000, "name": "x" * 300, "nothing": ""}

TABLES = {"train.py": TRAIN, "predict.py": PREDICT, "show.py": SHOW, "sweep.py": SWEEP}
COMMANDS = [
    (script, *map(str.strip, line.split(" | ")))
    for script, table in TABLES.items()
    for line in table.strip().splitlines()
]


def assert_one_sentence(printed, sentence):
    """What is printed is one line, begins as told, and goes on to a fix."""
    assert printed.startswith(f"error: {sentence}")
    assert (printed[-1], printed.count("\n")) == ("\n", 1)
    assert ": " in printed.removeprefix("error: ")
    assert len(printed) < 1000


@pytest.mark.parametrize(
    ("script", "line", "sentence"), COMMANDS, ids=[f"{row[0]} {row[1]}" for row in COMMANDS]
)
def test_a_bad_command_line_is_one_sentence_compiles_nothing_and_leaves_nothing(
    call, place, script, line, sentence, monkeypatch
):
    monkeypatch.setattr(machine, "memory", lambda: 2**34)  # whatever this machine has
    before, compiled = snapshot(place), len(COMPILED)
    said = call(script, *shlex.split(line.format(**STANDS_FOR)), cwd=place, status=2)
    assert_one_sentence(said.stderr, sentence)
    assert said.stdout == ""
    assert len(COMPILED) == compiled
    assert snapshot(place) == before


ODD = "a\n\x1b[31m\u202eb'"


def test_what_a_terminal_obeys_is_printed_escaped(call, place):
    """In the names of folders and columns, in values and in the exception of a cell."""
    make_run(place / ODD, PLAIN)
    (place / "turned\u202e.csv").write_text("n\u202e\n" + "a\u202eb\nc\n" * 50)
    (place / "odd.py").write_text(f"raise ValueError({ODD!r})\n")
    said = [
        call("train.py", "--resume", ODD, "--lag", 2, cwd=place, status=2),
        call("train.py", "--out", ODD, cwd=place, status=2),
        call("train.py", f"--{ODD}", cwd=place, status=2),
        call("train.py", "--part", ODD, cwd=place, status=2),
        call("predict.py", ODD, ODD, cwd=place, status=2),
        call("study.py", ODD, cwd=place, status=2),
        call("train.py", "--cell", "odd:Cell", cwd=place, status=2),
        call("show.py", "--csv", "turned\u202e.csv", "--length", 12, cwd=place),
    ]
    for stdout, stderr in said:
        assert not re.search("[\x1b\u202e]", stdout + stderr)
        assert stderr.count("\n") <= 1
    assert "a\\u202eb" in said[-1].stdout
    assert command_line.quoted(ODD, "a b") == r"$'a\n\x1b[31m\u202eb\'' 'a b'"


def test_a_good_command_line_is_not_refused_and_compiles(call, place):
    compiled = len(COMPILED)
    said = call("show.py", "--csv", "good.csv", "--length", 12, "--rows", 3, cwd=place)
    assert said.stderr == ""
    assert "One-hot" in said.stdout
    assert len(COMPILED) > compiled


@pytest.mark.parametrize("command", ["train.py --csv pipe", "predict.py plain 1 0 5"])
def test_a_bad_command_line_is_refused_soon_in_a_process_of_its_own(place, command):
    script, line = command.split(" ", 1)
    sentence = next(row[2] for row in COMMANDS if row[:2] == (script, line))
    before, used = snapshot(place), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = execute(script, *shlex.split(line), cwd=place, status=2)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    assert_one_sentence(done.stderr, sentence)
    assert done.stdout == ""
    assert snapshot(place) == before
    assert seconds < 5


def test_the_fix_of_a_switch_that_is_off_is_to_turn_it_on(place, call):
    said = call("train.py", "--bptt-batches", 2, "--no-stateful", cwd=place, status=2).stderr
    assert said.endswith("use --stateful, or --bptt-batches 1\n")


def test_an_input_that_cannot_be_read_is_one_sentence(place, call, monkeypatch):
    def refuse(*_):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("echo_jax.commands.predict.os.read", refuse)
    said = call("predict.py", "plain", "--stream", cwd=place, status=2)
    assert_one_sentence(said.stderr, "the standard input cannot be read (Bad file desc")


ENDLESS = 10**5000
"""A number that Python does not spell."""


def predict(inputs, run="plain", **options):
    return lambda: echo_jax.load(run).predict(inputs, **options)


API = {
    "no folder": (lambda: echo_jax.load("nosuch"), "nosuch/config.json cannot be read (No such"),
    "seed outside": (lambda: echo_jax.load("half", seed=5), "seed 5 is not in half: use one from"),
    "half a seed": (lambda: echo_jax.load("half", seed=3.5), "seed 3.5 is not in half: use one"),
    "text": (predict("12"), "'12' is no sequence of values: use a list or an array"),
    "nothing": (predict(None), "None is no sequence of values: use a list or an array"),
    "three axes": (predict(np.zeros((1, 1, 1))), "inputs are neither values nor sequences of"),
    "a fraction": (predict([1.5]), "value 1.5 is neither a whole number nor a string: use one"),
    "objects": (predict(np.array([1, "x", None], object)), "value None is neither a whole number"),
    "unseen": (predict([0, 5]), "value '5' at position 2 is not in the vocabulary (the whole"),
    "endless": (predict([ENDLESS]), "a value has more than 100 digits: use a smaller one"),
    "unknown": (predict([1], unknown="ignore"), "unknown 'ignore' is unknown: use error or skip"),
    "probabilities of values": (
        predict([1], "values", probabilities=True),
        "probabilities are not given by a network of framing values, which says one number: ask",
    ),
}


@pytest.mark.parametrize("name", API)
def test_a_bad_argument_is_one_sentence_and_compiles_nothing(place, monkeypatch, name):
    call, sentence = API[name]
    monkeypatch.chdir(place)
    before, compiled = snapshot(place), len(COMPILED)
    with pytest.raises(ConfigError) as refusal:
        call()
    assert_one_sentence(f"error: {refusal.value}\n", sentence)
    assert len(COMPILED) == compiled
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("name", "value"), [("jax_enable_x64", True), ("jax_numpy_rank_promotion", "raise")]
)
def test_a_program_with_other_types_is_told_so_and_no_checkpoint_is_said_to_be_damaged(
    place, name, value
):
    before = jax.config.values[name]
    jax.config.update(name, value)
    try:
        with pytest.raises(ConfigError, match=f"{name} is {value} in this program, and networks"):
            echo_jax.load(place / "plain")
    finally:
        jax.config.update(name, before)


def test_nothing_in_gives_nothing_out_and_an_array_of_objects_is_what_its_list_is(
    place, monkeypatch
):
    monkeypatch.chdir(place)
    network = echo_jax.load("plain")
    for inputs in ([], [[]], [[], []], np.zeros((2, 0))):
        assert network.predict(inputs) == np.asarray(inputs).tolist()
    mixed = [1, "2", 3.0, np.int8(4), 0]
    assert network.predict(np.array(mixed, object)) == network.predict(mixed)


def test_a_network_of_framing_values_answers_with_integers_from_its_vocabulary(place, monkeypatch):
    """Its weights are large, so what it reads is far outside of 0 to 1, whose ends it says."""
    monkeypatch.chdir(place)
    network, inputs = echo_jax.load("values"), [0, 4, 2, 1, 3, 0, 4, 1]
    state, expected = network.start(), []
    for token in inputs:
        state, answer = network.step(state, token)
        expected.append(int(np.argmax(answer.logits)))
    assert network.predict(inputs) == [None, None, *expected[2:]]
    assert set(expected[2:]) <= {0, 4}
