"""One workspace, seen with one identity: its files, its jobs and their runs.

All calls go through `databricks-sdk`, which takes its time to import: this is done when the first
call is made.
"""

import io
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from delivery import __version__
from delivery.environment import number, text
from delivery.errors import DeliveryError, Exit, NoAccessError

T = TypeVar("T")

# A service that answers 500 once is asked again; everything we send may be sent twice.
_TRIES = 4
_RETRY_SECONDS = 120  # in which the SDK repeats a call that was cut off or turned away
_JOBS_PER_PAGE = 100  # the most that jobs/list gives at once
_GITHUB = "github-oidc"  # how the SDK calls the exchange of a token of GitHub
_FULL = "MAX_CHILD_NODE_SIZE_EXCEEDED"  # a folder takes 10,000 entries; it comes with 403
_FULL_MEND = (
    "\n    Make room: delivery prune TARGET removes releases that nobody needs; from a ledger an "
    "admin may move the oldest *.state.json away, which nothing reads."
)
AGENT = "lakehouse-delivery"  # as who we call: admins find our calls by it
PATIENCE = "DELIVERY_HTTP_TIMEOUT"  # seconds that one call may take


def http_timeout() -> int:
    """How long one call may take, in seconds."""
    return number(PATIENCE, 60)


@dataclass(frozen=True)
class Entry:
    """A file or folder in the workspace.

    Attributes:
        path: where it is.
        created, modified: Unix time in seconds.
    """

    path: str
    created: float
    modified: float

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Job:
    """A job in the workspace.

    Attributes:
        deployment: the bundle's deployment that it belongs to; empty for none.
        created: Unix time in seconds.
        creator: who made it; empty where nobody knows any more.
    """

    id: int
    name: str
    deployment: str
    created: float
    creator: str


@dataclass(frozen=True)
class Run:
    """A run of a job.

    Attributes:
        state: `running`, `succeeded` or `failed`.
        started: Unix time in seconds.
        cause: why it proves nothing: `queued`, `skipped` or `canceled`; empty for all others.
        starter: who started it by hand or by an API; empty where a schedule or the like did.
    """

    id: int
    url: str
    state: str
    message: str
    started: float
    cause: str = ""
    starter: str = ""


