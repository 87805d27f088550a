"""An emulated forge: what delivery asks GitHub and GitLab, and the id tokens of their jobs."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from fake_workspace.faults import Cut, Fault, Faults, Kind
from fake_workspace.wire import ApiError

from harness.fake_github import Repository
from harness.fake_gitlab import Project

NAME = "acme/lakehouse"
Handler = Callable[["Forge", re.Match[str], dict[str, list[str]], Any], Any]


@dataclass
class Text:
    """A comment or an issue."""

    id: int
    body: str
    title: str = ""
    author: str = "Bot"
    open: bool = True


@dataclass
class Forge:
    """One repository on a forge; use it as a context to serve it.

    Attributes:
        hub, lab: its settings on GitHub and on GitLab.
        reviewers: who is asked, by environment, beside what the settings say.
        approvals: who agreed, by environment.
        agreeing: who agrees as soon as a job asks, by environment; a plan was made before.
        later: how many deployments of GitLab came after that of the job.
        immutable: whether subjects have ids in them; None: it does not say.
        is_seen: whether the repository is visible at all.
        waiting: runs of GitHub that wait for people, by workflow and branch.
        ended: runs that were cancelled.
        refused: paths that are answered with 403.
        faults: what goes wrong on purpose.
    """

    hub: Repository = field(default_factory=lambda: Repository(NAME))
    lab: Project = field(default_factory=Project)
    reviewers: dict[str, list[str]] = field(default_factory=dict)
    approvals: dict[str, list[str]] = field(default_factory=dict)
    agreeing: dict[str, list[str]] = field(default_factory=dict)
    later: int = 1
    immutable: bool | None = None
    is_seen: bool = True
    waiting: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    comments: list[Text] = field(default_factory=list)
    issues: list[Text] = field(default_factory=list)
    refused: str = "(?!)"
    faults: Faults = field(default_factory=Faults)
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        handler = type("Bound", (_Connection,), {"forge": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def github(self, job: str = "1", request: int | None = None, event: str = "") -> dict[str, str]:
        """The variables of a job of GitHub Actions."""
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": f"{self.url}/github",
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_RUN_ID": job,
            "GITHUB_REF_NAME": "main",
            "GITHUB_TOKEN": "a-token-of-the-job",
            "GITHUB_EVENT_PATH": event,
        }

    def gitlab(self, job: str = "1", request: int | None = None) -> dict[str, str]:
        """The variables of a job of GitLab CI."""
        return {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{self.url}/gitlab",
            "CI_PROJECT_PATH": NAME,
            "CI_PROJECT_URL": f"https://gitlab.example.com/{NAME}",
            "CI_JOB_ID": job,
            "DELIVERY_FORGE_TOKEN": "a-token-of-the-project",
            "DELIVERY_TELLS": "on",
            **({"CI_MERGE_REQUEST_IID": str(request)} if request else {}),
        }

    def fault(self, nth: int, kind: Kind) -> Fault:
        """The nth call from now on goes wrong: a status, `reset`, or `lost` (its answer is)."""
        return self.faults.add(Fault("*", re.compile(""), kind, nth))

    def writes(self) -> list[str]:
        """The calls that were meant to change something."""
        return [f"{method} {path}" for method, path, _ in self.seen if method != "GET"]

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """What the forge says."""
        if not self.is_seen and path in (_GITHUB, _GITLAB):
            return 404, {"message": "Not Found"}
        for known, pattern, handler in _ROUTES:
            found = re.fullmatch(pattern, path)
            if known == method and found:
                return handler(self, found, query, body)
        self.unknown.append(f"{method} {path}")
        return 501, {}

    def write(self, texts: list[Text], body: Any) -> Text:
        """A new text."""
        text = body.get("body", body.get("description", ""))
        texts.append(Text(len(self.comments) + len(self.issues) + 1, text, body.get("title", "")))
        return texts[-1]


def change(texts: list[Text], number: str, body: Any) -> Text:
    """A text as it is after a change."""
    text = next(text for text in texts if text.id == int(number))
    text.body = body.get("body", body.get("description", text.body))
    text.open = "close" not in str(body.get("state", body.get("state_event", "")))
    return text


class _Connection(BaseHTTPRequestHandler):
    forge: Forge

    def log_message(self, *args: object) -> None:
        """The forge has its own log."""

    def serve(self) -> None:
        """Answer one call."""
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else {}
        path = unquote(parts.path)
        token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
        self.forge.seen.append((self.command, path, token))
        try:
            is_lost = self.forge.faults.before(self.command, path)
        except Cut:
            self._cut()
            return
        except ApiError as error:
            self._send(error.status, {"message": error.message})
            return
        answer: Any = _right(self.command, path, token.removeprefix("Bearer "))
        if re.search(self.forge.refused, path):
            answer = (403, {})
        if answer is None:
            answer = self.forge.answer(self.command, path, parse_qs(parts.query), body)
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        if is_lost:
            self._cut()
        else:
            self._send(status, document)

    def _cut(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _send(self, status: int, document: Any) -> None:
        text = b"" if status == 204 else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 (the names of the base class)


def _page(query: dict[str, list[str]], rows: list[Any]) -> list[Any]:
    size, page = (int(query.get(n, [of])[0]) for n, of in (("per_page", "20"), ("page", "1")))
    return rows[(page - 1) * size : page * size]


def _listed(query: dict[str, list[str]], rows: Any) -> Any:
    """One page of a list; an answer with a status stays as it is."""
    return rows if isinstance(rows, tuple) else _page(query, rows)


def _comment(text: Text) -> dict[str, Any]:
    address = f"https://github.example.com/{NAME}/pull/7#{text.id}"
    user = {"login": "someone", "type": text.author, "username": "someone"}
    comment = {"id": text.id, "body": text.body, "html_url": address, "user": user}
    return {**comment, "author": _author(text), "system": False}


def _author(text: Text) -> dict[str, int]:
    return {"id": 1 if text.author == "Bot" else 2}


def _issue(text: Text) -> dict[str, Any]:
    address = f"https://forge.example.com/{NAME}/issues/{text.id}"
    return {
        "number": text.id, "iid": text.id, "body": text.body, "description": text.body,
        "html_url": address, "web_url": address, "user": {"type": text.author},
        "author": _author(text),
    }  # fmt: skip


def _environment(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    name = found[1]
    if name in forge.agreeing:
        forge.approvals.setdefault(name, []).extend(forge.agreeing[name])
    people = forge.reviewers.get(name)
    known = forge.hub.place(name)
    if people is None:
        return known
    reviewers = [{"type": "User", "reviewer": {"id": 5, "login": who}} for who in people]
    rule = {"type": "required_reviewers", "reviewers": reviewers, "prevent_self_review": True}
    base = {"name": name} if isinstance(known, tuple) else known
    return {**base, "protection_rules": [rule]}


def _approvals(forge: Forge, *_: Any) -> Any:
    return [
        {"state": "approved", "environments": [{"name": name}], "user": {"login": who}}
        for name, people in forge.approvals.items()
        for who in people
    ]


def _deployments(forge: Forge) -> list[dict[str, Any]]:
    """The newest first; that of the job itself is the last."""
    numbers = range(forge.later + 5, 5, -1)
    others = [{"id": number, "deployable": {"id": 90 + number}} for number in numbers]
    return [*others, {"id": 5, "deployable": {"id": 1}}]


def _deployment(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    people = [who for names in forge.approvals.values() for who in names]
    approvals = [{"status": "approved", "user": {"username": who}} for who in people]
    return {"id": int(found[1]), "approvals": approvals}


def _protected(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    people = forge.reviewers.get(found[1])
    if people is None:
        return forge.lab.protected.get(found[1], (404, {"message": "404 Not found"}))
    return {"name": found[1], "approval_rules": [{"required_approvals": len(people)}]}


def _token(forge: Forge, _: Any, query: dict[str, list[str]], __: Any) -> Any:
    environment, audience = (query.get(name, [""])[0] for name in ("environment", "audience"))
    return {"value": id_token(environment, audience)}


def _opened(texts: str) -> Handler:
    """All open texts of a kind, page by page."""
    return lambda forge, _, query, __: _page(
        query, [_issue(text) for text in getattr(forge, texts) if text.open]
    )


def _subject(forge: Forge, *_: Any) -> Any:
    return {} if forge.immutable is None else {"use_immutable_subject": forge.immutable}


def _write_issue(forge: Forge, _: Any, __: Any, body: Any) -> Any:
    return _issue(forge.write(forge.issues, body))


def _waiting(forge: Forge, found: re.Match[str], query: dict[str, list[str]], _: Any) -> Any:
    numbers = forge.waiting.get((found[1], query["branch"][0]), [])
    assert query["status"] == ["waiting"]
    address = f"https://github.example.com/{NAME}/actions/runs"
    runs = [{"id": number, "html_url": f"{address}/{number}"} for number in numbers]
    return {"total_count": len(runs), "workflow_runs": runs}


def _cancel(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    forge.ended.append(int(found[1]))
    return 202, {}


ADMIN = "a-token-of-an-admin"
_JOB, _PROJECT = "a-token-of-the-job", "a-token-of-the-project"
# What a job's token may neither read nor write on GitHub: docs.github.com/rest/authentication/
# permissions-required-for-github-apps
_OF_ADMINS = r"/actions/permissions|/variables|/teams|/collaborators|/orgs/"
_TEXTS = r"/(issues|notes|comments|cancel)"


def _right(method: str, path: str, token: str) -> Any:
    """The answer to a token that lacks a right; None if it has it."""
    is_text = re.search(_TEXTS, path) is not None
    if token == ADMIN or path == "/token" or is_text:
        return None
    if path.startswith("/github"):
        is_hidden = method != "GET" or re.search(_OF_ADMINS, path)
        if token == _JOB and is_hidden:
            return 403, {"message": "Resource not accessible by integration"}
    elif token == _PROJECT and method != "GET":
        return 403, {"error": "insufficient_scope"}
    return None


def id_token(environment: str, audience: str) -> str:
    """The token of a job: who it says it is, and whom it is meant for."""
    return f"repo:{NAME}:environment:{environment}|{audience}"


_GITHUB, _GITLAB = f"/github/repos/{NAME}", f"/gitlab/projects/{NAME}"


def _settings(kind: str, table: dict[str, Callable[..., Any]]) -> list[tuple[str, str, Handler]]:
    """Routes to the settings of a forge: with the settings, what the path has, query and body."""

    def handler(answer: Callable[..., Any]) -> Handler:
        return lambda forge, found, query, body: answer(
            forge.hub if kind == "github" else forge.lab, found, query, body
        )

    routes = []
    for place, answer in table.items():
        method, path = place.split(" ", 1)
        project = _GITHUB if kind == "github" else _GITLAB
        home = f"/{kind}" if path.startswith("^") else project  # of the whole forge
        routes.append((method, f"{home}{path.removeprefix('^')}", handler(answer)))
    return routes


_PLACE = "/environments/([^/]+)"
_HUB: dict[str, Callable[..., Any]] = {
    "GET ^/orgs/acme": lambda hub, *_: hub.organization(),
    r"GET ^/orgs/acme/teams/([\w-]+)": lambda hub, found, *_: (
        {"id": hub.teams[found[1]]} if found[1] in hub.teams else (404, {})
    ),
    r"PUT ^/orgs/acme/teams/([\w-]+)/repos/acme/lakehouse": lambda hub, found, _, body: (
        hub.let_team(found[1], body)
    ),
    r"GET ^/users/([\w-]+)": lambda hub, found, *_: (
        {"id": hub.people[found[1]][0]} if found[1] in hub.people else (404, {})
    ),
    r"GET /collaborators/([\w-]+)/permission": lambda hub, found, *_: (
        {"permission": hub.people[found[1]][1]} if found[1] in hub.people else (404, {})
    ),
    "GET /teams": lambda hub, _, query, __: _page(query, hub.of_repository()),
    "GET /codeowners/errors": lambda hub, *_: hub.errors(),
    "GET /rules/branches/(.+)": lambda hub, found, query, _: _listed(
        query, hub.rules_of(found[1])
    ),
    "GET /rulesets": lambda hub, _, query, __: _listed(query, hub.list_rulesets()),
    r"GET /rulesets/(\d+)": lambda hub, found, *_: hub.ruleset(int(found[1]), is_admin=True),
    "POST /rulesets": lambda hub, _, __, body: hub.save_ruleset(None, body),
    r"PUT /rulesets/(\d+)": lambda hub, found, _, body: hub.save_ruleset(int(found[1]), body),
    "GET /actions/permissions": lambda hub, *_: hub.actions,
    "PUT /actions/permissions": lambda hub, _, __, body: (hub.actions.update(body), (204, {}))[1],
    "GET /actions/permissions/workflow": lambda hub, *_: hub.workflow,
    "PUT /actions/permissions/workflow": lambda hub, _, __, body: (
        hub.workflow.update(body), (204, {})
    )[1],
    "GET /actions/permissions/fork-pr-contributor-approval": lambda hub, *_: hub.forks,
    "PUT /actions/permissions/fork-pr-contributor-approval": lambda hub, _, __, body: (
        hub.set_forks(body)
    ),
    f"PUT {_PLACE}": lambda hub, found, _, body: hub.put_place(found[1], body),
    f"GET {_PLACE}/deployment-branch-policies": lambda hub, found, *_: hub.admitted(found[1]),
    f"POST {_PLACE}/deployment-branch-policies": lambda hub, found, _, body: (
        hub.admit(found[1], body)
    ),
    rf"DELETE {_PLACE}/deployment-branch-policies/(\d+)": lambda hub, found, *_: (
        hub.places[found[1]].branches.pop(int(found[2])), (204, {})
    )[1],
    rf"GET {_PLACE}/variables/(\w+)": lambda hub, found, *_: hub.variable(found[1], found[2]),
    f"POST {_PLACE}/variables": lambda hub, found, _, body: hub.new_variable(found[1], body),
    rf"PATCH {_PLACE}/variables/(\w+)": lambda hub, found, _, body: (
        hub.change_variable(found[1], found[2], body)
    ),
}  # fmt: skip
_SCOPE = "filter[environment_scope]"
_LAB: dict[str, Callable[..., Any]] = {
    "PUT ": lambda lab, _, __, body: lab.change(body),
    r"GET ^/groups/(.+)": lambda lab, found, *_: (
        {"id": lab.groups[found[1]]} if found[1] in lab.groups else (404, {})
    ),
    "GET /protected_branches": lambda lab, _, query, __: _page(query, [*lab.branches.values()]),
    "GET /protected_branches/(.+)": lambda lab, found, *_: lab.branch(found[1]),
    "POST /protected_branches": lambda lab, _, __, body: lab.protect(body),
    "PATCH /protected_branches/(.+)": lambda lab, found, _, body: (
        lab.change_branch(found[1], body)
    ),
    "DELETE /protected_branches/(.+)": lambda lab, found, *_: lab.unprotect(found[1]),
    "GET /approval_rules": lambda lab, _, query, __: _listed(query, lab.list_rules()),
    "POST /approval_rules": lambda lab, _, __, body: lab.new_rule(body),
    r"PUT /approval_rules/(\d+)": lambda lab, found, _, body: lab.change_rule(int(found[1]), body),
    "GET /approvals": lambda lab, *_: lab.approvals if lab.premium else (404, {}),
    "POST /approvals": lambda lab, _, __, body: lab.set_approvals(body),
    "GET /environments": lambda lab, _, query, __: _page(
        query, [{"name": n} for n in lab.environments if n in query.get("name", [n])]
    ),
    "POST /environments": lambda lab, _, __, body: lab.new_environment(body),
    "POST /protected_environments": lambda lab, _, __, body: lab.guard(body),
    "PUT /protected_environments/([^/]+)": lambda lab, found, _, body: (
        lab.change_guard(found[1], body)
    ),
    "GET /variables": lambda lab, _, query, __: _page(query, lab.variables),
    "POST /variables": lambda lab, _, __, body: lab.new_variable(body),
    r"PUT /variables/(\w+)": lambda lab, found, query, body: (
        lab.change_variable(found[1], query.get(_SCOPE, [""])[0], body)
    ),
    "GET /pipeline_schedules": lambda lab, _, query, __: _page(query, lab.schedules),
    "POST /pipeline_schedules": lambda lab, _, __, body: lab.new_schedule(body),
    r"PUT /pipeline_schedules/(\d+)": lambda lab, found, _, body: (
        lab.change_schedule(int(found[1]), body)
    ),
    "GET /groups": lambda lab, _, query, __: _page(
        query, [{"full_path": name, "id": lab.groups[name]} for name in lab.shared]
    ),
    "GET /members/all": lambda lab, _, query, __: _page(
        query, [{"id": 5, "username": name, "access_level": n} for name, n in lab.members.items()]
    ),
    "POST /share": lambda lab, _, __, body: lab.share(body),
}  # fmt: skip
_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/token", _token),
    ("GET", f"{_GITHUB}", lambda forge, *_: forge.hub.itself()),
    ("GET", f"{_GITHUB}/actions/oidc/customization/sub", _subject),
    ("GET", f"{_GITHUB}/environments/([^/]+)", _environment),
    ("GET", rf"{_GITHUB}/actions/runs/\w+/approvals", _approvals),
    ("GET", rf"{_GITHUB}/actions/workflows/([\w.-]+)/runs", _waiting),
    ("POST", rf"{_GITHUB}/actions/runs/(\d+)/cancel", _cancel),
    ("GET", rf"{_GITHUB}/issues/\d+/comments",
     lambda forge, _, query, __: _page(query, [_comment(c) for c in forge.comments])),
    ("POST", rf"{_GITHUB}/issues/\d+/comments",
     lambda forge, _, __, body: _comment(forge.write(forge.comments, body))),
    ("PATCH", rf"{_GITHUB}/issues/comments/(\d+)",
     lambda forge, found, _, body: _comment(change(forge.comments, found[1], body))),
    ("GET", f"{_GITHUB}/issues", _opened("issues")),
    ("POST", f"{_GITHUB}/issues", _write_issue),
    ("PATCH", rf"{_GITHUB}/issues/(\d+)",
     lambda forge, found, _, body: _issue(change(forge.issues, found[1], body))),
    ("GET", f"{_GITLAB}", lambda forge, *_: forge.lab.itself()),
    ("GET", "/gitlab/user", lambda *_: {"id": 1}),
    ("GET", f"{_GITLAB}/protected_environments/([^/]+)", _protected),
    ("GET", f"{_GITLAB}/deployments",
     lambda forge, _, query, __: _page(query, _deployments(forge))),
    ("GET", rf"{_GITLAB}/deployments/(5)", _deployment),
    ("GET", rf"{_GITLAB}/merge_requests/\d+/notes",
     lambda forge, _, query, __: _page(query, [_comment(c) for c in forge.comments])),
    ("POST", rf"{_GITLAB}/merge_requests/\d+/notes",
     lambda forge, _, __, body: _comment(forge.write(forge.comments, body))),
    ("PUT", rf"{_GITLAB}/merge_requests/\d+/notes/(\d+)",
     lambda forge, found, _, body: _comment(change(forge.comments, found[1], body))),
    ("GET", f"{_GITLAB}/issues", _opened("issues")),
    ("POST", f"{_GITLAB}/issues", _write_issue),
    ("PUT", rf"{_GITLAB}/issues/(\d+)",
     lambda forge, found, _, body: _issue(change(forge.issues, found[1], body))),
    *_settings("github", _HUB),
    *_settings("gitlab", _LAB),
]  # fmt: skip
