import contextlib
import gc
import hashlib
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest

from echo_jax import machine

COMPILE_FAST = "--xla_backend_optimization_level=0"
COMPILE_FASTER = (
    f"{COMPILE_FAST} --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


def pytest_configure(config):
    """Compile fast rather than fast code: most tests compile for seconds and run for none.

    The slow tests run what users run. XLA reads this when jax first compiles, also in the
    processes that tests start. It ends a process over a flag that it does not know, and not every
    version knows those of COMPILE_FASTER: another process, without jax, tries them first. Of a flag
    that stands twice the last counts, so flags of the caller follow.
    """
    if config.option.markexpr == "not slow" and COMPILE_FAST not in os.environ.get("XLA_FLAGS", ""):
        given = os.environ.get("XLA_FLAGS", "")
        tried = subprocess.run(
            [sys.executable, "-c", "from jaxlib import xla_client; xla_client.make_cpu_client()"],
            env=os.environ | {"XLA_FLAGS": COMPILE_FASTER}, capture_output=True, check=False,
            timeout=300,
        )  # fmt: skip
        compiling = COMPILE_FAST if tried.returncode else COMPILE_FASTER
        os.environ["XLA_FLAGS"] = f"{compiling} {given}".strip()


CASES = int(os.environ.get("ECHO_JAX_CASES", "50"))
hypothesis.settings.register_profile(
    "echo_jax",
    max_examples=CASES,
    deadline=None,
    derandomize="ECHO_JAX_CASES" not in os.environ,  # the same examples every time
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.filter_too_much],  # many sizes do not agree
)
hypothesis.settings.load_profile("echo_jax")


def pytest_collection_finish():
    """Look for garbage rarely: what the tests import stays, and jax makes much that it keeps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000)  # by default a sixth of the time of the tests goes there


@pytest.fixture(scope="session")
def root():
    return Path(__file__).parent.parent


@pytest.fixture(scope="session", autouse=True)
def shared_cache_and_one_device(pytestconfig, tmp_path_factory):
    """All processes that tests start share compiled programs, and all share a list of fonts.

    These too are in pytest's own cache. No call splits the CPU of this process into devices,
    whichever test uses jax first.
    """
    folder = tmp_path_factory.getbasetemp()
    if hasattr(pytestconfig, "cache"):
        folder = pytestconfig.cache.mkdir("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(machine, "use_cpu_devices", lambda *_: None)
        yield


PROGRAMS = 2**28
"""Bytes of compiled programs that are kept for the next session."""


@pytest.fixture(scope="session", autouse=True)
def programs_of_earlier_tests(pytestconfig, tmp_path_factory):
    """Programs that an earlier test compiled, in this session or another one, are read.

    They are in pytest's own cache, which `pytest --cache-clear` empties, one folder for each kind
    of processor. jax has a bound of their size too, but reads a file of each of them before it
    writes one. One that a process reads while another writes it is damaged, and compiled again.
    """
    import jax

    folder = tmp_path_factory.getbasetemp()
    if hasattr(pytestconfig, "cache"):
        key = hashlib.sha256(f"{machine.processor()}, {machine.cores()}".encode()).hexdigest()[:16]
        folder = pytestconfig.cache.mkdir(f"programs-{key}")
        remove_oldest(folder, PROGRAMS)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def remove_oldest(folder, size):
    """Remove the files that were written first, until the others have the size or less."""
    with contextlib.suppress(FileNotFoundError):  # another process removes them too
        for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True):
            size -= file.stat().st_size
            if size < 0:
                file.unlink()


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A tab of a browser for the tests of a file."""
    import browser

    with browser.tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


class Output(NamedTuple):
    stdout: str
    stderr: str


def never_leave(status):
    raise AssertionError(f"the process was about to end, with status {status}")


@pytest.fixture
def call(root, monkeypatch, capfd, tmp_path):
    """Runs a script in this process, where jax is there already and programs stay compiled."""
    monkeypatch.setattr(os, "_exit", never_leave)
    interrupted = signal.getsignal(signal.SIGINT)

    def run(script, *arguments, cwd, stdin="", status=0):
        (tmp_path / "stdin").write_text(stdin)
        with monkeypatch.context() as patch, (tmp_path / "stdin").open() as file:
            patch.chdir(cwd)
            patch.setattr(sys, "argv", [f"scripts/{script}", *map(str, arguments)])
            patch.setattr(sys, "stdin", file)
            ended = 0
            try:
                runpy.run_path(str(root / "scripts" / script), run_name="__main__")
            except SystemExit as stop:
                ended = stop.code
            finally:
                gc.enable()
                signal.signal(signal.SIGINT, interrupted)
        output = Output(*capfd.readouterr())
        assert ended == status, output.stderr
        return output

    return run