class Workspace:
    """Files, jobs and runs of one workspace.

    Args:
        host: its address.
        token: a bearer token; see `connect`.
        expires: when it ends, as Unix time in seconds; None when it does not say.
    """

    def __init__(self, host: str, token: str, expires: float | None = None) -> None:
        self.host = host
        self.token = token
        self.expires = expires

    @cached_property
    def _client(self) -> Any:
        from delivery.sdk import Client, Config

        config = Config(
            host=self.host,
            token=self.token,
            auth_type="pat",
            http_timeout_seconds=http_timeout(),
            retry_timeout_seconds=_RETRY_SECONDS,
            product=AGENT,
            product_version=__version__,
        )
        return Client(config)

    def renew(self) -> None:
        """Ask for another token, as `connect` did.

        Raises:
            DeliveryError: there is none any more.
        """
        self.token, self.expires = _token(self.host)
        self.__dict__.pop("_client", None)

    @cached_property
    def me(self) -> str:
        """Who we are: a service principal's application id, or a user's name."""
        return str(self._call("who am I", self._client.current_user.me).user_name)

    def read(self, path: str) -> bytes | None:
        """A file's content; None when there is no such file.

        Raises:
            NoAccessError: it is not for us to see.
        """
        return self._seen(path, lambda: _read_all(self._client, path))

    def create(self, path: str, content: bytes) -> bool:
        """Write a file that is not there yet.

        After a lost answer the file that stands in the way is our own: its bytes tell.

        Returns:
            Whether the file is there with this content.
        """
        from delivery.sdk import BadRequest, NotFound, ResourceConflict

        def upload() -> None:
            try:
                self._upload(path, content)
            except NotFound:
                self.make_folder(str(PurePosixPath(path).parent))
                self._upload(path, content)

        try:
            self._call(path, upload, ResourceConflict, BadRequest)
        except (ResourceConflict, BadRequest) as error:
            if not _exists(error):
                raise DeliveryError(f"{path}: {_reason(error)}", Exit.FAILED) from error
            return self.read(path) == content
        return True

    def _upload(self, path: str, content: bytes) -> None:
        from delivery.sdk import ImportFormat

        self._client.workspace.upload(
            path, io.BytesIO(content).getvalue(), format=ImportFormat.AUTO
        )

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; nothing happens when it is there."""
        self._call(path, lambda: self._client.workspace.mkdirs(path))

    def delete(self, path: str, recursive: bool = False) -> None:
        """Delete a file or folder; nothing happens when it is not there."""
        delete = self._client.workspace.delete
        self._unless_missing(path, lambda: delete(path, recursive=recursive))

    def entries(self, path: str) -> list[Entry]:
        """What a folder holds; nothing when there is no such folder."""
        return self.listed(path) or []

    def listed(self, path: str) -> list[Entry] | None:
        """What a folder holds; None when there is no such folder.

        Raises:
            NoAccessError: it is not for us to see.
        """
        listed = self._seen(path, lambda: list(self._client.workspace.list(path)))
        if listed is None:
            return None
        return [
            Entry(o.path, (o.created_at or 0) / 1000, (o.modified_at or 0) / 1000) for o in listed
        ]

    def look(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """What the workspace says about one thing; None when it is not there or out of sight."""
        from delivery.sdk import NotFound, PermissionDenied

        def ask() -> Any:
            return self._client.api_client.do("GET", path, query=dict(query or {}))

        try:
            answer: dict[str, Any] = self._call(path, ask, NotFound, PermissionDenied)
        except (NotFound, PermissionDenied):
            return None
        return answer

    def jobs(self) -> Iterator[Job]:
        """All jobs that we may see."""
        for job in self._call("jobs", lambda: list(self._client.jobs.list(limit=_JOBS_PER_PAGE))):
            settings = job.settings
            deployment = settings.deployment.metadata_file_path if settings.deployment else ""
            created = (job.created_time or 0) / 1000
            creator = job.creator_user_name or ""
            yield Job(job.job_id, settings.name or "", deployment or "", created, creator)

    def delete_job(self, job: int) -> None:
        """Delete a job; nothing happens when it is not there."""
        self._unless_missing(f"job {job}", lambda: self._client.jobs.delete(job))

    def pause(self, job: int) -> None:
        """Stop a job from starting by itself, whatever starts it."""
        settings = self._call(f"job {job}", lambda: self._client.jobs.get(job)).settings.as_dict()
        changes = {
            key: {**settings[key], "pause_status": "PAUSED"}
            for key in ("schedule", "trigger", "continuous")
            if key in settings
        }
        if changes:
            body = {"job_id": job, "new_settings": changes}
            path = "/api/2.2/jobs/update"
            self._call(path, lambda: self._client.api_client.do("POST", path, body=body))

    def unmark(self, job: int) -> None:
        """Take the sign of the deployment that made it from a job, so that people may edit it."""
        body = {"job_id": job, "fields_to_remove": ["deployment", "edit_mode"]}
        path = "/api/2.2/jobs/update"
        self._call(f"job {job}", lambda: self._client.api_client.do("POST", path, body=body))

    def start(self, job: int, token: str) -> int:
        """Start a run; the same token never starts a second one."""
        run = lambda: self._client.jobs.run_now(job, idempotency_token=token)  # noqa: E731
        return int(self._call(f"job {job}", run).run_id)

    def run(self, run: int) -> Run:
        """A run as it is now."""
        return _run(self._call(f"run {run}", lambda: self._client.jobs.get_run(run)))

    def runs(self, job: int, active: bool = False, limit: int = 1) -> list[Run]:
        """The newest runs of a job, or those that are active."""
        listed = self._call(
            f"runs of job {job}",
            lambda: self._client.jobs.list_runs(job_id=job, active_only=active, limit=limit),
        )
        return [_run(run) for run, _ in zip(listed, range(limit), strict=False)]

    def cancel(self, run: int) -> None:
        """End a run."""
        body = {"run_id": run}
        path = "/api/2.2/jobs/runs/cancel"
        self._call(path, lambda: self._client.api_client.do("POST", path, body=body))

    def job_address(self, job: int | str) -> str:
        """Where people look at a job."""
        return f"{self.host}/jobs/{job}"

    def _seen(self, path: str, call: Callable[[], T]) -> T | None:
        """What is at a path; None when nothing is.

        Raises:
            NoAccessError: it is not for us to see.
        """
        from delivery.sdk import NotFound, PermissionDenied

        try:
            return self._call(path, call, NotFound, PermissionDenied)
        except NotFound:
            return None
        except PermissionDenied as error:
            raise NoAccessError(
                f"{path} of {self.host}: cannot be seen: {_reason(error)}\n"
                "    Ask for the right to read this folder: CAN_READ, as targets have it for their "
                "planner."
            ) from error

    def _unless_missing(self, what: str, call: Callable[[], T]) -> T | None:
        from delivery.sdk import NotFound

        try:
            return self._call(what, call, NotFound)
        except NotFound:
            return None

    def _call(self, what: str, call: Callable[[], T], *expected: type[Exception]) -> T:
        """Make a call; a service that stumbles is asked again.

        Raises:
            DeliveryError: it fails for good, in any way but those that the caller expects.
        """
        from delivery.sdk import DatabricksError, InternalError, Unauthenticated

        for attempt in range(1, _TRIES + 1):
            try:
                return call()
            except expected:
                raise
            except Unauthenticated as error:
                raise DeliveryError(f"credentials for {self.host}: {_reason(error)}") from error
            except InternalError as error:
                if attempt == _TRIES:
                    raise DeliveryError(f"{what}: {_reason(error)}", Exit.FAILED) from error
                time.sleep(0.2 * attempt)
            except (DatabricksError, OSError, TimeoutError) as error:
                full = getattr(error, "error_code", "") == _FULL
                mend = _FULL_MEND if full else ""
                raise DeliveryError(f"{what}: {_reason(error)}{mend}", Exit.FAILED) from error
        raise AssertionError


def connect(host: str) -> Workspace:
    """The workspace at `host`, with the identity that the environment gives.

    An id token is exchanged once, here; all that follows uses the access token, so that a long
    deploy does not lose its identity on the way.

    Raises:
        DeliveryError: nothing answers at `host`, or there are no credentials for it.
    """
    probe(host)
    return Workspace(host, *_token(host))


def _token(host: str) -> tuple[str, float | None]:
    """A bearer token, and when it ends.

    Raises:
        DeliveryError: there are no credentials.
    """
    from delivery.sdk import Config, DatabricksError

    try:
        config = Config(
            host=host,
            http_timeout_seconds=http_timeout(),
            product=AGENT,
            product_version=__version__,
        )
        token = config.authenticate()["Authorization"].removeprefix("Bearer ")
    except (ValueError, KeyError, DatabricksError) as error:
        raise DeliveryError(
            f"credentials for {host}: {_reason(error)}\n"
            "    Set DATABRICKS_AUTH_TYPE and what it needs, or type: databricks auth login"
        ) from None
    if config.auth_type == _GITHUB and text("GITHUB_ACTIONS") == "true":
        print(f"::add-mask::{token}", file=sys.stderr, flush=True)  # the forge masks its own alone
    return token, _expiry(config)


def probe(host: str) -> None:
    """Ask whether anything listens: a CLI that is refused waits for minutes without a word.

    Raises:
        DeliveryError: nothing does, or `host` is no address.
    """
    try:
        address = urlsplit(host)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:  # such as a port that is no number
        address, port = urlsplit(""), 0
    if address.scheme not in ("http", "https") or not address.hostname:
        example = "https://dbc-11111111-2222.cloud.databricks.com"
        raise DeliveryError(f"host: given {host!r}, expected an address such as {example}")
    if text("HTTPS_PROXY") or text("https_proxy"):
        return  # the proxy will tell
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
    except OSError as error:
        raise DeliveryError(f"host: {host} does not answer: {error}", Exit.FAILED) from None


def _expiry(config: Any) -> float | None:
    """When the access token ends; personal tokens do not say."""
    try:
        expiry = config.oauth_token().expiry
    except (ValueError, NotImplementedError):
        return None
    return float(expiry.timestamp()) if expiry else None


def _read_all(client: Any, path: str) -> bytes:
    with client.workspace.download(path) as stream:
        content: bytes = stream.read()
    return content


def _reason(error: Exception) -> str:
    """What went wrong; the SDK adds its whole configuration, which helps nobody here."""
    return str(error).partition(". Config:")[0].strip() or type(error).__name__


def _exists(error: Any) -> bool:
    return error.error_code == "RESOURCE_ALREADY_EXISTS" or "already exists" in str(error)


# Results of runs that never took place; the job was busy, or its task was not to run.
_SKIPPED = ("MAXIMUM_CONCURRENT_RUNS_REACHED", "EXCLUDED", "DISABLED")
_CANCELED = ("CANCELED", "UPSTREAM_CANCELED")


def _run(run: Any) -> Run:
    state = run.state
    cycle = state.life_cycle_state.value if state and state.life_cycle_state else ""
    result = state.result_state.value if state and state.result_state else ""
    ended = cycle in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
    told = ("succeeded" if result == "SUCCESS" else "failed") if ended else "running"
    return Run(
        id=run.run_id,
        url=run.run_page_url or "",
        state=told,
        message=(state.state_message or "") if state else "",
        started=(run.start_time or 0) / 1000,
        cause=_cause(cycle, result),
        starter=(run.creator_user_name or "") if _value(run.trigger) == "ONE_TIME" else "",
    )


def _cause(cycle: str, result: str) -> str:
    if cycle in ("QUEUED", "BLOCKED"):
        return "queued"
    if cycle == "SKIPPED" or result in _SKIPPED:
        return "skipped"
    return "canceled" if result in _CANCELED else ""


def _value(word: Any) -> str:
    return str(word.value) if word else ""
