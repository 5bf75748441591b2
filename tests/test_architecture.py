"""What import-linter cannot see of the architecture, read with `ast`; its contracts are run too."""

import ast
import graphlib
import sys
from pathlib import Path

import grimp
import pytest
from running import ended

import echo_jax

PACKAGE = Path(echo_jax.__file__).parent
PURE = sorted(
    {*PACKAGE.glob("echo/*.py"), *PACKAGE.glob("cells/**/*.py")} - {PACKAGE / "echo/programs.py"}
)  # programs are compiled outside of the pure part
FINDS_A_USERS_CELL = {"adapt", "user_cell", "cell_object"}
FORBIDDEN_CALLS = {"print", "open", "input", "exec", "eval", "jax.jit"}
FORBIDDEN_MODULES = {"time", "datetime", "os", "sys", "pathlib", "random", "subprocess", "socket"}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module.partition(".")[0]


def called(tree):
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_the_contracts_of_the_layers_are_kept(root):
    linter = Path(sys.executable).parent / "lint-imports"
    ended([linter, "--no-cache"], cwd=root, timeout=100)


def test_no_circle_of_imports_types_included():
    graph = grimp.build_graph("echo_jax", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # CycleError names the circle


@pytest.mark.parametrize("path", PURE, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_core_and_cells_have_no_clock_file_print_environment_or_global_randomness(path):
    tree = ast.parse(path.read_text())
    calls = called(tree)
    assert not [name for name in calls if name.startswith(("np.random.", "numpy.random."))] or (
        path.stem == "chance"  # generators with a fixed seed
    )
    if path.stem not in FINDS_A_USERS_CELL:
        assert not set(imported(tree)) & FORBIDDEN_MODULES
        compiles = {"jax.jit"} if path.stem == "user_cell_check" else set()
        assert not calls & FORBIDDEN_CALLS - compiles
