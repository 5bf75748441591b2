"""All that a user can get wrong: one sentence that names the value, the rule and the fix.

Most command lines run in this process, where it can be seen that nothing is compiled; a few run
as a user runs them.
"""

import re
import shlex

import jax
import numpy as np
import pytest
from fabricated_results import fabricated_result
from made_up_cards import card_with, stored
from run_folders import OWN, PLAIN, inputs_of, make_run, snapshot
from running import assert_one_sentence

import echo_jax
from echo_jax import machine
from echo_jax.config import NetworkConfig, RunConfig, changed
from echo_jax.echo.run import checkpoint
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.exceptions import ConfigError, EchoError
from echo_jax.storage import atomic_files

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
    make_run(place / "plain", PLAIN, result=fabricated_result(PLAIN))
    make_run(place / "values", changed(PLAIN, framing="values"))
    make_run(place / "half", OWN)
    make_run(place / "busy", OWN)
    make_run(place / "failed", PLAIN, last=np.nan)
    (place / "begun").mkdir()
    checkpoint.begin(place / "begun", inputs_of(OWN))
    (place / "cell").mkdir()
    own_cell = RunConfig(network=NetworkConfig(cell="mine:Cell"))
    checkpoint.begin(place / "cell", RunSpec(own_cell))
    make_run(place / "edited", PLAIN, result=fabricated_result(PLAIN))
    for name in ("curve.png", "memory.png"):
        (place / "edited" / name).write_text("drawn by hand")
    make_run(place / "next", changed(PLAIN, lag=-1))
    (place / "empty").mkdir()
    (place / "torn").mkdir()
    (place / "torn" / checkpoint.CHECKPOINT).write_text("{")
    (place / "taken").write_text("a file")
    (place / "cards").mkdir()
    stored(*card_with(8), place / "cards")
    for name, content in COLUMNS.items():
        (place / f"{name}.csv").write_bytes(content)
    with atomic_files.locked(place / "busy"):
        yield place


HUNDRED = b"".join(b"%d\n" % (7 * i % 5) for i in range(100))
COLUMNS = {"good": b"n\n" + HUNDRED, "unseen": b"n\n11\n\xce\xb2\n"}

TRAIN = """
--part four                           | --part
--cell os:system                      | os:system
--widow 5                             | --window
--epochs 5                            | --sequences
--cluster local:2                     | sweep
--lag 3 --colour                      | train.py --help
-x                                    | -x
--stateful False                      | False
--lag {digits}                        | --lag
--lag                                 | --lag
--lag x                               | --lag 'x'
--lag 1.5                             | --lag '1.5'
--learning-rate fast                  | --learning-rate 'fast'
--seed 2147483647 --seeds 2           | --seed
--framing values --csv good.csv       | --framing
--bptt-batches 2 --no-stateful        | --stateful
--devices 0                           | --devices
--hidden 2147483647                   | GiB
--cell block:gru --cell-args layers=0 | layers
--cell block:gru --cell-args layers={many} | layers
--cell block:gru --cell-args layers=2.5 | layers 2.5
--cell lru --cell-args r_min=low      | r_min 'low'
--cell-args features=9 --hidden 12    | features=9
--state-bytes 400 --hidden 12         | --state-bytes
--cell mamba2 --state-bytes 5         | 4
--out plain                           | plain
--out taken/run                       | taken/run
--out /proc/none/run                  | /proc/none/run
--out {name}                          | xxx
--csv nosuch.csv                      | nosuch.csv
--csv good.csv                        | good.csv
--resume nosuch                       | nosuch
--resume torn                         | torn/checkpoint.safetensors
--resume busy                         | busy
--resume half --lag 1                 | --lag
--resume half --sequences 3           | half
--resume half --cell gru              | gru
--resume plain                        | plain
--resume cell                         | mine:Cell
"""

PREDICT = """
{nothing}                             | PATH
plain                                 | --stream
plain 1 --stream                      | --stream
plain 1 --unknown maybe               | --unknown
plain ''                              | ''
plain --csv unseen.csv                | 11
begun 33                              | begun
failed 1                              | failed
cell 1                                | mine:Cell
"""

SHOW = """
plain                                 | plain
--curve empty                         | empty
--play plain --curve plain            | --curve
--play plain --seed 0                 | --seed
--curve plain --lag 3                 | --lag
--curve edited                        | edited/curve.png
--memory edited                       | edited/memory.png
"""

SWEEP = """
--cell nosuch:C --out new             | nosuch:C
--lag 1 x                             | 'x'
--out plain                           | plain
"""

CARD = """
--protocol ''                         | --protocol
--protocol empty                      | empty
--seeds x                             | --seeds 'x'
"""

STANDS_FOR = {"many": "9" * 9, "digits": "9" * 5000, "name": "x" * 300, "nothing": ""}


TABLES = {
    "train.py": TRAIN,
    "predict.py": PREDICT,
    "show.py": SHOW,
    "sweep.py": SWEEP,
    "card.py": CARD,
}
COMMANDS = [
    (script, *map(str.strip, line.split(" | ")))
    for script, table in TABLES.items()
    for line in table.strip().splitlines()
]


