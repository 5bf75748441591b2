import functools
import time

import broken_cells
import pytest

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.exceptions import TooLongError
from echo_jax.host import time_limit

COMPILE = "is not traced and compiled within"


def test_what_compiles_in_time_is_returned_and_what_it_raises_is_raised():
    compile_it = functools.partial(
        time_limit.compile_within, 60, cell=adapt(broken_cells.Good(4)), name="good"
    )
    assert compile_it(compile_it=lambda: 7) == 7

    def own_error():
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        compile_it(compile_it=own_error)


def test_what_does_not_compile_in_time_ends_with_a_sentence():
    cell, wait = broken_cells.Unrolled(4), functools.partial(time.sleep, 0.3)
    sentence = rf"broken_cells.py:\d+: cell 'x' {COMPILE} 0\.01 s: put a loop over many operations"
    with pytest.raises(TooLongError, match=sentence):
        time_limit.compile_within(0.01, wait, adapt(cell), "x")
