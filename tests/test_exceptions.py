"""An error is data, spelled where it is printed; calls raise what their docstrings promise."""

import pickle
import re
import sys
import types

import numpy as np
import optax
import pytest
from made_up_cards import card_with, stored

import echo_jax
from echo_jax.echo.run.predictor import TrainedNetwork
from echo_jax.echo.run.train_call import Run
from echo_jax.echo.studies import study_call
from echo_jax.exceptions import ConfigError, StorageError, TasksFailedError
from echo_jax.memory.card import make_card
from echo_jax.memory.card.card_call import CardResult, Cards
from echo_jax.report.section import Section

TOO_LONG = ConfigError(
    "window", 30, "is longer than the sequence of 25", "use {window=25} or a longer {length}"
)


@pytest.mark.parametrize(
    ("error", "flag", "argument"),
    [
        (TOO_LONG,
         "--window 30 is longer than the sequence of 25: use --window 25 or a longer --length",
         "window=30 is longer than the sequence of 25: use window=25 or a longer length"),
        (ConfigError("stateful", False, "is wrong", "use {stateful=True}"),
         "--no-stateful is wrong: use --stateful", "stateful=False is wrong: use stateful=True"),
        (ConfigError("cell", "a b", "is none", "use {cell=lstm} or {seeds=N}"),
         "--cell 'a b' is none: use --cell lstm or --seeds N",
         "cell='a b' is none: use cell=\"lstm\" or seeds=N"),
        (ConfigError(None, "a.csv", "is empty", "use {held_out=0.1}"),
         "a.csv is empty: use --held-out 0.1", "a.csv is empty: use held_out=0.1"),
        (ConfigError("give {csv} a file").then("or {cell}"), "give --csv a file; or --cell",
         "give csv a file; or cell"),
    ],
)  # fmt: skip
def test_an_error_is_spelled_as_flags_or_as_arguments(error, flag, argument):
    assert error.spelled("flag") == flag
    assert error.spelled("argument") == str(error) == argument


def test_an_error_comes_whole_out_of_a_worker():
    error = pickle.loads(pickle.dumps(StorageError(None, "a", "is damaged", "restore it")))
    assert type(error) is StorageError
    assert error.spelled("flag") == "a is damaged: restore it"


