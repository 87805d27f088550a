"""The files, jobs and runs of one workspace, accessed with one identity.

All calls go through `databricks-sdk`, which is slow to import, so functions import it on use.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

from delivery import __version__
from delivery.environment import env_number, env_text
from delivery.errors import DeliveryError, FailedError, NotVisibleError, UnreachableError

T = TypeVar("T")

_TRIES = 4  # of a call that gets a 500; every call that we make may be repeated
_RETRY_SECONDS = 120  # during which the SDK repeats a call that was interrupted or throttled
_JOBS_PER_PAGE = 100  # the maximum of jobs/list
_GITHUB = "github-oidc"  # the SDK's name for the exchange of a GitHub token
_FULL = "MAX_CHILD_NODE_SIZE_EXCEEDED"  # a folder has 10,000 entries, the maximum; sent as a 403
_FULL_HINT = (
    "\n    Remove releases that are no longer needed: delivery prune TARGET. In a ledger, an admin "
    "may move the oldest *.state.json files away, which delivery never reads."
)
USER_AGENT = "lakehouse-delivery"  # our user agent, by which admins find our calls
HTTP_TIMEOUT_VARIABLE = "DELIVERY_HTTP_TIMEOUT"  # the timeout of one call, in seconds


def http_timeout() -> int:
    """The timeout of one call, in seconds."""
    return env_number(HTTP_TIMEOUT_VARIABLE, 60)


@dataclass(frozen=True)
class Entry:
    """A file or folder in the workspace.

    Attributes:
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
        deployment: the bundle deployment that owns it; empty if none does.
        created: Unix time in seconds.
        creator: the identity that created it; empty if the workspace no longer has it.
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
        inconclusive: why it proves nothing: `queued`, `skipped` or `canceled`; empty otherwise.
        started_by: the identity that started it manually or through the API; empty if a schedule
            or another trigger did.
    """

    id: int
    url: str
    state: str
    message: str
    started: float
    inconclusive: str = ""
    started_by: str = ""


def sdk_client(host: str, token: str, retry_seconds: int = _RETRY_SECONDS) -> Any:
    """The SDK's client of one host; it repeats calls for `retry_seconds`."""
    from delivery.workspace.sdk import Client, Config

    config = Config(
        host=host,
        token=token,
        auth_type="pat",
        http_timeout_seconds=http_timeout(),
        retry_timeout_seconds=retry_seconds,
        product=USER_AGENT,
        product_version=__version__,
    )
    return Client(config)


