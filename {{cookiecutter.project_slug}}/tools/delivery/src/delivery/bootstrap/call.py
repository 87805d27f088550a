"""One call that makes something, and what a service does with it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_UNKNOWN = re.compile(r"<[a-z ]+>")  # stands for an id that an earlier call gives


class Sender(Protocol):
    """A service that calls are made to."""

    @property
    def host(self) -> str:
        """The start of all its addresses."""

    def send(self, call: "Call") -> dict[str, Any]:
        """Make a call.

        Raises:
            NotVisibleError: this identity may not make it.
            FailedError: the call fails.
        """

    def command_of(self, call: "Call") -> str:
        """The same call as a line of a shell."""


@dataclass(frozen=True)
class Call:
    """One call that makes something.

    Attributes:
        service: the service that gets it.
        by: who may make it, such as `an admin of the account`.
    """

    service: Sender
    method: str
    path: str
    body: Mapping[str, Any]
    by: str

    @property
    def waits_for(self) -> list[str]:
        """What an earlier call gives first, such as `deployer id`."""
        found = _UNKNOWN.findall(f"{self.path} {json.dumps(self.body)}")
        return [name.strip("<>") for name in dict.fromkeys(found)]

    @property
    def command(self) -> str:
        """The same call as a line of a shell."""
        return self.service.command_of(self)

    def as_json(self) -> dict[str, Any]:
        """The call for machines."""
        named = {"method": self.method, "host": self.service.host, "path": self.path}
        return {**named, "body": dict(self.body), "by": self.by}
