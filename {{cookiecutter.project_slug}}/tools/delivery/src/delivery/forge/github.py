"""GitHub, by its REST API (docs.github.com/rest)."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from delivery.environment import env_required
from delivery.errors import RefusedError
from delivery.forge.base import PAGE_SIZE, Api, Posts, Subject, no_request_error, with_mark
from delivery.forge.environment import APPROVED_BEFORE
from delivery.refusals import Refusal


class GitHub:
    """A repository on GitHub.

    Args:
        home: the address of its API.
        name: the repository, such as `team/lakehouse`.
    """

    def __init__(self, home: str, name: str, token: str) -> None:
        headers = {"Accept": "application/vnd.github+json"}
        identity = {"Authorization": f"Bearer {token}"} if token else {}
        self.has_token = bool(token)
        self.home, self.name = home, name
        self.root = Api(home, {**headers, **identity})
        self.api = Api(f"{home}/repos/{name}", {**headers, **identity})

    def requires_approval(self, environment: str) -> bool:
        """Whether the environment has required reviewers."""
        rules = self.api.get_or_empty(f"/environments/{quote(environment)}").get(
            "protection_rules", []
        )
        return any(r.get("type") == "required_reviewers" and r.get("reviewers") for r in rules)

    def approval_hint(self, environment: str) -> str:
        """The path through GitHub's settings to the required reviewers."""
        return f"Settings, Environments, {environment}, Required reviewers"

    def approvers(self, environment: str) -> list[str]:
        """The reviewers who approved this run for the environment after its plan was made.

        GitHub lists the reviews of all attempts of a run together, without their times.

        Raises:
            RefusedError: the run was restarted, and the earlier reviewers are unknown.
        """
        before, attempt = os.environ.get(APPROVED_BEFORE), os.environ.get("GITHUB_RUN_ATTEMPT", "1")
        if before is None and attempt != "1":
            raise RefusedError(
                Refusal.REPEATED_RUN,
                f"approval of {environment}: given attempt {attempt} of a run, expected its first, "
                "because the approval of an earlier attempt does not count\n"
                "    Start a new run of the workflow.",
            )
        new = Counter(self.reviews(environment))
        new.subtract((before or "").split(","))
        return [*+new]

    def reviews(self, environment: str) -> list[str]:
        """The reviewers who approved any attempt of this run for the environment."""
        reviews = self.api.get_or_empty(f"/actions/runs/{env_required('GITHUB_RUN_ID')}/approvals")
        return [
            review["user"]["login"]
            for review in reviews or []
            if review["state"] == "approved"
            and any(environment == reviewed["name"] for reviewed in review["environments"])
        ]

    def comment(self, about: str, text: str) -> str:
        """Create or update the pull request's comment about a subject; returns its address."""
        path = f"/issues/{self._request()}/comments"
        comments = Posts(self.api, path, "/issues/comments/{id}", "PATCH", _is_bot)
        return str(comments.save(about, {"body": with_mark(about, text)})["html_url"])

    def issue(self, about: str, text: str) -> str:
        """Create or update the issue about a subject, or close it if `text` is empty."""
        issues = Posts(
            self.api, "/issues", "/issues/{number}", "PATCH", _is_bot, query="?state=open"
        )
        closed = {"state": "closed", "state_reason": "completed"}
        body = {"title": about, "body": with_mark(about, text)} if text else closed
        return str(issues.save(about, body, create=bool(text)).get("html_url", ""))

    def can_read_settings(self) -> bool:
        """Whether the repository's settings are visible to this identity."""
        return bool(self.api.get_or_empty(""))

    @property
    def oidc_issuer(self) -> str:
        """That of github.com, or of the server."""
        server, _, _ = self.home.partition("/api/v3")
        is_public = self.home == "https://api.github.com"
        return (
            "https://token.actions.githubusercontent.com"
            if is_public
            else f"{server}/_services/token"
        )

    def oidc_subjects(self, environment: str, branch: str) -> list[Subject]:  # noqa: ARG002
        """The subject with names, and that with ids, which repositories use since July 2026."""
        subjects, repository = [f"repo:{self.name}"], self.api.get_or_empty("")
        if repository:
            owner, _, name = self.name.partition("/")
            subjects.append(f"repo:{owner}@{repository['owner']['id']}/{name}@{repository['id']}")
        immutable = self.api.get_or_empty("/actions/oidc/customization/sub").get(
            "use_immutable_subject"
        )
        if immutable is not None:
            subjects = [subjects[-1] if immutable else subjects[0]]
        return [Subject(f"{subject}:environment:{environment}") for subject in subjects]

    def cancel_older(self, workflow: str) -> list[str]:
        """Cancel earlier runs of a workflow that wait for approval on this run's branch.

        Returns:
            The addresses of the cancelled runs.
        """
        own, branch = env_required("GITHUB_RUN_ID"), quote(os.environ.get("GITHUB_REF_NAME", ""))
        path = f"/actions/workflows/{quote(workflow)}/runs?status=waiting&branch={branch}"
        cancelled = []
        for run in self.api.call("GET", f"{path}&per_page={PAGE_SIZE}")["workflow_runs"]:
            if int(run["id"]) < int(own):
                self.api.call("POST", f"/actions/runs/{run['id']}/cancel")
                cancelled.append(str(run["html_url"]))
        return cancelled

    def _request(self) -> int:
        try:
            event = json.loads(Path(env_required("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
            return int(event["pull_request"]["number"])
        except (OSError, KeyError, TypeError, ValueError):
            raise no_request_error() from None


def _is_bot(post: Mapping[str, Any]) -> bool:
    return bool(post["user"]["type"] == "Bot")
