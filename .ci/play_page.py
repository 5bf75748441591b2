"""Make docs/play.html again, around the networks that it has.

Usage: python .ci/play_page.py [--train], which trains them again, about a minute. The measured grid
is docs/play/sweep.jsonl, the rows of

    echo-jax sweep --part no-context --vocab-size 10 --hidden-size 16 --window 1 2 3 4 5
        --batch-size 1 2 3 4 5 6 --seeds 8
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import echo_jax
from echo_jax.runs import play_page

DOCS = Path(__file__).parents[1] / "docs"
GRID = DOCS / "play" / "sweep.jsonl"

DATA = '<script type="application/json" id="data">'
"""What stands before the data in a page."""

SMALL = {"vocab_size": 10, "hidden_size": 16}
NETWORKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("Part 4", "", {}),
    ("Part 3: one number at a time", "Part 3", SMALL | {"part": "no-context"}),
    (
        "Cure 1: the window holds the value",
        "Cure 1: a window of 2",
        SMALL | {"part": "no-context", "window": 2, "stateful": False},
    ),
    (
        "Cure 2: the state holds the value",
        "Cure 2: batches of 1, longer gradient",
        SMALL | {"part": "no-context", "batch_size": 1, "bptt_batches": 2},
    ),
    ("Part 4: five numbers at a time", "", SMALL | {"part": "context"}),
)
"""The networks of the page: the name, the button, and the arguments of `echo_jax.train`."""


def flag(name: str, value: object) -> str:
    """An argument as a flag of the command line."""
    flags = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return flags if value else flags.replace("--", "--no-")
    return f"{flags} {value}"


def command(options: dict[str, Any]) -> str:
    """The command line that trains a network."""
    order = sorted(options, key=lambda name: name in SMALL)  # the sizes come last
    return " ".join(["echo-jax train", *(flag(name, options[name]) for name in order)])


def trained(name: str, button: str, options: dict[str, Any]) -> dict[str, Any]:
    """The data of a network, trained now."""
    run = echo_jax.train(**options)
    network = play_page.data_of(run.network(), name, run.result.accuracy)
    return network | {"button": button, "command": command(options)}


def data_in(text: str) -> dict[str, Any]:
    """The data of a page, the inverse of `play_page.page`."""
    start = text.index(DATA) + len(DATA)
    data: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return data


def grid_of(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The measured points of a page: window, batch size, median accuracy, seeds."""
    return [
        {
            "window": row["config"]["task"]["window"],
            "batch": row["config"]["task"]["batch_size"],
            "accuracy": round(statistics.median(row["by_seed"]["accuracy"]), 4),
            "seeds": len(row["by_seed"]["accuracy"]),
        }
        for row in rows
    ]


def words() -> dict[str, Any]:
    """Everything in the page but the networks."""
    rows = [json.loads(line) for line in GRID.read_text().splitlines()]
    task = {"length": 25, "window": 1, "batch": 6, "lag": 1}
    task |= {"stateful": True, "through": 1, "chance": 0.1}
    return {
        "title": "This network repeats the number before the last one",
        "lede": "It was only ever shown random numbers. Feed it some, and watch where the one it "
        "is asked for waits.",
        "rows": True,
        "grid": grid_of(rows),
        "grid_task": task,
        "pair": {"left": [1, 2, 3], "right": 4},
    }


def made(train: bool) -> str:
    """The page, with networks trained now or with those of the page that is there."""
    if train:
        networks = [trained(*network) for network in NETWORKS]
    else:
        networks = data_in((DOCS / play_page.PAGE).read_text("utf-8"))["networks"]
    return play_page.page(words() | {"networks": networks})


if __name__ == "__main__":
    text = made("--train" in sys.argv)
    (DOCS / play_page.PAGE).write_text(text, "utf-8")
    print(f"{DOCS / play_page.PAGE}: {len(text.encode()):,} bytes")