SMALL = {
    "length": 8, "vocab_size": 6, "window": 2, "batch_size": 2, "hidden_size": 4, "sequences": 2,
    "evaluation_sequences": 5, "progress": False,
}  # fmt: skip
MANY = np.zeros(3)


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A run and its network, a card, and a file in the place of a folder."""
    place = tmp_path_factory.mktemp("given")
    run = echo_jax.train(**SMALL, out=place / "run")
    cards, damaged = place / "cards", place / "damaged"
    for folder in (cards, damaged):
        folder.mkdir()
        stored(*card_with(4, lags=9, cell="block:gla", name="mine"), folder)
    (damaged / "mine" / "card.json").write_text("{}")
    (place / "file").write_text("")
    made = echo_jax.cards(cards, ["lstm"])
    return types.SimpleNamespace(
        place=place, run=run, net=run.network(), cards=made, mine=made["mine"],
        inside=place / "file" / "x", folder=cards, damaged=damaged,
    )  # fmt: skip


GRIDS = {
    "sweep": lambda x: echo_jax.sweep(**SMALL, seeds=1),
    "study": lambda x: echo_jax.study("parts", x.place / "study", run=True, progress=False),
    "card": lambda x: echo_jax.card("gru", progress=False),
}
PROMISED = [
    ("train", "ConfigError", lambda x: echo_jax.train(part=MANY)),
    ("train", "ConfigError", lambda x: echo_jax.train(optimizer=MANY)),
    ("train", "StorageError", lambda x: echo_jax.train(**SMALL, out=x.inside)),
    ("train", "DivergedError", lambda x: echo_jax.train(**SMALL, optimizer=optax.sgd(1e38))),
    ("sweep", "ConfigError", lambda x: echo_jax.sweep(part=MANY)),
    ("sweep", "StorageError", lambda x: echo_jax.sweep(**SMALL, out=x.inside)),
    ("study", "ConfigError", lambda x: echo_jax.study(["state"])),
    ("study", "StorageError", lambda x: echo_jax.study("parts", x.inside, run=True)),
    ("card", "ConfigError", lambda x: echo_jax.card(only=MANY)),
    ("card", "StorageError", lambda x: echo_jax.card("gru", out=x.inside)),
    ("cards", "ConfigError", lambda x: echo_jax.cards(x.folder, beside=3)),
    ("cards", "StorageError", lambda x: echo_jax.cards(x.damaged)),
    ("probe", "ConfigError", lambda x: echo_jax.probe(MANY, MANY, by_step=MANY)),
    ("load", "ConfigError", lambda x: echo_jax.load(x.run.folder, seed=MANY)),
    ("load", "StorageError", lambda x: echo_jax.load(x.place / "none")),
    ("Protocol", "ConfigError", lambda x: echo_jax.Protocol(rows=MANY)),
    ("Run.network", "ConfigError", lambda x: x.run.network(seed=MANY)),
    ("Run.predict", "ConfigError", lambda x: x.run.predict([1], probabilities=MANY)),
    ("Run.states", "ConfigError", lambda x: x.run.states([99])),
    ("Run.memory", "ConfigError", lambda x: x.run.memory(2**30)),
    ("TrainedNetwork.step", "ConfigError", lambda x: x.net.step(x.net.start(), [1, 2])),
    ("TrainedNetwork.values", "ConfigError", lambda x: x.net.values(x.net.start(), "a")),
    ("TrainedNetwork.generate", "ConfigError", lambda x: x.net.generate(x.net.start(), [1], 1)),
    ("TrainedNetwork.predict", "ConfigError", lambda x: x.net.predict([1], unknown=MANY)),
    ("TrainedNetwork.states", "ConfigError", lambda x: x.net.states([])),
    ("TrainedNetwork.memory", "ConfigError", lambda x: x.net.memory(MANY)),
    ("CardResult.figure", "ConfigError",
     lambda x: CardResult(types.SimpleNamespace(task="a", name="a"), []).figure),
    ("CardResult.to_pandas", "ConfigError", lambda x: x.mine.to_pandas()),
    ("CardResult.write", "StorageError", lambda x: x.mine.write(x.inside)),
    ("CardResult.write", "ConfigError", lambda x: list(x.cards.values())[1].write(x.place)),
    ("Cards.to_pandas", "ConfigError", lambda x: x.cards.to_pandas()),
    ("Section.to_pandas", "ConfigError", lambda x: echo_jax.study("parts").to_pandas()),
    *((call, error, GRIDS[call]) for call in GRIDS
      for error in ("TasksFailedError", "SchedulerLostError")),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "provoke"), PROMISED)
def test_a_call_raises_what_its_docstring_promises(call, error, provoke, given, monkeypatch):
    def complete(*_):
        raise TasksFailedError.of(["a"]) if error.startswith("T") else getattr(echo_jax, error)("a")

    monkeypatch.setitem(sys.modules, "pandas", None)
    for module in (study_call, make_card):
        monkeypatch.setattr(module, "complete", complete)
    with pytest.raises(getattr(echo_jax, error)):
        provoke(given)


def test_every_error_that_a_docstring_promises_is_provoked():
    calls = {name: getattr(echo_jax, name) for name in echo_jax._HOMES}
    for kind in (Run, TrainedNetwork, CardResult, Cards, Section):
        calls |= {f"{kind.__name__}.{name}": of for name, of in vars(kind).items()}
    promised = {
        (name, error)
        for name, of in calls.items()
        for error in re.findall(r"(\w+Error): ", (of.__doc__ or "").partition("Raises:")[2])
    }
    assert promised == {(call, error) for call, error, _ in PROMISED}
