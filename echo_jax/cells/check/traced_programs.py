"""The contents of the traced programs of a cell: callbacks, randomness, weights without a gradient.

Every function of a cell is traced, and so is the gradient of its outputs, which holds its custom
derivatives. Nothing is compiled or run.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from echo_jax.cells.check.shape_check import NO_CHANCE, Candidate, listed, traced
from echo_jax.cells.scan import Mask
from echo_jax.config import GENERATOR

REACHES_OUT = {
    "debug_print": "prints from its compiled program (jax.debug.print)",
    "debug_callback": "prints or calls Python from its compiled program (jax.debug)",
    "pure_callback": "calls Python from its compiled program (jax.pure_callback)",
    "io_callback": "calls Python from its compiled program (io_callback)",
    "infeed": "takes in what is none of its arguments (infeed)",
    "outfeed": "sends out what is none of its results (outfeed)",
    "ffi_call": "calls foreign code, which may keep anything (jax.ffi)",
}
"""A cell's use of a primitive that reaches out of its program."""

NAMED = 5
"""The most names that a remark lists."""

LOCAL = "InternalMutableArrayEffect"
"""The effect of a `jax.new_ref` that no other program sees."""

RANDOM = ("random_", "rng_", "threefry")
"""Beginnings of the names of primitives that draw."""

LOGARITHMIC = {"exp", "exp2", "expm1", "log", "log1p", "cumlogsumexp", "pow"}
"""Primitives of gates in log space."""


class Parameter(NamedTuple):
    """The size of a parameter, whether it has a gradient, and whether it depends on the seed."""

    size: int
    learned: bool
    seeded: bool


class Programs(NamedTuple):
    """The traced programs of a cell, those of the gradient of its outputs, and its `traced` shapes.

    The first results of `init` and of a gradient are those of the parameters.
    """

    functions: dict[str, Any]
    gradients: dict[str, Any]
    shapes: dict[str, Any]

    def coarsest(self) -> float:
        """The largest relative rounding error of the floating-point types of a step."""
        types = {x.aval.dtype for e in equations(self.functions["step"]) for x in e.outvars}
        return max(float(jnp.finfo(t).eps) for t in types if jnp.issubdtype(t, jnp.inexact))

    def in_log_space(self) -> bool:
        """True if a `scan` takes logarithms or raises to powers, as with gates in log space."""
        scans = [each for name, each in self.functions.items() if name.startswith("scan")]
        return any(e.primitive.name in LOGARITHMIC for x in scans for e in equations(x))

    def parameters(self) -> dict[str, Parameter]:
        """The parameters by their paths."""
        leaves = jax.tree_util.tree_leaves_with_path(self.shapes["parameters"])
        return {
            jax.tree_util.keystr(path, simple=True, separator="/"): Parameter(
                math.prod(leaf.shape),
                depends(self.gradients["step"], i),
                depends(self.functions["init"], i),
            )
            for i, (path, leaf) in enumerate(leaves)
        }

    def remarks(self) -> list[str]:
        """Sentences, without their subject, on what is allowed and good to know."""
        all_of_them = self.parameters()
        frozen = {name: x for name, x in all_of_them.items() if not x.learned}
        counts = [sum(x.size for x in some.values()) for some in (all_of_them, frozen)]
        fixed = [name for name, x in frozen.items() if not x.seeded]
        constants = [x for name in ("prepare", "step") for x in self.functions[name].consts]
        numbers = [x for x in constants if x.size > 1 and jnp.issubdtype(x.dtype, jnp.inexact)]
        tables = [x for x in constants if jnp.issubdtype(x.dtype, jnp.integer)]  # or indices
        numbers += [x for x in tables if x.size > max(1, counts[0])]
        fixed += sorted({listed(x) for x in numbers})
        types = {str(x.dtype) for x in jax.tree.leaves(self.shapes["carry"])}
        integers = [name for name in sorted(types) if "int" in name]
        said = [
            f"has {counts[0]:,} parameters, of which {counts[1]:,} are frozen, as no gradient "
            f"reaches {some_of(frozen)}",
            f"has {some_of(fixed)} fixed in its code: the same for all seeds",
            f"keeps {', '.join(integers)} in its state: what is packed in an integer cannot "
            "be read linearly, so the bits of its card may miss it",
        ]
        return [x for x, holds in zip(said, (frozen, fixed, integers), strict=True) if holds]


