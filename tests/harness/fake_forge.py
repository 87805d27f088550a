"""An emulated forge: what delivery asks GitHub and GitLab, and the id tokens of their jobs."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

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
        reviewers: who is asked, by environment.
        approvals: who agreed, by environment.
        agreeing: who agrees as soon as a job asks, by environment; a plan was made before.
        later: how many deployments of GitLab came after that of the job.
        locked: branches that are protected, and environments that admit those alone.
        branches: the branches that an environment admits, by environment.
        role: who may give variables to a pipeline.
        immutable: whether subjects have ids in them; None: it does not say.
        merged_results: whether requests are run as they would be when merged.
        review: what rulesets and approval rules ask of a change, as each forge calls it.
        bypass: who may pass by them, on GitHub.
        trigger_approves: whether who starts a pipeline may approve it, on GitLab.
        owners: what is wrong with CODEOWNERS; None: there is none.
        protection: what of a protected branch of GitLab is not as it should be.
        variables: of GitLab: key, scope and value.
        waiting: runs of GitHub that wait for people, by workflow and branch.
        ended: runs that were cancelled.
        refused: paths that are answered with 403.
    """

    reviewers: dict[str, list[str]] = field(default_factory=dict)
    approvals: dict[str, list[str]] = field(default_factory=dict)
    agreeing: dict[str, list[str]] = field(default_factory=dict)
    later: int = 1
    locked: set[str] = field(default_factory=set)
    branches: dict[str, list[str]] = field(default_factory=dict)
    immutable: bool | None = None
    merged_results: bool = False
    role: str = "maintainer"
    is_seen: bool = True
    review: dict[str, Any] = field(default_factory=dict)
    bypass: list[str] = field(default_factory=list)
    owners: list[dict[str, Any]] | None = None
    admins_bypass: bool = True
    trigger_approves: bool = False
    self_review: bool = True
    protection: dict[str, Any] = field(default_factory=dict)
    variables: list[tuple[str, str, str]] = field(default_factory=list)
    waiting: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    comments: list[Text] = field(default_factory=list)
    issues: list[Text] = field(default_factory=list)
    refused: str = "(?!)"
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

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        """What the forge says."""
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
        answer: Any = (403, {})
        if not re.search(self.forge.refused, path):
            answer = self.forge.answer(self.command, path, parse_qs(parts.query), body)
        status, document = answer if isinstance(answer, tuple) else (200, answer)
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_PATCH = serve  # noqa: N815 (the names of the base class)


def _page(query: dict[str, list[str]], rows: list[Any]) -> list[Any]:
    size, page = (int(query.get(n, [of])[0]) for n, of in (("per_page", "20"), ("page", "1")))
    return rows[(page - 1) * size : page * size]


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
    reviewers = [{"type": "User", "reviewer": {"login": r}} for r in forge.reviewers.get(name, [])]
    rule = {
        "type": "required_reviewers",
        "reviewers": reviewers,
        "prevent_self_review": not forge.self_review,
    }
    custom = name in forge.branches
    policy = {"protected_branches": name in forge.locked, "custom_branch_policies": custom}
    admits = policy if custom or name in forge.locked else None
    return {
        "name": name,
        "protection_rules": [rule],
        "deployment_branch_policy": admits,
        "can_admins_bypass": forge.admins_bypass,
    }


def _rule(name: str) -> dict[str, str]:
    kind, _, rest = name.rpartition(":")  # such as tag:main
    return {"name": rest, "type": kind or "branch"}


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
        return 404, {"message": "404 Not found"}
    return {"name": found[1], "approval_rules": [{"required_approvals": len(people)}]}


def _token(forge: Forge, _: Any, query: dict[str, list[str]], __: Any) -> Any:
    environment, audience = (query.get(name, [""])[0] for name in ("environment", "audience"))
    return {"value": id_token(environment, audience)}


def _opened(texts: str) -> Handler:
    """All open texts of a kind, page by page."""
    return lambda forge, _, query, __: _page(
        query, [_issue(text) for text in getattr(forge, texts) if text.open]
    )


def _project(forge: Forge, *_: Any) -> Any:
    role = {
        "ci_pipeline_variables_minimum_override_role": forge.role,
        "allow_pipeline_trigger_approve_deployment": forge.trigger_approves,
    }
    return {"merge_pipelines_enabled": forge.merged_results, **role} if forge.is_seen else (404, {})


def _subject(forge: Forge, *_: Any) -> Any:
    return {} if forge.immutable is None else {"use_immutable_subject": forge.immutable}


def _write_issue(forge: Forge, _: Any, __: Any, body: Any) -> Any:
    return _issue(forge.write(forge.issues, body))