class Workspace:
    """One workspace, accessed with one identity.

    Args:
        host: its address.
        token: a bearer token; see `connect`.
        expires: when the token expires, as Unix time in seconds; None if that is not known.
    """

    def __init__(self, host: str, token: str, expires: float | None = None) -> None:
        self.host = host
        self.token = token
        self.expires = expires

    @cached_property
    def _client(self) -> Any:
        return sdk_client(self.host, self.token)

    def renew_token(self) -> None:
        """Get a new token in the same way as `connect`.

        Raises:
            DeliveryError: there are no credentials.
        """
        self.token, self.expires = _token(self.host)
        self.__dict__.pop("_client", None)

    @cached_property
    def me(self) -> str:
        """Our identity: a service principal's application id, or a user name."""
        return str(self._call_sdk("who am I", self._client.current_user.me).user_name)

    def read(self, path: str) -> bytes | None:
        """A file's content; None if the file does not exist.

        Raises:
            NotVisibleError: the file is not visible to this identity.
        """
        return self._visible(path, lambda: _read_all(self._client, path))

    def create(self, path: str, content: bytes) -> bool:
        """Write a file that does not exist yet.

        If the response to a successful upload is lost, the repeated call finds our own file, so
        this compares contents.

        Returns:
            Whether the file now exists with this content.
        """
        from delivery.workspace.sdk import BadRequest, NotFound, ResourceConflict

        def upload() -> None:
            try:
                self._upload(path, content)
            except NotFound:
                self.mkdirs(str(PurePosixPath(path).parent))
                self._upload(path, content)

        try:
            self._call_sdk(path, upload, ResourceConflict, BadRequest)
        except (ResourceConflict, BadRequest) as error:
            exists = error.error_code == "RESOURCE_ALREADY_EXISTS"
            if not exists and "already exists" not in str(error):
                raise FailedError(f"{path}: {_reason(error)}") from error
            return self.read(path) == content
        return True

    def _upload(self, path: str, content: bytes) -> None:
        from delivery.workspace.sdk import ImportFormat

        self._client.workspace.upload(path, content, format=ImportFormat.AUTO)

    def mkdirs(self, path: str) -> None:
        """Create a folder and its parents if they do not exist."""
        self._call_sdk(path, lambda: self._client.workspace.mkdirs(path))

    def delete(self, path: str, recursive: bool = False) -> None:
        """Delete a file or folder if it exists."""
        delete = self._client.workspace.delete
        self._unless_missing(path, lambda: delete(path, recursive=recursive))

    def list_dir(self, path: str) -> list[Entry]:
        """The entries of a folder; empty if the folder does not exist."""
        return self.list_dir_or_none(path) or []

    def list_dir_or_none(self, path: str) -> list[Entry] | None:
        """The entries of a folder; None if the folder does not exist.

        Raises:
            NotVisibleError: the folder is not visible to this identity.
        """
        listed = self._visible(path, lambda: list(self._client.workspace.list(path)))
        if listed is None:
            return None
        return [
            Entry(entry.path, (entry.created_at or 0) / 1000, (entry.modified_at or 0) / 1000)
            for entry in listed
        ]

    def get_or_none(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """The response to a GET; None if the object does not exist or is not visible."""
        from delivery.workspace.sdk import NotFound, PermissionDenied

        def get() -> Any:
            return self._client.api_client.do("GET", path, query=dict(query or {}))

        try:
            response: dict[str, Any] = self._call_sdk(path, get, NotFound, PermissionDenied)
        except (NotFound, PermissionDenied):
            return None
        return response

    def jobs(self) -> Iterator[Job]:
        """All jobs that are visible to this identity."""
        for job in self._call_sdk(
            "jobs", lambda: list(self._client.jobs.list(limit=_JOBS_PER_PAGE))
        ):
            settings = job.settings
            deployment = settings.deployment.metadata_file_path if settings.deployment else ""
            created = (job.created_time or 0) / 1000
            creator = job.creator_user_name or ""
            yield Job(job.job_id, settings.name or "", deployment or "", created, creator)

    def delete_job(self, job: int) -> None:
        """Delete a job if it exists."""
        self._unless_missing(f"job {job}", lambda: self._client.jobs.delete(job))

    def pause(self, job: int) -> None:
        """Pause a job's schedule, its trigger and its continuous runs."""
        settings = self._call_sdk(
            f"job {job}", lambda: self._client.jobs.get(job)
        ).settings.as_dict()
        changes = {
            key: {**settings[key], "pause_status": "PAUSED"}
            for key in ("schedule", "trigger", "continuous")
            if key in settings
        }
        if changes:
            body = {"job_id": job, "new_settings": changes}
            self._post(f"job {job}", "/api/2.2/jobs/update", body)

    def detach_from_bundle(self, job: int) -> None:
        """Remove the mark of its bundle deployment from a job, so that users can edit it."""
        body = {"job_id": job, "fields_to_remove": ["deployment", "edit_mode"]}
        self._post(f"job {job}", "/api/2.2/jobs/update", body)

    def run_now(self, job: int, token: str) -> int:
        """Start a run; a repeated call with the same token returns the same run."""
        run = lambda: self._client.jobs.run_now(job, idempotency_token=token)  # noqa: E731
        return int(self._call_sdk(f"job {job}", run).run_id)

    def run(self, run: int) -> Run:
        """The current state of a run."""
        return _as_run(self._call_sdk(f"run {run}", lambda: self._client.jobs.get_run(run)))

    def runs(self, job: int, active: bool = False, limit: int = 1) -> list[Run]:
        """The newest runs of a job, newest first; with `active`, only those that have not ended."""
        list_runs = self._client.jobs.list_runs  # lazy: it calls while it is read
        found = self._call_sdk(
            f"runs of job {job}",
            lambda: [*islice(list_runs(job_id=job, active_only=active, limit=limit), limit)],
        )
        return [*map(_as_run, found)]

    def cancel(self, run: int) -> None:
        """Cancel a run."""
        self._post(f"run {run}", "/api/2.2/jobs/runs/cancel", {"run_id": run})

    def job_address(self, job: int | str) -> str:
        """The address of a job's page."""
        return f"{self.host}/jobs/{job}"

    def _post(self, what: str, path: str, body: Mapping[str, Any]) -> None:
        self._call_sdk(what, lambda: self._client.api_client.do("POST", path, body=body))

    def _visible(self, path: str, call: Callable[[], T]) -> T | None:
        """The result of a call; None if the path does not exist.

        Raises:
            NotVisibleError: the path is not visible to this identity.
        """
        from delivery.workspace.sdk import NotFound, PermissionDenied

        try:
            return self._call_sdk(path, call, NotFound, PermissionDenied)
        except NotFound:
            return None
        except PermissionDenied as error:
            raise NotVisibleError(
                f"{path} of {self.host} is not visible: {_reason(error)}\n"
                "    Ask for CAN_READ on this folder, which targets grant to their planner."
            ) from error

    def _unless_missing(self, what: str, call: Callable[[], T]) -> T | None:
        from delivery.workspace.sdk import NotFound

        try:
            return self._call_sdk(what, call, NotFound)
        except NotFound:
            return None

    def _call_sdk(self, what: str, call: Callable[[], T], *expected: type[Exception]) -> T:
        """Make a call, and repeat it after a 500.

        Raises:
            DeliveryError: the call fails, other than with an error that the caller expects.
        """
        from delivery.workspace.sdk import DatabricksError, InternalError, Unauthenticated

        for attempt in range(1, _TRIES + 1):
            try:
                return call()
            except expected:
                raise
            except Unauthenticated as error:
                raise DeliveryError(f"credentials for {self.host}: {_reason(error)}") from error
            except InternalError as error:
                if attempt == _TRIES:
                    raise FailedError(f"{what}: {_reason(error)}") from error
                time.sleep(0.2 * attempt)
            except (DatabricksError, OSError) as error:
                hint = _FULL_HINT if getattr(error, "error_code", "") == _FULL else ""
                raise FailedError(f"{what}: {_reason(error)}{hint}") from error
        raise AssertionError


def connect(host: str) -> Workspace:
    """The workspace at `host`, with the identity of the environment.

    This exchanges an id token for an access token once, because an id token may expire during a
    long deploy.

    Raises:
        DeliveryError: `host` does not answer, or there are no credentials for it.
    """
    probe(host)
    return Workspace(host, *_token(host))


def _token(host: str) -> tuple[str, float | None]:
    """A bearer token, and when it expires."""
    config, token = sign_in(host)
    if config.auth_type == _GITHUB and env_text("GITHUB_ACTIONS") == "true":
        # GitHub masks only the tokens that it issues itself.
        print(f"::add-mask::{token}", file=sys.stderr, flush=True)
    return token, _expiry(config)


def sign_in(host: str, account_id: str | None = None) -> tuple[Any, str]:
    """The SDK's configuration for a host, from variables and profiles, and a bearer token.

    Raises:
        DeliveryError: there are no credentials.
    """
    from delivery.workspace.sdk import Config, DatabricksError

    try:
        config = Config(
            host=host,
            account_id=account_id,
            http_timeout_seconds=http_timeout(),
            product=USER_AGENT,
            product_version=__version__,
        )
        token = config.authenticate()["Authorization"].removeprefix("Bearer ")
    except (ValueError, KeyError, DatabricksError) as error:
        raise DeliveryError(
            f"credentials for {host}: {_reason(error)}\n"
            "    Set DATABRICKS_AUTH_TYPE and its variables, or log in: databricks auth login"
        ) from None
    return config, token


def probe(host: str) -> None:
    """Check that a host answers: the CLI retries a refused connection silently for minutes.

    Raises:
        UnreachableError: it does not answer.
        DeliveryError: `host` is not an address.
    """
    try:
        address = urlsplit(host)
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError:  # such as an invalid port
        address, port = urlsplit(""), 0
    if address.scheme not in ("http", "https") or not address.hostname:
        example = "https://dbc-11111111-2222.cloud.databricks.com"
        raise DeliveryError(f"host: given {host!r}, expected an address such as {example}")
    if env_text("HTTPS_PROXY") or env_text("https_proxy"):
        return  # the host may be reachable through the proxy only
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
    except OSError as error:
        raise UnreachableError(f"host: {host} does not answer: {error}") from None


def _expiry(config: Any) -> float | None:
    """When the access token expires; None for personal access tokens."""
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
    """The error's message, without the configuration that the SDK appends."""
    return str(error).partition(". Config:")[0].strip() or type(error).__name__


# Results of runs that did not take place: the job was busy, or its tasks were disabled.
_SKIPPED = ("MAXIMUM_CONCURRENT_RUNS_REACHED", "EXCLUDED", "DISABLED")
_CANCELED = ("CANCELED", "UPSTREAM_CANCELED")


def _as_run(run: Any) -> Run:
    state = run.state
    cycle = _value(state.life_cycle_state) if state else ""
    result = _value(state.result_state) if state else ""
    outcome = "succeeded" if result == "SUCCESS" else "failed"
    return Run(
        id=run.run_id,
        url=run.run_page_url or "",
        state=outcome if cycle in ("TERMINATED", "SKIPPED", "INTERNAL_ERROR") else "running",
        message=(state.state_message or "") if state else "",
        started=(run.start_time or 0) / 1000,
        inconclusive=_inconclusive(cycle, result),
        started_by=(run.creator_user_name or "") if _value(run.trigger) == "ONE_TIME" else "",
    )


def _inconclusive(cycle: str, result: str) -> str:
    if cycle in ("QUEUED", "BLOCKED"):
        return "queued"
    if cycle == "SKIPPED" or result in _SKIPPED:
        return "skipped"
    return "canceled" if result in _CANCELED else ""


def _value(member: Any) -> str:
    """The value of an enum's member; empty for None."""
    return str(member.value) if member else ""
