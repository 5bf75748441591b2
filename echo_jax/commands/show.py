"""Show what the network is given: integers, one-hot vectors, rows, batches, and their state.

echo-jax show --part no-context             # the tutorial's mistake can be seen
echo-jax show --csv my.csv --column n       # the same of your own numbers
echo-jax show --curve runs/part4            # make curve.png of a run again
"""

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from echo_jax import machine
from echo_jax.commands import command_line
from echo_jax.config import PARTS, Part, RunConfig
from echo_jax.exceptions import ConfigError, printable
from echo_jax.host import compilation_cache
from echo_jax.report.styles import Format
from echo_jax.report.text_tables import table
from echo_jax.runs import explanation
from echo_jax.runs.run_folder import RunSpec

if TYPE_CHECKING:  # what is slow to import waits until the command line was found valid
    import numpy as np

COMMON = 10  # values of a column that are printed
VECTORS, ENTRIES = 3, 30  # one-hot vectors, and entries of each, that are printed


@dataclasses.dataclass(frozen=True)
class ShowCommand:
    """Show a sequence and the rows a network is trained on: the tutorial's sanity checks."""

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    rows: int = 60
    """Rows to print, rounded up to whole batches."""
    curve: Path | None = None
    """Only make the figure curve.png of the run in this folder again."""
    open: bool = False
    """Open that figure; only with --curve."""
    format: Format = "png"
    """The format of that figure: curve.png, curve.svg or curve.pdf; only with --curve."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(ShowCommand)
    if command.rows < 1:
        command_line.fail(f"--rows {command.rows} is below 1: use 1 or more")
    with command_line.refusals():
        if command.curve:
            command_line.check_alone("curve", "open", "format")
            path = show_curve(command.curve, command.format)
            if command.open:
                command_line.open_figure(path)
            return
        if command.open:
            raise ConfigError("--open opens the figure of a run: name its folder with --curve")
        if command.format != "png":
            raise ConfigError("--format is of the figure of a run: name its folder with --curve")
        from echo_jax.runs.csv_input import new_inputs

        inputs = new_inputs(command.run)
        machine.check_memory(inputs.config.least_bytes)
        machine.use_cpu_devices(1)
        compilation_cache.use_compilation_cache(command.compilation_cache)
        if inputs.tokens is not None:
            print(column_view(inputs, inputs.tokens))
        tokens = first_sequence(inputs)
        print(sequence_view(tokens, inputs.config))
        print(rows_view(tokens, inputs.config, command.rows))
        print(explanation.explain(inputs.config), flush=True)


def show_curve(folder: Path, kind: Format) -> Path:
    """Print how a finished run ended, and make its figure; returns the path of the figure."""
    from echo_jax.runs import curve_figure, run_report

    say = functools.partial(print, flush=True)
    return run_report.conclude(curve_figure.read(folder), folder, say, kind=kind)


def first_sequence(inputs: RunSpec) -> "np.ndarray":
    """The first training sequence, `[L]`; in streams the first B, `[B, L]`."""
    import jax
    import numpy as np

    from echo_jax.core.data import Purpose, draw_sequences

    config, corpus = inputs.config, inputs.corpus
    draw = jax.jit(
        lambda counters: draw_sequences(config.seed, Purpose.DATA, counters, config.task, corpus)
    )
    return np.asarray(draw(np.arange(1)))[0]


def column_view(inputs: RunSpec, tokens: "np.ndarray") -> str:
    """The most common values of a column, with their tokens, and its majority baseline."""
    import numpy as np

    from echo_jax.core.chance import majority_baseline

    data, vocab_size, length = inputs.config.data, len(inputs.vocabulary), len(tokens)
    counts = np.bincount(tokens, minlength=vocab_size)
    rows = [["value", "token", "times", "share"]]
    for token in np.argsort(-counts, kind="stable")[:COMMON].tolist():
        value, times = printable(str(inputs.vocabulary.value(token))), counts[token]
        rows.append([value, str(token), f"{times:,}", f"{times / length:.2%}"])
    more = f"\n... and {vocab_size - COMMON:,} more values" if vocab_size > COMMON else ""
    baseline = majority_baseline(tokens)
    return (
        f"Column {printable(f'{data.column} of {data.csv}')}: {length:,} values, {vocab_size:,} "
        f"different; the last {data.held_out:.0%} are held out.\n"
        f"The most common:\n{table(rows)}{more}\n"
        f"Majority baseline: accuracy {baseline.accuracy:.2%}; loss {baseline.loss:.4f} nats, "
        "the entropy.\n"
    )


def sequence_view(tokens: "np.ndarray", config: RunConfig) -> str:
    """A sequence as integers, as the input of a cell (of one-hot vectors some), and decoded."""
    import jax
    import numpy as np

    from echo_jax.core.data import one_hot_decode, one_hot_encode

    tokens = tokens.reshape(-1, config.task.length)[0]
    highest = config.task.vocab_size - 1
    size = highest + 1 + (config.task.missing == "token")
    source = f"integers, drawn from 0 .. {highest}"
    if config.data.csv:
        source = "tokens in a row, from the part of the column that is trained on"
    lines = [f"{len(tokens)} {source}:", f"  {tokens.tolist()}\n"]
    if config.task.framing == "values":
        values = tokens / highest
        lines += [
            f"As values, each divided by {highest}:",
            f"  [{', '.join(f'{value:.3f}' for value in values)}]\n",
            "Decoded again (the nearest integer):",
            f"  {np.rint(values * highest).astype(int).tolist()}\n",
        ]
    elif config.network.encoding == "embedding":
        table_size = f"{size} by {config.network.embedding_dim} numbers"
        lines.append(f"Embedded: token v is row v of a learned table of {table_size}\n")
    else:
        encode = jax.jit(one_hot_encode, static_argnums=1)
        vectors = np.asarray(encode(tokens, size))
        cut = f" ... {size - ENTRIES} more" if size > ENTRIES else ""
        lines += [
            f"One-hot, {len(vectors)} vectors of {size}, a vector a line:",
            *(
                f"  [{' '.join(str(int(x)) for x in row[:ENTRIES])}{cut}]"
                for row in vectors[:VECTORS]
            ),
            *[f"  ... {len(vectors) - VECTORS} more"] * (len(vectors) > VECTORS),
            "\nDecoded again (the position of the 1 in each):",
            f"  {jax.jit(one_hot_decode)(vectors).tolist()}\n",
        ]
    return "\n".join(lines)


def rows_view(tokens: "np.ndarray", config: RunConfig, rows: int) -> str:
    """The rows of a sequence as `window => target`, batch by batch, and the row each continues.

    Whole batches are shown until so many rows are out. Dashes stand where there is no value: where
    a step is masked or beyond the sequence, or there is no target.
    """
    import jax
    import numpy as np

    from echo_jax.core.data import sequence_batches

    task = config.task
    batch = jax.jit(sequence_batches, static_argnums=1)(tokens, task, task.lag)
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    seen = np.ones(inputs.shape, bool) if batch.mask is None else np.asarray(batch.mask)
    scored = np.ones(targets.shape, bool)
    if batch.scored is not None:
        scored = np.asarray(batch.scored)
        times = np.arange(seen.shape[0] * seen.shape[2]).reshape(-1, 1, seen.shape[2])
        seen = np.broadcast_to(times < task.length, seen.shape)  # the last chunk may reach past it
    batches, size = inputs.shape[:2]
    shown = min(batches, -(-rows // size))
    lines = [
        f"As {task.layout} of {task.window} with lag {task.lag}, window => target, batches of "
        f"{task.batch_size}:"
    ]
    for k in range(shown):
        continues = config.network.stateful and k > 0
        lines.append(f"batch {k}" + ("" if continues else ": state zero"))
        for b in range(size):
            window = _tokens(inputs[k, b], seen[k, b], task.vocab_size)
            target = _tokens(targets[k, b], scored[k, b], task.vocab_size)
            row = k * size + b
            source = f"   row {row} <- row {row - size}" if continues else ""
            lines.append(f"  row {row:3}   {window} => {target}{source}")
    if task.missing == "token":
        lines.append(f"? is the token {task.vocab_size}: a value that is missing")
    if shown < batches:
        lines.append(f"... {batches * size} rows in all; --rows shows more")
    return "\n".join([*lines, ""])


def _tokens(values: "np.ndarray", present: "np.ndarray", vocab_size: int) -> str:
    """Tokens in columns, dashes where there is none, a question mark where one is missing."""
    digits = len(str(vocab_size - 1))
    marks = (f"{value}" if value < vocab_size else "?" for value in values)
    pairs = zip(marks, present, strict=True)
    return " ".join(mark.rjust(digits) if here else "-" * digits for mark, here in pairs)
