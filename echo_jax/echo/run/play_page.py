"""A page in which a trained LSTM runs: one HTML file without a library, a request or a server.

The page is made from the files of the folder `play`, with weights, task and accuracies as JSON.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from echo_jax.config import RunConfig, flat
from echo_jax.echo.run import explanation
from echo_jax.echo.target_place import target_place
from echo_jax.exceptions import ConfigError
from echo_jax.storage import atomic_files

if TYPE_CHECKING:
    from echo_jax.echo.run.predictor import TrainedNetwork
    from echo_jax.echo.run.result import Result

PAGE = "play.html"

IN_A_PAGE = {"cell": "lstm", "encoding": "one-hot", "framing": "classes"}
"""The values of fields that a network must have to run in a page of `show --play`."""

PAGE_BYTES = 400_000
"""The most bytes of a page of `show --play`, of which 70,000 are not weights or values."""


def check_cell(config: RunConfig) -> None:
    """Raise ConfigError unless the network is an LSTM on one-hot values that predicts classes."""
    given = flat(config)
    for field, right in IN_A_PAGE.items():
        if given[field] != right:
            rule = "does not run in a page"
            raise ConfigError(field, given[field], rule, f"train a run with {{{field}={right}}}")


def has_page(config: RunConfig, values: Sequence[str] | None) -> bool:
    """Return True if `show --play` can show a run of `config` on `values`, None for integers."""
    words = values or list(map(str, range(config.task.vocab_size)))
    units = config.network.hidden_size
    weights = (len(words) + units + 1) * 4 * units + (units + 1) * len(words)
    bytes_of_values = sum(len(ascii(word)) + 2 for word in words)
    fits = 70_000 + weights * 16 / 3 + bytes_of_values < PAGE_BYTES
    return fits and IN_A_PAGE.items() <= flat(config).items()


def write_for_run(folder: Path) -> Path:
    """Write the page of the run in `folder` into the folder, and return the path of the page.

    Raises ConfigError if no page can run the network, and StorageError if the page was edited.
    """
    from echo_jax.echo.run import checkpoint, predictor

    trained = predictor.load(folder)
    check_cell(trained.config)
    scores = checkpoint.read_finished(folder).result
    text = page_of_run(trained, folder.resolve().name, scores)
    path = folder / PAGE
    atomic_files.write_generated(path, text.encode())
    return path


def page_of_run(trained: "TrainedNetwork", name: str, scores: "Result") -> str:
    """Return the page of a network of the run `name` as HTML, with `scores`, medians over seeds."""
    task = trained.config.task
    network = data_of(trained, name)
    data: dict[str, Any] = {
        "title": f"An LSTM and an echo of lag {task.lag}: {scores.accuracy:.1%} right",
        "lede": f"{trained}.",
        "explanation": explanation.explain(trained.config, scores),
        "network": network,
    }
    small = task.window <= 6 and task.batch_size <= 8 and 0 <= task.lag <= 6
    if task.layout == "windows" and small:
        task_of = {field: network[field] for field in ("window", "batch", "lag", "stateful")}
        data["task"] = task_of | {"chance": scores.baseline_accuracy}
        scored = {"accuracy": scores.accuracy, "seeds": len(scores.by_seed.seed)}
        data["grid"] = [data["task"] | scored | {"place": target_place(trained.config)}]
    return page(data)


def page(data: dict[str, Any]) -> str:
    """Return the page with `data` as HTML; raise ConfigError if it is larger than PAGE_BYTES."""
    from echo_jax.report.page import assembled  # which `train` does not need

    text = assembled(Path(__file__).with_name("play") / PAGE, data)
    if len(text.encode()) > PAGE_BYTES:
        rule = f"has {len(text.encode()):,} bytes, more than {PAGE_BYTES:,}"
        raise ConfigError(None, "the page of this run", rule, "train with fewer values or units")
    return text


def data_of(trained: "TrainedNetwork", name: str) -> dict[str, Any]:
    """Return the data of the page: the run's `name`, its task and values, weights in base64."""
    config = trained.config
    task = config.task
    cell = trained.params["cell"]
    readout = trained.params["readout"]
    weights = {
        "kernel": cell["kernel"],
        "recurrent": cell["recurrent_kernel"],
        "bias": cell["bias"],
        "readout": readout["kernel"],
        "readoutBias": readout["bias"],
    }
    return {
        "name": name,
        "window": task.window,
        "lag": task.lag,
        "batch": task.batch_size,
        "layout": task.layout,
        "missing": task.missing,
        "stateful": config.network.stateful,
        "units": config.network.hidden_size,
        "values": list(trained.vocabulary.values),
        "weights": {
            name: base64.b64encode(np.asarray(weight, "<f4").tobytes()).decode()
            for name, weight in weights.items()
        },
    }
