"""The import table of the architecture, and what the pure core must not do, read with `ast`."""

import ast
import sys
from pathlib import Path

import pytest

import echo_jax

PACKAGE = Path(echo_jax.__file__).parent
PURE_STDLIB = {"enum", "math", "typing", "collections", "dataclasses"}
EDGE_STDLIB = {
    "cells": {"importlib", "os", "sys"},  # finds a user's cell
    "seeds": {"os", "platform", "pathlib"},  # places the compilation cache
}
MAY_IMPORT = {
    "config": set(),
    "task": {"config", "jax", "chex", "numpy"},
    "controls": {"config", "jax", "chex", "flax"},
    "recurrence": {"jax", "chex"},
    "linear_cells": {"config", "recurrence", "jax", "chex", "flax"},
    "cells": {"config", "linear_cells", "recurrence", "jax", "chex", "flax"},
    "network": {"config", "task", "cells", "recurrence", "jax", "chex", "flax"},
    "user_cell": {"config", "cells", "flax"},
    "cell_check": {"config", "cells", "recurrence", "user_cell", "jax", "chex", "flax", "numpy"},
    "metrics": {"config", "jax", "chex"},
    "statistics": {"numpy"},
    "linear_probe": {"jax", "chex"},
    "copy_prober": {
        "config",
        "copy_memory",
        "ladder",
        "protocol",
        "runner",
        "seeds",
        "jax",
        "flax",
        "numpy",
    },
    "card_pairs": {"ladder", "statistics"},
    "protocol": {"storage"},
    "memory_tasks": {"protocol", "jax", "chex"},
    "probe": {
        "memory_tasks",
        "metrics",
        "network",
        "protocol",
        "recurrence",
        "task",
        "training",
        "jax",
        "chex",
        "flax",
    },
    "capacity": {
        "memory_tasks",
        "metrics",
        "network",
        "probe",
        "protocol",
        "recurrence",
        "task",
        "training",
        "jax",
        "chex",
        "flax",
        "numpy",
    },
    "runner": {
        "cell_check",
        "ladder",
        "network",
        "probe",
        "protocol",
        "seeds",
        "training",
        "jax",
        "flax",
        "numpy",
    },
    "price": {"memory_tasks", "network", "probe", "protocol", "jax"},
    "prober": {
        "capacity",
        "ladder",
        "network",
        "price",
        "probe",
        "protocol",
        "runner",
        "jax",
        "flax",
        "numpy",
    },
    "training": {
        "config",
        "task",
        "recurrence",
        "network",
        "metrics",
        "jax",
        "chex",
        "numpy",
        "optax",
    },
    "copy_memory": {
        "probe",
        "protocol",
        "config",
        "task",
        "network",
        "metrics",
        "training",
        "jax",
        "chex",
        "flax",
    },
    "evaluation": {"config", "task", "recurrence", "network", "metrics", "jax", "chex"},
    "seeds": {"config", "machine", "task", "training", "evaluation", "jax"},
    "measures": {
        "config",
        "task",
        "network",
        "training",
        "evaluation",
        "echo",
        "linear_probe",
        "jax",
        "numpy",
    },
    "sweep": {
        "config",
        "task",
        "network",
        "training",
        "evaluation",
        "seeds",
        "measures",
        "statistics",
        "results",
        "rows",
        "studies",
        "jax",
        "numpy",
    },
    "studies": {"config"},
    "rows": {"config", "storage", "numpy"},
    "scores": {"config", "rows", "statistics", "numpy"},
    "answers": {"config", "rows", "scores", "statistics", "studies"},
    "findings": {
        "config",
        "answers",
        "figures",
        "page",
        "rows",
        "scores",
        "statistics",
        "studies",
        "numpy",
    },
    "study_folder": {"findings", "page", "rows", "statistics", "storage", "studies", "numpy"},
    "estimate": {"config", "machine", "studies"},
    "machine": {"numpy"},
    "results": {"config", "storage", "task", "statistics", "evaluation", "numpy"},
    "echo": {"config", "recurrence", "network", "jax", "chex"},
    "values": {"config", "numpy"},
    "storage": {"config"},
    "history": {"config", "numpy"},
    "checkpoint": {"config", "storage", "history", "values", "jax", "flax", "numpy"},
    "trained": {
        "config",
        "checkpoint",
        "echo",
        "network",
        "seeds",
        "storage",
        "values",
        "jax",
        "numpy",
    },
    "report": {"config", "page", "numpy"},
    "plots": {"numpy", "matplotlib"},
    "figures": {"plots", "numpy", "matplotlib"},
    "ladder": set(),
    "schema": {"config"},
    "card_schema": {"schema"},
    "card_raw": {"ladder", "rows"},
    "card_course": {"ladder", "rows"},
    "card_rows": {"ladder", "protocol", "rows", "statistics", "numpy"},
    "card_text": {"card_rows", "rows", "scores"},
    "card_markdown": {"card_text", "page", "protocol", "rows", "scores"},
    "card_figures": {"card_text", "figures", "plots", "numpy", "matplotlib"},
    "card_page": {
        "card",
        "card_figures",
        "card_markdown",
        "card_text",
        "config",
        "figures",
        "page",
        "storage",
    },
    "card": {
        "config",
        "storage",
        "schema",
        "card_schema",
        "card_course",
        "card_raw",
        "card_rows",
        "card_text",
        "card_markdown",
    },
    "page": set(),
    "progress": {"rich"},
    "processes": {"config", "jax", "flax", "numpy"},
    "cli": {"config", "tyro"},
    "__init__": set(),
}
PURE_CORE = (
    "task",
    "recurrence",
    "linear_cells",
    "cells",
    "controls",
    "network",
    "metrics",
    "linear_probe",
    "memory_tasks",
    "probe",
    "capacity",
    "training",
    "copy_memory",
    "evaluation",
    "seeds",
    "echo",
)


