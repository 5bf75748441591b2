import functools
import re
import subprocess
import sys
import time
from pathlib import Path

import broken_cells
import pytest

from echo_jax.cells.adapters.adapt import adapt
from echo_jax.exceptions import TooLongError
from echo_jax.host import time_limit

FOLDER = Path(broken_cells.__file__).parent
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


ENDLESS = """
import sys
import broken_cells
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.exceptions import TooLongError
from echo_jax.host import process_start, time_limit
name, time_limit.CHECK_SECONDS = sys.argv[1], float(sys.argv[2])
print("first")
try:
    time_limit.check_cell(adapt(getattr(broken_cells, name)(4)), f"broken_cells:{name}", 2)
except TooLongError as error:
    print(error, end="")
    process_start.leave(2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "seconds"), [("Unrolled", 8), ("NeverEnds", 1)])
def test_a_program_ends_at_once_though_a_compilation_goes_on(cell, seconds):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, cell, str(seconds)],
        check=False, capture_output=True, text=True, timeout=100, cwd=FOLDER,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")
    sentence = rf"broken_cells\.py:\d+: cell 'broken_cells:{cell}' {COMPILE} {seconds} s: .*"
    assert re.fullmatch(f"first\n{sentence}", done.stdout)
    assert time.monotonic() - began < seconds + 25
