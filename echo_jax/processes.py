"""The seeds of one run divided among processes, on one machine or on many.

    supervise   a light parent, which starts the command again as its child and has the last word
    joined      the child meets the others under jax.distributed: a `Group`
    Group       which seeds are whose, and messages: gather, broadcast, any_of

No seed needs another, so that nothing is shared while training: every process trains its share on
a mesh of its own devices. What travels is small, and goes through the key-value store of jax's
coordination service. So a run listens on one address, that of `--coordinator`, and only in process
0: the collectives of jax on CPUs (gloo) listen in every process, at a port of their own, on
whatever address the name of the machine stands for, and are switched off.

When a process ends before the others, jax aborts them with a C++ stack. The parent holds that back
and prints one sentence instead, `DEATH_SECONDS` at the latest after the death.
"""

import contextlib
import dataclasses
import io
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

from echo_jax.exceptions import ConfigError

ENDED_STATUS = 3
"""Exit status of a process that ends because another one has."""
DEATH_SECONDS = 30
"""The others end at most so long after a death. Measured: 0.2 to 2 s after that of process 0, or
after an error with a sentence; `HEARTBEAT_SECONDS` and 1 s after another one is killed."""
HEARTBEAT_SECONDS = 15
JOIN_SECONDS = 60
"""How long a process waits for the others to start."""
PIECE = 1 << 20
"""Bytes of one value in the store: gRPC refuses messages of 4 MiB."""
ROOT = "echo_jax"
ENDED_KEY = f"{ROOT}/ended"
CHILD = "ECHO_JAX_PARENT_SOCKET"
"""Environment variable of a child: the number of its socket to the parent."""
ABORTED_BY_JAX = b"JAX distributed service detected fatal errors"


class PeerEndedError(Exception):
    """Another process of the run has ended, so that this one cannot go on."""


@dataclasses.dataclass(frozen=True)
class Processes:
    """Several processes or machines that share the seeds of one run: the same command in each."""

    coordinator: str | None = None
    """HOST:PORT of process 0, which alone listens, and only there; the port is free to choose.
    auto: SLURM, Open MPI or a TPU pod says all three. The network must be one you trust."""
    processes: int | None = None
    """How many processes there are; each gets a share of the seeds."""
    process: int | None = None
    """Which of them this is, from 0; process 0 writes the run folder."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless all three are there and agree, or none is, or auto alone."""
        counts = (self.processes, self.process)
        if self.coordinator in (None, "auto"):
            if counts != (None, None):
                raise ConfigError(
                    f"processes {self.processes} and process {self.process} need the address of "
                    f"process 0, and coordinator is {self.coordinator}: add --coordinator HOST:PORT"
                )
            return
        host_and_port(str(self.coordinator))
        if self.processes is None or self.process is None:
            raise ConfigError(
                f"coordinator {self.coordinator} needs to know how many processes there are and "
                "which this is: add --processes N --process I, or use --coordinator auto"
            )
        if self.processes < 1:
            raise ConfigError(f"processes {self.processes} is below 1: use 1 or more")
        if not 0 <= self.process < self.processes:
            raise ConfigError(
                f"process {self.process} is not among the {self.processes} processes: "
                f"use one of 0 to {self.processes - 1}"
            )

    @property
    def several(self) -> bool:
        """Whether the run may have more than this process, so that it needs a parent."""
        return self.coordinator is not None


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of HOST:PORT or [IPV6]:PORT; ConfigError for anything else."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})", address, re.ASCII)
    if not match or not 1 <= int(match[3]) <= 65535:
        raise ConfigError(
            f"coordinator {address} is not HOST:PORT with a port of 1 to 65535: "
            "use an address of process 0 such as 10.0.0.1:8476 or [::1]:8476, or auto"
        )
    host = match[1] or match[2]
    if host in ("0.0.0.0", "::"):
        raise ConfigError(
            f"coordinator {address} stands for every address of a machine: "
            "use the one address of process 0 at which the others reach it"
        )
    return host, int(match[3])


