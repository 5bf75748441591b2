"""Define the calls `echo_jax.card` and `echo_jax.cards`, and the results of both."""

import contextlib
import dataclasses
import functools
import inspect
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from echo_jax import machine
from echo_jax.cells.cell_object import in_block
from echo_jax.config import check_call
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as card_files
from echo_jax.memory.all_questions import Row
from echo_jax.memory.card import make_card
from echo_jax.memory.card_contents import CARD_FILE, ROWS_FILE, Card
from echo_jax.memory.comparison import built_in_cards
from echo_jax.memory.pages import face_picture, table
from echo_jax.memory.protocol import STANDARD, CardPart, Protocol
from echo_jax.report import styles
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.section import TidyRow
from echo_jax.report.text_tables import data_frame, escaped, fenced
from echo_jax.storage import atomic_files

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class CardResult:
    """The memory card of a cell.

    card    the content of `card.json`, with attributes such as `bits_by_lag.mean`
    rows    the lines of `rows.jsonl`
    beside  the cards of other cells on the same task; empty without a task
    """

    card: Card
    _rows: Sequence[Row]
    beside: Sequence[Card] = ()

    @functools.cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A list with a dictionary for each run."""
        return list(map(msgspec.to_builtins, self._rows))

    @property
    def figure(self) -> NotebookFigure:
        """The forgetting curve and the recall curve, as in `card.svg`.

        Raises:
          ConfigError: the card has no curve, such as the card of a task.
        """
        if not self.card.has_curves:
            fix = "print it, or use to_pandas()"
            raise ConfigError(None, self.card.name, "is a card that has no curve", fix)
        with styles.drawing():
            from echo_jax.memory.pages.curve_figures import card_figure

            return card_figure(self.card, self._rows)

    def __repr__(self) -> str:
        """Return the card as text: a line for each measure, or on a task a line for each cell."""
        return table.shown([self.card, *self.beside])

    def _repr_markdown_(self) -> str:
        left = face_picture.of_card(self._rows, self.card)
        shown = [face_picture.in_markdown(*left), ""] if left else []
        remarks = [f"- {escaped(remark)}" for remark in self.card.remarks]
        return "\n".join([*shown, fenced(repr(self), "text"), "", *remarks])

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a data frame with a row for each run, data set, and lag or number of pairs.

        On a task, each run and data set has one row. Runs without a score are left out. The numbers
        are in the columns `lag` and `nats` by lag; in `pairs`, `right` and `asked` by key; and in
        `accuracy`, `nats` and `entropy` on a task. Runs with seeds from 1,000 on are runs of the
        pilot.

        Raises:
          ConfigError: pandas is not installed.
        """
        return data_frame(table.tidy_runs(self._rows))

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write the files of `echo-jax card` into `folder`/NAME, and return their paths.

        Raises:
          ConfigError: this card has no rows, as one of `beside`, or lacks rows of the folder.
          StorageError: the folder has a card of another cell, protocol or task, a page in it was
            edited, or it cannot be written.
        """
        if not self._rows:
            raise ConfigError(None, self.card.name, "has no rows", "write a card that has its rows")
        place = atomic_files.path_of("folder", folder) / self.card.name
        with make_card.claimed(place, self.card) as (_, there):
            if any(row not in self._rows for row in there):
                rule = "has rows that this card lacks"
                raise ConfigError(None, place, rule, "use another {folder}")
            card_files.write_whole(self.card, self._rows, place)
        return [*draw(place, self.card, self._rows), place / CARD_FILE, place / ROWS_FILE]


def draw(folder: Path, card: Card, rows: Sequence[Row], kind: styles.Format = "svg") -> list[Path]:
    """Write the page and the figure of `card` with `rows` into its `folder`; return their paths.

    The figure is an SVG, and also a file of another `kind`. Without rows, nothing is written.
    """
    with styles.drawing():
        from echo_jax.memory.pages import card_pages

        return card_pages.draw(folder, card, rows, kind) if rows else []


def card(  # noqa: PLR0913 - the flags of the command
    cell: Any = "lstm",
    *,
    args: Mapping[str, Any] | None = None,
    state_bytes: int | None = None,
    block: bool = False,
    full: bool = False,
    seeds: int | None = None,
    task: Any = None,
    beside: bool = True,
    only: CardPart | None = None,
    updates: int | None = None,
    protocol: Protocol = STANDARD,
    name: str | None = None,
    out: str | os.PathLike[str] | None = None,
    keep: bool = False,
    cluster: str | None = None,
    progress: bool = True,
) -> CardResult:
    """Measure the bits that a recurrent cell remembers by lag and by key, or its bits on a task.

        echo_jax.card("gru")
        echo_jax.card(Mine, args={"features": 64})    # a class, also of this notebook
        echo_jax.card(plain, full=True, out="cards")

    The call does what the command `echo-jax card` does, with equal checks of the cell. Its rows are
    bit-identical to those of the command, unless the program has used jax before with another
    number of threads than two. An interrupt raises KeyboardInterrupt; with a folder, the rows stay
    there and the same call continues.

    Args:
      cell: a name as after `--cell`; a class of Flax Linen, Flax NNX or Equinox or of `Cell` of
        `echo_jax.cells.interface`; an instance of Linen or `Cell`; a module, a class or any object
        with the functions `init`, `initial_state` and `step`; or a function that returns a layer of
        PyTorch for an input size.
      args: options of the cell; a required number of units that is not among them is 50.
      state_bytes: find the options that give the cell, given by its name, a state of about this
        many bytes.
      block: put the cell into the common small block, as block:CELL does.
      full: 8 seeds, by lag with 1,000, 3,000 and 10,000 updates, and by key after a pilot of all
        rates; otherwise 4 seeds with 3,000 updates, and by key the rate published for the cell, or
        the middle rate for other cells.
      seeds: the number of seeds, counted from seed 0.
      task: measure only this task, by 3,000 updates at the best of three rates: the name of a
        built-in task, a file "my_task.py", a module, or any object with `tokens`, `answers` and
        `draw`; see docs/your-own-cell.md. The card is called NAME-TASK.
      beside: with a task, also make the cards of the present input, an untrained reservoir and the
        LSTM, unless they exist.
      only: "by-lag" or "by-key", to ask only one question.
      updates: make only runs of this many updates; the card shows their bits beside the bits after
        3,000 updates.
      protocol: all numbers of the measure, such as `echo_jax.Protocol(updates=1000)`; the card
        states them, and is compared only with cards of the same protocol.
      name: the name of the card and of its folder; by default the cell and its arguments, and the
        digest of a protocol other than 5.
      out: the folder for the folder of the card; without `out`, nothing is kept.
      keep: also write the weights of each run into the folder of the card, as files of safetensors;
        see docs/formats.md.
      cluster: train on the workers of a Dask cluster, such as "local:4"; see docs/cluster.md.
      progress: show the updates done and the time left, in a terminal or a notebook.

    Raises:
      ConfigError: an argument or the cell breaks a rule; for the cell, the sentence names the line
        of its file.
      StorageError: a card of another cell, protocol or task is in the way, a page was edited, or
        `out` is damaged, in use or cannot be written.
      TasksFailedError: some runs failed; the others have rows.
      SchedulerLostError: the scheduler of the cluster is gone; `out` has the rows made so far.
    """
    machine.check_settings()
    check_call(card, locals())
    running = Execution(cluster, progress)
    folder = None if out is None else atomic_files.path_of("out", out)
    if keep and not folder:
        raise ConfigError("keep", keep, "needs a folder for the weights", "also give {out}")
    if folder and name is None:
        check_findable(cell)
    cell = in_block(cell) if block else cell
    plan = make_card.plan_of(protocol, full, seeds, only, updates, task)._replace(keep=keep)
    wanted = [make_card.CardRequest(cell, args, name, state_bytes)]
    done = list[make_card.Made]()
    # Without a folder the files go to a temporary one, so that cards are made in one way.
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory() as place:
        making = make_card.make_cards(wanted, plan, Path(place), running, beside)
        with contextlib.closing(making):  # or an error here would leave the folder locked
            for made in making:
                done.append(made)
                if folder:
                    draw(*made)
    own, *others = done
    return CardResult(own.card, own.rows, [other.card for other in others])


def check_findable(cell: Any) -> None:
    """Raise ConfigError if `cell` is a function whose name other functions of its file may share.

    Such a function is a lambda, or is defined within another function.
    """
    if inspect.isfunction(cell) and "<" in cell.__qualname__:
        rule = "is defined within a function or has no name, so others could have the same card"
        raise ConfigError("cell", cell.__qualname__, rule, "give the card a {name}")


class Cards(dict[str, CardResult]):
    """A mapping from names to cards: the cards of a folder, then the built-in cards beside them."""

    @property
    def rows(self) -> Sequence[TidyRow]:
        """The rows of `cards.csv`: a dictionary for each card, question and number of updates."""
        return table.tidy_rows([made.card for made in self.values()])

    def to_pandas(self) -> "pandas.DataFrame":
        """Return `rows` as a data frame.

        Raises:
          ConfigError: pandas is not installed.
        """
        return data_frame(self.rows)


def cards(
    folder: str | os.PathLike[str],
    beside: Sequence[str] = (),
    protocol: Protocol | None = None,
) -> Cards:
    """Read the cards that `echo-jax card` or `card` wrote into a folder; return them by name.

        echo_jax.cards("cards", beside=["gru", "lru"]).to_pandas()

    Args:
      folder: the folder of the cards.
      beside: names of built-in cells, whose cards come after those of the folder, without runs.
      protocol: read only cards of this protocol; by default all cards of the folder, which must
        share one protocol.

    Raises:
      ConfigError: there is no card, the cards have several protocols, or a name in `beside` has no
        built-in card.
      StorageError: a card or its rows are damaged, or cannot be read.
    """
    check_call(cards, locals())
    read = built_in_cards.read_folder(atomic_files.path_of("folder", folder), protocol)
    whole = Cards((card.name, CardResult(card, rows)) for card, rows in read)
    others = built_in_cards.beside(beside, [made.card for made in whole.values()])
    return Cards(whole | {other.name: CardResult(other, []) for other in others})
