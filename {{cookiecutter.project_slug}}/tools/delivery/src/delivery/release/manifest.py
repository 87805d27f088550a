"""The manifest of a release."""

import contextlib
import hashlib
import json
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from delivery.errors import newer_schema_error

MANIFEST_FILE = "manifest.json"
SCHEMA = 1
MAX_FILE_BYTES = 10 * 1024 * 1024  # bytes of a file and of the archive; a workspace accepts no more

RELEASE_NAME = re.compile(r"\d{4}\.\d{2}\.\d{2}-g[0-9a-f]{8}")

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FileEntry(BaseModel):
    """The digest and the size in bytes of one file of a release."""

    model_config = ConfigDict(extra="allow", frozen=True)

    sha256: Digest
    size: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]


class Manifest(BaseModel):
    """The files of a release and the commit that they come from.

    Fields of later versions are retained, because the digest covers them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    schema_: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA
    release: Annotated[str, Field(pattern=f"^{RELEASE_NAME.pattern}$")]
    bundle: str
    project: str
    """The id of the project."""
    version: str
    wheel: str
    branch: str
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    tree: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")]
    time: int
    """The time of the commit, in Unix seconds."""
    files: dict[str, FileEntry]

    @classmethod
    def parse(cls, content: bytes) -> "Manifest":
        """Read a manifest.

        Raises:
            DeliveryError: a newer version of the tool wrote it.
            ValueError: it is not a manifest.
        """
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(content)
            schema = document.get("schema") if isinstance(document, dict) else None
            if isinstance(schema, int) and schema > SCHEMA:
                raise newer_schema_error(f"manifest of {document.get('release')}", schema, SCHEMA)
        return cls.model_validate_json(content)

    def content(self) -> bytes:
        """The manifest as stored; equal manifests have equal bytes."""
        text = json.dumps(self.model_dump(by_alias=True), indent=1, sort_keys=True)
        return f"{text}\n".encode()

    @property
    def digest(self) -> str:
        """The sha256 of the manifest, which identifies the content of the release."""
        return sha256(self.content())


def sha256(content: bytes) -> str:
    """The sha256 of the content, in hex."""
    return hashlib.sha256(content).hexdigest()
