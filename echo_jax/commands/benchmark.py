"""The speed of echo_jax beside its peers on the same job, and as its sizes grow.

echo-jax benchmark                        # the peers that are installed, and echo_jax
echo-jax benchmark --limit ./limit.sh     # and an external program
echo-jax benchmark --scaling              # every size on its own, with a figure
echo-jax benchmark --cells                # every built-in cell
"""

import dataclasses
import datetime
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.config import to_dict
from echo_jax.exceptions import ConfigError, printable
from echo_jax.report.styles import Format
from echo_jax.runs import run_folder
from echo_jax.speed_benchmark import cell_times, limit_program, race, scaling, whole_process
from echo_jax.speed_benchmark.peers import MANY_SEEDS, PEERS, RACING, SEEDS


@dataclasses.dataclass(frozen=True)
class BenchmarkCommand:
    """Compare the training time of echo_jax with other libraries', or with --scaling its own sizes.

    The other libraries come with the extra `benchmark`: pip install 'echo_jax[benchmark]', or
    '.[benchmark]' in a checkout. Those that are not installed are left out.
    """

    rounds: int = 7
    """Times that everything is measured, in turn; 2 or more."""
    limit: str | None = None
    """A command that does the same job as fast as can be. Its last printed line gives its time:
    `us_per_update NUMBER`, else the last number there, in microseconds per update."""
    scaling: bool = False
    """Measure how echo_jax grows with each of its sizes, without peers, rounds and limit."""
    cells: bool = False
    """Measure what each built-in cell costs, without peers, rounds and limit."""
    readme: Path | None = None
    """With --cells: also write the table into this Markdown file, between the lines
    `<!-- cell times -->` and `<!-- end of cell times -->`."""
    fast: bool = False
    """Use very small sizes, to see that everything works; the times mean nothing."""
    peers: tuple[str, ...] = ()
    """Compare echo_jax with these; by default with all (with --fast NumPy alone)."""
    out: Path | None = None
    """Folder for the results, which must be new or empty; by default one under runs/."""
    draw: Path | None = None
    """Only make the figure of the results of --scaling in this folder again."""
    format: Format = "png"
    """The format of that figure: scaling.png, scaling.svg or scaling.pdf."""

    def __post_init__(self) -> None:
        """Raise ConfigError for too few rounds or an unknown peer."""
        for name in self.peers:
            if name not in RACING:
                raise ConfigError(f"peer {name} is unknown: use some of {', '.join(RACING)}")
        if self.limit is not None and not self.limit.strip():
            raise ConfigError(f"--limit {self.limit!r} names no program: give the command of one")
        self._check_kind()
        if self.format != "png" and not (self.scaling or self.draw):
            raise ConfigError("--format is that of the figure of --scaling: add --scaling")
        if self.rounds < 2:
            raise ConfigError(f"rounds {self.rounds} is below 2: use 2 or more, one has no spread")

    def _check_kind(self) -> None:
        """Raise ConfigError for options of another kind of measurement."""
        kind = "scaling" if self.scaling else "cells" if self.cells else ""
        for name in ("peers", "limit", "rounds"):
            if kind and getattr(self, name) != getattr(BenchmarkCommand, name):
                raise ConfigError(f"--{name} has no effect with --{kind}: leave it out")
        if self.scaling and self.cells:
            raise ConfigError("--scaling and --cells measure different things: give one of them")
        if self.readme and not self.cells:
            raise ConfigError("--readme takes the table of the cells: add --cells")


def main() -> None:
    """Run the command line, on the last of the cores that this process may use."""
    command = command_line.parse(BenchmarkCommand)
    if not command.peers and "--peers" in command_line.given_flags():
        command_line.fail("--peers has no value: give one or several after it")
    if command.draw:
        with command_line.refusals():
            command_line.check_alone("--draw", "--format")
            path = scaling.draw(command.draw, command.format)
            print(f"Figure: {printable(str(path))}")
        return
    if not hasattr(os, "sched_setaffinity"):
        command_line.fail(
            "this system cannot give a process a core of its own: run the benchmark on Linux"
        )
    core = max(os.sched_getaffinity(0))
    with command_line.refusals():
        machine.try_settings()
        if command.readme:
            atomic_files.between(command.readme, cell_times.TABLE)
        with run_folder.claimed_folder(command.out) as folder:
            kind = scale if command.scaling else cost if command.cells else compare
            kind(command, folder, core)
    print(f"Results: {printable(str(folder))}")


