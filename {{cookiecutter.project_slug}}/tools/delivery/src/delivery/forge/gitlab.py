"""GitLab, by its REST API (docs.gitlab.com/api)."""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from delivery.errors import RefusedError
from delivery.forge.base import Api, Posts, Subject, no_request_error, with_mark
from delivery.forge.environment import FORGE_TOKEN
from delivery.refusals import Refusal


class GitLab:
    """A project on GitLab; a job's own token can neither comment nor read approvals.

    Args:
        home: the address of its API.
        path: the project, such as `team/lakehouse`.
    """

    def __init__(self, home: str, path: str, token: str) -> None:
        self.has_token = bool(token)
        self.path = path
        identity = {"PRIVATE-TOKEN": token} if token else {}
        self.root = Api(home, identity)
        self.api = Api(f"{home}/projects/{quote(path, safe='')}", identity)

    def requires_approval(self, environment: str) -> bool:
        """Whether the environment is protected and requires an approval.

        Raises:
            RefusedError: there is no token to read the settings with.
        """
        if not self.has_token:
            raise RefusedError(
                Refusal.APPROVALS_NOT_VISIBLE,
                f"approval of {environment}: the required approvals are not visible without "
                f"{FORGE_TOKEN}\n    Set it to a project access token that can read the API, "
                "masked and protected; or set approval: dispatch in delivery.yml.",
            )
        found = self.api.get_or_empty(f"/protected_environments/{quote(environment)}")
        rules = [rule.get("required_approvals", 0) for rule in found.get("approval_rules", [])]
        return any([found.get("required_approval_count"), *rules])

    def approval_hint(self, environment: str) -> str:
        """The path through GitLab's settings to the approvers."""
        return f"Settings, CI/CD, Protected environments, {environment}, Approvers"

    def approvers(self, environment: str) -> list[str]:
        """The reviewers who approved this job's deployment."""
        path = f"/deployments?environment={quote(environment)}&order_by=id&sort=desc"
        for listed in self.api.all(path) if self.has_token else ():
            if str((listed.get("deployable") or {}).get("id")) == os.environ.get("CI_JOB_ID"):
                deployment = self.api.call("GET", f"/deployments/{listed['id']}")
                approvals = deployment.get("approvals", [])
                return [a["user"]["username"] for a in approvals if a["status"] == "approved"]
        return []

    def reviews(self, environment: str) -> list[str]:  # noqa: ARG002
        """None: approvals belong to the deployment of one job, not to a pipeline."""
        return []

    def comment(self, about: str, text: str) -> str:
        """Create or update the merge request's note about a subject; returns its address."""
        request = os.environ.get("CI_MERGE_REQUEST_IID")
        if not request:
            raise no_request_error()
        path = f"/merge_requests/{request}/notes"
        notes = Posts(self.api, path, f"{path}/{{id}}", "PUT", self._is_ours)
        note = notes.save(about, {"body": with_mark(about, text)})
        project = os.environ.get("CI_PROJECT_URL", "")
        return f"{project}/-/merge_requests/{request}#note_{note['id']}"

    def issue(self, about: str, text: str) -> str:
        """Create or update the issue about a subject, or close it if `text` is empty."""
        issues = Posts(
            self.api, "/issues", "/issues/{iid}", "PUT", self._is_ours, query="?state=opened"
        )
        closed = {"state_event": "close"}
        body = {"title": about, "description": with_mark(about, text)} if text else closed
        return str(issues.save(about, body, create=bool(text)).get("web_url", ""))

    def can_read_settings(self) -> bool:
        """Whether the project's settings are visible to this identity."""
        return bool(self.api.get_or_empty(""))

    @property
    def oidc_issuer(self) -> str:
        """The address of the instance, without a path."""
        return self.root.home.removesuffix("/api/v4")

    def oidc_subjects(self, environment: str, branch: str) -> list[Subject]:
        """The branch's subject; that of the project for jobs of merge requests, which have none."""
        if environment in ("staging-plan", "preview"):
            return [Subject(self.path, "project_path")]
        return [Subject(f"project_path:{self.path}:ref_type:branch:ref:{branch}")]

    def _is_ours(self, post: Mapping[str, Any]) -> bool:
        return bool(post["author"]["id"] == self.root.call("GET", "/user")["id"])
