"""What can go wrong, told so that it can be mended."""

import os
import re
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
    """Something in the project's files that is to be mended.

    Attributes:
        file, line: where it stands; line 0 means the file as a whole.
        rule: the name of the rule that found it.
        message: what was given and what is expected.
        mend: what to do about it.
        severity: a warning is to be mended some day, and stops nothing.
    """

    file: str
    line: int
    rule: str
    message: str
    mend: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        warning = "warning: " if self.severity == "warning" else ""
        return f"{place}: {warning}{self.message}\n    {self.mend}"

    def as_json(self) -> dict[str, str | int]:
        """The finding for machines."""
        return asdict(self)


class DeliveryError(Exception):
    """A command cannot go on; the message says what was given, what is expected, what to do."""

    def __init__(self, message: str, code: Exit = Exit.BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code


class NoAccessError(DeliveryError):
    """Something cannot be seen: whether it is there, we do not know."""


class InvalidFileError(DeliveryError):
    """Files of the project cannot be read for what they should be."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings


def newer(what: str, given: int, known: int) -> DeliveryError:
    """What to say of a file that a later version of this tool wrote."""
    return DeliveryError(
        f"{what} has schema {given}, expected at most {known}: update the delivery tool\n"
        "    A newer version wrote it: use the checkout that delivered last, or update the project "
        "from its template: cruft update"
    )


_COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)


def harmless(text: str) -> str:
    """A text for the log of a job: GitHub obeys lines such as `::add-mask::` in what it reads."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    return _COMMAND.sub(lambda found: f"{found[0]}\N{WORD JOINER}", text)
