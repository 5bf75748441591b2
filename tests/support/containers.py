"""The containers of the modules of `core` and `cells`, which no call may change."""

import contextlib
import sys

PURE = ("echo_jax.echo", "echo_jax.cells")


def contents():
    """What each list, mapping and set of these modules and their classes holds, by its name."""
    modules = [module for name, module in sys.modules.items() if name.startswith(PURE)]
    classes = [x for module in modules for x in vars(module).values() if isinstance(x, type)]
    return {
        (home.__name__, name): list(value)
        for home in [*modules, *classes]
        for name, value in vars(home).items()
        if home.__name__.startswith(PURE) or getattr(home, "__module__", "").startswith(PURE)
        if isinstance(value, dict | list | set) and not name.startswith("__")
    }


@contextlib.contextmanager
def unchanged():
    """Within it no container of a module that is loaded already may change."""
    before = contents()
    yield
    after = contents()
    assert {name: after[name] for name in before} == before
