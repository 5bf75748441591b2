"""Make docs/play.html again, around the network that it has.

Usage: python .ci/play_page.py [--train], which trains it again, in seconds. The measured grid
is docs/play/sweep.jsonl, the rows of

    echo-jax sweep --part no-context --vocab-size 10 --hidden-size 16 --window 1 2 3 4 5
        --batch-size 1 2 3 4 5 6 --seeds 8
"""

import itertools
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import echo_jax
from echo_jax import config
from echo_jax.echo import chance
from echo_jax.echo.run import explanation, play_page
from echo_jax.echo.target_place import knowable_share, target_place

DOCS = Path(__file__).parents[1] / "docs"
GRID = DOCS / "play" / "sweep.jsonl"

DATA = '<script type="application/json" id="data">'
"""What stands before the data in a page."""

FLAGS = {
    "values": "vocab_size",
    "window": "window",
    "lag": "lag",
    "batch": "batch_size",
    "units": "hidden_size",
    "stateful": "stateful",
    "sequences": "sequences",
    "through": "bptt_batches",
    "seed": "seed",
}
"""The names of a setting in the page, and the fields of a configuration, in its order."""

IN_THE_PAGE = {
    r"--window (\d)": r"a window of \1",
    "--no-stateful": "a state from zero",
    r"--bptt-batches (\d)": r"a gradient through \1 batches",
}
"""The flags that the sentences name, and the words of the page for them."""

TITLES = ("One at a time", "Five at a time")
"""Of the settings with which the page opens."""


def trained() -> dict[str, Any]:
    """The data of the network of part 4, trained now."""
    return play_page.data_of(echo_jax.train().network(), TITLES[1])


def data_in(text: str) -> dict[str, Any]:
    """The data of a page, the inverse of `play_page.page`."""
    start = text.index(DATA) + len(DATA)
    data: dict[str, Any] = json.loads(text[start : text.index("</script>", start)])
    return data


def grid_of(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The measured points of a page, by batch size and window: median accuracy, seeds."""
    points = []
    for row in rows:
        task = row["config"]["task"]
        size = {name: task[name] for name in ("window", "batch_size")}
        accuracies = row["by_seed"]["accuracy"]
        points.append(
            {
                "window": size["window"],
                "batch": size["batch_size"],
                "accuracy": round(statistics.median(accuracies), 4),
                "seeds": len(accuracies),
                "place": target_place(config.changed(config.PARTS["no-context"], **size)),
            }
        )
    return sorted(points, key=lambda point: (point["batch"], point["window"]))


def told() -> dict[str, Any]:
    """The words and numbers of the package on each setting of lag, window, batch, state, gradient.

    `told` has, by the setting, the place of its target, the share that can be known, and its
    sentences as numbers in the list `sentences`, cut where many settings share a part.
    """
    kinds = ((0, 1), (1, 1), (1, 2))  # a gradient through two batches needs a carried state
    numbers: dict[str, int] = {}
    found = {}
    for lag, window, batch, kind in itertools.product(range(7), range(1, 9), range(1, 7), kinds):
        task = {"lag": lag, "window": window, "batch_size": batch}
        training = {"stateful": bool(kind[0]), "bptt_batches": kind[1]}
        given = config.changed(config.PARTS["context"], **task, **training)
        sentences = explanation.explain(given)
        for flags, words_for_them in IN_THE_PAGE.items():
            sentences = re.sub(flags, words_for_them, sentences)
        said = re.split(r"(?<=[.:;,]) ", sentences)
        of_setting = [numbers.setdefault(part, len(numbers)) for part in said]
        name = ",".join(map(str, (lag, window, batch, *kind)))
        found[name] = [target_place(given), knowable_share(given), of_setting]
    return {"told": found, "sentences": [*numbers]}


def training() -> dict[str, Any]:
    """The settings, baselines and sentences with which the page trains networks."""
    part3 = {"lag": 1, "window": 1, "batch": 6, "stateful": 1, "through": 1, "values": 100}
    part3 |= {"units": 50, "sequences": 2000, "seed": 0}
    usual = config.flat(config.PARTS["context"])
    blind = {}
    for values in (10, 100):
        context = config.changed(config.PARTS["context"], vocab_size=values, lag=0)
        runs = (config.changed(context, window=window) for window in range(1, 9))
        # The last digits depend on the processor, and a test compares the bytes of the page.
        blind[values] = [
            [round(score, 6) for score in chance.order_blind_baseline(run)] for run in runs
        ]
    return {
        "titles": TITLES,
        "parts": [part3, part3 | {"window": 5, "batch": 5}],
        "flags": {name: [field, int(usual[field])] for name, field in FLAGS.items()},
        "order_blind": blind,
        "outcomes": {
            "learned": explanation.LEARNED,
            "kept": explanation.KEPT,
            "in_part": explanation.IN_PART,
            "little": explanation.LITTLE_LEARNED,
            "little_share": explanation.LITTLE,
            "not_learned": explanation.NOT_LEARNED,
            "guesses": explanation.GUESSES,
            "exceeds": explanation.EXCEEDS,
        },
    } | told()


def words() -> dict[str, Any]:
    """Everything in the page but the network."""
    rows = [json.loads(line) for line in GRID.read_text().splitlines()]
    task = {"window": 1, "batch": 6, "lag": 1, "stateful": True, "chance": 0.1}
    return {
        "title": "Two networks, one task: say the integer before the last",
        "lede": "Guess, train, see why one fails, and cure it.",
        "grid": grid_of(rows),
        "task": task,
        "training": training(),
    }


SHARED = """<meta property="og:title" content="echo_jax: guess, train, see and cure a network">
<meta property="og:description" content="Two networks read the same numbers. Why does one fail?">
<meta property="og:image" content="figures/which-row-continues-which.png">
"""
"""What a shared link shows."""

EXERCISES = Path(__file__).with_name("play_exercises.html")
"""The section for students, which the page of a run does not have."""


def made(train: bool) -> str:
    """The page, with a network trained now or with that of the page that is there."""
    there = (DOCS / play_page.PAGE).read_text("utf-8")
    page = play_page.page(words() | {"network": trained() if train else data_in(there)["network"]})
    page = page.replace("<footer", f"{EXERCISES.read_text('utf-8')}\n<footer", 1)
    return page.replace("<style>", f"{SHARED}<style>", 1)


if __name__ == "__main__":
    text = made("--train" in sys.argv)
    (DOCS / play_page.PAGE).write_text(text, "utf-8")
    print(f"{DOCS / play_page.PAGE}: {len(text.encode()):,} bytes")
