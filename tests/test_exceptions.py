"""An error is data, spelled where it is printed."""

import pickle

import pytest

from echo_jax.exceptions import ConfigError, StorageError

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
