"""The report of which input the answers of a trained network follow."""

from echo_jax.runs.predictor import Trained

WINDOWS = 1000  # random sequences in which an input is changed


def follows_report(network: Trained) -> str:
    """The share of answers that follow each input, by its steps back: a bar for each position."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    lines = [
        f"Which input does the answer follow? In {WINDOWS:,} random sequences, each input is "
        "changed in turn;\nhow often the answer then becomes the new value (by chance "
        f"{1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(network.follows(positions, WINDOWS).tolist()):
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {'█' * round(40 * share)}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)
