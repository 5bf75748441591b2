"""What a run says in words and tables. No jax here, so it starts at once."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from echo_jax.config import NetworkConfig, RunConfig
from echo_jax.report.text_tables import table

if TYPE_CHECKING:
    import numpy as np

ROWS_SHOWN = 60
"""Positions whose accuracy is printed; `result.json` has them all."""

FLOORS: dict[str, tuple[str, ...]] = {
    "accuracy": ("floor_order_blind", "floor_accuracy"),
    "loss": ("floor_order_blind_loss", "floor_loss"),
    "distance": ("", "floor_distance"),
}
"""Where a result has the order-blind floor of a score, if there is one, and that of chance (of a
user's own numbers the majority's)."""

SEQUENCES = "{:,.0f}"
"""How a count of sequences is written."""

SEEDS_SHOWN = 16
"""More seeds than this have their lines in `seeds.csv` alone."""


def describe(config: RunConfig) -> str:
    """One line that says what is run."""
    task, network, training = config.task, config.network, config.training
    state = "stateful" if network.stateful else "stateless"
    last = f" to {config.seed + config.seeds - 1}" if config.seeds > 1 else ""
    source = f"integers below {task.vocab_size}"
    if config.data.csv is not None:
        source = f"values of {config.data.csv}, {task.vocab_size} different"
    source += " as values in [0, 1]" * (task.framing == "values")
    missing = ", a token for what is missing" * (task.missing == "token")
    again = training.bptt_batches
    through = f", gradient through {again} batches" if again > 1 else ""
    return (
        f"Echo with lag {task.lag}: {task.layout} of {task.window} from {task.length} {source}"
        f"{missing}, batch size {task.batch_size}; {state} {network.cell} of "
        f"{network.hidden_size} units{_options(network)}; {training.sequences:,} sequences, "
        f"{training.sequences * task.updates_per_sequence:,} updates{through}, "
        f"seed {config.seed}{last}"
    )


def _options(network: NetworkConfig) -> str:
    """What of a network is not as it is by default."""
    line = f", a delay line of {network.delay_line}" if network.delay_line else ""
    tied = " (tied)" * network.tied
    embedded = f", encoding embedding of {network.embedding_dim}{tied}"
    return line + embedded * (network.encoding == "embedding")


def describe_devices(devices: Sequence[Any]) -> str:
    """The devices used, as jax names them."""
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    return f"on {len(devices)} device{'s' * (len(devices) > 1)}: {kinds}"


def curve_title(config: RunConfig) -> str:
    """What the figure of a run shows."""
    task = config.task
    seeds = f", {config.seeds} seeds" if config.seeds > 1 else ""
    return (
        f"Echo of lag {task.lag}, window {task.window}, batch size {task.batch_size}, "
        f"{'stateful' if config.network.stateful else 'stateless'} {config.network.cell}{seeds}"
    )


def full_report(config: RunConfig, result: dict[str, Any]) -> str:
    """Everything a user reads after training."""
    paragraphs = (
        answers(result["expected"], result["predicted"], result["answers_of_seed"]),
        failures(result["failed"]),
        scores(result),
        by_seed(result),
        accuracy_by_position(result, config),
        explain(config),
        learning_time(result),
    )
    return "\n" + "\n\n".join(filter(None, paragraphs))


def explain(config: RunConfig) -> str:
    """Why this configuration can, or cannot, learn: where its target is to be found."""
    task, size = config.task, config.task.batch_size
    value = f"the value {task.lag} step{'s' * (task.lag != 1)} back" if task.lag else "the value"
    outside = f"{value} is not in the window of {task.window}"
    fix = _fix(config)
    why = {
        "window": _explain_window(config, value),
        "replayed": _explain_replayed(config, outside),
        "state": _explain_state(config, outside),
        "delayed": _explain_delayed(config, value),
        "skipped": (
            f"Chance is all there is: {outside}, nor in the state. Batches of {size} mean that "
            f"row r continues row r - {size}, not row r - 1, so the state never saw it. No amount "
            f"of training helps; {fix}."
        ),
        "early": (
            f"Chance is all there is: {outside}, nor in the state. The first row ends at time "
            f"{task.row_times[0]}, and what was over before it never entered the state. No amount "
            f"of training helps; {fix}."
        ),
        "zeroed": (
            f"Chance is all there is: {outside}, and every batch starts from a zero state. No "
            f"amount of training helps; {fix}."
        ),
        "future": _explain_future(config),
    }[config.target_place]
    if config.data.csv is not None and why.startswith("Chance"):
        why += " That is so where the values are independent of each other: order in them may help."
    return why


def answers(expected: Sequence[int], predicted: Sequence[int], seed: int) -> str:
    """The two lines of the tutorial, and how many of their integers agree."""
    right = sum(a == b for a, b in zip(expected, predicted, strict=True))
    return (
        f"Expected:  {expected}\nPredicted: {predicted}\n"
        f"           {right} of {len(expected)} right, on one fresh sequence, seed {seed}"
    )


def scores(result: dict[str, Any]) -> str:
    """Accuracy and loss beside their floors, with their intervals where there are seeds."""
    config = result["config"]
    many = config["seeds"] > 1
    headings = ["median", _heading(result["accuracy_interval"])] if many else ["network"]
    of_values = config["task"]["framing"] == "values"
    floor = "majority floor" if config["data"]["csv"] is not None else "chance floor"
    rows = [["", *headings, "order-blind floor", floor]]
    for name, label, pattern in (
        ("accuracy", "accuracy", "{:.2%}"),
        ("loss", "loss (squared)" if of_values else "loss (nats)", "{:.4f}"),
        *[("distance", "distance", "{:.2f}")] * of_values,
    ):
        interval = [_range(result[f"{name}_interval"], pattern)] if many else []
        mine = "infinite" if result[name] is None else pattern.format(result[name])
        found = map(result.get, FLOORS[name])
        floors = ["-" if x is None else pattern.format(x) for x in found]
        rows.append([label, mine, *interval, *floors])
    count = config["evaluation_sequences"]
    seeds = f"each of {config['seeds']} seeds" if many else "1 seed, no interval"
    return (
        f"On {count:,} fresh sequence{'s' * (count > 1)} ({seeds}):\n{table(rows)}\n"
        "The order-blind floor knows which values the window holds, but not where."
        + " The majority floor knows\nhow frequent each value is: always the most common one, and "
        "the entropy of all."
        * floor.startswith("majority")
        + "\nDistance: how far from the integer that was asked for, in the mean." * of_values
    )


def failures(failed: dict[str, list]) -> str:
    """Which seeds failed, and where; nothing where none did."""
    if not failed["seed"]:
        return ""
    pairs = zip(failed["seed"], failed["sequence"], strict=True)
    where = ", ".join(f"{s} ({f'sequence {n}' if n else 'evaluation'})" for s, n in pairs)
    return (
        f"Failed, their loss infinite or no number: seed{'s' * (len(failed['seed']) > 1)} {where}. "
        "Each counts as accuracy 0 and an infinite loss."
    )


def by_seed(result: dict[str, Any]) -> str:
    """A line for each seed, where there are several and not too many."""
    shown = ("seed", "accuracy", "loss", "sequences_to_99")
    seeds = list(zip(*(result["by_seed"][name] for name in shown), strict=True))
    if not 1 < len(seeds) <= SEEDS_SHOWN:
        return ""
    rows = [["seed", "accuracy", "loss", "sequences to 99%"]]
    for seed, accuracy, loss, reached in seeds:
        lost = "infinite" if loss is None else f"{loss:.4f}"
        rows.append([str(seed), f"{accuracy:.2%}", lost, _count(reached)])
    return table(rows)


def accuracy_by_position(result: dict[str, Any], config: RunConfig) -> str:
    """Accuracy in percent at each row of a sequence, a batch a line; in streams at each step."""
    task = config.task
    streams = task.layout == "streams"
    unit, width = ("step", task.window) if streams else ("row", task.batch_size)
    values = result["accuracy_by_position"]
    fits = 4 <= width <= 20
    whole = f", {'a chunk' if streams else 'a batch'} a line" if fits else ""
    mean = f", mean of {config.seeds} seeds" if config.seeds > 1 else ""
    lines = [f"Accuracy in percent by {unit}{whole}{mean}:"]
    width = width if fits else 10
    for start in range(0, min(len(values), ROWS_SHOWN), width):
        cells = ("    -" if v is None else f"{100 * v:5.1f}" for v in values[start : start + width])
        lines.append(f"  {unit} {start:3}: {' '.join(cells)}")
    if len(values) > ROWS_SHOWN:
        lines.append(f"  ... all {len(values)} are in result.json")
    return "\n".join(lines)


def learning_time(result: dict[str, Any]) -> str:
    """How many sequences it took to learn, in how many seeds, and the seconds apart."""
    lines = []
    if result["config"]["seeds"] > 1:
        count, share = result["reached_99"], result["reached_99"]["interval"]
        lines.append(
            f"{count['seeds']} of {count['of']} seeds reached 99% in training: a share of "
            f"{share['low']:.0%} to {share['high']:.0%} (Wilson, {share['coverage']:.0%})."
        )
    when = _count(result["sequences_to_99"])
    when = when if when == "never" else f"after {when} sequences"
    interval = result["sequences_to_99_interval"]
    spread = ""
    if interval and interval["low"] is not None:
        spread = f" (median; {_range(interval, SEQUENCES)}, {_heading(interval)})"
    lines.append(f"A running mean of 20 training sequences reached 99%: {when}{spread}.")
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in result["seconds"].items())
    lines.append(f"Seconds: {seconds}")
    return "\n".join(lines)


def follows(shares: Sequence[float], windows: int, config: RunConfig) -> str:
    """How often the answer follows each input, by its steps back: a bar a position."""
    task = config.task
    lines = [
        "Which input does the answer follow? Each one is changed in turn, in "
        f"{windows:,} random sequences;\nhow often the answer then becomes the new value (by "
        f"chance {1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(shares):
        bar = "█" * round(40 * share)
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {bar}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def accuracy_along(
    edges: Sequence[int],
    accuracy: Sequence[float],
    intervals: Sequence[Any] | None,
    networks: int,
    config: RunConfig,
) -> str:
    """How the accuracy holds along a stream, stretch by stretch, beside its floor.

    Args:
      edges: where the stretches begin and end.
      accuracy: of each stretch; where there are seeds their median.
      intervals: of each median; None for one seed.
      networks: how many seeds there are; fewer than the run has where some failed.
      config: of the run.
    """
    seeds = "1 seed, no interval"
    headings = ["integers", "accuracy"]
    if intervals:
        failed = f" of {config.seeds}, the others failed" * (networks < config.seeds)
        seeds = f"median of {networks} seeds{failed}, {intervals[0].coverage:.1%} interval"
        headings.append("interval")
    rows = [[*headings, "chance floor"]]
    for i, share in enumerate(accuracy):
        if math.isnan(share):
            continue  # it is over before the first answer
        row = [f"{edges[i]:,} to {edges[i + 1]:,}", f"{share:.2%}"]
        if intervals:
            row.append(f"{intervals[i].low:.2%} to {intervals[i].high:.2%}")
        rows.append([*row, f"{1 / config.task.vocab_size:.2%}"])
    return (
        f"One stream of {edges[-1]:,} random integers; trained on {config.task.length} at a time "
        f"({seeds}):\n{table(rows)}"
    )


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


def _explain_window(config: RunConfig, value: str) -> str:
    task = config.task
    seen = f"The target, {value if task.lag else 'the current value'}, is in the window"
    if task.layout == "streams":
        return f"{seen} of {task.window}, for the later steps of it: the gradient reaches it there."
    carried = (
        f" The state, carried over from row r - {task.batch_size}, is not needed for it."
        if config.network.stateful
        else ""
    )
    return f"{seen} of {task.window}: the gradient reaches it, and it can be learned.{carried}"


def _fix(config: RunConfig) -> str:
    """What puts the target where it can be learned."""
    task, line = config.task, config.network.delay_line
    flags = [f"--window {task.lag + 1}"] if task.lag >= task.window else []
    if line is not None and line <= task.lag:
        flags.append(f"--delay-line {task.lag + 1}")
    return f"{' with '.join(flags)} puts it where it can be learned"


def _explain_replayed(config: RunConfig, outside: str) -> str:
    back, again = config.batches_back, config.training.bptt_batches
    before = "the batch before" if back == 1 else f"what was fed {back} batches before"
    if config.task.lag % config.task.window and config.task.layout == "streams":
        before += " (for the later steps of a chunk)"
    return (
        f"The target can be learned from an earlier batch: {outside}, but in {before}, and every "
        f"update runs the {again - 1} before its own again: the gradient reaches it, through "
        f"{again} batches."
    )


def _explain_state(config: RunConfig, outside: str) -> str:
    again = config.training.bptt_batches
    cut = "at the border between batches" if again == 1 else f"after {again} batches"
    return (
        f"The network is hardly taught to remember here: {outside}, only in the state that an "
        f"earlier batch left, and the gradient is cut {cut}. What is right above chance happens to "
        f"be left in the state; {_fix(config)}, and --bptt-batches {config.batches_back + 1} lets "
        "the gradient reach it where it is."
    )


def _explain_delayed(config: RunConfig, value: str) -> str:
    line = config.network.delay_line or config.task.window
    handed = "the current value alone" if line == 1 else f"the last {line} values that it was fed"
    return (
        f"Chance is all there is: the cell mlp is handed {handed}, and no more, and {value} is not "
        f"among them. No amount of training helps; {_fix(config)}."
    )


def _explain_future(config: RunConfig) -> str:
    ahead = f"The target lies {-config.task.lag} ahead"
    if config.data.csv is None:
        return (
            f"{ahead} and has not been drawn yet. The integers are independent of each other, so "
            "no model can do better than chance."
        )
    return (
        f"{ahead}. If the values are independent of each other, no model can do better than the "
        "majority floor; whatever is better comes from order in them."
    )


def _heading(interval: dict[str, Any]) -> str:
    return f"{interval['coverage']:.1%} interval"


def _range(interval: dict[str, Any], pattern: str) -> str:
    bounds = (interval["low"], interval["high"])
    beyond = "never" if pattern == SEQUENCES else "infinite"
    return " to ".join(beyond if x is None else pattern.format(x) for x in bounds)


def _count(sequences: float | None) -> str:
    return "never" if sequences is None else SEQUENCES.format(sequences)
