"""Signals that stop a command, above all that of a terminal that is closed."""

import os
import signal
import subprocess
import sys

import pytest
from run_folders import shapes_of
from running import command

from echo_jax.echo.run import checkpoint
from echo_jax.engine.process import HANGUP, Interrupts

pytestmark = pytest.mark.skipif(HANGUP is None, reason="Windows has no SIGHUP")


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN])
def before(request):
    handler = signal.signal(HANGUP, request.param)
    yield request.param
    signal.signal(HANGUP, handler)


def test_a_hangup_is_noted_twice_unless_it_was_ignored_as_by_nohup(before):
    with Interrupts() as interrupts:
        for _ in range(2):  # of the shell and of the kernel
            os.kill(os.getpid(), HANGUP)
        assert interrupts.signal == (0 if before == signal.SIG_IGN else HANGUP)
    assert signal.getsignal(HANGUP) == before


IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.slow
def test_a_run_whose_terminal_is_closed_writes_a_checkpoint(tmp_path):
    terminal, end = os.openpty()
    train = command("train.py", "--sequences", 99999999, "--out", "run")
    run = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *train],
        cwd=tmp_path, stdin=end, stdout=end, stderr=end, start_new_session=True,
    )  # fmt: skip
    os.close(end)
    seen = b""
    while b"loss" not in seen:  # the bar of progress: it trains
        seen += os.read(terminal, 1000)
    os.close(terminal)
    assert run.wait(timeout=60) == 128 + HANGUP
    inputs = checkpoint.read_inputs(tmp_path / "run")
    saved, _ = checkpoint.read(tmp_path / "run", inputs, shapes_of(inputs.config))
    assert saved.history.sequences > 0
