"""A task: a module, or any object, that draws sequences and says where an answer is due.

tokens, answers          the numbers of different inputs and of different answers
draw(key, rows, part)    inputs int `[B, T]` below `tokens`, targets int `[B, T]` below `answers`,
                         and counts, bool `[B, T]`: where a target counts

The part is training, validation or final, for a task with data; one that draws anew ignores it.
"""

import hashlib
import inspect
import pkgutil
import re
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells import user_cell
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import ConfigError, EchoError, reason
from echo_jax.memory import tasks
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.rows import MeasuredTask

PARTS = ("training", "validation", "final")

BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(tasks.__path__))

MEMBERS = ("tokens", "answers", "draw")


class Drawn(NamedTuple):
    """Rows of a task: inputs and targets int32 `[B, T]`, and where a target counts, bool."""

    inputs: chex.Array
    targets: chex.Array
    counts: chex.Array


class TaskObject(NamedTuple):
    """A task that was checked: as a card states it, and the object that draws."""

    measured: MeasuredTask
    written: Any

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of tokens and of answers."""
        return int(self.written.tokens), int(self.written.answers)

    def draw(self, key: chex.PRNGKey, rows: int, part: str) -> Drawn:
        """Rows of a part; a target that does not count is 0."""
        inputs, targets, counts = map(jnp.asarray, self.written.draw(key, rows, part))
        targets = jnp.where(counts, targets, 0)
        return Drawn(inputs.astype(jnp.int32), targets.astype(jnp.int32), counts)


def task_of(task: Any, protocol: Protocol) -> TaskObject:
    """The task of a name, or of an object that a call hands over. ConfigError for a broken rule."""
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
        if (
            isinstance(count, bool)
            or not isinstance(count, int | np.integer)
            or not 2 <= count <= 10_000
        ):
            rule = f"has {member} {count!r}, which is no whole number from 2 to 10,000"
            raise ConfigError("task", name, rule, "state how many different ones there are")
    check = _Check(name, written)
    drawn = check.digest(protocol.rows)
    check.streams(protocol)
    defined = written if isinstance(written, ModuleType) else written.draw
    packaged = getattr(inspect.getmodule(defined), "__name__", "").startswith("echo_jax.")
    source = None if packaged else user_cell.source_digest(defined)
    return TaskObject(MeasuredTask(name, source, drawn), written)


def named(name: str) -> Any:
    """The object of a name: a built-in task, `file.py` or `package.module:NAME`."""
    if name in BUILT_IN:
        name = f"{tasks.__name__}.{name}"
    elif name.isidentifier():
        fix = f"use one of {', '.join(BUILT_IN)}, or a file of your own, my_task.py"
        raise ConfigError("task", name, "is not built in", fix)
    return user_cell.import_named(name, "task")


class _Check(NamedTuple):
    """The check of what a task draws, before anything is compiled or written."""

    name: str
    written: Any

    def digest(self, rows: int) -> str:
        """The SHA-256 of a draw of each part; ConfigError for a draw that breaks a rule."""
        key, other = (purpose_key(seed, Purpose.DATA) for seed in (0, 1))
        parts = {part: self.drawn(key, rows, part) for part in PARTS}
        for part, drawn in parts.items():
            self.check(drawn, rows, part)
            if not _equal(drawn, self.drawn(key, rows, part)):
                self.refuse(
                    f"draws other rows of {part} when the same key comes twice: draw from the key "
                    "alone, by jax.random"
                )
        if _equal(parts["training"], self.drawn(other, rows, "training")):
            self.refuse("draws the same rows for every key: draw from the key, by jax.random")
        if parts["validation"].inputs.shape != parts["final"].inputs.shape:
            self.refuse("draws sequences of two lengths for validation and final: draw one length")
        digest = hashlib.sha256()
        for array in (x for drawn in parts.values() for x in drawn):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def streams(self, protocol: Protocol) -> None:
        """Raise ConfigError for a rule that is broken by as many rows as are scored."""
        key = purpose_key(2, Purpose.DATA)
        for part in PARTS:
            few, many = (self.drawn(key, rows, part) for rows in (protocol.rows, protocol.streams))
            self.check(many, protocol.streams, part)
            lengths = [drawn.inputs.shape[-1] for drawn in (few, many)]
            if len(set(lengths)) > 1:
                self.refuse(
                    f"draws sequences of {lengths[0]} steps for {protocol.rows} rows of {part} "
                    f"and of {lengths[1]} for {protocol.streams}: draw one length"
                )

    def drawn(self, key: chex.PRNGKey, rows: int, part: str) -> Drawn:
        """Rows as NumPy arrays, drawn as they are and traced as in training."""
        try:
            found = self.written.draw(key, rows, part)
            jax.eval_shape(jax.vmap(lambda key: self.written.draw(key, rows, part)), key[None])
        except (EchoError, KeyboardInterrupt):
            raise
        except BaseException as error:  # user code may raise anything
            self.refuse(
                f"fails in draw ({reason(error)}): draw by functions of jax.numpy and jax.random",
                error,
            )
        if not (isinstance(found, tuple | list) and len(found) == 3):
            self.refuse("does not draw three arrays: return inputs, targets, counts")
        return Drawn(*map(np.asarray, found))

    def check(self, drawn: Drawn, rows: int, part: str) -> None:
        """Raise ConfigError for arrays of another shape, type or range, or no target."""
        shapes = " ".join(f"{x.dtype}{list(x.shape)}" for x in drawn)
        whole = all(np.issubdtype(x.dtype, np.integer) for x in drawn[:2])
        length = drawn.inputs.shape[1:]
        alike = {x.shape for x in drawn} == {(rows, *length)} and len(length) == 1
        if not (alike and whole and drawn.counts.dtype == bool):
            self.refuse(
                f"draws {shapes} for {rows} rows of {part}: return inputs and targets of integers "
                f"and counts of bool, each [{rows}, T]"
            )
        if not drawn.counts.any():
            self.refuse(f"has no target that counts in {rows} rows of {part}: make counts True")
        targets = drawn.targets[drawn.counts]
        in_range = ("input", drawn.inputs, "tokens"), ("target", targets, "answers")
        for kind, values, member in in_range:
            least, most, limit = values.min(), values.max(), getattr(self.written, member)
            if least < 0 or most >= limit:
                self.refuse(
                    f"draws {kind}s from {least} to {most} in {part}, and {member} is {limit}: "
                    f"draw 0 to {limit - 1}, or change {member}"
                )

    def refuse(self, sentence: str, error: BaseException | None = None) -> NoReturn:
        """Raise ConfigError: a sentence about the task, after the line of the user's file."""
        where = user_cell.location(self.written.draw, error=error)
        raise ConfigError(f"{where}: task {self.name!r} {sentence}") from error


def _equal(one: Drawn, other: Drawn) -> bool:
    return all(map(np.array_equal, one, other))