def some_of(names: Collection[str]) -> str:
    """The first names, and how many others there are: a, b and 3 more."""
    first, others = [*names][:NAMED], len(names) - NAMED
    return ", ".join(first) + f" and {others} more" * (others > 0)


def trace_programs(candidate: Candidate) -> Programs:
    """The programs of a cell; ConfigError for one that does more than compute, or has no slope."""
    cell, shapes, inputs = candidate.cell, traced(candidate, 2), candidate.inputs(3)
    params, key = shapes["parameters"], jax.eval_shape(lambda: jax.random.key(0, impl=GENERATOR))
    forms: dict[str, Any] = {"step": (candidate.steps, inputs[0])}
    if cell.has_scan:
        forms |= {f"scan {i}": (candidate.scan, each) for i, each in enumerate(inputs)}
    functions = {
        "init": jax.make_jaxpr(candidate.init)(key),
        "initial_state": jax.make_jaxpr(lambda params: candidate.start(params, 2))(params),
        "prepare": jax.make_jaxpr(cell.prepare)(params),
    }
    for name, (run, of) in forms.items():
        functions[name] = jax.make_jaxpr(run)(params, shapes["carry"], *of)
    _check_effects(candidate, functions, deterministic=("prepare", *forms))
    gradients = {name: _gradient(candidate, run, params, *of) for name, (run, of) in forms.items()}
    _check_effects(candidate, gradients)
    return Programs(functions, gradients, shapes)


def total_output(
    candidate: Candidate, run: Callable[..., Any], params: Any, xs: chex.Array, mask: Mask = None
) -> chex.Array:
    """The sum of all outputs of `Candidate.steps` or `scan` from the initial state."""
    outputs = run(params, candidate.start(params, xs.shape[1]), xs, mask)[1]
    return jnp.sum(outputs.astype(jnp.float32))


def _gradient(
    candidate: Candidate, run: Callable[..., Any], params: Any, xs: Any, mask: Any
) -> Any:
    """The gradient by parameters and by inputs that are no tokens: as it is, and under vmap."""
    by = (0, 1) if jnp.issubdtype(xs.dtype, jnp.floating) else (0,)

    def weighted(params: Any, xs: chex.Array, mask: Mask, weight: float) -> chex.Array:
        return weight * total_output(candidate, run, params, xs, mask)

    def both(*args: Any) -> Any:
        stacked = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], args)
        return jax.grad(weighted, by)(*args), jax.vmap(jax.grad(weighted, by))(*stacked)

    return candidate.attempt(
        lambda: jax.make_jaxpr(both)(params, xs, mask, 1.0),
        sentence="has no gradient ({}): leave out what jax does not differentiate in reverse, such "
        "as integer parameters, while_loop and callbacks",
    )


def _check_effects(
    candidate: Candidate, programs: dict[str, Any], deterministic: Sequence[str] = ()
) -> None:
    """Raise ConfigError for a program that reaches out, or draws though it is deterministic."""
    for name, program in programs.items():
        function = name.split()[0]
        for equation in equations(program):
            primitive, said = equation.primitive.name, ""
            if primitive in REACHES_OUT:
                said = f"{REACHES_OUT[primitive]}: leave that out, and keep all memory in the carry"
            elif primitive.startswith(RANDOM) and name in deterministic:
                said = f"draws random numbers in a step ({primitive}): {NO_CHANCE}"
            if said:
                candidate.refuse(said, function, _raised_at(equation))
        effects = {type(each).__name__ for each in program.effects} - {LOCAL}
        if effects:
            said = f"has effects beside its results ({', '.join(sorted(effects))})"
            candidate.refuse(f"{said}: keep all memory in the carry", function)


def _raised_at(equation: Any) -> Exception:
    """An error with the traceback of the user's code that made an equation."""
    traceback = equation.source_info.traceback
    return Exception().with_traceback(traceback.as_python_traceback() if traceback else None)


def equations(program: Any) -> Iterator[Any]:
    """The equations of a traced program and of all programs within it."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for value in equation.params.values():
            for each in value if isinstance(value, tuple | list) else [value]:
                if hasattr(getattr(each, "jaxpr", each), "eqns"):
                    yield from equations(each)


def depends(program: Any, result: int) -> bool:
    """True if a result of a traced program depends on any of its arguments."""
    asked = [i == result for i in range(len(program.jaxpr.outvars))]
    return any(partial_eval.dce_jaxpr(program.jaxpr, asked)[1])
