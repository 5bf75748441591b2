"""Import a user's cell, named `package.module:NAME` or `file.py`, and find its source lines."""

import contextlib
import hashlib
import importlib
import inspect
import linecache
import re
import sys
import sysconfig
import traceback
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from echo_jax.cells.adapt import INSTALLED_BY, KINDS, REQUIRED, is_cell
from echo_jax.config import BLOCK_PREFIX, is_built_in, is_handed_over
from echo_jax.exceptions import ConfigError, EchoError, reason
from echo_jax.jax_settings import SETTINGS

LOADED = "__echo_jax_digests__"
"""The attribute of a module that holds the digests of the files that the module was loaded from."""

_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
NOT_THE_USERS = [
    *_INSTALLED,
    *(path.resolve() for path in (*_INSTALLED, Path(__file__).parents[1])),
]
"""The folders of the standard library, of installed packages and of echo_jax."""


def import_cell(name: str) -> Any:
    """Return the class, module, function or object that is the user's cell `name`.

    Raises ConfigError if the name cannot be imported or does not name a cell.
    """
    found = import_named(name)
    if not is_cell(found):
        raise ConfigError("cell", name, *what_it_lacks(name, found))
    return found


def import_named(name: str, field: str = "cell") -> Any:
    """Return what `name` stands for: `package.module:NAME`, `file.py:NAME` or `file.py`.

    The folder of the file, or the current folder for a module, is searched first. `field` is the
    option that has the name as its value. Raises ConfigError if the file does not exist, if the
    import fails, or if the file was changed after it was loaded; the message names the line in the
    user's file, if there is one.
    """
    place, _, attribute = name.partition(":")
    module_name, folder = module_of(name)
    file = Path(place) if place.endswith(".py") else None
    sent = getattr(sys.modules.get(module_name), "__file__", None)  # to a worker, as a module
    if file and not file.is_file() and not (sent and is_the_users(sent)):
        raise ConfigError(field, name, "does not exist", "name an existing file")
    # what a module of this package imports in turn must not come from a stranger's folder
    searched = [] if module_name.startswith("echo_jax.") else [str(folder)]
    sys.path[:0] = searched
    try:
        with keeping_settings(name, field):
            module = importlib.import_module(module_name)
        found = getattr(module, attribute) if attribute else module
    except (EchoError, KeyboardInterrupt):
        raise
    except BaseException as error:  # user code may raise anything
        raise _import_error(field, name, error) from error
    finally:
        for here in searched:
            sys.path.remove(here)
    digest = source_digest(module)  # of the text as it is now
    if file and file.is_file() and digest != hashlib.sha256(file.read_bytes()).hexdigest():
        # Python loads a module once: new text would not be seen.
        rule = f"differs from module {module_name} as it was loaded earlier"
        raise ConfigError(field, name, rule, "rename the file, or restart Python")
    return found


def _import_error(field: str, name: str, error: BaseException) -> ConfigError:
    line = next(_users_lines(traceback.extract_tb(error.__traceback__)), "")
    if isinstance(error, SyntaxError) and error.filename and is_the_users(error.filename):
        line = f"{shown_file(error.filename)}:{error.lineno}"
    where = f"{line}: " if line else ""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    fix = "fix its code, or name a module that Python finds and a class in it"
    if missing in INSTALLED_BY:
        fix = f"run pip install '{INSTALLED_BY[missing]}'"
    return ConfigError(field, name, f"cannot be imported ({where}{reason(error)})", fix)


@contextlib.contextmanager
def keeping_settings(name: str, field: str = "cell") -> Iterator[None]:
    """Raise ConfigError if the user's code in this context changes a setting in `SETTINGS`.

    Results depend on these settings, so they are set back to their values. `name`, the name of the
    cell, and `field`, the option that has it as its value, are for the message.
    """
    before = dict(jax.config.values)
    try:
        yield
    finally:
        for option, setting in SETTINGS.items():
            # A setting that was another one before is no change by this code, and is left alone.
            if before.get(option) == setting != (value := jax.config.values.get(option)):
                # Put back before the error: the next call of this process computes with them.
                jax.config.update(option, setting)
                rule = f"sets {option} to {value}, but all results are computed with {setting}"
                raise ConfigError(field, name, rule, "leave the setting as it is")


def source_digest(written: Any) -> str | None:
    """Return the SHA-256 of the file, or the notebook cell, that defines `written`.

    `written` is a class, a function or a module. The digest is that of the text at the first call
    after the module was loaded, even if the file is changed later. The result is None if there is
    no text, as for code typed at a prompt.
    """
    file = _file_of(written)
    module = inspect.getmodule(written)
    spec = getattr(module, "__spec__", None)  # a new one if loaded again
    digests = vars(module).setdefault(LOADED, {}) if module else {}
    if file not in digests or digests[file][0] is not spec:
        there = Path(file).is_file()
        text = Path(file).read_bytes() if there else "".join(linecache.getlines(file)).encode()
        if not text and not there:
            return None
        digests[file] = spec, hashlib.sha256(text).hexdigest()
    digest: str = digests[file][1]
    return digest


def digest_on_disk(name: str) -> str | None:
    """Return the SHA-256 of the file that defines the cell `name`, without executing the file.

    The result is None if no file is found, or if the file imports the cell from another module.
    """
    place, _, attribute = name.removeprefix(BLOCK_PREFIX).partition(":")
    module_name, folder = module_of(name)
    within = "/".join(module_name.split("."))
    roots = [folder, *map(Path, sys.path)]
    found = (root / file for root in roots for file in (f"{within}/__init__.py", f"{within}.py"))
    files = [Path(place)] if place.endswith(".py") else found
    text = next((file.read_bytes() for file in files if file.is_file()), b"")
    defined = rf"^\s*(class|def)\s+{attribute}\b"
    if not text or (attribute and not re.search(defined.encode(), text, re.M)):
        return None
    return hashlib.sha256(text).hexdigest()


