"""A user's cell: what `package.module:NAME` or `file.py` names, and lines of its source file."""

import difflib
import hashlib
import importlib
import inspect
import linecache
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import jax

from echo_jax.cells.adapters.adapt import KINDS, REQUIRED, is_cell
from echo_jax.config import BLOCK, SETTINGS
from echo_jax.exceptions import ConfigError, reason

MOVED = {"echo_jax.controls": "echo_jax.cells.known_memory"}
"""New names of modules whose old names stand in memory cards."""

LOADED: dict[str, tuple[ModuleSpec | None, str]] = {}
"""Files that modules were loaded from: the spec of the module, and the digest of the text."""

NOT_THE_USERS = (
    *(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")),
    Path(__file__).resolve().parents[1],
)
"""Folders of the standard library, of installed packages and of echo_jax."""


class OtherTextError(ConfigError):
    """A file has another text than its module, which Python does not load again."""


def import_cell(name: str) -> Any:
    """Import what `package.module:NAME`, `file.py:NAME` or `file.py` names.

    The current folder is searched first. ConfigError if the import fails or `adapt` takes no such
    thing; the message begins with the line of the user's own file, if there is one.
    """
    module_name, folder = module_of(name)
    attribute = name.partition(":")[2]
    _check_there(name)
    sys.path.insert(0, here := str(folder))
    before = dict(jax.config.values)
    try:
        module = importlib.import_module(module_name)
        _check_file(name, module)
        found = getattr(module, attribute) if attribute else module
    except OtherTextError:
        raise
    except BaseException as error:  # user code may raise anything
        line = next(_users_lines(traceback.extract_tb(error.__traceback__)), "")
        if isinstance(error, SyntaxError) and error.filename and is_the_users(error.filename):
            line = f"{shown(error.filename)}:{error.lineno}"
        raise ConfigError(
            f"{f'{line}: ' if line else ''}cell {name!r} cannot be imported ({reason(error)}): "
            f"{_import_fix(error, name)}"
        ) from error
    finally:
        sys.path.remove(here)
    for option, setting in SETTINGS.items():
        if before.get(option) == setting != (value := jax.config.values.get(option)):
            raise ConfigError(
                f"cell {name!r} sets {option} to {value} where it is imported, and all results are "
                f"computed with {setting}: leave that out"
            )
    if not is_cell(found):
        own = isinstance(found, type) and is_the_users(_file_of(found))
        where = f"{location(found)}: " if own else ""
        raise ConfigError(f"{where}cell {name!r} {what_it_lacks(name, found)}")
    source_digest(found)  # of the text as it is now
    return found


def _check_there(name: str) -> None:
    """Raise ConfigError where a `file.py` is not there.

    A worker has the module of a file that was sent to it, and not the file.
    """
    place, colon, attribute = name.partition(":")
    module_name, folder = module_of(name)
    sent = getattr(sys.modules.get(module_name), "__file__", None)
    if not place.endswith(".py") or Path(place).is_file() or (sent and is_the_users(sent)):
        return
    here, near = "" if Path(place).is_absolute() else " here", _near(module_name, folder)
    fix = "name one that is there"
    if near:
        fix = f"did you mean {Path(place).with_name(f'{near}.py')}{colon}{attribute}"
    raise ConfigError(f"cell {name!r} cannot be imported, there is no file {place}{here}: {fix}")


def _check_file(name: str, module: ModuleType) -> None:
    """Raise OtherTextError where a `file.py` has another text than what its module was loaded from.

    Python loads a module once: another file of the same name, or new text, would not be seen.
    """
    file = Path(name.partition(":")[0])
    if file.suffix != ".py" or not file.is_file():
        return
    if source_digest(module) != hashlib.sha256(file.read_bytes()).hexdigest():
        same_place = Path(module.__file__ or "").resolve() == file.resolve()
        raise OtherTextError(
            f"cell {name!r}: a module {module.__name__} was loaded "
            f"{'before the file was changed' if same_place else 'from another file'}: rename the "
            "file, or start Python anew"
        )


def source_digest(written: Any) -> str | None:
    """The SHA-256 of the file of a class or a module of functions, or of the cell of a notebook.

    It is that of the text that was loaded, also where the file is changed later. None where there
    is no text, as of what was typed at a prompt.
    """
    file = _file_of(written)
    loaded = getattr(inspect.getmodule(written), "__spec__", None)  # a new one if loaded again
    if file not in LOADED or LOADED[file][0] is not loaded:
        if not (text := _text_of(file)):
            return None
        LOADED[file] = loaded, hashlib.sha256(text).hexdigest()
    return LOADED[file][1]


def _text_of(file: str) -> bytes:
    """The text of a file, or of what a notebook keeps under its name; empty where there is none."""
    if Path(file).is_file():
        return Path(file).read_bytes()
    return "".join(linecache.getlines(file)).encode()


def what_it_lacks(name: str, found: Any) -> str:
    """Why something is no cell, and the fix."""
    if isinstance(found, ModuleType):
        for each, value in vars(found).items():
            if getattr(value, "__module__", None) == found.__name__ and is_cell(value):
                return f"is a file with the cell {each}: use --cell {name}:{each}"
    lacking = [each for each in REQUIRED if not callable(getattr(found, each, None))]
    if len(lacking) < len(REQUIRED):
        functions = f"function{'s' * (len(lacking) > 1)} {' and '.join(lacking)}"
        return f"lacks the {functions}: it needs {', '.join(REQUIRED)}"
    return f"is no cell: use {KINDS}"


def module_of(name: str) -> tuple[str, Path]:
    """The module in the name of a user's cell, and the folder that is searched for it first."""
    place = name.removeprefix(BLOCK).partition(":")[0]
    if place.endswith(".py"):
        return Path(place).stem, Path(place).resolve().parent
    return MOVED.get(place, place), Path.cwd()


def _import_fix(error: BaseException, name: str) -> str:
    """The advice for an import error."""
    module, folder = module_of(name)
    if isinstance(error, SystemExit):
        return 'put what it runs as a program below `if __name__ == "__main__":`'
    not_there = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
    if not_there and (near := _near(module, folder)):
        return f"did you mean {near}:{name.partition(':')[2]}"
    if not_there or isinstance(error, AttributeError):
        return "name a module that Python finds, also in the current folder, and a class in it"
    return "mend the module, or install what it needs"


def _near(module: str, folder: Path) -> str | None:
    """The module in a folder whose name is most like another name."""
    there = sorted(path.stem for path in folder.glob("*.py") if path.stem.isidentifier())
    return next(iter(difflib.get_close_matches(module, there, n=1)), None)


def location(written: Any, function: str | None = None, error: BaseException | None = None) -> str:
    """FILE:LINE in the file of a class or a module of functions, for an error message.

    It is the deepest line of user code in the traceback of the error; else the definition of the
    function, if it is in the same file; else the definition of the class.
    """
    home = _file_of(written)
    trace = traceback.extract_tb(error.__traceback__ if error else None)
    if raised_at := next(_users_lines(trace, home), None):
        return raised_at
    its = getattr(written, function or "", written)
    for defined in (inspect.unwrap(its), written):
        if _file_of(defined) == home and not isinstance(defined, ModuleType):
            try:
                lines, first = inspect.getsourcelines(defined)
            except (OSError, TypeError):  # without a source file
                continue
            starts = (i for i, x in enumerate(lines) if x.lstrip().startswith(("def ", "class ")))
            return f"{shown(home)}:{max(first, 1) + next(starts, 0)}"  # below any decorators
    return shown(home)


def line_at(frame: FrameType | None) -> str | None:
    """FILE:LINE of the innermost user code on the stack of a frame; None if there is none."""
    return next(_users_lines(traceback.extract_stack(frame)), None) if frame else None


def is_the_users(file: str) -> bool:
    """True for a file outside `NOT_THE_USERS` that is not the running script."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if file == script or file.startswith("<"):  # <string>, <frozen importlib._bootstrap>
        return False
    return not any(Path(file).resolve().is_relative_to(folder) for folder in NOT_THE_USERS)


def shown(file: str) -> str:
    """A path, relative to the current folder if it is below that; Cell In[3] of a notebook."""
    here, shell = Path.cwd(), None
    if ipython := sys.modules.get("IPython"):
        shell = ipython.get_ipython()
    if shell and (of_notebook := shell.compile.format_code_name(file)):
        return " ".join(of_notebook)
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def _users_lines(frames: traceback.StackSummary, home: str = "") -> Iterator[str]:
    """FILE:LINE of the user's frames, and of those in `home`, deepest first."""
    for frame in reversed(frames):
        if is_the_users(frame.filename) or frame.filename == home:
            yield f"{shown(frame.filename)}:{frame.lineno}"


def _file_of(code: object) -> str:
    """The name of the file that defines something; it need not be on the disk."""
    try:
        return inspect.getsourcefile(code) or "<unknown>"  # type: ignore[arg-type]
    except (TypeError, OSError):  # a class defined without a file, as in a notebook
        own = map(inspect.unwrap, getattr(code, "__dict__", {}).values())
        files = (x.__code__.co_filename for x in own if inspect.isfunction(x))
        return next((x for x in files if x != "<string>"), "<unknown>")  # of dataclasses