@pytest.mark.parametrize(
    ("script", "line", "subject"), COMMANDS, ids=[f"{row[0]} {row[1]}" for row in COMMANDS]
)
def test_a_bad_command_line_is_one_sentence_compiles_nothing_and_leaves_nothing(
    call, place, script, line, subject, monkeypatch
):
    monkeypatch.setattr(machine, "memory", lambda: 2**34)  # whatever this machine has
    before, compiled = snapshot(place), len(COMPILED)
    printed = call(script, *shlex.split(line.format(**STANDS_FOR)), cwd=place, status=2)
    assert_one_sentence(printed.stderr, subject)
    assert printed.stdout == ""
    assert len(COMPILED) == compiled
    assert snapshot(place) == before


ODD = "a\n\x1b[31m\u202eb'"


def test_what_a_terminal_obeys_is_printed_escaped(call, place):
    """Beside errors, in the values of a column and in the exception of a cell."""
    (place / "turned\u202e.csv").write_text("n\u202e\n" + "a\u202eb\nc\n" * 50)
    (place / "odd.py").write_text(f"raise ValueError({ODD!r})\n")
    outputs = [
        call("train.py", f"--{ODD}", cwd=place, status=2),
        call("train.py", "--cell", "odd:Cell", cwd=place, status=2),
        call("show.py", "--csv", "turned\u202e.csv", "--length", 12, cwd=place),
    ]
    for stdout, stderr in outputs:
        assert not re.search("[\x1b\u202e]", stdout + stderr)
        assert stderr.count("\n") <= 1
    assert "a\\u202eb" in outputs[-1].stdout


def test_a_good_command_line_is_not_refused_and_compiles(call, place):
    compiled = len(COMPILED)
    printed = call("show.py", "--csv", "good.csv", "--length", 12, "--rows", 3, cwd=place)
    assert printed.stderr == ""
    assert "One-hot" in printed.stdout
    assert len(COMPILED) > compiled


MANY = np.zeros(3)


def predict(inputs, run="plain", **options):
    return lambda: echo_jax.load(run).predict(inputs, **options)


def of_network(ask, run="plain"):
    return lambda: ask(echo_jax.load(run))


API = {
    "a NUL in a path": (lambda: echo_jax.load("a\0b"), "folder"),
    "seed outside": (lambda: echo_jax.load("half", seed=5), "seed"),
    "a cell that is no name": (lambda: echo_jax.load("plain", cell=3), "cell"),
    "an endless name": (lambda: NetworkConfig(cell="x" * 80_000), "is longer than 1,000"),
    "text": (predict("12"), "12"),
    "nothing": (predict(None), "None"),
    "a set, which has no order": (predict({3, 4}), "{3, 4}"),
    "three axes": (predict(np.zeros((1, 1, 1))), "value"),
    "a fraction": (predict([1.5]), "1.5"),
    "no value": (predict(np.array([1, "x", None], object)), "None"),
    "a surrogate": (predict(["\ud800"]), "ud800"),
    "unseen": (predict([0, 5]), "5"),
    "endless": (predict([10**5000]), "digits"),  # Python does not spell it
    "probabilities of values": (predict([1], "values", probabilities=True), "framing"),
    "an array in the place of a word": (predict([1], unknown=MANY), "unknown"),
    "a state that is none": (of_network(lambda net: net.generate(3, [1], 1)), "generate"),
    "a count that is none": (of_network(lambda net: net.generate(None, [1], "2"), "next"), "count"),
    "no tokens": (of_network(lambda net: net.generate(None, None, 2), "next"), "None"),
    "units that are many": (
        lambda: echo_jax.train(cell="gru", args={"features": MANY}),
        "features",
    ),
    "no other cells without a task": (lambda: echo_jax.card("gru", beside=False), "beside"),
    "a list in the place of a card": (lambda: echo_jax.cards("cards", beside=[["gru"]]), "gru"),
    "lags that are none": (of_network(lambda net: net.memory(MANY)), "lags"),
    "studies": (lambda: echo_jax.study(["state"]), "state"),
    "an array for both questions": (lambda: echo_jax.card("gru", only=MANY), "only"),
    "an array for a switch": (lambda: echo_jax.probe(MANY, MANY, by_step=MANY), "by_step"),
    "a number for a name": (lambda: echo_jax.cards(".", beside=3), "beside"),
    "an array for a number": (lambda: echo_jax.Protocol(rows=MANY), "rows"),
    "a number that no protocol has": (lambda: echo_jax.Protocol(update=9), "use updates"),
}
API |= {
    f"train {field}={value!r}": (lambda o={field: value}: echo_jax.train(**o), field)
    for field, value in (
        ("out", 3), ("out", "a\0b"), ("out", "\ud800"), ("out", ""), ("csv", "a\0b"),
        ("cell", None), ("cell", "\ud800"), ("lag", "1"), ("lag", 1.5), ("seeds", True),
        ("stateful", "no"), ("part", MANY), ("learning_rate", "x"), ("devices", "2"),
        ("checkpoint_every", 0), ("compute", None), ("lr", 0.1), ("windw", 3),
        ("resume", "runs/x"), ("optimizer", print), ("optimizer", MANY),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", API)
def test_a_bad_argument_is_one_sentence_compiles_nothing_and_leaves_nothing(
    place, monkeypatch, name
):
    call, subject = API[name]
    monkeypatch.chdir(place)
    before, compiled = snapshot(place), len(COMPILED)
    with pytest.raises(EchoError) as refusal:
        call()
    assert_one_sentence(f"error: {refusal.value}\n", subject)
    assert not re.search(r"(?<!echo-jax train )--[a-z]", str(refusal.value))  # no flags in Python
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
        with pytest.raises(ConfigError, match=f"{name} is {value}, but results"):
            echo_jax.load(place / "plain")
    finally:
        jax.config.update(name, before)
