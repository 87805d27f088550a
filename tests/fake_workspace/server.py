"""The workspace itself: its state, and the server in front of it."""

import re
import socket
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from . import (  # noqa: F401 (calls)
    account,
    catalog,
    jobs,
    objects,
    permissions,
    pipelines,
    runs,
    services,
)
from .faults import Cut, Fault, Faults, Kind
from .files import Tree
from .identities import NOBODY, ORG_ID, Identities, Identity, service_principal
from .snapshot import snapshot
from .wire import Answer, ApiError, Json, Request, find

LOGGED = 2**16  # bytes of a body in the log


@dataclass(frozen=True)
class Logged:
    """One call in the log; status 0: the connection was cut."""

    method: str
    path: str
    identity: str
    status: int
    body: bytes = b""

    @property
    def writes(self) -> bool:
        """It was meant to change something."""
        return self.method not in ("GET", "HEAD") and "/oidc/" not in self.path


class Workspace:
    """An emulated workspace; use it as a context to serve it.

    Attributes:
        run_seconds: How long a run takes.
        latency: Seconds before each answer.
        eventual: The first reader of something new does not see it.
        id_tokens: The tokens that are exchanged, by application id; None: any.
        level_to_read_permissions: What one needs on a job to read who may use it.
        keeps_permissions: Permissions outlive what they are of, as the CLI's authors say of jobs.
        services: What is kept as it was given, by kind and id.
        account: The account of the workspace; it is served at the same address.
        bindings: The workspaces that a catalog is bound to.
        lookups: Warehouses, policies, clusters and pools, which variables look up by name.
        requests: All calls so far.
        unknown: Calls that nothing here answers, and those it could not make sense of.
    """

    def __init__(self, *, port: int = 0, application_ids: dict[str, str] | None = None) -> None:
        self.lock = threading.RLock()
        self.identities = Identities()
        self.tree = Tree()
        self.files = self.tree.files
        self.jobs: dict[int, Json] = {}
        self.runs: dict[int, runs.Run] = {}
        self.pipelines: dict[str, Json] = {}
        self.updates: dict[str, Json] = {}
        self.catalogs: dict[str, Json] = {}
        self.schemas: dict[str, Json] = {}
        self.volumes: dict[str, Json] = {}
        self.models: dict[str, Json] = {}
        self.grants: dict[tuple[str, str], dict[str, list[str]]] = {}
        self.permissions: dict[str, list[Json]] = {}
        self.secret_scopes: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.published: dict[str, Json] = {}
        self.experiments: dict[str, Json] = {}
        self.external_locations: dict[str, Json] = {}
        self.services: dict[str, dict[str, Json]] = {}
        self.account = account.Account()
        self.bindings: dict[str, list[Json]] = {}
        self.lookups: dict[str, list[Json]] = objects.default_lookups()
        self.outcomes: dict[str, runs.Outcome] = {}
        self.run_seconds = 0.0
        self.latency = 0.0
        self.eventual = False
        self.token_seconds = 3600
        self.id_tokens: dict[str, set[str]] | None = None
        self.level_to_read_permissions = "CAN_VIEW"
        self.keeps_permissions = False
        self.requests: list[Logged] = []
        self.unknown: list[str] = []
        self.faults = Faults()
        self._unseen: set[tuple[str, str]] = set()
        self._server = _Server(("127.0.0.1", port), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._add_defaults(application_ids or {})

    def _add_defaults(self, ids: dict[str, str]) -> None:
        for name in ("deployer", "runner", "planner"):
            self.add_identity(service_principal(name, ids.get(name, "")))
        self.add_identity(Identity("person", user_name="ana@example.com"))
        self.add_identity(Identity("admin", user_name="admin@example.com", admin=True))
        self.allow_run_as("deployer", "runner")

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.faults.close()
        self._server.shutdown()
        self._server.server_close()

    # Identities

    def add_identity(self, identity: Identity) -> str:
        """Makes an identity known, with a home folder; gives its token."""
        with self.lock:
            self.tree.make_home(identity)
            return self.identities.add(identity)

    def identity(self, name: str) -> Identity:
        """An identity by its short name."""
        return self.identities.all[name]

    def token(self, name: str) -> str:
        """A token of an identity."""
        return self.identities.token(name)

    def allow_run_as(self, name: str, other: str) -> None:
        """Gives the role `servicePrincipal/user` on another identity."""
        self.identity(name).roles_on.add(self.identity(other).principal)

    def grant_folder(self, path: str, name: str, level: str) -> None:
        """Makes a folder, as an admin does, and gives someone a level on it.

        Args:
            name: An identity's short name, or a group's.
        """
        with self.lock:
            folder = self.tree.make(path, self.identity("admin"))
            known = self.identities.all.get(name)
            entry = known.entry(level) if known else {"group_name": name, "permission_level": level}
            folder.acl.append(entry)

    def add_catalog(
        self, name: str, creators: Iterable[str] = (), users: Iterable[str] = ()
    ) -> None:
        """Makes a catalog in which some identities may make schemas, and others use them."""
        with self.lock:
            catalog.add(self, name, [self.identity(one).principal for one in creators])
            uses = {self.identity(one).principal: ["USE_CATALOG"] for one in users}
            self.grants["catalog", name] |= uses

    def bind_catalog(self, name: str) -> None:
        """Binds a catalog to this workspace, and isolates it."""
        binding = {"workspace_id": int(ORG_ID), "binding_type": "BINDING_TYPE_READ_WRITE"}
        self.bindings[name] = [binding]
        self.catalogs[name]["isolation_mode"] = "ISOLATED"

    # Jobs and runs

    def job(self, name: str) -> Json:
        """The stored job with this name.

        Raises:
            KeyError: There is none, or there are several.
        """
        found = [job for job in self.jobs.values() if job["settings"].get("name") == name]
        if len(found) != 1:
            raise KeyError(f"{len(found)} jobs are called {name!r}")
        return found[0]

    def on_run(self, name: str, outcome: runs.Outcome) -> None:
        """How runs of a job end: as one of `runs.OUTCOMES`, or what a function of the run says."""
        if not callable(outcome) and outcome not in runs.OUTCOMES:
            raise ValueError(f"{outcome!r} is none of {runs.OUTCOMES}")
        self.outcomes[name] = outcome

    def start_run(self, name: str, trigger: str = "PERIODIC") -> int:
        """Starts a run as a schedule does, or another trigger; gives its id."""
        with self.lock:
            return runs.start(self, self.job(name), trigger).id

    def end_run(self, number: int, outcome: str = "succeed") -> None:
        """Ends a run now, in one of the outcomes; `cancel` is as if a person canceled it."""
        with self.lock:
            run = self.runs[number]
            run.cancelled, run.seconds = outcome == "cancel", 0
            run.outcome = run.outcome if outcome == "cancel" else outcome
            run.begun = run.begun or time.monotonic()
            runs.dequeue(self)

    # Faults

    def fault(
        self,
        method: str,
        path: str,
        kind: Kind,
        nth: int = 1,
        times: int = 1,
        *,
        seconds: float = 5.0,
        retry_after: int = 0,
    ) -> Fault:
        """Lets something go wrong.

        Args:
            method: Of the call; `*` for any.
            path: A pattern, searched in the path with its query.
            kind: A status, or "reset" (the call is not done), "hang" (no answer for so many
                seconds, the call is not done), "lost" (the call is done, its answer is lost), or
                a function to call before.
        """
        fault = Fault(method, re.compile(path), kind, nth, times, seconds, retry_after)
        return self.faults.add(fault)

    def fault_all(self, nth: int, kind: Kind, times: int = 1, *, seconds: float = 5.0) -> Fault:
        """Lets the nth call of any kind go wrong."""
        return self.fault("*", "", kind, nth, times, seconds=seconds)

    # State

    def created(self, kind: str, key: object) -> None:
        """Notes that something is new, so that its first reader may not see it."""
        if self.eventual:
            self._unseen.add((kind, str(key)))

    def seen(self, kind: str, key: object) -> bool:
        """Whether a reader sees it; the next one will."""
        if (kind, str(key)) in self._unseen:
            self._unseen.discard((kind, str(key)))
            return False
        return True

    def writes(self) -> list[Logged]:
        """The calls in the log that were meant to change something."""
        return [entry for entry in self.requests if entry.writes]

    def snapshot(self, *, files: bool = True) -> dict[str, Any]:
        """All that is there, without ids and times: two of them can be compared."""
        with self.lock:
            return snapshot(self, files=files)

    # Answers

    def answer(self, request: Request) -> Answer:
        """Does a call.

        Raises:
            Cut: The connection must end without an answer.
        """
        target = request.path + ("?" + _joined(request.query) if request.query else "")
        authorization = request.headers.get("authorization", "")
        request.caller = self.identities.peek(authorization)
        try:
            lost = self.faults.before(request.method, target)
        except ApiError as error:
            return _answer_of(error)
        try:
            answer = self._done(request)
        except ApiError as error:
            answer = _answer_of(error)
        if lost:
            raise Cut
        return answer

    def _done(self, request: Request) -> Answer:
        found = find(request.method, request.path)
        if found is None:
            raise self._not_known(request)
        handler, names, public = found
        if not public:
            self.identities.check(request.headers.get("authorization", ""))
        try:
            with self.lock:
                result = handler(self, request, **names)
                answer = result if isinstance(result, Answer) else Answer(result or {})
                answer.encode()  # here, before another call changes what it refers to
        except (KeyError, TypeError, ValueError) as error:
            raise self._broken(request, error) from error
        return answer

    def _broken(self, request: Request, error: Exception) -> ApiError:
        call = f"{request.method} {request.path}: {error!r}"
        self.unknown.append(call)
        return ApiError(400, "MALFORMED_REQUEST", call)

    def _not_known(self, request: Request) -> ApiError:
        call = f"{request.method} {request.path}"
        self.unknown.append(call)
        return ApiError(501, "NOT_IMPLEMENTED", f"No stub for {call}")


def _joined(query: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in query.items())


def _answer_of(error: ApiError) -> Answer:
    body = {"error_code": error.code, "message": error.message}
    if error.code == "invalid_client":  # the OAuth endpoint has a form of its own
        body = {"error": error.code, "error_description": error.message}
    return Answer(body, error.status, error.headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], workspace: Workspace) -> None:
        super().__init__(address, _Connection)
        self.workspace = workspace

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *args: object) -> None:
        """The workspace has its own log."""

    def serve(self) -> None:
        """Answers one call."""
        workspace, request = self.server.workspace, self._request()
        if workspace.latency:
            time.sleep(workspace.latency)
        try:
            answer = workspace.answer(request)
        except Cut:
            self._log(request, 0)
            self._cut()
            return
        self._log(request, answer.status)
        self._send(answer)

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return Request(self.command, unquote(parts.path), query, headers, body, NOBODY)

    def _chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _log(self, request: Request, status: int) -> None:
        path = request.path + ("?" + _joined(request.query) if request.query else "")
        name = request.caller.name
        entry = Logged(request.method, path, name, status, request.body[:LOGGED])
        self.server.workspace.requests.append(entry)

    def _send(self, answer: Answer) -> None:
        body = answer.encode()
        head = {"Content-Type": answer.kind, "Content-Length": str(len(body)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        text = "\r\n".join(lines) + "\r\n\r\n"
        # One write: head and body in one packet.
        self.wfile.write(text.encode() + (b"" if self.command == "HEAD" else body))

    def _cut(self) -> None:
        # Without lingering the client sees a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


for _method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Connection, f"do_{_method}", _Connection.serve)
