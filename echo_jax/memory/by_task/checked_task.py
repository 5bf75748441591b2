"""Check a task, which draws sequences and says where an answer is due.

A task is a module, or any object, with these members:

tokens, answers          the numbers of different inputs and of different answers
draw(key, rows, part)    inputs int `[B, T]` below `tokens`, targets int `[B, T]` below `answers`,
                         and counts, bool `[B, T]`: where a target counts

The part is training, validation or final, for a task with fixed data; a task that draws random data
ignores the part.

A task may also have `levels` of rising difficulty, a range such as range(1, 9). Then `draw` takes a
fourth argument, the level, which rises in training; the last level is scored.

A task may also have a function `baseline(inputs)` of NumPy, which returns the share of each answer,
`[B, T, answers]`. The baseline is scored on the final rows of each run.

tokens   1 0 1 1      parity
targets  . 1 0 1      a linear layer reads the cell's output at each step, and learns the targets
"""

import dataclasses
import hashlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.errors import JAXIndexError, JAXTypeError
from msgspec import UNSET, UnsetType
from scipy.special import entr

from echo_jax.cells import user_cell
from echo_jax.exceptions import ConfigError, EchoError, reason
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.memory import tasks
from echo_jax.memory.by_task.task_rows_and_bits import MeasuredTask, TaskScore
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.tasks import TaskRows

PARTS = ("training", "validation", "final")


BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(tasks.__path__))


MEMBERS = ("tokens", "answers", "draw")


@dataclasses.dataclass(eq=False)
class TaskObject:
    """A task that was checked.

    measured         the task as a card states it
    written          the user's object, which draws
    tokens, answers  the numbers of different inputs and of different answers
    levels           the levels of difficulty; a single level if the task has none
    """

    measured: MeasuredTask
    written: Any
    tokens: int
    answers: int
    levels: range

    def draw(self, key: chex.PRNGKey, rows: int, part: str, level: chex.Numeric) -> TaskRows:
        """Return `rows` rows of `part` at `level`, drawn from `key`.

        A target that does not count becomes 0.
        """
        tokens, targets, scored = map(jnp.asarray, _draw(self.written, key, rows, part, level))
        # Such a target may be any integer. Beyond the answers jax gathers NaN for it, and NaN times
        # a weight of 0 is still NaN.
        targets = jnp.where(scored, targets, 0)
        return TaskRows(tokens.astype(jnp.int32), targets.astype(jnp.int32), scored)

    def majority(self, rows: TaskRows) -> float:
        """Return the share of the most frequent answer among the scored targets of `rows`."""
        targets = np.asarray(rows.targets)[np.asarray(rows.scored)]
        return float(np.bincount(targets).max() / len(targets))

    def baseline(self, rows: TaskRows) -> TaskScore | UnsetType:
        """Return the score of the task's baseline on `rows`, or UNSET if the task has no baseline.

        The right answer's share counts as at least a millionth, so that its nats are finite.
        """
        if not hasattr(self.written, "baseline"):
            return UNSET
        scored = np.asarray(rows.scored)
        shares = np.asarray(self.written.baseline(np.asarray(rows.tokens)))[scored]
        targets = np.asarray(rows.targets)[scored]
        of_targets = np.maximum(shares[np.arange(len(targets)), targets], 1e-6)
        of_answers = np.bincount(targets) / len(targets)
        return TaskScore(
            accuracy=float(np.mean(shares.argmax(axis=-1) == targets)),
            nats=float(-np.mean(np.log(of_targets))),
            entropy=float(np.sum(entr(of_answers))),
        )


def _draw(written: Any, key: chex.PRNGKey, rows: int, part: str, level: chex.Numeric) -> Any:
    more = [level] if hasattr(written, "levels") else []
    return written.draw(key, rows, part, *more)


