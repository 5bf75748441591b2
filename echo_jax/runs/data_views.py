"""Views of what a network is given: a column, a sequence in every encoding, rows and batches."""

import jax
import numpy as np

from echo_jax.config import RunConfig
from echo_jax.core.chance import majority_baseline
from echo_jax.core.data import Purpose, draw_sequences, sequence_batches
from echo_jax.exceptions import printable
from echo_jax.report.text_tables import table
from echo_jax.runs.run_folder import RunSpec

COMMON = 10  # values of a column that are printed
VECTORS, ENTRIES = 3, 30  # one-hot vectors, and entries of each, that are printed


def first_sequence(inputs: RunSpec) -> np.ndarray:
    """The first training sequence, `[L]`; in streams the first B, `[B, L]`."""
    config, corpus = inputs.config, inputs.corpus
    draw = jax.jit(
        lambda counters: draw_sequences(config.seed, Purpose.DATA, counters, config.task, corpus)
    )
    return np.asarray(draw(np.arange(1)))[0]


def column_view(inputs: RunSpec, tokens: np.ndarray) -> str:
    """The most common values of a column, with their tokens, and its majority baseline."""
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


def sequence_view(tokens: np.ndarray, config: RunConfig) -> str:
    """A sequence as integers, as the input of a cell (of one-hot vectors some), and decoded."""
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
        encode = jax.jit(jax.nn.one_hot, static_argnums=1)
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
            f"  {vectors.argmax(axis=-1).tolist()}\n",
        ]
    return "\n".join(lines)


def rows_view(tokens: np.ndarray, config: RunConfig, rows: int) -> str:
    """The rows of a sequence as `window => target`, batch by batch, and the row each continues.

    Whole batches are shown until so many rows are out. Dashes stand where there is no value: where
    a step is masked or beyond the sequence, or there is no target.
    """
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


def _tokens(values: np.ndarray, present: np.ndarray, vocab_size: int) -> str:
    """Tokens in columns, dashes where there is none, a question mark where one is missing."""
    digits = len(str(vocab_size - 1))
    marks = (f"{value}" if value < vocab_size else "?" for value in values)
    pairs = zip(marks, present, strict=True)
    return " ".join(mark.rjust(digits) if here else "-" * digits for mark, here in pairs)
