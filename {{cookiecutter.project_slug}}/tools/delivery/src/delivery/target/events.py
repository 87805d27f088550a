"""Events of a target, as they are stored."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from delivery import __version__
from delivery.errors import newer_schema_error

EventKind = Literal[
    "started",
    "deployed",
    "verified",
    "failed",
    "rolled_back",
    "blocked",
    "unblocked",
    "pruned",
    "adopted",
]

SCHEMA = 1
NO_RELEASE = "none"  # the release of events that are about the target itself
EVENT_FILE = re.compile(r"(\d{8})-([a-z_]+)-(\d{4}\.\d\d\.\d\d-g[0-9a-f]{8}|none)\.json")


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True
    )


class StateVersion(_Frozen):
    """The version of the CLI's state when an event was written."""

    lineage: str = ""
    serial: int = 0


class Event(_Frozen):
    """Something that happened on a target; `previous` is the sha256 of the event before."""

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    seq: int
    previous: str
    id: str
    at: datetime
    kind: str
    project: str
    target: str
    release: str
    digest: str = ""
    plan_digest: str = ""
    commit: str = ""
    branch: str = ""
    actor: str
    approved_by: str = ""
    run_url: str = ""
    reason: str = ""
    cli_version: str = ""
    tool_version: str = __version__
    state: StateVersion = StateVersion()
    changes: dict[str, int] = {}
    seconds: float = 0
    detail: dict[str, Any] = {}

    def content(self) -> bytes:
        """The event as it is stored. Keys keep their order: the targets of a policy have one."""
        return f"{json.dumps(self.model_dump(mode='json'), indent=1)}\n".encode()

    @classmethod
    def parse(cls, content: bytes, where: str = "") -> "Event":
        """Read a stored event; unknown fields are ignored, a newer schema is refused.

        Args:
            where: a prefix for messages.

        Raises:
            DeliveryError: a newer version of the tool wrote it.
            ValueError: the content is not an event.
        """
        try:
            document = json.loads(content)
            schema = document.get("schema", SCHEMA)
            if isinstance(schema, int) and schema > SCHEMA:
                raise newer_schema_error(f"{where}event {document.get('seq')}", schema, SCHEMA)
            return cls.model_validate(document, extra="ignore")
        except (AttributeError, TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, order=True)
class EventName:
    """The file name of an event, which is enough for most questions."""

    seq: int
    kind: str
    release: str

    def __str__(self) -> str:
        return f"{self.seq:08d}-{self.kind}-{self.release}.json"
