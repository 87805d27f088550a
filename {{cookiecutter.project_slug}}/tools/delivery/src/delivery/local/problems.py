"""Why a task does not run on this machine: it needs a workspace, or its YAML has a mistake."""

import traceback
from pathlib import Path

from delivery.config.yaml import Mark
from delivery.errors import Finding, InvalidFileError

RULE = "run"


class CannotRunError(Exception):
    """A task needs something that this machine does not have.

    Attributes:
        mark: the line that says so.
        what: the key or value of the task.
        why: what it needs.
    """

    def __init__(self, mark: Mark, what: str, why: str) -> None:
        super().__init__(f"{what} cannot be run on this machine: {why}")
        self.mark, self.what, self.why = mark, what, why


def mistake(mark: Mark, message: str, hint: str) -> InvalidFileError:
    """The error for YAML that no workspace would run either."""
    return InvalidFileError(Finding(mark.file, mark.line, RULE, message, hint))


def place_of(error: BaseException, root: Path) -> str:
    """The last line of the project that an error passed, such as `src/app/look.py:7`; or empty.

    The engine and what is installed have lines of their own, which tell less.
    """
    found = place_of(error.__cause__, root) if error.__cause__ else ""
    for frame in [] if found else traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename)
        parts = file.relative_to(root).parts if file.is_relative_to(root) else ()
        is_engine = parts[0:1] == ("src",) and parts[2:3] in (("engine",), ("engine.py",))
        if parts and not is_engine and parts[0] != "tools" and not parts[0].startswith("."):
            found = f"{'/'.join(parts)}:{frame.lineno}"
    return found
