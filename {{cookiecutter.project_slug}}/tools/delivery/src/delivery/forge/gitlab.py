"""GitLab, by its REST API (docs.gitlab.com/api)."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from delivery.errors import DeliveryError, RefusedError
from delivery.forge.base import Api, Posts, Subject, no_request_error, with_mark
from delivery.forge.environment import FORGE_TOKEN

_AUDIENCE = "DATABRICKS_TOKEN_AUDIENCE"
_READERS = ("forge", "doctor")  # environments of jobs that have a token but no identity
_ROLE, _DEFAULT_ROLE = "ci_pipeline_variables_minimum_override_role", "maintainer"
_ROLES = (_DEFAULT_ROLE, "owner")
_COMMITTERS = "merge_requests_disable_committers_approval"

# The required approval settings: their names and values in the API, their names in the settings.
_APPROVALS = {
    ("merge_requests_author_approval", False): "Prevent approval by author",
    (_COMMITTERS, True): "Prevent approvals by users who add commits",
    ("reset_approvals_on_push", True): "Remove all approvals when commits are added",
}


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

    def restricts_branches(self, environment: str, branches: Sequence[str]) -> bool:  # noqa: ARG002
        """Whether the branches are protected: only the branch in a job's subject restricts it.

        Raises:
            DeliveryError: another setting lets unreviewed code run with a branch's subject.
        """
        project = self.api.get_or_empty("")
        if project.get("merge_pipelines_enabled"):
            raise DeliveryError(
                "merged results pipelines are on: a merge request from a protected branch into any "
                "branch runs the code of both with the subject of the protected branch\n"
                "    Switch them off, and merge trains too: Settings, Merge requests, Merge options"
            )
        if project.get(_ROLE, _DEFAULT_ROLE) not in _ROLES:
            raise DeliveryError(
                f"pipeline variables: allowed for {project[_ROLE]}, expected {' or '.join(_ROLES)}"
                ". They can change the jobs that deliver, and the New pipeline form needs them\n"
                "    Set it: Settings, CI/CD, Variables, Minimum role to use pipeline variables"
            )
        return all(self._protection(branch) for branch in branches)

    @property
    def oidc_issuer(self) -> str:
        """The address of the instance, without a path."""
        return self.root.home.removesuffix("/api/v4")

    def oidc_subjects(self, environment: str, branch: str) -> list[Subject]:
        """The branch's subject; that of the project for jobs of merge requests, which have none."""
        if environment in ("staging-plan", "preview"):
            return [Subject(self.path, "project_path")]
        return [Subject(f"project_path:{self.path}:ref_type:branch:ref:{branch}")]

    def review_gaps(self, branch: str) -> Iterator[str]:
        """Protections that a branch lacks, and missing approval rules and settings."""
        found = self._protection(branch)
        if any(level.get("access_level") for level in found.get("push_access_levels", [{}])):
            yield f"{branch} accepts pushes: set Allowed to push and merge to No one"
        if found.get("allow_force_push"):
            yield f"{branch} accepts force pushes: switch them off"
        if not found.get("code_owner_approval_required"):
            yield f"{branch} requires no code owner: switch on Code owner approval (Premium)"
        if not any(
            r.get("approvals_required") for r in self.api.get_or_empty("/approval_rules") or ()
        ):
            yield "no approval rule requires an approval (Premium)"
        given = self.api.get_or_empty("/approvals")
        missing = [name for (key, good), name in _APPROVALS.items() if given.get(key) is not good]
        if missing:
            yield f"switch on in the approval settings: {', '.join(missing)} (Premium)"

    def approval_gaps(self, environment: str) -> Iterator[str]:  # noqa: ARG002
        """Whether the person who started the pipeline can approve it alone."""
        if self.api.get_or_empty("").get("allow_pipeline_trigger_approve_deployment"):
            yield "switch off: Allow pipeline triggerer to approve deployment"

    def variable_leaks(self, environments: Sequence[str], asking: Sequence[str]) -> Iterator[str]:
        """Audiences that are missing or shared, and tokens in environments that do not need them.

        Jobs of one branch have the same subject: only their audiences keep identities apart.
        """
        variables = list(self.api.all("/variables"))
        audiences = {v["environment_scope"]: v for v in variables if v["key"] == _AUDIENCE}
        missing = [name for name in environments if name not in audiences]
        if missing:
            yield f"no {_AUDIENCE} for {', '.join(missing)}"
        values = [(scope, v.get("value")) for scope, v in sorted(audiences.items())]
        for shared, uses in Counter(value for _, value in values).items():
            if uses > 1:
                names = ", ".join(scope for scope, value in values if value == shared)
                yield f"{names} share one {_AUDIENCE}: a token for one is accepted by all"
        for variable in variables:
            scope = variable["environment_scope"]
            if variable["key"] == FORGE_TOKEN and scope not in (*asking, *_READERS):
                yield f"{FORGE_TOKEN} is in {scope}, where no job needs it"

    def _protection(self, branch: str) -> Any:
        return self.api.get_or_empty(f"/protected_branches/{quote(branch, safe='')}")

    def _is_ours(self, post: Mapping[str, Any]) -> bool:
        return bool(post["author"]["id"] == self.root.call("GET", "/user")["id"])
