"""Show what the network is given: integers, one-hot vectors, rows, batches, and their state.

python scripts/show.py --part no-context             # the tutorial's mistake can be seen
python scripts/show.py --csv my.csv --column n       # the same of your own numbers
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from echo_jax import machine
from echo_jax.commands import command_line
from echo_jax.config import PARTS, Part, RunConfig
from echo_jax.report.text_tables import table
from echo_jax.runs import explanation

if TYPE_CHECKING:
    import numpy as np

    from echo_jax.runs.csv_input import Tokenized


@dataclasses.dataclass(frozen=True)
class ShowCommand:
    """Show a sequence and the rows a network is trained on: the tutorial's sanity checks."""

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    rows: int = 60
    """Rows to print, rounded up to whole batches."""
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(ShowCommand)
    if command.rows < 1:
        command_line.fail(f"rows {command.rows} is below 1: use 1 or more")
    with command_line.refusals():
        own = read_column(command.run) if command.run.data.csv else None
        config = own.config if own else command.run
        machine.check_memory(config.least_bytes)
        if own:
            print(column_view(own))
        tokens = first_sequence(config, own)
        print(sequence_view(tokens, config))
        print(rows_view(tokens, config, command.rows))
        print(explanation.explain(config), flush=True)


def read_column(config: RunConfig) -> "Tokenized":
    """The user's own numbers as tokens."""
    from echo_jax.runs import csv_input

    return csv_input.tokenize(config)


def column_view(own: "Tokenized") -> str:
    """The most common values of a column, with their tokens, and its floors."""
    from echo_jax.core.chance import majority_baseline
    from echo_jax.runs import csv_input

    common = csv_input.most_common(own.tokens, own.vocabulary)
    return common_values(common, len(own.tokens), own.config, majority_baseline(own.tokens))


def sequence_view(tokens: Any, config: RunConfig) -> str:
    """A sequence as integers and as what a cell is fed, and decoded again."""
    tokens = tokens.reshape(-1, config.task.length)[0]
    source = f"integers, drawn from 0 .. {config.task.vocab_size - 1}"
    if config.data.csv:
        source = "tokens in a row, from the part of the column that is trained on"
    return f"{len(tokens)} {source}:\n  {tokens.tolist()}\n\n{fed_view(tokens, config)}"


def fed_view(tokens: Any, config: RunConfig) -> str:
    """What a cell is fed for tokens: values, embeddings, or one-hot vectors, here truncated."""
    import numpy as np

    from echo_jax.core.data import one_hot_decode, one_hot_encode

    vocab_size = config.task.vocab_size
    size = vocab_size + (config.task.missing == "token")
    if config.task.framing == "values":
        values = np.asarray(tokens) / (vocab_size - 1)
        return (
            f"As values, each divided by {vocab_size - 1}:\n"
            f"  [{', '.join(f'{value:.3f}' for value in values)}]\n\n"
            f"Decoded again (the nearest integer):\n"
            f"  {np.rint(values * (vocab_size - 1)).astype(int).tolist()}\n"
        )
    if config.network.encoding == "embedding":
        width = config.network.embedding_dim
        return f"Embedded: token v is row v of a learned table of {size} by {width} numbers\n"
    vectors = one_hot_encode(tokens, size)
    return (
        f"One-hot, {vectors.shape[0]} vectors of {vectors.shape[1]}, a vector a line:\n"
        f"{one_hot_view(vectors)}\n\n"
        f"Decoded again (the position of the 1 in each):\n"
        f"  {one_hot_decode(vectors).tolist()}\n"
    )


def rows_view(tokens: Any, config: RunConfig, rows: int) -> str:
    """The rows of a sequence as `window => target`, in batches."""
    import numpy as np

    from echo_jax.core.data import sequence_batches

    task = config.task
    batch = sequence_batches(tokens, task, task.lag)
    seen = np.ones(batch.inputs.shape, bool) if batch.mask is None else np.asarray(batch.mask)
    targets = np.asarray(batch.targets)
    if batch.scored is not None:
        targets = np.where(np.asarray(batch.scored), targets, -1)
        times = np.arange(seen.shape[0] * seen.shape[2]).reshape(-1, 1, seen.shape[2])
        seen = np.broadcast_to(times < task.length, seen.shape)  # the last chunk may reach past it
    table = batch_table(np.asarray(batch.inputs), seen, targets, config, rows)
    return (
        f"As {task.layout} of {task.window} with lag {task.lag}, window => target, "
        f"batches of {task.batch_size}:\n{table}\n"
    )


