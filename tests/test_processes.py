"""Several processes on this machine, as a user starts them: real ones, killed for real."""

import contextlib
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from processes_worker import train_seeds

from echo_jax.exceptions import ConfigError
from echo_jax.processes import (
    DEATH_SECONDS,
    ENDED_STATUS,
    HEARTBEAT_SECONDS,
    JOIN_SECONDS,
    Group,
    Processes,
    host_and_port,
    share,
)

WORKER = Path(__file__).parent / "support" / "processes_worker.py"
START_SECONDS = 60
ANOTHER_ENDED = (
    "error: another process of this run has ended: start all of them again with --resume runs/some"
)
needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp6").exists(), reason="reads what listens from /proc"
)


def free_port(first=0, last=0):
    """A port of 127.0.0.1 that nobody uses: any, or the first free one of a range."""
    for port in range(first, last + 1):  # 0 is any
        with socket.socket() as trial, contextlib.suppress(OSError):
            trial.bind(("127.0.0.1", port))
            return trial.getsockname()[1]
    raise AssertionError("no port is free")


def until(condition, seconds):
    """Whether a condition comes to hold in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Run:
    """The processes of a run, each under its parent, with a file of notes and of errors each."""

    def __init__(self, folder, what, count, coordinator=None, seeds=5, env=None):
        self.out = folder / "out"
        self.coordinator = coordinator or f"127.0.0.1:{free_port()}"
        self.parents = []
        self.logs = [folder / f"stderr.{i}" for i in range(count)]
        for i, log in enumerate(self.logs):
            words = [self.coordinator, count, i, self.out, seeds, what]
            if coordinator == "auto":
                env = (env or {}) | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}
            with log.open("wb") as stderr:
                self.parents.append(
                    subprocess.Popen(
                        [sys.executable, "-W", "error", WORKER, *map(str, words)],
                        stderr=stderr,
                        env=os.environ | (env or {}),
                    )
                )

    def notes(self, i):
        with contextlib.suppress(FileNotFoundError):
            return Path(f"{self.out}.{i}").read_text().splitlines()
        return []

    def until_all_note(self, word):
        done = until(lambda: all(word in self.notes(i) for i in self.everyone), START_SECONDS)
        assert done, [[*self.notes(i), self.stderr(i)] for i in self.everyone]

    @property
    def everyone(self):
        return range(len(self.parents))

    def child(self, i):
        return int(self.notes(i)[0].removeprefix("pid "))

    def stderr(self, i):
        return self.logs[i].read_text()

    def statuses(self, seconds=START_SECONDS):
        end = time.monotonic() + seconds
        return [parent.wait(max(0.0, end - time.monotonic())) for parent in self.parents]


@contextlib.contextmanager
def started(*arguments, **named):
    """A `Run`; nothing of it is left afterwards, for children end with their parents."""
    run = Run(*arguments, **named)
    try:
        yield run
    finally:
        for parent in run.parents:
            parent.kill()
            parent.wait(10)


def is_running(pid):
    """Whether a process still runs; a zombie that nobody has waited for does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def listening(pid):
    """Addresses and ports at which a process listens, as pairs."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(descriptor)))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            address, _, port = words[1].partition(":")
            if words[3] == "0A" and words[9] in inodes:
                found.add((str(ip_address(address)), int(port, 16)))
    return found


def ip_address(digits):
    """The address in /proc/net: words of 32 bits, each in the order of this machine."""
    words = [bytes.fromhex(digits[i : i + 8]) for i in range(0, len(digits), 8)]
    packed = b"".join(w if sys.byteorder == "big" else w[::-1] for w in words)
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("count", "seeds"), [(2, 5), (3, 7)])
def test_several_processes_give_bit_for_bit_what_one_gives(tmp_path, count, seeds):
    with started(tmp_path, "train", count, seeds=seeds) as run:
        alone = jax.device_get(train_seeds(range(seeds)))
        assert run.statuses() == [0] * count, [run.stderr(i) for i in run.everyone]
        shares = [run.notes(i)[2] for i in run.everyone]
        assert shares == [f"trained {len(share(seeds, count, i))}" for i in run.everyone]
        assert [run.stderr(i) for i in run.everyone] == [""] * count
    with np.load(tmp_path / "out.npz") as several:
        alone = jax.tree.leaves(alone)
        assert len(several) == len(alone) > 20
        for leaf, name in zip(alone, several, strict=True):
            assert leaf.shape[0] == seeds
            assert leaf.dtype == several[name].dtype
            np.testing.assert_array_equal(leaf, several[name])


@needs_proc
@pytest.mark.timeout(90)
def test_nothing_listens_but_process_0_on_the_address_that_was_given(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as control:
        assert control.getsockname() in listening(os.getpid())
    with started(tmp_path, "compute", 2) as run:
        run.until_all_note("ready")
        assert listening(run.child(0)) == {host_and_port(run.coordinator)}
        assert listening(run.child(1)) == set()
        assert [listening(parent.pid) for parent in run.parents] == [set(), set()]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("what", "count", "victim"),
    [
        ("wait", 3, 0),
        pytest.param("compute", 2, 1, marks=pytest.mark.slow),
        pytest.param("compute", 2, 0, marks=pytest.mark.slow),
        pytest.param("wait", 3, 1, marks=pytest.mark.slow),
    ],
)
def test_when_a_process_is_killed_the_others_end_in_time_with_one_sentence(
    tmp_path, what, count, victim
):
    with started(tmp_path, what, count) as run:
        run.until_all_note("ready")
        os.kill(run.child(victim), signal.SIGKILL)
        start = time.monotonic()
        statuses = run.statuses(DEATH_SECONDS)
        print(f"{what}: {time.monotonic() - start:.1f} s after the death of process {victim}")
        for i in run.everyone:
            sentence, status = ANOTHER_ENDED, ENDED_STATUS
            if i == victim:
                sentence = ANOTHER_ENDED.replace(
                    "another process of this run has ended",
                    "SIGKILL has ended this process of the run",
                )
                status = 128 + signal.SIGKILL
            assert (run.stderr(i), statuses[i]) == (f"{sentence}\n", status)


@needs_proc
@pytest.mark.timeout(90)
def test_a_killed_parent_takes_its_child_along(tmp_path):
    with started(tmp_path, "compute", 1) as run:
        run.until_all_note("ready")
        child = run.child(0)
        assert is_running(child)
        run.parents[0].kill()
        assert until(lambda: not is_running(child), 5)


@pytest.mark.timeout(90)
def test_a_process_that_refuses_says_why_and_the_others_end_with_it(tmp_path):
    with started(tmp_path, "fail", 2) as run:
        assert run.parents[1].wait(START_SECONDS) == 2
        assert run.parents[0].wait(HEARTBEAT_SECONDS / 3) == ENDED_STATUS  # told, not found out
        assert run.stderr(1) == "error: seeds 7 are too many: use 6\n"
        assert run.stderr(0) == f"{ANOTHER_ENDED}\n"


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_to_one_parent_stops_all_at_the_same_point(tmp_path, number):
    with started(tmp_path, "stop", 2) as run:
        run.until_all_note("ready")
        run.parents[1].send_signal(number)
        assert run.statuses() == [0, 128 + number]
        assert [run.notes(i)[-1] for i in run.everyone] == ["left", "left"]
        assert [run.stderr(i) for i in run.everyone] == ["", ""]


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=pytest.mark.slow)])
def test_messages_of_any_length_arrive_past_any_proxy_and_are_forgotten(tmp_path, host):
    if host == "[::1]" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    proxy = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with started(tmp_path, "messages", 2, f"{host}:{free_port()}", env=proxy) as run:
        assert run.statuses() == [0, 0], [run.stderr(i) for i in run.everyone]
        print(run.notes(0)[2:-1])


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_auto_finds_all_of_it_on_slurm(tmp_path):
    slurm = {
        "SLURM_JOB_ID": str(free_port(61440, 65535) - 61440),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
    }
    with started(tmp_path, "messages", 2, "auto", env=slurm) as run:
        assert run.statuses() == [0, 0], [run.stderr(i) for i in run.everyone]


def first_process(tmp_path, coordinator):
    """Status and standard error of process 0 of two, the other of which never comes."""
    words = [coordinator, 2, 0, tmp_path / "out", 5, "wait"]
    done = subprocess.run(
        [sys.executable, "-W", "error", WORKER, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=JOIN_SECONDS + 30,
    )
    return done.returncode, done.stderr


@pytest.mark.timeout(90)
def test_an_address_that_cannot_be_used_is_refused_in_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        in_use = "{}:{}".format(*taken.getsockname())
        cases = {
            in_use: f"coordinator {in_use} cannot be used (Address already in use)",
            "203.0.113.1:8476": "coordinator 203.0.113.1:8476 cannot be used (Cannot assign",
            "nowhere.invalid:8476": "coordinator nowhere.invalid:8476 cannot be used (",
            "auto": "coordinator auto finds neither SLURM nor Open MPI nor a TPU pod",
        }
        for coordinator, beginning in cases.items():
            status, stderr = first_process(tmp_path, coordinator)
            assert (status, stderr.count("\n")) == (2, 1), stderr
            assert stderr.startswith(f"error: {beginning}")


@pytest.mark.slow
@pytest.mark.timeout(JOIN_SECONDS + 60)
def test_a_process_that_nobody_joins_ends_with_a_sentence(tmp_path):
    address = f"127.0.0.1:{free_port()}"
    status, stderr = first_process(tmp_path, address)
    assert (status, stderr.count("\n")) == (ENDED_STATUS, 1)
    assert stderr.startswith(
        f"error: not all of the 2 processes met at {address} within {JOIN_SECONDS} s: "
    )


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ((None, 2, 0), "coordinator is None: add --coordinator HOST:PORT"),
        (("auto", 2, None), "coordinator is auto: add --coordinator HOST:PORT"),
        (("10.0.0.1:8476", None, 0), "add --processes N --process I"),
        (("10.0.0.1:8476", 2, None), "add --processes N --process I"),
        (("10.0.0.1:8476", 0, 0), "processes 0 is below 1"),
        (("10.0.0.1:8476", 2, 2), "process 2 is not among the 2 processes: use one of 0 to 1"),
        (("10.0.0.1:8476", 2, -1), "process -1 is not among the 2 processes"),
        (("10.0.0.1", 2, 0), "coordinator 10.0.0.1 is not HOST:PORT"),
        (("10.0.0.1:0", 2, 0), "with a port of 1 to 65535"),
        (("10.0.0.1:65536", 2, 0), "with a port of 1 to 65535"),
        (("10.0.0.1:http", 2, 0), "is not HOST:PORT"),
        (("::1:8476", 2, 0), "such as 10.0.0.1:8476 or [::1]:8476"),
        (("http://node1:8476", 2, 0), "is not HOST:PORT"),
        (("", 2, 0), "is not HOST:PORT"),
        (("0.0.0.0:8476", 2, 0), "stands for every address of a machine"),
        (("[::]:8476", 2, 0), "stands for every address of a machine"),
    ],
)
def test_flags_that_do_not_agree_are_refused_in_a_sentence(flags, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        Processes(*flags)


@pytest.mark.parametrize(
    "flags", [(), ("auto",), ("node001:8476", 2, 1), ("[fd00::2]:65535", 1, 0)]
)
def test_flags_that_agree_say_whether_there_may_be_several(flags):
    assert Processes(*flags).several == bool(flags)


def test_an_ipv6_address_loses_its_brackets():
    assert host_and_port("[::1]:8476") == ("::1", 8476)


def test_the_shares_are_all_the_seeds_in_order_and_differ_by_at_most_one():
    assert [list(share(7, 3, i)) for i in range(3)] == [[0, 1, 2], [3, 4], [5, 6]]
    for seeds in range(1, 20):
        for count in range(1, seeds + 1):
            shares = [share(seeds, count, i) for i in range(count)]
            assert [seed for part in shares for seed in part] == list(range(seeds))
            assert {len(part) - seeds // count for part in shares} <= {0, 1}


def test_more_processes_than_seeds_are_refused():
    with pytest.raises(ConfigError, match="processes 3 is above seeds 2"):
        share(2, 3, 0)


def test_a_process_alone_talks_to_itself():
    group = Group()
    assert group.writes
    assert group.share(4) == range(4)
    assert group.broadcast(b"some") == b"some"
    assert (group.any_of(True), group.any_of(False)) == (True, False)
    tree = group.gather({"a": jax.numpy.arange(3)})
    np.testing.assert_array_equal(tree["a"], [0, 1, 2])
    group.resume_with(Path("runs/some"))
