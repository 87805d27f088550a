"""HTTP to the workspace, with the retries of the real client, and files of the workspace."""

import json
import os
import posixpath
import re
import time
from collections.abc import Callable
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    RemoteDisconnected,
)
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from fake_cli import VERSION
from fake_cli.errors import CommandError, say

Json = dict[str, Any]
T = TypeVar("T")

# The real client waits 1, 2, … 10 seconds for up to five minutes; tests have no time for that.
PACE = 0.05
RETRY_SECONDS = 300 * PACE

# 500, 502 and 504 are not among them, and neither is a call that timed out.
RETRIED = {429, 503}
_TRANSIENT = re.compile(r"REQUEST_LIMIT_EXCEEDED|Timed out after |deadline exceeded")
_NO_JOB = re.compile(r"Job \d+ does not exist")


class ApiError(CommandError):
    """The workspace refused a call."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    @property
    def missing(self) -> bool:
        """Whether it says that the thing is not there; for jobs that may be a 400."""
        return self.status == 404 or (self.status == 400 and bool(_NO_JOB.match(str(self))))

    @property
    def retried(self) -> bool:
        """Whether every call is repeated after this answer."""
        return self.status in RETRIED or bool(_TRANSIENT.search(str(self)))

    @property
    def transient(self) -> bool:
        """Whether reading, updating and recreating a resource are repeated; creating is not."""
        return not self.retried and (self.status >= 500 or self.status == 408)


class Client:
    """Calls of one identity to one workspace."""

    def __init__(self, host: str, token: str) -> None:
        self.host = host.rstrip("/")
        self._token = token
        self._timeout = float(os.environ.get("DATABRICKS_BUNDLE_HTTP_TIMEOUT_SECONDS", "60"))

    def call(self, method: str, path: str, body: Any = None, /, **query: str) -> Any:
        """Send one call, and return the parsed answer."""
        answer = self.raw(method, path, None if body is None else json.dumps(body).encode(), query)
        return json.loads(answer) if answer.strip() else {}

    def raw(self, method: str, path: str, body: bytes | None, query: dict[str, str]) -> bytes:
        """Send one call with a body of bytes, repeat it as the real client does."""
        target = f"{path}?{urlencode(query)}" if query else path
        deadline, attempt = time.monotonic() + RETRY_SECONDS, 0
        while True:
            attempt += 1
            try:
                return self._once(method, target, body)
            except (ApiError, ConnectionRefusedError, ConnectionResetError) as error:
                final = isinstance(error, ApiError) and not error.retried
                if final or time.monotonic() > deadline:
                    raise self._failure(method, target, error) from None
            except (OSError, HTTPException) as error:
                raise self._failure(method, target, error) from None
            time.sleep(min(attempt, 10) * PACE)

    def _failure(self, method: str, target: str, error: Exception) -> CommandError:
        if isinstance(error, ApiError):
            return error
        reason = "EOF" if isinstance(error, HTTPException) else str(error)
        if isinstance(error, TimeoutError):
            reason = f"request timed out after {self._timeout:g}s of inactivity"
        return CommandError(f'{method.capitalize()} "{self.host}{target}": {reason}')

    def _once(self, method: str, target: str, body: bytes | None) -> bytes:
        address = urlsplit(self.host)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.hostname or "", address.port, timeout=self._timeout)
        try:
            connection.request(method, target, body, self._headers())
            response = connection.getresponse()
            return _accepted(response)
        except RemoteDisconnected as error:
            # Python takes it for a reset, which is repeated; the real client does not repeat it.
            raise HTTPException(str(error)) from None
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "User-Agent": f"cli/{VERSION} databricks-fake",
        }


def _accepted(response: HTTPResponse) -> bytes:
    data = response.read()
    if response.status < 400:
        return data
    try:
        answer = json.loads(data)
        code, message = str(answer.get("error_code", "")), str(answer.get("message", ""))
    except ValueError:
        code, message = "UNKNOWN", data.decode("utf-8", "replace") or response.reason
    raise ApiError(response.status, code, message)


def persistent(call: Callable[[], T]) -> T:
    """Repeat a call on a resource twice after 5xx, as the engine does."""
    interval = int(os.environ.get("DATABRICKS_BUNDLE_RETRY_INTERVAL_MS", "15000")) / 1000
    for _ in range(2):
        try:
            return call()
        except ApiError as error:
            if not error.transient:
                raise
            say(f"Warn: retrying after {error.status}")
            time.sleep(interval * PACE)
    return call()


class Files:
    """Files of the workspace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def status(self, path: str) -> Json | None:
        """What the workspace knows about a path; None when it is not there."""
        try:
            found: Json = self._client.call(
                "GET", "/api/2.0/workspace/get-status", path=path, return_export_info="true"
            )
        except ApiError as error:
            if error.missing:
                return None
            raise
        return found

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None when it is not there."""
        if self.status(path) is None:
            return None
        query = {"direct_download": "true", "path": path}
        return self._client.raw("GET", "/api/2.0/workspace/export", None, query)

    def write(self, path: str, data: bytes, overwrite: bool = True) -> None:
        """Write a file, and the folders above it.

        Raises:
            FileExistsError: it is there, and is not to be overwritten.
        """
        try:
            self._import(path, data, overwrite)
        except ApiError as error:
            if error.status != 404:
                raise
            self.mkdirs(posixpath.dirname(path))
            self._import(path, data, overwrite)

    def _import(self, path: str, data: bytes, overwrite: bool) -> None:
        target = "/api/2.0/workspace-files/import-file/" + quote(path.lstrip("/"), safe="")
        try:
            self._client.raw("POST", target, data, {"overwrite": str(overwrite).lower()})
        except ApiError as error:
            if error.status == 409 or error.code == "RESOURCE_ALREADY_EXISTS":
                raise FileExistsError(path) from None
            raise

    def mkdirs(self, path: str) -> None:
        """Make a folder and all above it."""
        self._client.call("POST", "/api/2.0/workspace/mkdirs", {"path": path})

    def delete(self, path: str, recursive: bool = False) -> None:
        """Delete what is there; nothing there is fine."""
        body: Json = {"path": path, **({"recursive": True} if recursive else {})}
        try:
            self._client.call("POST", "/api/2.0/workspace/delete", body)
        except ApiError as error:
            if not error.missing:
                raise
