"""Exit codes, findings, and the errors of the tool.

DeliveryError                 4  bad input or set-up
├── InvalidFileError          4  a file of the project has not the form that it should have
├── NotVisibleError           4  this identity may not see it
├── FailedError               1  it was tried, and failed
│   ├── CliError              1  the Databricks CLI ended with an error
│   └── UnreachableError      1  a service does not answer
└── RefusedError              3  policy, guard or digest forbid it
    ├── LockedError           3  somebody else works on the target
    └── TamperedError         3  somebody edited what the tool wrote
"""

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal


class Exit(IntEnum):
    """Exit codes of the command line; they never change their meaning."""

    DONE = 0
    FAILED = 1
    FOUND = 2
    REFUSED = 3
    BAD_INPUT = 4


@dataclass(frozen=True, order=True)
class Finding:
    """A problem in the project's files.

    Attributes:
        file, line: where it stands; line 0 means the file as a whole.
        rule: the name of the rule that found it.
        message: what was given and what is expected.
        hint: what to do about it.
        severity: an error fails `delivery check`; a warning does not.
    """

    file: str
    line: int
    rule: str
    message: str
    hint: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        warning = "warning: " if self.severity == "warning" else ""
        return f"{place}: {warning}{self.message}\n    {self.hint}"

    def as_json(self) -> dict[str, str | int]:
        """The finding for machines."""
        return asdict(self)


class DeliveryError(Exception):
    """A command cannot go on. The message says what was given, what is expected, what to do."""

    code = Exit.BAD_INPUT


class InvalidFileError(DeliveryError):
    """Files of the project do not have the form that they should have."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


class NotVisibleError(DeliveryError):
    """Something cannot be seen with this identity, so nobody knows whether it exists."""


class FailedError(DeliveryError):
    """Something was tried, and failed."""

    code = Exit.FAILED


class UnreachableError(FailedError):
    """A service does not answer."""


class RefusedError(DeliveryError):
    """A policy, a guard or a digest forbids it; nothing was changed."""

    code = Exit.REFUSED


class LockedError(RefusedError):
    """Somebody else works on the target."""


class TamperedError(RefusedError):
    """Somebody edited what the tool wrote, so that it cannot be trusted."""


def newer_schema_error(what: str, given: int, known: int) -> DeliveryError:
    """What to say of a file that a later version of this tool wrote."""
    return DeliveryError(
        f"{what} has schema {given}, expected at most {known}: update the delivery tool\n"
        "    A newer version wrote it: use the checkout that delivered last, or update the project "
        "from its template: cruft update"
    )