def imported_modules(path):
    """Top-level packages that a module imports; of echo_jax, the module itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "."]
            if node.module == "echo_jax":
                names = [f"echo_jax.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            yield rest.split(".")[0] if package == "echo_jax" else package


def modules():
    return sorted(path.stem for path in PACKAGE.glob("*.py"))


def test_every_module_has_a_row_in_the_table():
    assert modules() == sorted(MAY_IMPORT)


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_only_what_its_row_allows(module):
    stdlib = set(sys.stdlib_module_names) - set(modules())  # both have a `statistics`
    imported = set(imported_modules(PACKAGE / f"{module}.py")) - stdlib
    assert imported <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", modules())
def test_a_module_of_ours_is_imported_by_its_full_name(module):
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            assert not {alias.name for alias in node.names} & set(modules())
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module not in modules()


def called_names(node):
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            yield ast.unparse(call.func)


@pytest.mark.parametrize("module", PURE_CORE)
def test_the_pure_core_has_no_clock_no_file_no_print_and_no_global_randomness(module):
    path = PACKAGE / f"{module}.py"
    allowed = PURE_STDLIB | EDGE_STDLIB.get(module, set()) | MAY_IMPORT[module]
    assert set(imported_modules(path)) <= allowed
    called = set(called_names(ast.parse(path.read_text())))
    assert not called & {"print", "open", "input", "exec", "eval"}
    assert not [name for name in called if name.startswith("np.random.")] or module == "task"
    assert "jax.jit" not in path.read_text()


def test_only_the_scripts_and_what_they_load_say_what_is_jitted():
    jitting = [m for m in modules() if "jax.jit" in (PACKAGE / f"{m}.py").read_text()]
    assert jitting == ["cell_check", "copy_prober", "price", "prober", "runner", "sweep", "trained"]
    assert jitting == ["cell_check", "copy_prober", "price", "prober", "runner", "sweep", "trained"]
