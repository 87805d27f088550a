"""What a release says about itself."""

import contextlib
import hashlib
import json
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from delivery.errors import newer

FILE = "manifest.json"
SCHEMA = 1
LIMIT = 10 * 1024 * 1024  # of one file and of the archive, in bytes: the workspace takes no more

ID = re.compile(r"\d{4}\.\d{2}\.\d{2}-g[0-9a-f]{8}")

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileEntry(BaseModel):
    """One file of a release; its size is in bytes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    sha256: Digest
    size: Annotated[int, Field(ge=0, le=LIMIT)]


class Manifest(BaseModel):
    """The list of a release's files, and where they come from.

    What a later version adds is kept although it means nothing here: the digest is of all of it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    release: Annotated[str, Field(pattern=f"^{ID.pattern}$")]
    bundle: str
    project: str
    """The project's identity."""
    version: str
    wheel: str
    branch: str
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    tree: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    time: int
    """When it was committed, as Unix time in seconds."""
    files: dict[str, FileEntry]

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """Read a manifest.

        Raises:
            DeliveryError: it has a newer schema than this tool knows.
            ValueError: it is none.
        """
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(content)
            schema = document.get("schema") if isinstance(document, dict) else None
            if isinstance(schema, int) and schema > SCHEMA:
                raise newer(f"manifest of {document.get('release')}", schema, SCHEMA)
        return cls.model_validate_json(content)

    def content(self) -> bytes:
        """The manifest as it is stored: the same manifest is always the same bytes."""
        text = json.dumps(self.model_dump(by_alias=True), indent=1, sort_keys=True)
        return f"{text}\n".encode()

    @property
    def digest(self) -> str:
        """What names the release's content: the sha256 of the manifest."""
        return sha256(self.content())


def sha256(content: bytes) -> str:
    """The sha256 of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()
