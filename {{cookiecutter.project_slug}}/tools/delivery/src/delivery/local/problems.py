"""Why a task does not run on this machine: it needs a workspace, or its YAML has a mistake."""

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
