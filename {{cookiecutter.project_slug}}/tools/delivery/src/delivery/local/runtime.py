"""What Databricks gives to code: a command line, exit codes and `databricks.sdk.runtime`."""

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from delivery.local.dbutils import Dbutils, NotebookExit, Widgets, no_notebooks
from delivery.local.values import Scope

_RUNTIME = "databricks.sdk.runtime"  # code imports `spark` and `dbutils` from it


@contextlib.contextmanager
def command_line(arguments: Sequence[str], folder: Path | None = None) -> Iterator[None]:
    """The command line of a script; with a folder, also its working directory and import path."""
    argv, import_path = sys.argv, [*sys.path]
    sys.argv = [*arguments]
    try:
        if folder is None:
            yield
        else:
            sys.path.insert(0, str(folder))
            with contextlib.chdir(folder):
                yield
    finally:
        sys.argv, sys.path[:] = argv, import_path


@contextlib.contextmanager
def ends_well() -> Iterator[None]:
    """Let `sys.exit()` and `dbutils.notebook.exit` end code; another exit code is a failure.

    Raises:
        RuntimeError: the exit code is not 0.
    """
    try:
        yield
    except NotebookExit:
        pass
    except SystemExit as end:
        if end.code not in (None, 0):
            raise RuntimeError(f"it ended with exit code {end.code}") from None


@contextlib.contextmanager
def runtime(names: Mapping[str, Any]) -> Iterator[None]:
    """Give `names` to code that imports them from `databricks.sdk.runtime`."""
    module = ModuleType(_RUNTIME)
    module.__dict__.update(names)
    before = sys.modules.get(_RUNTIME)
    sys.modules[_RUNTIME] = module
    try:
        yield
    finally:
        sys.modules.pop(_RUNTIME)
        if before is not None:
            sys.modules[_RUNTIME] = before


def names_of_wheel(package: str, scope: Scope) -> dict[str, Any]:
    """What a wheel can import from `databricks.sdk.runtime`; `spark` is opened when it is used."""

    def late(name: str) -> Any:
        if name != "spark":
            raise AttributeError(f"{_RUNTIME}: given {name}, expected spark, dbutils or display")
        engine = importlib.import_module(f"{package}.engine")
        return engine.session(engine.current_engine())

    dbutils = Dbutils(scope, Widgets({}), no_notebooks)
    return {"dbutils": dbutils, "display": display, "__getattr__": late}


def display(value: Any = None, *_: Any, **__: Any) -> None:
    """Print a value; of rows, the first ones."""
    show: Callable[[], None] | None = getattr(value, "show", None)
    if show:
        show()
    elif value is not None:
        print(value)