def files_of(cells: Collection[str]) -> set[Path]:
    """Return the files of the modules that define the user's cells among the names `cells`.

    Workers of a cluster need these files. Modules that are installed are left out. Raises
    ConfigError if a worker cannot import a cell, or if the module of a cell is a package that is
    not installed.
    """
    paths = set()
    for cell in (cell for cell in cells if not is_built_in(cell)):
        if not _is_importable(cell):
            raise ConfigError(
                "cell", cell, "cannot be imported by a worker",
                "write it as a class or functions in a file and name the file, or leave {cluster} "
                "out",
            )  # fmt: skip
        name = module_of(cell)[0].partition(".")[0]
        module = sys.modules.get(name)
        folders = getattr(module, "__path__", ())
        places = [*folders, getattr(module, "__file__", None)]
        if not places[0] or not is_the_users(places[0]):
            continue  # installed: it must be on the workers too
        if folders:
            rule = "is a folder, but {cluster} sends only single files"
            fix = "put the cell into one file, or install the package on every worker"
            raise ConfigError(None, f"cell module {name}", rule, fix)
        paths.add(Path(places[0]))
    return paths


def _is_importable(cell: str) -> bool:
    """Return True if a worker can import the user's cell with the name `cell`.

    No worker can import a cell of a notebook, of the running script, or inside a function.
    """
    with contextlib.suppress(ConfigError):
        nowhere = "__main__" in cell or is_handed_over(cell)
        return not nowhere and bool(import_cell(cell.removeprefix(BLOCK_PREFIX)))
    return False


def what_it_lacks(name: str, found: Any) -> tuple[str, str]:
    """Return why `found` is not a cell, as the rule that it breaks, and the fix.

    `name` is the name of `found` in messages.
    """
    if isinstance(found, ModuleType):
        *lacking, last = [each for each in REQUIRED if not callable(getattr(found, each, None))]
        rule = f"lacks the functions {', '.join(lacking)} and {last}"
        fix = f"define {', '.join(REQUIRED)} in it, or name a class in it, as {{cell={name}:NAME}}"
        return rule if lacking else f"lacks the function {last}", fix
    return "is not a cell", f"use {KINDS}"


def module_of(name: str) -> tuple[str, Path]:
    """Return the name of the module of the user's cell `name`, and the folder to search first."""
    place = name.removeprefix(BLOCK_PREFIX).partition(":")[0]
    if place.endswith(".py"):
        return Path(place).stem, Path(place).resolve().parent
    return place, Path.cwd()


def location(written: Any, function: str | None = None, error: BaseException | None = None) -> str:
    """Return FILE:LINE for the line that an error message blames, or FILE if no line is found.

    The line is the deepest line of user code in the traceback of the error, or else the definition
    of the function, or else the definition of the class.

    Args:
      written: the class, or the module of functions, that the user wrote.
      function: the name of a function of `written`, used if it is defined in the same file.
      error: the error, if one was raised.
    """
    home = _file_of(written)
    trace = traceback.extract_tb(error.__traceback__ if error else None)
    if raised_at := next(_users_lines(trace, home), None):
        return raised_at
    its = getattr(written, function or "", written)
    for defined in (inspect.unwrap(its), written):
        if _file_of(defined) == home and not isinstance(defined, ModuleType):
            with contextlib.suppress(OSError, TypeError):  # without a source file
                lines, first = inspect.getsourcelines(defined)
                heads = (x.lstrip().startswith(("def ", "class ")) for x in lines)
                below_decorators = next((i for i, head in enumerate(heads) if head), 0)
                return f"{shown_file(home)}:{max(first, 1) + below_decorators}"
    return shown_file(home)


def is_the_users(file: str) -> bool:
    """Return True if `file` is outside `NOT_THE_USERS` and is not the running script.

    A name such as <string>, which is no file, gives False.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    if file == script or file.startswith("<"):  # <string>, <frozen importlib._bootstrap>
        return False
    places = Path(file), Path(file).resolve()  # an installer may link files of packages
    return not any(place.is_relative_to(folder) for place in places for folder in NOT_THE_USERS)


def shown_file(file: str) -> str:
    """Return `file` as messages show it.

    A file below the current folder has a relative path, any other file the path as given, and a
    notebook cell has the name Cell In[3].
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell and (of_notebook := shell.compile.format_code_name(file)):
        return " ".join(of_notebook)
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _users_lines(frames: traceback.StackSummary, home: str = "") -> Iterator[str]:
    """Yield FILE:LINE of the user's frames, and of frames in the file `home`, deepest first."""
    for frame in reversed(frames):
        if is_the_users(frame.filename) or frame.filename == home:
            yield f"{shown_file(frame.filename)}:{frame.lineno}"


def _file_of(code: object) -> str:
    """Return the name of the file that defines `code`, which may not exist, or "<unknown>"."""
    try:
        return inspect.getsourcefile(code) or "<unknown>"  # type: ignore[arg-type]
    except (TypeError, OSError):  # a class defined without a file, as in a notebook
        own = map(inspect.unwrap, getattr(code, "__dict__", {}).values())
        files = (x.__code__.co_filename for x in own if inspect.isfunction(x))
        return next((x for x in files if x != "<string>"), "<unknown>")  # of dataclasses
