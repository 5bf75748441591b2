"""Run folders that are damaged, or made by somebody who means harm.

Whatever is done to a folder, what is read from it is exactly what was written, or one sentence
that names the file says why not: never another error, another answer, or endless memory.
"""

import contextlib
import functools
import json
import os
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from run_folders import OWN, PLAIN, contents_of, make_run, sign, sign_arrays
from safetensors import numpy as safetensors

import echo_jax
from echo_jax import machine
from echo_jax.cells.cell_object import cell_of
from echo_jax.config import check_named, to_dict
from echo_jax.echo import training
from echo_jax.echo.run import checkpoint, run_folder
from echo_jax.exceptions import EchoError, StorageError
from echo_jax.storage import atomic_files

resource = pytest.importorskip("resource", reason="bounds the memory of a process, on Unix")
pytestmark = pytest.mark.timeout(600)

RUN = "checkpoint.safetensors"
FILES = ("vocabulary.json", "tokens.safetensors", RUN)
NOT_TO_PREDICT = ("tokens.safetensors",)
ROOM = 2**28
"""Bytes that the refusal of a file may take, whatever size the file says it has."""


@pytest.fixture(scope="module", autouse=True)
def shapes_are_traced_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "state_shapes", functools.cache(training.state_shapes))
        patch.setattr(training, "build_learner", functools.cache(training.build_learner))
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs of the same shapes, on columns of different values, that nobody writes to."""
    folder = tmp_path_factory.mktemp("runs")
    for name, draw in (("one", 1), ("two", 2)):
        make_run(folder / name, OWN, draw)
    return folder


@pytest.fixture
def run(runs, tmp_path):
    """A copy of the first run, to be damaged."""
    return shutil.copytree(runs / "one", tmp_path / "run")


def plain(tree):
    """A tree of arrays as what can be compared with ==."""
    return [(leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in jax.tree.leaves(tree)]


def network_in(folder):
    """All that predictions are a function of, of every seed."""
    networks = [echo_jax.load(folder, seed) for seed in (3, 4)]
    return [
        (to_dict(n.config), n.sequences, n.vocabulary, plain(jax.device_get(n.params)))
        for n in networks
    ]


def all_in(folder):
    """All that going on is a function of; for how long to train aside."""
    inputs = checkpoint.read_inputs(folder)
    check_named(folder, inputs.config.network.cell, None)
    learner = training.build_learner(inputs.config, cell_of(inputs.config))
    saved, _ = checkpoint.read(folder, inputs, training.state_shapes(inputs.config, learner))
    kept = plain(saved.state), plain(saved.history.curves())
    return to_dict(inputs.config), inputs.values, plain(inputs.tokens), kept


def refusal(read, folder):
    """The sentence with which a folder is refused; None where it is not."""
    try:
        read(folder)
    except EchoError as error:
        sentence = str(error)
        assert len(sentence.splitlines()) == 1
        assert len(sentence) < 1000, sentence
        assert sentence.isprintable(), sentence
        return sentence
    return None


@contextlib.contextmanager
def little_memory():
    """Within it any larger piece of memory than ROOM cannot be had."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (bound, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


