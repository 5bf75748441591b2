"""The contracts of the layers in pyproject.toml, and that no imports make a circle."""

import graphlib
import sys
from pathlib import Path

import grimp
from running import ended


def test_the_contracts_of_the_layers_are_kept(root):
    linter = Path(sys.executable).parent / "lint-imports"
    ended([linter, "--no-cache"], cwd=root, timeout=100)


def test_no_circle_of_imports_types_included():
    graph = grimp.build_graph("echo_jax", cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # CycleError names the circle