def task_of(task: Any, protocol: Protocol) -> TaskObject:
    """Return the checked task that `task` is: a name, a class, a module or another object.

    The check draws as many rows as a run under `protocol`. Raises ConfigError if the task breaks a
    rule.
    """
    written = named(task) if isinstance(task, str) else task
    if isinstance(written, type):
        written = written()
    words = task if isinstance(task, str) else getattr(task, "__name__", type(task).__name__)
    name = re.split(r"[/\\:.]", words.removesuffix(".py"))[-1]
    if lacking := [member for member in MEMBERS if not hasattr(written, member)]:
        fix = "define tokens, answers and draw(key, rows, part)"
        raise ConfigError("task", name, f"lacks {' and '.join(lacking)}", fix)
    for member in ("tokens", "answers"):
        count = getattr(written, member)
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or not 2 <= count <= 10_000:
            rule = f"has {member} {count!r}, which is not a whole number from 2 to 10,000"
            raise ConfigError("task", name, rule, f"state the number of different {member}")
    levels = getattr(written, "levels", range(1, 2))
    if not isinstance(levels, range) or not levels:
        rule = f"has levels {levels!r}, which are empty or not a range"
        raise ConfigError("task", name, rule, "state a range, such as range(1, 9) for 1 to 8")
    drawn = _Check(name, written).digest(protocol, levels)
    defined = written if isinstance(written, ModuleType) else written.draw
    packaged = getattr(inspect.getmodule(defined), "__name__", "").startswith("echo_jax.")
    source = None if packaged else user_cell.source_digest(defined)
    measured = MeasuredTask(name, source, drawn)
    return TaskObject(measured, written, int(written.tokens), int(written.answers), levels)


def named(name: str) -> Any:
    """Return the object called `name`; raise ConfigError if there is none.

    The name is that of a built-in task, `file.py`, `file.py:NAME` or `package.module:NAME`.
    """
    if name in BUILT_IN:
        name = f"{tasks.__name__}.{name}"
    elif name.isidentifier():
        fix = f"use one of {', '.join(BUILT_IN)}, or a file of your own, my_task.py"
        raise ConfigError("task", name, "is not built in", fix)
    return user_cell.import_named(name, "task")


