"""The report that a run prints: what is run, its scores and baselines, by seed and by position."""

from collections.abc import Sequence
from typing import Any

from echo_jax.config import NetworkConfig, RunConfig
from echo_jax.report.text_tables import table
from echo_jax.runs.explanation import explain

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


def _heading(interval: dict[str, Any]) -> str:
    return f"{interval['coverage']:.1%} interval"


def _range(interval: dict[str, Any], pattern: str) -> str:
    bounds = (interval["low"], interval["high"])
    beyond = "never" if pattern == SEQUENCES else "infinite"
    return " to ".join(beyond if x is None else pattern.format(x) for x in bounds)


def _count(sequences: float | None) -> str:
    return "never" if sequences is None else SEQUENCES.format(sequences)
