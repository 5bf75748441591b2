"""Runs commands, one line each, in a process without what Windows lacks; the folder is locked once.

python without_unix.py "train --sequences 4 --out run" "predict run 1 2 3"
"""

import os
import shlex
import signal
import sys
from pathlib import Path

for module in ("fcntl", "resource"):
    sys.modules[module] = None  # its import fails
for name in ("O_DIRECTORY", "O_NOFOLLOW", "getuid", "sysconf", "sched_getaffinity"):
    delattr(os, name)
for name in ("pthread_sigmask", "SIG_BLOCK", "SIG_UNBLOCK", "SIGPIPE", "SIGHUP"):
    delattr(signal, name)

sys.path.append(str(Path(__file__).parent))  # also where the environment asks for a safe path
from tiny_memory import make_tiny  # noqa: E402

from echo_jax import __main__, atomic_files  # noqa: E402
from echo_jax.exceptions import StorageError  # noqa: E402
from echo_jax.host import process_start  # noqa: E402

make_tiny()
process_start.leave = lambda status=0: None  # there are more commands
for line in sys.argv[1:]:
    sys.argv[1:] = shlex.split(line)
    __main__.main()

HERE = Path()
with atomic_files.locked(HERE):
    try:
        with atomic_files.locked(HERE):
            print("locked twice")
    except StorageError as refusal:
        print(refusal)
(HERE / ".lock").symlink_to("behind")
try:
    with atomic_files.locked(HERE):
        print("locked through a link")
except StorageError as refusal:
    print(refusal)
