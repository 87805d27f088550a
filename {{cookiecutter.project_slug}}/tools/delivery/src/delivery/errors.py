"""Exit codes, findings, and the errors of the tool.

DeliveryError                 4  bad input or set-up
├── InvalidFileError          4  a file of the project is malformed
├── NotVisibleError           4  something is not visible to this identity
├── FailedError               1  the operation failed
│   ├── CliError              1  the Databricks CLI ended with an error
│   └── UnreachableError      1  a service does not answer
└── RefusedError              3  a policy, a guard or a digest forbids it
    ├── LockedError           3  another run works on the target
    └── TamperedError         3  a file of the tool was edited
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal

from delivery.refusals import Refusal, entries


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
        file, line: the place; line 0 means the file as a whole.
        rule: the name of the rule that found it.
        message: what was given and what is expected.
        hint: what to do about it.
        severity: an error fails `delivery check`; a warning does not, nor does what a comment
            accepts.
    """

    file: str
    line: int
    rule: str
    message: str
    hint: str
    severity: Literal["error", "warning", "ignored"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        if self.severity == "ignored":
            return f"{place}: ignored: {self.message}"
        warning = "warning: " if self.severity == "warning" else ""
        return f"{place}: {warning}{self.message}\n    {self.hint}"

    def as_json(self) -> dict[str, str | int]:
        """The finding for machines."""
        return asdict(self)


class DeliveryError(Exception):
    """The command cannot continue. The message has the given and the expected value, and a hint."""

    code = Exit.BAD_INPUT

    @property
    def explained(self) -> str:
        """The message, as the command line shows it."""
        return str(self)


class InvalidFileError(DeliveryError):
    """Files of the project are malformed."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


class NotVisibleError(DeliveryError):
    """Something is not visible to this identity, so whether it exists is unknown."""


class FailedError(DeliveryError):
    """The operation failed."""

    code = Exit.FAILED


class UnreachableError(FailedError):
    """A service does not answer."""


class RefusedError(DeliveryError):
    """A policy, a guard or a digest forbids the operation; nothing was changed.

    Attributes:
        refusals: the reasons; the guide has an entry for each.
    """

    code = Exit.REFUSED

    def __init__(self, refusals: Refusal | Iterable[Refusal], message: str) -> None:
        super().__init__(message)
        self.refusals = (refusals,) if isinstance(refusals, Refusal) else tuple(refusals)

    @property
    def explained(self) -> str:
        """The message, and where the guide explains it."""
        return f"{self}\n    See {entries(self.refusals)}"


class LockedError(RefusedError):
    """Another run works on the target."""


class TamperedError(RefusedError):
    """A file that the tool wrote was edited, so it cannot be trusted."""


def newer_schema_error(what: str, given: int, known: int) -> DeliveryError:
    """The error for a file that a later version of this tool wrote."""
    return DeliveryError(
        f"{what} has schema {given}, expected at most {known}: update the delivery tool\n"
        "    A newer version wrote it. Use the checkout of the last deploy, or update the project "
        "from its template: cruft update"
    )