# Damage


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def replaced(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


DAMAGE = {
    "longer by a byte": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a byte amid": flipped,
    "not there": Path.unlink,
    "a folder": replaced(Path.mkdir),
    "a link": lambda path: path.symlink_to(path.rename(path.with_name("elsewhere"))),
    "a pipe": replaced(os.mkfifo),
    "endless": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a terabyte": lambda path: os.truncate(path, 2**40),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_not_needed_or_refused_by_name(runs, run, name, damage):
    network = network_in(runs / "one")
    DAMAGE[damage](run / name)
    with little_memory():
        to_predict, to_go_on = refusal(network_in, run), refusal(all_in, run)
    if name in NOT_TO_PREDICT:
        assert to_predict is None
        assert network_in(run) == network
    else:
        assert str(run / name) in to_predict
    assert str(run / name) in to_go_on


@pytest.mark.parametrize("name", FILES[:2])
def test_a_file_of_another_run_is_refused(runs, run, name):
    shutil.copy(runs / "two" / name, run / name)
    assert (refusal(network_in, run) is None) == (name in NOT_TO_PREDICT)
    assert refusal(all_in, run) is not None


# Malice: every digest is right


def run_of(**changes):
    return lambda run: sign_arrays(run / RUN, **changes)


def vocabulary_of(values, length=200):
    """A vocabulary that the run names as its own."""

    def damage(run):
        contents = {"values": values, "length": length}
        atomic_files.write_json(run / "vocabulary.json", contents)
        named(run, "vocabulary.json", atomic_files.digest_of([values, length]))

    return damage


def tokens_of(tokens):
    """Tokens that the run names as its own."""

    def damage(run):
        sign_arrays(run / "tokens.safetensors", {"tokens": tokens})
        named(run, "tokens.safetensors", atomic_files.digest(tokens.tobytes()))

    return damage


def named(run, name, digest):
    """Let the run name the digest of a file of own values."""
    files = contents_of(run / RUN)[1]["files"]
    sign_arrays(run / RUN, files=files | {name: digest})


def bytes_of(data):
    return lambda run: sign(run / RUN, data)


def with_header(header):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


RUN_MALICE = {
    "deep enough to be read": run_of(config__task=json.loads("[" * 400 + "]" * 400)),
    "long text": run_of(config__task__layout="x" * 10**5),
    "files elsewhere": run_of(files={"../../etc/passwd": "0", "/etc/passwd": "0"}),
    "a module that talks": run_of(config__network__cell="this:that"),
    "other sizes": run_of(config__network__hidden_size=4),
    "more sequences than any memory": run_of(sequences=2**50),
    "a result that is none": lambda run: sign_arrays(
        run / RUN, {"result": np.frombuffer(b"{}", np.uint8)}, result_bytes=2
    ),
    "an endless header": bytes_of(bytes([255]) * 100),
    "deep": bytes_of(with_header(b"[" * 100_000)),
    "metadata that is deep": bytes_of(with_header({"__metadata__": {"echo_jax": "[" * 100_000}})),
    "an array more": lambda run: sign_arrays(run / RUN, {"params.more": np.zeros(2, np.float32)}),
    "a digest that is none": lambda run: run.joinpath(RUN).write_bytes(
        safetensors.save({"a": np.zeros(2)}, {"echo_jax": json.dumps({"sha256": 3})})
    ),
}
MALICE = {
    RUN: RUN_MALICE,
    "vocabulary.json": {
        "too many": vocabulary_of(["1", "2", "3", "4", "5", "6"]),
        "a long value": vocabulary_of(["1" * 10**6, "2", "3", "4", "5"]),
        "no values": lambda run: atomic_files.write_json(run / "vocabulary.json", {}),
    },
    "tokens.safetensors": {
        "a token too high": tokens_of(np.full(200, 5, np.int32)),
        "wide tokens": tokens_of(np.zeros(200)),
    },
}
CANNOT_BE_NAMED = "GiB that this machine has"
"""Said of a run too large for the machine: there is no file to mend."""


@pytest.mark.parametrize(
    ("name", "malice"), [(name, malice) for name, table in MALICE.items() for malice in table]
)
def test_a_file_of_malice_is_not_needed_or_refused_by_name(run, name, malice):
    MALICE[name][malice](run)
    with little_memory():
        to_predict, to_go_on = refusal(network_in, run), refusal(all_in, run)
    assert str(run) in to_go_on or CANNOT_BE_NAMED in to_go_on
    if name in NOT_TO_PREDICT:
        assert to_predict is None
    else:
        assert str(run) in to_predict or CANNOT_BE_NAMED in to_predict
    assert "this" not in sys.modules


@pytest.mark.parametrize(("window", "fits"), [(3, True), (2**30, False)])
def test_a_run_of_huge_rows_is_read_or_refused_without_their_memory(
    tmp_path, window, fits, monkeypatch
):
    """A network keeps its window; it does not keep a sequence."""
    monkeypatch.setattr(machine, "memory", lambda: 2**34)  # whatever this machine has
    make_run(tmp_path / "run", PLAIN)
    run_of(config__task__length=2**31 - 1, config__task__window=window)(tmp_path / "run")
    with little_memory():
        sentence = refusal(echo_jax.load, tmp_path / "run")
    assert sentence is None if fits else CANNOT_BE_NAMED in sentence


# Anything at all


def test_a_folder_that_holds_staged_files_and_a_lock_alone_is_unused(tmp_path):
    (tmp_path / ".config.json.part").write_bytes(b"{")
    (tmp_path / ".lock").touch()
    run_folder.check_unused(tmp_path)


@pytest.mark.parametrize("out", ["", ".", "../{}"])
def test_the_current_folder_is_not_used_for_a_run_though_it_is_empty(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StorageError, match=r"^the current folder cannot be used for results"):
        run_folder.check_unused(Path(out.format(tmp_path.name)))


@pytest.mark.parametrize("name", ["mine.part", "vocabulary.json", ".mine"])
def test_a_folder_with_a_file_of_the_user_is_no_folder_for_a_run(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(EchoError, match="is an existing folder"):
        run_folder.check_unused(tmp_path)
