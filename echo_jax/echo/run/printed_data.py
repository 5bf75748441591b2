"""Return as text what a network is fed: a column, an encoded sequence, rows and batches."""

from collections.abc import Callable

import jax
import numpy as np

from echo_jax.echo.chance import majority_baseline
from echo_jax.echo.data import draw_sequences, sequence_batches
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.exceptions import printable
from echo_jax.learner.random_tokens import Purpose
from echo_jax.report.text_tables import table

COMMON = 10  # values of a column that are printed
VECTORS = 3  # one-hot vectors that are printed
ENTRIES = 30  # of each of them


def first_sequence(inputs: RunSpec) -> np.ndarray:
    """Return the first training sequence of a run with `inputs`, int32 `[L]`.

    In streams these are the first B sequences, `[B, L]`.
    """
    config = inputs.config
    corpus = inputs.corpus()
    draw = jax.jit(
        lambda counters: draw_sequences(config.seed, Purpose.DATA, counters, config.task, corpus)
    )
    return np.asarray(draw(np.arange(1)))[0]


def speller(inputs: RunSpec) -> Callable[[int], str]:
    """Return a function that writes a token as text: an integer, the user's value, or ?.

    The text ? stands for a missing value. `inputs` has the user's values, if any.
    """

    def word(token: int) -> str:
        """Return the value of `token` as text, in quotes if it contains a space."""
        if token == inputs.config.task.vocab_size:
            return "?"
        value = str(token) if inputs.values is None else inputs.values[token]
        return printable(repr(value) if " " in value else value)

    return word


def column_view(inputs: RunSpec, tokens: np.ndarray) -> str:
    """Return text on the column of `inputs`: its most common values and its majority baseline.

    `inputs` are the inputs of a run, and `tokens`, int32 `[M]`, are the tokens of the column.
    """
    data = inputs.config.data
    vocab_size = len(inputs.vocabulary)
    length = len(tokens)
    word = speller(inputs)
    counts = np.bincount(tokens, minlength=vocab_size)
    rows = [["value", "token", "times", "share"]]
    for token in np.argsort(-counts, kind="stable")[:COMMON].tolist():
        times = counts[token]
        rows.append([word(token), str(token), f"{times:,}", f"{times / length:.2%}"])
    more = f"\n... and {vocab_size - COMMON:,} more values" if vocab_size > COMMON else ""
    baseline = majority_baseline(tokens)
    return (
        f"Data: {printable(str(data))} has {length:,} values, {vocab_size:,} of them different; "
        f"the last {data.held_out:.0%} of the values are held out.\n"
        f"The most common:\n{table(rows)}{more}\n"
        f"Majority baseline: accuracy {baseline.accuracy:.2%}; loss {baseline.loss:.4f} nats, "
        "which is the entropy.\n"
    )


def sequence_view(tokens: np.ndarray, inputs: RunSpec) -> str:
    """Return text that shows a sequence as values, as inputs of the cell, and decoded again.

    The sequence is `tokens`, int32 `[L]`, or the first of the streams `[B, L]`. `inputs` are the
    inputs of the run, with its configuration and values. The text shows the first VECTORS one-hot
    vectors. For an embedding, it states only the size of the table.
    """
    config = inputs.config
    word = speller(inputs)
    tokens = tokens.reshape(-1, config.task.length)[0]
    highest = config.task.vocab_size - 1
    size = highest + 2 if config.task.missing == "token" else highest + 1
    source = f"integers, drawn from 0 .. {highest}"
    if config.data.file is not None:
        source = "consecutive values from the training part"
    lines = [f"{len(tokens)} {source}:", f"  [{', '.join(map(word, tokens.tolist()))}]\n"]
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
        vectors = (tokens[:, None] == np.arange(size)).astype(int)
        decoded = "the value at the position" if inputs.values else "the position"
        cut = f" ... {size - ENTRIES} more" if size > ENTRIES else ""
        lines.append(f"One-hot: {len(vectors)} vectors of {size} numbers, one vector per line:")
        for row in vectors[:VECTORS]:
            lines.append(f"  [{' '.join(map(str, row[:ENTRIES]))}{cut}]")
        if len(vectors) > VECTORS:
            lines.append(f"  ... {len(vectors) - VECTORS} more")
        lines += [
            f"\nDecoded again ({decoded} of the 1 in each):",
            f"  [{', '.join(map(word, vectors.argmax(axis=-1).tolist()))}]\n",
        ]
    return "\n".join(lines)


def rows_view(tokens: np.ndarray, inputs: RunSpec, rows: int) -> str:
    """Return text that shows the rows of the sequence `tokens` as `window => target`.

    `tokens` are int32 `[L]`, or in streams `[B, L]`. `inputs` are the inputs of the run, with its
    configuration and values. `rows` is the least number of rows to show; it is rounded up to whole
    batches. In a stateful network, the text also names the row that each row continues. Dashes mark
    places without a value.
    """
    task = inputs.config.task
    word = speller(inputs)
    batch = jax.jit(sequence_batches, static_argnums=1)(tokens, task, task.lag)
    fed = np.asarray(batch.inputs)
    targets = np.asarray(batch.targets)
    seen = np.ones(fed.shape, bool) if batch.mask is None else np.asarray(batch.mask)
    scored = np.ones(targets.shape, bool)
    if batch.scored is not None:
        scored = np.asarray(batch.scored)
        times = np.arange(seen.shape[0] * seen.shape[2]).reshape(-1, 1, seen.shape[2])
        seen = np.broadcast_to(times < task.length, seen.shape)  # the last chunk may reach past it
    batches, size = fed.shape[:2]
    width = max(map(len, map(word, np.unique(tokens).tolist())))
    shown = min(batches, -(-rows // size))
    lines = [
        f"As {task.layout} of {task.window} with lag {task.lag}, window => target, batches of "
        f"{task.batch_size}:"
    ]
    for k in range(shown):
        continues = inputs.config.network.stateful and k > 0
        lines.append(f"batch {k}" + ("" if continues else ": state zero"))
        for b in range(size):
            window = _words(fed[k, b], seen[k, b], word, width)
            target = _words(targets[k, b], scored[k, b], word, width)
            row = k * size + b
            source = f"   row {row} <- row {row - size}" if continues else ""
            lines.append(f"  row {row:3}   {window} => {target}{source}")
    if task.missing == "token":
        lines.append(f"? is the token {task.vocab_size}, which stands for a missing value")
    if shown < batches:
        lines.append(f"... {batches * size} rows in all; --rows shows more")
    return "\n".join([*lines, ""])


def _words(tokens: np.ndarray, present: np.ndarray, word: Callable[[int], str], width: int) -> str:
    pairs = zip(map(word, tokens.tolist()), present, strict=True)
    return " ".join(mark.rjust(width) if here else "-" * width for mark, here in pairs)