def compare(command: BenchmarkCommand, folder: Path, core: int) -> None:
    """Race, print the tables, write `benchmark.json`."""
    before, found = surroundings(), race.Race(command.fast)
    others = command.peers or (("numpy",) if command.fast else RACING)
    asked = [name for name in RACING if name == race.REFERENCE or name in others]
    if command.limit:
        race.say("trying the limit")
        limit_program.run(command.limit, core)
    race.say("whole processes")
    processes = whole_process.measure(command.fast)
    missing = {name: PEERS[name].missing for name in asked if PEERS[name].missing}
    found.absent |= {name: f"not installed: {', '.join(each)}" for name, each in missing.items()}
    installed = [name for name in asked if name not in missing]
    found.run([*installed, SEEDS], command.rounds, core, command.limit)
    after = surroundings()
    print(f"{before['processor']}, cores: {before['cores']}, one of them for each peer in its turn")
    print(f"{command.rounds} rounds; {load(before, after)}\n")
    print(race.table(found, asked))
    if missing:
        print("The extra `benchmark` brings the missing ones: pip install 'echo_jax[benchmark]'")
    print(
        f"\nTraining: {found.job.training.sequences:,} sequences of one seed. Accuracy: on "
        f"{found.job.evaluation_sequences} fresh sequences, one seed, so no interval; chance is "
        f"{100 / found.job.task.vocab_size:g}%.\n\n{seeds_line(found)}"
    )
    print(whole_process.lines(processes, found.results[race.REFERENCE]["training_seconds"]))
    values = {"command": sys.argv[1:], "before": before, "after": after, "rounds": command.rounds}
    values |= {"config": to_dict(found.job), "whole_process_seconds": processes}
    seeds = found.results.pop(SEEDS, None)
    limit = {"microseconds_per_update": found.limit} if found.limit else None
    values |= {"seeds": seeds, "peers": found.results, "absent": found.absent, "limit": limit}
    atomic_files.write_json(folder / "benchmark.json", values)


def scale(command: BenchmarkCommand, folder: Path, core: int) -> None:
    """Measure every size, print the table, write `scaling.json` and `scaling.png`."""
    before = surroundings()
    rows = scaling.measure_all(core, command.fast)
    after = surroundings()
    print(f"{before['processor']}; {load(before, after)}\n")
    print(scaling.table(rows))
    values = {"command": sys.argv[1:], "before": before, "after": after, "points": rows}
    atomic_files.write_json(folder / "scaling.json", values)
    again = f"{command_line.program('benchmark')} --draw {command_line.quoted(folder)}"
    again += f" --format {command.format}" * (command.format != "png")
    with command_line.drawing_last(again):
        scaling.draw(folder, command.format)


def cost(command: BenchmarkCommand, folder: Path, core: int) -> None:
    """Measure every built-in cell, print the table, write `cells.json`."""
    before = surroundings()
    rows = cell_times.measure_all(core, command.fast)
    after = surroundings()
    where = f"{before['processor']}, one core; {load(before, after)}"
    table = f"{cell_times.table(rows)}\n\n({where}.)"
    print(table)
    values = {"command": sys.argv[1:], "before": before, "after": after, "cells": rows}
    atomic_files.write_json(folder / "cells.json", values)
    if command.readme:
        atomic_files.put_between(command.readme, cell_times.TABLE, table)


def surroundings() -> dict[str, Any]:
    """The machine, and its load: processes that waited in the last 1, 5 and 15 minutes."""
    return {
        "processor": machine.model(),
        "cores": machine.cores(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def load(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The load of the minute before the measurement and of its last minute."""
    return f"load average {before['load'][0]:.2f} before, {after['load'][0]:.2f} after"


def seeds_line(found: race.Race) -> str:
    """Many seeds on all cores beside one seed on one core, in updates a second."""
    if SEEDS not in found.results:
        return f"{MANY_SEEDS} seeds: {found.absent[SEEDS]}"
    many, one = (found.results[name]["microseconds_per_update"] for name in (SEEDS, race.REFERENCE))
    return (
        f"{MANY_SEEDS} seeds on all cores ({machine.cores()}): "
        f"{1e6 / statistics.median(many):,.0f} updates a second, one seed on one core: "
        f"{1e6 / statistics.median(one):,.0f}; ratio {race.ratio_text(one, many)}"
    )