def first_sequence(config: RunConfig, own: "Tokenized | None") -> Any:
    """The first sequence that a run of this configuration trains on."""
    import jax
    import jax.numpy as jnp

    from echo_jax.core.data import Corpus, Purpose, draw_sequences
    from echo_jax.runs import csv_input

    task, held_out = config.task, config.data.held_out
    corpus = Corpus(*csv_input.split(own.tokens, task.length, held_out)) if own else None

    def draw(counters: Any) -> Any:
        return draw_sequences(config.seed, Purpose.DATA, counters, task, corpus)

    return jax.jit(draw)(jnp.arange(1))[0]


def common_values(
    common: Sequence[tuple[int | str, int, int, float]],
    length: int,
    config: RunConfig,
    floor: tuple[float, float],
) -> str:
    """The most common values of a column of the user's own, and its floors.

    Args:
      common: value, token, occurrences and share of each.
      length: of the column.
      config: with the data's names and the number of different values.
      floor: accuracy and loss (nats) of knowing how frequent each value is.
    """
    data, vocab_size = config.data, config.task.vocab_size
    rows = [["value", "token", "times", "share"]]
    rows += [
        [str(v), str(token), f"{times:,}", f"{share:.2%}"] for v, token, times, share in common
    ]
    rest = vocab_size - len(common)
    more = f"\n... and {rest:,} more values" if rest else ""
    return (
        f"Column {data.column} of {data.csv}: {length:,} values, {vocab_size:,} different; the "
        f"last {data.held_out:.0%} are held out.\nThe most common:\n{table(rows)}{more}\n"
        f"Majority floor: accuracy {floor[0]:.2%}; loss {floor[1]:.4f} nats, their entropy.\n"
    )


def one_hot_view(vectors: "np.ndarray", shown: int = 30) -> str:
    """One-hot vectors `[L, V]`, a vector a line, cut after `shown` entries."""
    rest = vectors.shape[1] - shown
    cut = f" ... {rest} more" if rest > 0 else ""
    return "\n".join(f"  [{' '.join(str(int(x)) for x in row[:shown])}{cut}]" for row in vectors)


def batch_table(
    inputs: "np.ndarray",
    seen: "np.ndarray",
    targets: "np.ndarray",
    config: RunConfig,
    rows: int,
) -> str:
    """The rows of a sequence as `window => target`, its batches drawn in, and their state.

    Args:
      inputs: `[K, B, W]`.
      seen: bool `[K, B, W]`, False where a step is masked or beyond the sequence. The token V,
        which stands for a missing value, is shown as a question mark.
      targets: `[K, B, T]`, -1 where there is none.
      config: task and network.
      rows: print whole batches until so many rows are out.
    """
    batches, size = inputs.shape[:2]
    shown = min(batches, -(-rows // size))
    vocab_size, lines = config.task.vocab_size, []
    for k in range(shown):
        continues = config.network.stateful and k > 0
        lines.append(f"batch {k}" + ("" if continues else ": state zero"))
        for b in range(size):
            window = _tokens(inputs[k, b], seen[k, b], vocab_size)
            target = _tokens(targets[k, b], targets[k, b] >= 0, vocab_size)
            row = k * size + b
            source = f"   row {row} <- row {row - size}" if continues else ""
            lines.append(f"  row {row:3}   {window} => {target}{source}")
    if config.task.missing == "token":
        lines.append(f"? is the token {vocab_size}: a value that is missing")
    if shown < batches:
        lines.append(f"... {batches * size} rows in all; --rows shows more")
    return "\n".join(lines)


def _tokens(values: "np.ndarray", present: "np.ndarray", vocab_size: int) -> str:
    """Tokens in columns, dashes where there is none, a question mark where one is missing."""
    digits = len(str(vocab_size - 1))
    marks = (f"{value}" if value < vocab_size else "?" for value in values)
    pairs = zip(marks, present, strict=True)
    return " ".join(mark.rjust(digits) if here else "-" * digits for mark, here in pairs)
