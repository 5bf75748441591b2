"""Does the prediction interval of a card hold? Repeat a card with other seeds, and count.

python scripts/calibrate.py                      # 20 quick cards of the LSTM, about 15 minutes
python scripts/calibrate.py --cell gru --repeats 8
"""

import dataclasses
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.exceptions import ConfigError
from echo_jax.memory_benchmark.protocol import QUICK, hash_of, to_dict
from echo_jax.memory_cards import compare_two

if TYPE_CHECKING:
    from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class CalibrateCommand:
    """Repeat the stream of a quick card with other seeds; count how often predictions hold.

    Of every two repeats the prediction interval for the ratio of their updates is held against what
    every two others show. All repeats are of one cell, so the true ratio is 1.
    """

    cell: str = "lstm"
    """A cell, as for probe.py."""
    cell_args: str = ""
    """Its keyword arguments, as for probe.py."""
    repeats: int = 20
    """Cards, each with seeds of its own."""
    out: Path | None = None
    """A Markdown file for the table; one that is there is not overwritten."""

    def __post_init__(self) -> None:
        """Raise ConfigError for too few repeats, or a file in the way."""
        if self.repeats < 4:
            raise ConfigError(
                f"repeats {self.repeats} is below 4: two pairs take four cards, use 4 or more"
            )
        if self.out and self.out.exists():
            raise ConfigError(f"{self.out} is there already: move it, or name another file")
        if self.out and not self.out.parent.is_dir():
            raise ConfigError(f"{self.out.parent} is no folder: make it, or name another file")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(CalibrateCommand)
    with command_line.refusals():
        from echo_jax.cells import cell_check, user_cell

        machine.use_cpu_devices(None)
        machine.use_compilation_cache()  # every repeat compiles the same programs
        cell = user_cell.build(command.cell, user_cell.parse_args(command.cell_args))
        if ":" in command.cell:
            cell_check.check(cell, command.cell, QUICK.vocab_size)
        made = [repeat(cell, i) for i in range(command.repeats)]
        said = table(command, made)
        print(said)
        if command.out:
            text = f"# Calibration of the memory card\n\n{said}\n"
            atomic_files.write_bytes(command.out, text.encode())


def repeat(cell: "nn.RNNCellBase", number: int) -> dict[str, Any]:
    """What `card_pairs` needs of a quick card, with seeds that no other repeat has."""
    from echo_jax.memory_benchmark.train_ladder import Prober

    start, chosen = time.perf_counter(), dataclasses.replace(QUICK, rows=("stream",))
    seeds = [number * chosen.seeds + i for i in range(chosen.seeds)]
    raw = list(Prober(cell, chosen, seeds[0]).rows())
    seconds = time.perf_counter() - start
    print(f"{number + 1}: seeds {seeds[0]} to {seeds[-1]}, {seconds:.0f} s", flush=True)
    fixed = to_dict(chosen)
    return {"raw": raw, "seeds": seeds, "protocol": fixed, "protocol_hash": hash_of(chosen)}


def table(command: CalibrateCommand, made: list[dict[str, Any]]) -> str:
    """How often the predictions held, lag by lag."""
    headings = ["lag", "predictions", "held", "standard error", "different numbers of updates"]
    lines = [f"| {' | '.join(headings)} |", "|" + "---:|" * len(headings)]
    for found in compare_two.coverages(made):
        share = f"{found.held / found.tried:.1%}"
        error = f"{found.error:.1%}" if math.isfinite(found.error) else "-"
        lines.append(f"| {found.lag} | {found.tried:,} | {share} | {error} | {found.values} |")
    arguments = f" --cell-args {command.cell_args}" * bool(command.cell_args)
    again = f"--cell {command.cell}{arguments} --repeats {command.repeats}"
    words = (
        f"{command.repeats} quick cards of {command.cell}, {QUICK.seeds} seeds each, of "
        f"`{command_line.INSTALLED} calibrate {again}`: how often the {compare_two.LEVEL:.0%} "
        "prediction interval of two cards held the ratio of updates that two others show. Updates "
        f"are known to {QUICK.evaluate_every}; where they are few, the interval is mostly of that. "
        f"The predictions come of {command.repeats} cards, of which no more are independent: the "
        "standard error is that of a jackknife over them."
    )
    return "\n".join([words, "", *lines])