def share(seeds: int, processes: int, process: int) -> range:
    """The seeds of one process, counted from 0: neighbours, as many as the others' or one more.

    7 seeds, 3 processes:  0 1 2 | 3 4 | 5 6
    """
    if processes > seeds:
        raise ConfigError(
            f"processes {processes} is above seeds {seeds}, and one process trains each seed: "
            f"use at most {seeds} processes, or more seeds"
        )
    size, more = divmod(seeds, processes)
    start = process * size + min(process, more)
    return range(start, start + size + (process < more))


# The parent.


def is_child() -> bool:
    """Whether this process has a parent that supervises it."""
    return CHILD in os.environ


def supervise() -> int:
    """Start the command of this process again as a child, wait for it, have the last word.

    Passes SIGINT and SIGTERM on. Holds back what the child writes to standard error until it has
    ended, and prints a sentence in its place if another process of the run is why.

    Returns:
      The exit status: of the child, `ENDED_STATUS`, or 128 and the number of a signal.
    """
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as held:
        with theirs, _forwarded_signals() as hand_over:
            child = subprocess.Popen(
                [sys.executable, *sys.orig_argv[1:]],
                stdin=subprocess.DEVNULL,
                stderr=held,
                env=os.environ | {CHILD: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                process_group=0,  # a terminal's Ctrl-C comes once, through the parent
            )
            hand_over(child)
            theirs.close()
            status = child.wait()
        held.seek(0)
        return _last_word(status, _told(ours), held)


@contextlib.contextmanager
def _forwarded_signals() -> Iterator[Callable[[subprocess.Popen], None]]:
    """Within it SIGINT and SIGTERM are the child's, however early they come."""
    children: list[subprocess.Popen] = []
    early: list[int] = []

    def forward(number: int, _: Any) -> None:
        """Pass a signal on to the child, also to one that is yet to be."""
        early.append(number)
        for child in children:
            child.send_signal(number)

    def hand_over(child: subprocess.Popen) -> None:
        """Send a new child the signals that came before it."""
        children.append(child)
        for number in early:
            child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield hand_over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _told(child: socket.socket) -> str:
    """The last sentence that the child, which has ended, left for this case."""
    child.setblocking(False)
    lines = b""
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while part := child.recv(1 << 16):
            lines += part
    return lines.decode().rpartition("\n")[0].rpartition("\n")[2]


def _last_word(status: int, told: str, held: IO[bytes]) -> int:
    """Print what the child held back, or a sentence in its place; the exit status."""
    stderr = held.read()
    aborted = status == -signal.SIGABRT and ABORTED_BY_JAX in stderr
    own = re.findall(rb"^error: .*\n", stderr, re.MULTILINE)
    if own and (aborted or status == 2):  # it had said why before the end of others reached it
        sys.stderr.buffer.write(own[0])
        return 2
    if aborted or status == ENDED_STATUS:
        print(f"error: {told}", file=sys.stderr)
        return ENDED_STATUS
    sys.stderr.buffer.write(stderr)
    if status >= 0:
        return status
    if -status not in (signal.SIGINT, signal.SIGTERM):
        name = signal.Signals(-status).name
        again = told.partition(": ")[2] or "start all of them again"
        print(f"error: {name} has ended this process of the run: {again}", file=sys.stderr)
    return 128 - status


# The child.


class Member(NamedTuple):
    """What jax.distributed needs to know: as `Processes`, with what a cluster says filled in."""

    coordinator: str
    processes: int
    process: int
    local_device_ids: Any = None


class Parent:
    """The child's end of the socket: it ends when the parent does, and leaves a sentence."""

    def __init__(self) -> None:
        """Take the socket over; whatever this process starts is no child of that parent."""
        number = os.environ.pop(CHILD, None)
        self._socket = None if number is None else socket.socket(fileno=int(number))
        if self._socket:
            self._socket.set_inheritable(False)
            threading.Thread(target=self._end_with_it, args=(self._socket,), daemon=True).start()

    def tell(self, sentence: str) -> None:
        """Leave the sentence that the parent prints if another process ends this one."""
        if self._socket:
            self._socket.sendall(f"{sentence}\n".encode())

    @staticmethod
    def _end_with_it(parent: socket.socket) -> None:
        with contextlib.suppress(OSError):
            parent.recv(1)  # it never writes: this returns when it has ended
        os._exit(128 + signal.SIGKILL)


class Group:
    """The processes of a run: whose seeds are whose, and the messages between them.

    All of them make the same calls in the same order. With one process every call is free.
    """

    def __init__(
        self, process: int = 0, processes: int = 1, client: Any = None, parent: Parent | None = None
    ) -> None:
        """By default alone; `joined` makes the others."""
        self.process = process
        self.processes = processes
        self._client = client
        self._parent = parent
        self._calls = 0
        self._read_by_all: list[str] = []

    @property
    def writes(self) -> bool:
        """Whether this is process 0, which writes the run folder and prints."""
        return self.process == 0

    def share(self, seeds: int) -> range:
        """The seeds of this process, counted from 0."""
        return share(seeds, self.processes, self.process)

    def resume_with(self, folder: Path) -> None:
        """Name the folder in the sentence that is printed when another process ends."""
        if self._parent:
            self._parent.tell(
                "another process of this run has ended: "
                f"start all of them again with --resume {folder}"
            )

    def gather_bytes(self, data: bytes) -> list[bytes] | None:
        """The bytes of every process, in their order, in process 0; None in the others."""
        key = self._next_key()
        if self.process:
            self._send(f"{key}/{self.process}", data)
            return None
        others = [self._receive(f"{key}/{process}") for process in range(1, self.processes)]
        for done in self._read_by_all:  # who has sent this has read all that came before
            self._client.key_value_delete(done)
        self._read_by_all = []
        if others:
            self._client.key_value_delete(key)
        return [data, *others]

    def broadcast(self, data: bytes | None) -> bytes:
        """The bytes of process 0, in every process."""
        key = self._next_key()
        if self.process:
            return self._receive(key)
        assert data is not None
        if self.processes > 1:
            self._send(key, data)
            self._read_by_all.append(key)
        return data

    def broadcast_values(self, values: Any) -> Any:
        """Plain values and numpy arrays of process 0, a dictionary of them, in every process."""
        from flax import serialization

        if self.processes == 1:
            return values
        mine = None if values is None else serialization.msgpack_serialize(values)
        return serialization.msgpack_restore(self.broadcast(mine))

    def any_of(self, flag: bool) -> bool:
        """Whether the flag is set in any process: the same answer in all of them, in 1 to 2 ms."""
        flags = self.gather_bytes(b"%d" % flag)
        return self.broadcast(None if flags is None else b"%d" % (b"1" in flags)) == b"1"

    def gather(self, tree: Any) -> Any:
        """Arrays `[share, ...]` of every process as one tree of numpy arrays `[S, ...]`.

        Returns:
          The tree in process 0, None in the others.
        """
        import jax
        import numpy as np

        leaves, structure = jax.tree.flatten(jax.device_get(tree))
        if self.processes == 1:
            return jax.tree.unflatten(structure, leaves)
        packed = io.BytesIO()
        for leaf in leaves:
            np.save(packed, leaf, allow_pickle=False)
        parts = self.gather_bytes(packed.getvalue())
        if parts is None:
            return None
        files = [io.BytesIO(part) for part in parts]
        whole = [np.concatenate([np.load(f, allow_pickle=False) for f in files]) for _ in leaves]
        return jax.tree.unflatten(structure, whole)

    def announce_end(self) -> None:
        """Tell the others that this process ends now, so that they need not find out."""
        if self._client:
            with contextlib.suppress(Exception):
                self._client.key_value_set(ENDED_KEY, "", allow_overwrite=True)

    def _next_key(self) -> str:
        self._calls += 1
        return f"{ROOT}/{self._calls}"

    def _send(self, key: str, data: bytes) -> None:
        framed = len(data).to_bytes(8) + data
        with _lost_peers():
            for piece, start in enumerate(range(0, len(framed), PIECE)):
                self._client.key_value_set_bytes(f"{key}/{piece}", framed[start : start + PIECE])

    def _receive(self, key: str) -> bytes:
        first = self._wait_for(f"{key}/0")
        size, parts = 8 + int.from_bytes(first[:8]), [first[8:]]
        parts += [self._wait_for(f"{key}/{piece}") for piece in range(1, -(-size // PIECE))]
        return b"".join(parts)

    def _wait_for(self, key: str) -> bytes:
        """A value as soon as it is there; every second signals are seen to, and ends of others."""
        while True:
            with _lost_peers("DEADLINE_EXCEEDED"):
                return self._client.blocking_key_value_get_bytes(key, 1000)
            with _lost_peers("NOT_FOUND"):
                self._client.key_value_try_get(ENDED_KEY)
                raise PeerEndedError


@contextlib.contextmanager
def _lost_peers(harmless: str = "nothing") -> Iterator[None]:
    """Errors of the coordination service as PeerEndedError, but for one code, which passes."""
    import jax

    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith(harmless):
            raise PeerEndedError from error


@contextlib.contextmanager
def joined(processes: Processes) -> Iterator[Group]:
    """The group of this process, once all are there; they leave together.

    Of several, a process whose body raises ends here, at once: with a sentence for a ConfigError
    (status 2), with that of the parent for PeerEndedError (`ENDED_STATUS`), with the status of a
    SystemExit, else with a traceback. jax would have it wait for the others first, who wait for it.
    """
    if not processes.several:
        yield Group()
        return
    group = Group()
    try:
        group = join(processes)
        yield group
        group.any_of(False)  # all are done: none has to wait for another in what follows
        _shut_down()
    except BaseException as error:
        _leave(error, group)


def join(processes: Processes) -> Group:
    """Meet the other processes, before jax is first used; ConfigError where it cannot be."""
    parent = Parent()
    member = _member(processes)
    listen_at = _numeric_address(member)
    import jax
    from jax._src import distributed  # the key-value store has no public name

    parent.tell(
        f"not all of the {member.processes} processes met at {member.coordinator} within "
        f"{JOIN_SECONDS} s: start all of them, with an address of process 0 that the others reach"
    )
    os.environ["no_grpc_proxy"] = host_and_port(member.coordinator)[0]  # noqa: SIM112  # the name that gRPC reads
    jax.config.update("jax_check_proxy_envs", False)
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM for itself
    jax.config.update("jax_cpu_collectives_implementation", None)  # gloo would listen
    jax.distributed.initialize(
        member.coordinator,
        member.processes,
        member.process,
        local_device_ids=member.local_device_ids,
        cluster_detection_method="deactivate",
        coordinator_bind_address=listen_at,
        initialization_timeout=JOIN_SECONDS,
        heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        shutdown_timeout_seconds=HEARTBEAT_SECONDS,
    )
    parent.tell("another process of this run has ended: start all of them again")
    return Group(member.process, member.processes, distributed.global_state.client, parent)


def _member(processes: Processes) -> Member:
    """The flags, or what a cluster says; ConfigError where there is none."""
    member = Member(*dataclasses.astuple(processes))
    if member.coordinator != "auto":
        return member
    from jax._src.clusters import ClusterEnv  # jax asks it too late to choose where to listen

    found: Any = ClusterEnv.auto_detect_unset_distributed_params(
        None, None, None, None, None, JOIN_SECONDS
    )
    if None in found[:3]:
        raise ConfigError(
            "coordinator auto finds neither SLURM nor Open MPI nor a TPU pod around this process: "
            "start it with srun, or use --coordinator HOST:PORT --processes N --process I"
        )
    return Member(*found)


def _numeric_address(member: Member) -> str:
    """The one address to listen on; ConfigError where process 0 cannot, or a name is unknown.

    gRPC would listen on all that a name stands for, and end with a segmentation fault where it
    cannot, or share the port with another run of the same user.
    """
    host, port = host_and_port(member.coordinator)
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if member.process == 0:
            with socket.socket(family, kind) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(address)
    except OSError as error:
        raise ConfigError(
            f"coordinator {member.coordinator} cannot be used ({error.strerror}): "
            "use an address of the machine of process 0, and a port that is free there"
        ) from error
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"


def _shut_down() -> None:
    import jax

    jax.distributed.shutdown()


def _leave(error: BaseException, group: Group) -> NoReturn:
    """Say why this process ends, and end it with nothing more of jax's."""
    status: Any = 1
    match error:
        case ConfigError():
            print(f"error: {error}", file=sys.stderr)
            status = 2
        case PeerEndedError():
            status = ENDED_STATUS
        case KeyboardInterrupt():
            status = 128 + signal.SIGINT
        case SystemExit():
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        case _:
            traceback.print_exception(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    group.announce_end()
    os._exit(status)
