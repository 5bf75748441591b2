"""`python -m echo_jax COMMAND`, also installed as `echo-jax`: runs the command that is named."""

import gc
import importlib
import sys

from echo_jax.host import process_start

COMMANDS = {
    "train": "train a network on the echo task, evaluate it, explain the outcome",
    "show": "show what the network is given: integers, windows, batches",
    "predict": "use a trained network on numbers, a CSV column or a stream",
    "sweep": "run a grid of configurations",
    "study": "answer the questions of the tutorial and its readers",
    "probe": "make the memory card of a recurrent cell",
    "calibrate": "measure how often a card's prediction interval holds",
    "benchmark": "measure how fast training is, beside other libraries",
}


def main(command: str | None = None) -> None:
    """Run a command: the one given, as scripts do, or the first argument of the command line."""
    process_start.begin()
    if command is None:
        command = _named_command()
    module = importlib.import_module(f"echo_jax.commands.{command}")
    if command != "train":
        gc.enable()
    module.main()


def _named_command() -> str:
    """Take the command's name off the command line; without one print the list and exit."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print("usage: echo-jax COMMAND [OPTIONS]\n")
        print("\n".join(f"  {each:10} {what}" for each, what in COMMANDS.items()))
        print("\necho-jax COMMAND --help lists the options of a command.")
        sys.exit(0)
    if name not in COMMANDS:
        print(f"error: {name} is not a command: use one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    del sys.argv[1]
    sys.argv[0] = f"echo-jax {name}"
    return name


if __name__ == "__main__":
    main()
