"""Cells by name, and what a network requires of a cell."""

import importlib
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.delay_line_mlp import DelayLineMLP
from echo_jax.cells.identity_rnn import IdentityRNNCell
from echo_jax.cells.lru import LRUCell
from echo_jax.cells.lstm import ChronoLSTMCell, LSTMCell
from echo_jax.cells.min_gru import MinGRUCell
from echo_jax.cells.scan import Carry
from echo_jax.config import NetworkConfig
from echo_jax.exceptions import ConfigError

CELLS: dict[str, type[nn.RNNCellBase]] = {
    "lstm": LSTMCell,
    "gru": nn.GRUCell,
    "optimized-lstm": nn.OptimizedLSTMCell,
    "simple": nn.SimpleCell,
    "mlp": DelayLineMLP,
    "lstm-chrono": ChronoLSTMCell,
    "identity-rnn": IdentityRNNCell,
    "mingru": MinGRUCell,
    "lru": LRUCell,
}
"""The classes behind `config.CELL_NAMES`."""


def build_cell(config: NetworkConfig, window: int) -> nn.RNNCellBase:
    """The cell that a configuration names, with H features; ConfigError where there is none.

    The cell mlp has a delay line as long as the window, unless the configuration says otherwise.
    """
    if config.cell == "mlp":
        return DelayLineMLP(config.hidden_size, config.delay_line or window)
    cell_class = CELLS[config.cell] if config.cell in CELLS else import_cell(config.cell)
    try:
        return cell_class(features=config.hidden_size)  # type: ignore[call-arg]
    except TypeError as error:
        raise ConfigError(
            f"cell {config.cell!r} cannot be built with features={config.hidden_size} ({error}): "
            "give it a field `features` and a default for every other one"
        ) from error


def check_cell(cell: nn.RNNCellBase, name: str, input_size: int) -> None:
    """Raise ConfigError unless a step of the cell can be scanned. Traces it, compiles nothing.

    A scanned cell keeps all it learns in the collection `params` and all it remembers in its
    carry, which keeps its shapes and types; its output is `[B, features]`.
    """
    inputs = jax.ShapeDtypeStruct((2, input_size), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        carry = jax.eval_shape(lambda key: cell.initialize_carry(key, inputs.shape), key)
        step, variables = jax.eval_shape(cell.init_with_output, key, carry, inputs)
    except Exception as error:  # whatever a user's cell raises
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"cell {name!r} fails in a step ({type(error).__name__}: {reason}): "
            "mend it, or try another cell"
        ) from error
    if not (isinstance(step, tuple) and len(step) == 2):
        raise ConfigError(
            f"cell {name!r} returns {_shapes(step)} from a step: return two, the carry and the "
            "output"
        )
    extra = sorted(set(variables) - {"params"})
    if extra:
        raise ConfigError(
            f"cell {name!r} keeps variables in {', '.join(extra)}: move what it learns to `params` "
            "and what it remembers to its carry"
        )
    _check_step(name, carry, *step)


def _check_step(name: str, carry: Carry, new_carry: Carry, output: Any) -> None:
    """Raise ConfigError for a step from one carry to another that no scan can take."""
    if _shapes(new_carry) != _shapes(carry):
        raise ConfigError(
            f"cell {name!r} turns its carry {_shapes(carry)} into {_shapes(new_carry)}: "
            "return a carry of the same tree, shapes and types as initialize_carry"
        )
    if any(leaf.shape[:1] != (2,) for leaf in jax.tree.leaves(carry)):
        raise ConfigError(
            f"cell {name!r} has a carry {_shapes(carry)} for a batch of 2: "
            "give every array of it the batch axis first"
        )
    if not isinstance(output, jax.ShapeDtypeStruct):
        raise ConfigError(
            f"cell {name!r} returns an output {_shapes(output)}: return one array, "
            "[batch, features], and keep the rest in the carry"
        )
    if output.ndim != 2 or output.shape[0] != 2:
        raise ConfigError(
            f"cell {name!r} returns an output of shape {output.shape} for a batch of 2: "
            "return [batch, features]"
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise ConfigError(
            f"cell {name!r} returns an output of type {output.dtype}, which has no gradient: "
            "return real floating-point numbers"
        )


MOVED = {"echo_jax.controls": "echo_jax.cells.known_memory"}
"""Modules by the names that they have in cards made before they moved."""


def import_cell(name: str) -> type[nn.RNNCellBase]:
    """The class that `package.module:Class` names, also in the current folder."""
    module_name, class_name = name.split(":")
    module_name = MOVED.get(module_name, module_name)
    here = os.getcwd()  # a script's own folder is on the path, the user's is not
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigError(
            f"cell {name!r} cannot be imported ({type(error).__name__}: {error}): "
            f"{_mend_import(error, module_name)}"
        ) from error
    finally:
        sys.path.remove(here)
    if not (isinstance(found, type) and issubclass(found, nn.RNNCellBase)):
        raise ConfigError(f"cell {name!r} is no flax.linen.RNNCellBase: derive it from that class")
    return found


def _mend_import(error: BaseException, module: str) -> str:
    """What helps against an error of an import."""
    if isinstance(error, SystemExit):
        return 'put what it runs as a program below `if __name__ == "__main__":`'
    not_there = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
    if not_there or isinstance(error, AttributeError):
        return "name a module that Python finds, also in the current folder, and a class in it"
    return "mend the module, or install what it needs"


def _shapes(tree: Carry) -> str:
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree))