class _Check(NamedTuple):
    """The check of what a task draws, before anything is compiled or written.

    name     the name of the task in errors
    written  the user's object, which draws
    """

    name: str
    written: Any

    def digest(self, protocol: Protocol, levels: range) -> str:
        """Return the SHA-256 of a draw of each part; raise ConfigError if a draw breaks a rule.

        As many rows are drawn as in a run under `protocol`, at the last of `levels`; for training,
        also at the first. Levels in between and the baseline are only checked.
        """
        key, other, third = (purpose_key(seed, Purpose.DATA) for seed in range(3))
        cases = [(part, levels[-1]) for part in PARTS]
        # Training rises from the first level; all else is drawn at the last one.
        cases += [("training", levels[0])] if len(levels) > 1 else []
        self.check_between(key, protocol.rows, levels)
        digest, lengths = hashlib.sha256(), dict[str, int]()
        for part, level in cases:
            few, again = (self.drawn(key, protocol.rows, part, level) for _ in range(2))
            self.check(few, protocol.rows, part)
            if not _equal(few, again):
                self.refuse(
                    f"draws other rows of {part} when the same key is used twice: draw only from "
                    "the key, by jax.random"
                )
            # A task with data may validate on the same rows for every key, but not train on them.
            if part == "training" and _equal(few, self.drawn(other, protocol.rows, part, level)):
                self.refuse("draws the same rows for every key: draw from the key, by jax.random")
            many = self.drawn(third, protocol.streams, part, level)
            self.check(many, protocol.streams, part)
            lengths[part] = many.tokens.shape[-1]
            if few.tokens.shape[-1] != lengths[part]:
                self.refuse(f"draws sequences of two lengths for {part}: draw only one length")
            for array in few:
                digest.update(np.ascontiguousarray(array).tobytes())
        if lengths["validation"] != lengths["final"]:
            self.refuse("draws other lengths for validation than for final: draw only one length")
        if hasattr(self.written, "baseline"):
            self.check_baseline(self.drawn(key, protocol.rows, "final", levels[-1]).tokens)
        return digest.hexdigest()

    def check_between(self, key: chex.PRNGKey, rows: int, levels: range) -> None:
        """Raise ConfigError if `rows` rows of a level between first and last break a rule.

        The rows are drawn from `key`. If there are many `levels`, about ten of them are checked.
        """
        for level in levels[1 : -1 : -(-len(levels) // 10)]:
            self.check(self.drawn(key, rows, "training", level), rows, "training")

    def drawn(self, key: chex.PRNGKey, rows: int, part: str, level: int) -> TaskRows:
        """Return `rows` rows of `part` at `level` from `key`, as NumPy arrays.

        The draw is also traced, as in training. Raises ConfigError if the draw or the trace fails.
        """
        draw = partial(_draw, self.written, rows=rows, part=part)

        def drawn_and_traced() -> Any:
            jax.eval_shape(lambda key, level: draw(key, level=level), key, jnp.int32(level))
            return draw(key, level=level)

        level_too = ", level" if hasattr(self.written, "levels") else ""
        how = (
            f"takes key, rows, part{level_too} and is compiled, so use jnp.where, jax.numpy and "
            "jax.random, and no Python if on drawn values"
        )
        found = self.attempt(drawn_and_traced, "draw", how)
        if not (isinstance(found, tuple | list) and len(found) == 3):
            self.refuse("does not draw three arrays: return inputs, targets, counts")
        return TaskRows(*map(np.asarray, found))

    def attempt(self, call: Callable[[], Any], member: str, how: str) -> Any:
        """Return what the user's code `call` returns; raise ConfigError if the code fails.

        The error says that `member` failed, and `how` to write this member.
        """
        try:
            return call()
        except (EchoError, KeyboardInterrupt):
            raise
        except BaseException as error:  # user code may raise anything
            traced = isinstance(error, JAXTypeError | JAXIndexError)  # its message is a page
            what = type(error).__name__ if traced else reason(error)
            self.refuse(f"fails in {member} ({what}): {member} {how}", error)

    def check(self, drawn: TaskRows, rows: int, part: str) -> None:
        """Raise ConfigError unless the arrays of `drawn` are valid and a target counts.

        Valid arrays have the shapes, types and ranges of `rows` rows of `part`.
        """
        shapes = " ".join(f"{x.dtype}{list(x.shape)}" for x in drawn)
        whole = all(np.issubdtype(x.dtype, np.integer) for x in drawn[:2])
        length = drawn.tokens.shape[1:]
        alike = {x.shape for x in drawn} == {(rows, *length)} and len(length) == 1
        if not (alike and whole and drawn.scored.dtype == bool):
            self.refuse(
                f"draws {shapes} for {rows} rows of {part}: return inputs and targets of integers "
                f"and counts of bool, each [{rows}, T]"
            )
        if not drawn.scored.any():
            self.refuse(f"has no target that counts in {rows} rows of {part}: make counts True")
        targets = drawn.targets[drawn.scored]
        in_range = ("input", drawn.tokens, "tokens"), ("target", targets, "answers")
        for kind, values, member in in_range:
            least, most, limit = values.min(), values.max(), getattr(self.written, member)
            if least < 0 or most >= limit:
                self.refuse(
                    f"draws {kind}s from {least} to {most} in {part}, and {member} is {limit}: "
                    f"draw 0 to {limit - 1}, or change {member}"
                )

    def check_baseline(self, inputs: np.ndarray) -> None:
        """Raise ConfigError unless the baseline returns valid shares for `inputs` `[B, T]`.

        The shares are `[B, T, answers]`, from 0 to 1, and sum to 1 at each step.
        """
        shape = [*inputs.shape, int(self.written.answers)]
        call = lambda: np.asarray(self.written.baseline(inputs))  # noqa: E731
        shares = self.attempt(call, "baseline", "must take inputs [rows, T] of NumPy")
        if [*shares.shape] != shape or shares.dtype.kind not in "fiub":
            self.refuse(
                f"has a baseline of {shares.dtype}{[*shares.shape]}: return shares of {shape}"
            )
        if not ((shares >= 0) & (shares <= 1)).all():
            self.refuse("has a baseline with shares below 0 or above 1: give each answer a share")
        sums = shares.sum(axis=-1)
        worst = sums.flat[np.abs(sums - 1).argmax()]
        if not np.isclose(worst, 1, atol=1e-3):
            self.refuse(f"has a baseline that sums to {worst:.4g}, not 1: give each answer a share")

    def refuse(self, sentence: str, error: BaseException | None = None) -> NoReturn:
        """Raise ConfigError with `sentence` about the task, after the line of the user's file.

        `error` is what the user's code raised, if anything.
        """
        where = user_cell.location(self.written.draw, error=error)
        raise ConfigError(f"{where}: task {self.name!r} {sentence}") from error


def _equal(one: TaskRows, other: TaskRows) -> bool:
    return all(map(np.array_equal, one, other))
