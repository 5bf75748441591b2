"""Print and draw a run: its configuration, its scores, how it ended, its curves."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET

from echo_jax import statistics
from echo_jax.config import RunConfig, chosen
from echo_jax.echo.run import advice, run_folder
from echo_jax.echo.run.checkpoint import Finished
from echo_jax.echo.run.explanation import explain
from echo_jax.echo.run.run_folder import FIGURE
from echo_jax.echo.target_place import knowable_share
from echo_jax.exceptions import Spelling, printable
from echo_jax.report.styles import BLUE, GREY, ORANGE, Format, drawing, image
from echo_jax.report.text_tables import table
from echo_jax.storage import atomic_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from echo_jax.echo.run.result import FailedSeeds, Result
    from echo_jax.report.charts import NotebookFigure

POSITIONS_SHOWN = 60
"""The most positions whose accuracy is printed; `result.json` has all positions."""

RARE = {
    "missing", "framing", "encoding", "embedding_dim", "tied", "delay_line", "bptt_batches",
    "frozen", "cell_args",
}  # fmt: skip
"""The fields that `describe` names only if they differ from their default."""


def describe(config: RunConfig) -> str:
    """Return one line that describes a run of `config`: task, network, training and seeds."""
    task = config.task
    network = config.network
    training = config.training
    state = "stateful" if network.stateful else "stateless"
    seeds = f"seed {config.seed}"
    if config.seeds > 1:
        seeds = f"seeds {config.seed} to {config.seed + config.seeds - 1}"
    source = f"integers below {task.vocab_size}"
    if config.data.file is not None:
        source = f"values of {printable(config.data.file)}, {task.vocab_size} different"
    rare = [f"{k.replace('_', ' ')} {v}" for k, v in chosen(config).items() if k in RARE]
    more = f"; {', '.join(rare)}" if rare else ""
    own_size = network.cell.endswith(".py")  # functions, which no flag makes larger
    units = "" if own_size else f" of {network.hidden_size} units"
    return (
        f"Echo with lag {task.lag}: {task.layout} of {task.window} from {task.length} {source}, "
        f"batch size {task.batch_size}; {state} {network.cell}{units}; "
        f"{training.sequences:,} sequences, "
        f"{training.sequences * task.updates_per_sequence:,} updates, "
        f"{seeds}{more}"
    )


def full_report(config: RunConfig, result: "Result", spelling: Spelling = "flag") -> str:
    """Return the text that is printed after training a run of `config`.

    The text has the answers to one sequence, the seeds that failed, the scores, the accuracy by
    position, the explanation and the time. `spelling` says how options are written.
    """
    kind = "fresh" if config.data.file is None else "held-out"
    right = sum(a == b for a, b in zip(result.expected, result.predicted, strict=True))
    paragraphs = (
        f"Expected:  {result.expected}\nPredicted: {result.predicted}\n"
        f"           {right} of {len(result.expected)} right, on one {kind} sequence, "
        f"seed {result.answers_of_seed}",
        failures(result.failed),
        scores(config, result),
        accuracy_by_position(config, result.accuracy_by_position),
        explain(config, result, spelling),
        learning_time(config, result),
    )
    return "\n" + "\n\n".join(filter(None, paragraphs))


def conclude(
    finished: Finished,
    folder: Path,
    say: Callable[[str], None],
    write: Callable[[dict[str, Any]], str],
    kind: Format,
) -> None:
    """Say what to run next, and make the figure of a finished run in `folder`.

    `say` gets each line; `write` returns the command of the run with other values of some fields,
    as for `advice.after_run`; and `kind` is the format of the figure.
    """
    for line in advice.after_run(finished, write):
        say(printable(line))
    path = draw(folder, finished, kind)
    say(f"Figure: {printable(run_folder.as_shown(path))}")


def failures(failed: "FailedSeeds") -> str:
    """Return text on the seeds that failed, and at which sequence; "" if none failed."""
    if not failed.seed:
        return ""
    pairs = zip(failed.seed, failed.sequence, strict=True)
    where = ", ".join(f"seed {s} ({f'sequence {n}' if n else 'evaluation'})" for s, n in pairs)
    return (
        f"The loss became non-finite: {where}. "
        "Each such seed counts as accuracy 0 and an infinite loss."
    )


def scores(config: RunConfig, result: "Result") -> str:
    """Return, as text, the table of the scores beside their baselines.

    The table has intervals if there are several seeds.
    """
    many = result.accuracy_interval
    of_values = config.task.framing == "values"
    beside = _beside(config.data.file is not None, result)
    headings = ["median", f"{many.coverage:.1%} interval"] if many else ["network"]
    rows = [["", *headings, *(heading for heading, _ in beside.values())]]
    measures = [
        ("accuracy", "accuracy", "{:.2%}"),
        ("loss", "loss (squared)" if of_values else "loss (nats)", "{:z.4f}"),
    ]
    note = ""
    if of_values:
        measures.append(("distance", "distance", "{:.2f}"))
        note = "\nDistance: mean absolute difference from the target integer."
    for name, label, pattern in measures:
        row = [label, _number(getattr(result, name), pattern)]
        if interval := getattr(result, f"{name}_interval"):
            row.append(f"{_number(interval.low, pattern)} to {_number(interval.high, pattern)}")
        others = (getattr(result, f"{kind}_{name}", UNSET) for kind in beside)
        rows.append([*row, *("-" if x is UNSET else _number(x, pattern) for x in others)])
    count = config.evaluation_sequences
    kind = "fresh" if config.data.file is None else "held-out"
    noun = "sequences" if count > 1 else "sequence"
    seeds = f"each of {config.seeds} seeds" if many else "1 seed, no interval"
    knows = "; ".join(sentence for _, sentence in reversed(beside.values()))
    return (
        f"On {count:,} {kind} {noun} ({seeds}):\n{table(rows)}\n"
        f"{knows[0].upper()}{knows[1:]}.{note}"
    )


def _beside(own: bool, result: "Result") -> dict[str, tuple[str, str]]:
    """Return, by kind, the scores in `result` to compare with: a heading, and a clause.

    The clause says what the predictor with this score knows. `own` is True for the user's own
    values.
    """
    blind = "order-blind knows which values the window holds, but not their order"
    best = ", and is the best such guess only if the values are independent"
    nearest = "persistence repeats the value in the window nearest to the target"
    gram = "a k-gram predicts from the k values nearest to the target, as counted in training"
    columns = {
        "training": ("training part", "the training part is scored at its end"),
        "ceiling": ("ceiling", "the ceiling knows everything that was fed"),
        "order_blind": ("order-blind baseline", blind + best if own else blind),
        "baseline": ("chance baseline", "chance guesses"),
        "persistence": ("persistence", nearest),
        "k_gram": (f"{result.k_gram}-gram", gram),
    }
    if own:
        columns["baseline"] = "majority baseline", "majority says the most common value"
    absent = {kind for kind in columns if getattr(result, f"{kind}_accuracy") is UNSET}
    return {kind: words for kind, words in columns.items() if kind not in absent}


def accuracy_by_position(config: RunConfig, accuracy: Sequence[float | None]) -> str:
    """Return, as text, the accuracy in percent at each row of a sequence; in streams, each step.

    `accuracy` has None for a position without a target.
    """
    task = config.task
    unit, width = ("step", task.window) if task.in_streams else ("row", task.batch_size)
    width = width if 4 <= width <= 20 else 10
    mean = f", mean of {config.seeds} seeds" if config.seeds > 1 else ""
    lines = [f"Accuracy in percent by {unit}{mean}:"]
    percents = ["    -" if share is None else f"{100 * share:5.1f}" for share in accuracy]
    lines += [
        f"  {unit} {start:3}: {' '.join(percents[start : start + width])}"
        for start in range(0, min(len(accuracy), POSITIONS_SHOWN), width)
    ]
    if len(accuracy) > POSITIONS_SHOWN:
        lines.append(f"  ... all {len(accuracy)} are in result.json")
    return "\n".join(lines)


def learning_time(config: RunConfig, result: "Result") -> str:
    """Return text on the training sequences until the goal, and the seconds that the run took.

    The goal is an accuracy of 99%, or 99% of a lower ceiling. The sequences are left out if no
    target can be known.
    """
    lines = _until_goal(result) if knowable_share(config) else []
    if result.seconds:
        waited = (x for name, x in result.seconds.items() if name != "compile_while_training")
        lines.append(f"It took {sum(waited):.1f} s.")
    return "\n".join(lines)


def _until_goal(result: "Result") -> list[str]:
    lines = []
    goal, sequences, median, interval = _goal(result)
    if len(sequences) > 1:
        good = sum(reached is not None for reached in sequences)
        seeds = len(sequences)
        share = statistics.wilson_interval(good, seeds)
        lines.append(
            f"{good} of {seeds} seeds reached {goal} in training: a share of "
            f"{share.low:.0%} to {share.high:.0%} ({share.coverage:.0%} Wilson interval)."
        )
    most = result.config["training"]["sequences"]
    when = f"did not reach {goal} in {most:,} sequences"
    if median is not None:
        when = f"reached {goal} after {median:,.0f} sequences"
    if interval and interval.low is not None:
        high = f">{most:,}" if interval.high is None else f"{interval.high:,.0f}"
        when += f" (median; {interval.low:,.0f} to {high}, {interval.coverage:.1%} interval)"
    return [*lines, f"The running mean over 20 training sequences {when}."]


def _goal(result: "Result") -> tuple[str, Any, Any, Any]:
    """Return the goal, 99% or 99% of the ceiling, and the sequences until then.

    The sequences are a list by seed, then their median and its interval.
    """
    ceiling = result.ceiling_accuracy
    reached = result.sequences_to_99_of_ceiling_by_seed
    lowered = result.untrained is not UNSET  # by values that no training sequence has
    if ceiling is not UNSET and reached is not UNSET and ceiling < 0.99 and not lowered:
        of_ceiling = result.sequences_to_99_of_ceiling, result.sequences_to_99_of_ceiling_interval
        return f"99% of the ceiling of {ceiling:.2%}", reached, *of_ceiling
    at_99 = result.sequences_to_99, result.sequences_to_99_interval
    return "99%", result.by_seed.sequences_to_99, *at_99


def _number(value: float | None, pattern: str) -> str:
    return "infinite" if value is None else pattern.format(value)


def draw(folder: Path, finished: Finished, kind: Format = "png") -> Path:
    """Write the figure of a finished run, of format `kind`, into `folder`, and return its path.

    Raises StorageError if the figure there was edited.
    """
    path = (folder / FIGURE).with_suffix(f".{kind}")
    with drawing():
        content = image(figure_of(finished), kind)
    atomic_files.write_generated(path, content)
    return path


def figure_of(finished: Finished) -> "NotebookFigure":
    """Return the figure, 800 pixels wide, of loss and accuracy over training, with baselines."""
    from echo_jax.report.charts import NotebookFigure

    config, _, scores, _ = finished
    loss, accuracy = finished.curves()
    of_values = config.task.framing == "values"
    own = config.data.file is not None
    figure = NotebookFigure(figsize=(8, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title_of(config), fontsize=11)
    left, right = figure.subplots(1, 2)
    _panel(left, loss, BLUE, "loss (squared)" if of_values else "loss (nats)")
    _panel(right, 100 * accuracy, ORANGE, "accuracy (%)")
    left.set_ylim(0, 1.12 * max(scores.baseline_loss, float(np.max(loss))))
    right.set_ylim(-2, 106)
    guess = "majority" if own else "chance, the variance" if of_values else "chance, ln V"
    _baseline(left, scores.baseline_loss, guess, "--")
    _baseline(right, 100 * scores.baseline_accuracy, "majority" if own else "chance, 1/V", "--")
    lines: list[Any] = [(f"{scores.k_gram}-gram", scores.k_gram_loss, scores.k_gram_accuracy, "-.")]
    lines.append(("persistence", UNSET, scores.persistence_accuracy, (0, (1, 3))))
    if scores.order_blind_accuracy not in (1.0, scores.baseline_accuracy):
        blind = scores.order_blind_accuracy
        lines.append(("order-blind", scores.order_blind_loss, blind, ":"))
    for name, of_loss, of_accuracy, dashes in lines:
        if of_loss is not UNSET:
            _baseline(left, of_loss, name, dashes)
        if of_accuracy is not UNSET:
            _baseline(right, 100 * of_accuracy, name, dashes)
    for axes in (left, right):
        # Inside its panel, so the layout need not measure it: 0.02 s.
        axes.legend(loc="best", fontsize=9, frameon=False).set_in_layout(False)
    return figure


def title_of(config: RunConfig) -> str:
    """Return the title of the figure of a run of `config`."""
    task = config.task
    kind = "stateful" if config.network.stateful else "stateless"
    title = (
        f"Echo of lag {task.lag}, window {task.window}, batch size {task.batch_size}, "
        f"{kind} {config.network.cell}"
    )
    if config.training.bptt_batches > 1:
        title += f", gradient through {config.training.bptt_batches} batches"
    return f"{title}, {config.seeds} seeds" if config.seeds > 1 else title


def _panel(axes: "Axes", values: np.ndarray, colour: str, label: str) -> None:
    """Draw `values`, `[S, N]`, of every sequence: a thin line for each seed, a thick line for all.

    The thick line is the median over the seeds of running means of 20 sequences. The thin lines are
    these running means, or the values themselves for one seed.
    """
    sequences = values.shape[1]
    width = min(20, sequences)
    kernel = np.full(width, 1 / width)
    means = np.array([np.convolve(curve, kernel, mode="valid") for curve in values])
    at = np.arange(width, sequences + 1)
    thin: dict[str, Any] = {"color": colour, "alpha": 0.25, "linewidth": 0.7}
    if len(values) == 1:
        axes.plot(np.arange(1, sequences + 1), values[0], **thin)
    else:
        every = -(-len(at) // 500)  # at most 500 points of a curve are drawn
        axes.plot(at[::every], means.T[::every], **thin)
    axes.plot(at, np.median(means, axis=0), color=colour, linewidth=1.8)
    axes.set_xlabel("training sequence")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _baseline(axes: "Axes", value: float, name: str, dashes: Any) -> None:
    axes.axhline(value, color=GREY, linestyle=dashes, linewidth=1.2, zorder=3, label=name)