def _rules(forge: Forge, _: Any, query: dict[str, list[str]], __: Any) -> Any:
    """The rules of a branch: those of reviews have parameters, of others the name says all."""
    reviews = {k: v for k, v in forge.review.items() if k.startswith(("require", "dismiss"))}
    kinds = [key for key in forge.review if key not in reviews] if reviews else []
    rules = [{"type": "pull_request", "parameters": reviews}] if reviews else []
    names = {"status_checks": "required_status_checks"}
    rules += [{"type": names.get(kind, kind)} for kind in kinds]
    return _page(query, [{**rule, "ruleset_id": 3} for rule in rules])


def _owners(forge: Forge, *_: Any) -> Any:
    return (404, {}) if forge.owners is None else {"errors": forge.owners}


def _branch(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    if found[1] not in forge.locked:
        return 404, {}
    good = {
        "push_access_levels": [{"access_level": 0}],
        "allow_force_push": False,
        "code_owner_approval_required": True,
    }
    return {"name": found[1], **good, **forge.protection}


def _variables(forge: Forge, _: Any, query: dict[str, list[str]], __: Any) -> Any:
    names = ("key", "environment_scope", "value")
    return _page(query, [dict(zip(names, variable, strict=True)) for variable in forge.variables])


def _waiting(forge: Forge, found: re.Match[str], query: dict[str, list[str]], _: Any) -> Any:
    numbers = forge.waiting.get((found[1], query["branch"][0]), [])
    assert query["status"] == ["waiting"]
    address = f"https://github.example.com/{NAME}/actions/runs"
    runs = [{"id": number, "html_url": f"{address}/{number}"} for number in numbers]
    return {"total_count": len(runs), "workflow_runs": runs}


def _cancel(forge: Forge, found: re.Match[str], *_: Any) -> Any:
    forge.ended.append(int(found[1]))
    return 202, {}


# What lets nobody past a second pair of eyes, as each forge calls it.
CLOSED = {
    "github": {
        "required_approving_review_count": 1,
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": True,
        "require_last_push_approval": True,
        "status_checks": True,
        "non_fast_forward": True,
        "deletion": True,
    },
    "gitlab": {
        "approvals_required": 1,
        "merge_requests_author_approval": False,
        "merge_requests_disable_committers_approval": True,
        "reset_approvals_on_push": True,
    },
}


def id_token(environment: str, audience: str) -> str:
    """The token of a job: who it says it is, and whom it is meant for."""
    return f"repo:{NAME}:environment:{environment}|{audience}"


_GITHUB, _GITLAB = f"/github/repos/{NAME}", f"/gitlab/projects/{NAME}"
_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/token", _token),
    ("GET", f"{_GITHUB}",
     lambda forge, *_: {"id": 22, "owner": {"id": 11}} if forge.is_seen else (404, {})),
    ("GET", f"{_GITHUB}/actions/oidc/customization/sub", _subject),
    ("GET", f"{_GITHUB}/branches/(.+)",
     lambda forge, found, *_: {"name": found[1], "protected": found[1] in forge.locked}),
    ("GET", f"{_GITHUB}/environments/([^/]+)/deployment-branch-policies",
     lambda forge, found, *_: {"branch_policies": [_rule(n) for n in forge.branches[found[1]]]}),
    ("GET", f"{_GITHUB}/environments/([^/]+)", _environment),
    ("GET", rf"{_GITHUB}/actions/runs/\w+/approvals", _approvals),
    ("GET", rf"{_GITHUB}/actions/workflows/([\w.-]+)/runs", _waiting),
    ("POST", rf"{_GITHUB}/actions/runs/(\d+)/cancel", _cancel),
    ("GET", f"{_GITHUB}/rules/branches/(.+)", _rules),
    ("GET", f"{_GITHUB}/rulesets/3",
     lambda forge, *_: {"name": "delivers", "bypass_actors": forge.bypass}),
    ("GET", f"{_GITHUB}/codeowners/errors", _owners),
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
    ("GET", f"{_GITLAB}", _project),
    ("GET", "/gitlab/user", lambda *_: {"id": 1}),
    ("GET", f"{_GITLAB}/protected_environments/([^/]+)", _protected),
    ("GET", f"{_GITLAB}/protected_branches/(.+)", _branch),
    ("GET", f"{_GITLAB}/approval_rules",
     lambda forge, *_: [{"approvals_required": forge.review.get("approvals_required", 0)}]),
    ("GET", f"{_GITLAB}/approvals", lambda forge, *_: forge.review),
    ("GET", f"{_GITLAB}/variables", _variables),
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
]  # fmt: skip
