"""Run the command that the command line names: `python -m echo_jax COMMAND`, or `echo-jax`."""

import importlib
import sys

from echo_jax import machine
from echo_jax.commands.command_line import refusals
from echo_jax.engine import process
from echo_jax.exceptions import printable

COMMANDS = {
    "train": "train a network on the echo task, evaluate it, explain the outcome",
    "show": "show what the network is given: integers, windows, batches",
    "predict": "use a trained network on numbers, a CSV column or a stream",
    "sweep": "train every combination of some options",
    "study": "answer the questions of the tutorial and of its readers",
    "card": "make the memory card of a recurrent cell",
    "cards": "report on, compare and verify existing memory cards",
}


def main(command: str | None = None) -> None:
    """Run `command`, by default the command that the command line names."""
    process.put_in_order()
    with refusals():
        try:
            _run(command or _named_command())
        finally:
            sys.stdout.flush()  # a full device is found here, not by Python as it ends


def _run(command: str) -> None:
    module = importlib.import_module(f"echo_jax.commands.{command}")
    if not {"-h", "--help"} & set(sys.argv):
        machine.set_up_jax()
    module.main()


def _named_command() -> str:
    """Return the command that the command line names, and remove it from `sys.argv`.

    If no command is named, or with --help, the process prints the list of commands and ends. If the
    command is unknown, the process ends with an error.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in ("-h", "--help"):
        print("usage: echo-jax COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:10} {purpose}" for name, purpose in COMMANDS.items()))
        print("\necho-jax COMMAND --help lists the options of a command.")
        sys.exit(0)
    if command not in COMMANDS:
        example = ", as in echo-jax train --lag 1" if command.startswith("--") else ""
        known = f"use one of {', '.join(COMMANDS)}{example}"
        print(
            f"error: {printable(command) or '(nothing)'} is not a command: {known}", file=sys.stderr
        )
        sys.exit(2)
    del sys.argv[1]
    return command


if __name__ == "__main__":
    main()
