"""Measure how often the prediction interval of a card holds, from repeats with other seeds.

echo-jax calibrate --cell gru --repeats 8       # by default 20 quick cards of the LSTM, 15 minutes
"""

import dataclasses
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache
from echo_jax.memory_benchmark.protocol import QUICK, hash_of, to_dict
from echo_jax.memory_cards import compare_two

if TYPE_CHECKING:
    from echo_jax.cells.interface import Cell

STREAM = dataclasses.replace(QUICK, rows=("stream",))  # the protocol of a repeat


@dataclasses.dataclass(frozen=True)
class CalibrateCommand:
    """Repeat the stream task of a quick card with other seeds and count how often predictions hold.

    Each pair of repeats predicts an interval for the ratio of their updates to success. The
    interval holds if it contains the ratio of another pair. All repeats measure one cell, so the
    true ratio is 1.
    """

    cell: str = "lstm"
    """The cell, as for probe."""
    cell_args: str = ""
    """Keyword arguments of the cell, as for probe."""
    repeats: int = 20
    """Number of cards, each with its own seeds."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    out: Path | None = None
    """Markdown file for the table. An existing file is not overwritten."""

    def __post_init__(self) -> None:
        """Raise ConfigError for too few repeats, or a file that cannot be written."""
        if self.repeats < 4:
            raise ConfigError(
                f"repeats {self.repeats} is below 4: two pairs take four cards, use 4 or more"
            )
        if self.out and self.out.exists():
            raise ConfigError(f"{self.out} is there already: move it, or name another file")
        if self.out and not self.out.parent.is_dir():
            raise ConfigError(f"{self.out.parent} is no folder: make it, or name another file")
        if self.out and not os.access(self.out.parent, os.W_OK):
            raise ConfigError(f"{self.out} cannot be written: name a file in another folder")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(CalibrateCommand)
    with command_line.refusals():
        from echo_jax.host import time_limit
        from echo_jax.memory_benchmark.chosen_cell import choose, trace

        arguments = command.cell, command.cell_args
        time_limit.try_apart(command.cell, trace, *arguments, STREAM.vocab_size)
        machine.use_cpu_devices(None)
        compilation_cache.use_compilation_cache(command.compilation_cache)
        cell = choose(*arguments)
        cell.check(STREAM)
        text = table(command, [repeat(cell.cell, i) for i in range(command.repeats)])
        print(text)
        if command.out:
            page = f"# Calibration of the memory card\n\n{text}\n"
            atomic_files.write_bytes(command.out, page.encode())


def repeat(cell: "Cell", number: int) -> dict[str, Any]:
    """The fields of a card that a comparison needs, measured with seeds of its own."""
    from echo_jax.memory_benchmark.measure_cell import raw_rows

    start = time.perf_counter()
    seeds = [number * STREAM.seeds + i for i in range(STREAM.seeds)]
    raw = list(raw_rows(cell, STREAM, seeds[0]))
    seconds = time.perf_counter() - start
    print(f"{number + 1}: seeds {seeds[0]} to {seeds[-1]}, {seconds:.0f} s", flush=True)
    hashed = {"protocol": to_dict(STREAM), "protocol_hash": hash_of(STREAM)}
    return {"raw": raw, "seeds": seeds, **hashed}


def table(command: CalibrateCommand, cards: list[dict[str, Any]]) -> str:
    """A Markdown table of the share of predictions that held, by lag, after a paragraph."""
    headings = ["lag", "predictions", "held", "standard error", "different numbers of updates"]
    lines = [f"| {' | '.join(headings)} |", "|" + "---:|" * len(headings)]
    for found in compare_two.coverages(cards):
        share = f"{found.held / found.tried:.1%}"
        error = f"{found.error:.1%}" if math.isfinite(found.error) else "-"
        lines.append(f"| {found.lag} | {found.tried:,} | {share} | {error} | {found.values} |")
    arguments = f" --cell-args {command.cell_args}" * bool(command.cell_args)
    again = f"calibrate --cell {command.cell}{arguments} --repeats {command.repeats}"
    words = (
        f"{command.repeats} quick cards of {command.cell}, {QUICK.seeds} seeds each, of "
        f"`{command_line.INSTALLED} {again}`: how often the {compare_two.LEVEL:.0%} prediction "
        "interval of one pair of cards contained the ratio of updates of another pair. Updates are "
        f"known to within {QUICK.evaluate_every}; where they are few, most of the interval comes "
        f"from that. All predictions come from {command.repeats} cards, so they are not "
        "independent: the standard error is that of a jackknife over the cards."
    )
    return "\n".join([words, "", *lines])
