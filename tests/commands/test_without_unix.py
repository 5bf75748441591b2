"""What Windows lacks, taken away from a process on Unix; nothing else of Windows is tested."""

import os
import sys

import pytest
from running import ended
from tiny_memory import TINY, toml_of

WITHOUT_UNIX = """
import asyncio, os, shlex, signal, sys  # asyncio, of this system, needs os.sysconf
sys.modules |= dict.fromkeys(("fcntl", "resource"))  # their import fails
for name in ("O_DIRECTORY", "O_NOFOLLOW", "getuid", "sysconf", "sched_getaffinity"):
    delattr(os, name)
for name in ("pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "SIGPIPE", "SIGHUP"):
    delattr(signal, name)
from echo_jax import __main__
from echo_jax.engine import process
process.leave = lambda status=0: None  # there are more commands
for line in sys.argv[1:]:
    sys.argv[1:] = shlex.split(line)
    __main__.main()
"""
LINES = (
    "train --length 10 --vocab-size 8 --window 3 --batch 2 --hidden 6 --sequences 4 --out run",
    "train --resume run --sequences 8",
    "predict run 1 2 3",
    "card --cell simple --cell-args features=4 --seeds 1 --only by-lag --protocol tiny.toml",
)


@pytest.mark.slow
def test_without_what_windows_lacks_a_run_is_made_goes_on_and_predicts_and_a_card_is_made(tmp_path):
    (tmp_path / "tiny.toml").write_text(toml_of())
    env = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}  # whose locks are of one kind
    done = ended([sys.executable, "-c", WITHOUT_UNIX, *LINES], cwd=tmp_path, env=env)
    assert "\n8/8 sequences" in done.stdout
    assert (tmp_path / "cards" / TINY.card_name("simple-features-4") / "card.svg").exists()
    assert not list(tmp_path.glob("*/.lock"))
