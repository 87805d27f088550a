"""`dbutils` on this machine: widgets, notebooks and task values."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from delivery.local.values import Scope

RunNotebook = Callable[[str, Mapping[str, str]], str]


class NotebookExit(BaseException):  # `except Exception` must not stop it
    """`dbutils.notebook.exit` was called."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class Widgets:
    """The parameters of a notebook. A parameter of the task replaces the default of a widget."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str = "", label: str = "") -> None:  # noqa: N803, ARG002
        """Declare a widget."""
        self._defaults.setdefault(name, str(defaultValue))

    def dropdown(self, name: str, defaultValue: str, choices: Any, label: str = "") -> None:  # noqa: N803, ARG002
        """Declare a widget with choices."""
        self.text(name, defaultValue)

    combobox = dropdown
    multiselect = dropdown

    def get(self, name: str) -> str:
        """The value of a widget.

        Raises:
            ValueError: no parameter and no widget has that name.
        """
        known = self.getAll()
        if name not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(f"widget: given {name!r}, expected a parameter or a widget: {listed}")
        return known[name]

    getArgument = get  # noqa: N815 - the name that notebooks use

    def getAll(self) -> dict[str, str]:  # noqa: N802 - the name that notebooks use
        """All values by name."""
        return {**self._defaults, **self._given}

    def set(self, arguments: Mapping[str, str]) -> None:
        """Give values, as `%run` does."""
        self._given.update(arguments)

    def remove(self, name: str) -> None:
        """Remove a widget."""
        self._defaults.pop(name, None)

    def removeAll(self) -> None:  # noqa: N802 - the name that notebooks use
        """Remove all widgets."""
        self._defaults.clear()


class Notebooks:
    """Notebooks that run each other."""

    def __init__(self, run: RunNotebook) -> None:
        self._run = run

    def exit(self, value: Any = "") -> NoReturn:
        """End the notebook."""
        raise NotebookExit(str(value))

    def run(
        self, path: str, timeout_seconds: int = 0, arguments: Mapping[str, Any] | None = None
    ) -> str:
        """Run another notebook; the result is what it gives to `exit`."""
        del timeout_seconds  # nothing is ended here
        return self._run(path, {key: str(value) for key, value in (arguments or {}).items()})


class TaskValues:
    """Values that tasks hand to later tasks."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def set(self, key: str, value: Any) -> None:
        """Set a value of this task; it must be possible to write it as JSON."""
        json.dumps(value)
        self._scope.values[key] = value

    def get(
        self,
        taskKey: str,  # noqa: N803 - the name that notebooks use
        key: str,
        default: Any = None,
        debugValue: Any = None,  # noqa: N803, ARG002 - only for notebooks outside a job
    ) -> Any:
        """A value of an earlier task.

        Raises:
            ValueError: the task has not set it, and there is no default.
        """
        ended = self._scope.run.ended.get(taskKey)
        known = ended.values if ended else {}
        if key in known:
            return known[key]
        if default is None:
            listed = ", ".join(known) or "nothing"
            state = f"has set {listed}" if ended else "has not run"
            raise ValueError(f"task value {key}: the task {taskKey} {state}")
        return default


class Jobs:
    """What a task knows of its job."""

    def __init__(self, scope: Scope) -> None:
        self.taskValues = TaskValues(scope)


class Library:
    """Libraries are those of the project's environment."""

    def restartPython(self) -> None:  # noqa: N802 - the name that notebooks use
        """Do nothing: no library was installed."""


class Dbutils:
    """The parts of `dbutils` that work on this machine."""

    def __init__(self, scope: Scope, widgets: Widgets, run: RunNotebook) -> None:
        self.widgets = widgets
        self.notebook = Notebooks(run)
        self.jobs = Jobs(scope)
        self.library = Library()

    def __getattr__(self, name: str) -> Any:
        """Answer for the parts that need a workspace.

        Raises:
            NotImplementedError: always.
        """
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"dbutils.{name} needs a workspace; here there are widgets, notebook, jobs and library"
        )


def no_notebooks(path: str, arguments: Mapping[str, str]) -> str:
    """What `dbutils.notebook.run` is outside notebooks.

    Raises:
        NotImplementedError: always.
    """
    del arguments
    raise NotImplementedError(f"dbutils.notebook.run: given {path}, expected to be in a notebook")
