"""The forge that this pipeline runs on: who approves there, and what people are told there.

GitHub and GitLab say the same things with other words; each has a class of its own. What they ask
for is in their REST references: docs.github.com/rest and docs.gitlab.com/api.
"""

import json
import os
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from delivery import environment
from delivery.environment import required
from delivery.errors import DeliveryError, Exit
from delivery.policy import Project

FORGE_TOKEN = "DELIVERY_FORGE_TOKEN"  # noqa: S105 (the name of a variable)
APPROVED_BEFORE = "DELIVERY_APPROVED_BEFORE"  # who approved this run before its plan was made
_ROLE, _LEAST = "ci_pipeline_variables_minimum_override_role", "maintainer"
_ROLES = (_LEAST, "owner")
_LONGEST = 60_000  # characters of a text; both forges refuse a little more
_PAGE = 100


# What rulesets of GitHub call it, and what its settings do.
_REVIEW = {
    "required_approving_review_count": "Required approvals",
    "dismiss_stale_reviews_on_push": "Dismiss stale pull request approvals",
    "require_code_owner_review": "Require review from Code Owners",
    "require_last_push_approval": "Require approval of the most recent reviewable push",
}
_RULES = {
    "required_status_checks": "Require status checks to pass",
    "non_fast_forward": "Block force pushes",
    "deletion": "Restrict deletions",
}
# The same for approvals of GitLab.
_APPROVALS = {
    ("merge_requests_author_approval", False): "Prevent approval by author",
    ("merge_requests_disable_committers_approval", True): "Prevent approval by who adds commits",
    ("reset_approvals_on_push", True): "Remove all approvals when commits are added",
}
_AUDIENCE = "DATABRICKS_TOKEN_AUDIENCE"
_READERS = ("forge", "doctor")  # environments of jobs that have a token, and no identity


class Forge(Protocol):
    """What delivery needs of a forge.

    Attributes:
        may_write: whether this job has a token that can tell people something.
    """

    may_write: bool

    def asks(self, environment: str) -> bool:
        """Whether somebody has to agree before a job of the environment starts."""

    def mend(self, environment: str) -> str:
        """Where people are named who have to agree."""

    def approvers(self, environment: str) -> list[str]:
        """Who agreed that this job starts, in this attempt and since the plan was made."""

    def reviews(self, environment: str) -> list[str]:
        """Who agreed in this run so far, where the forge keeps a run's reviews together."""

    def comment(self, about: str, text: str) -> str:
        """Tell the request something, in one comment that is kept up to date; its address."""

    def issue(self, about: str, text: str) -> str:
        """Keep one issue up to date, or close it when there is no text; its address."""

    def is_seen(self) -> bool:
        """Whether the repository shows its settings to us."""

    def is_locked(self, environment: str, branches: Sequence[str]) -> bool:
        """Whether jobs of the environment run for some of these branches only, all protected."""

    def subjects(self, environment: str, branch: str) -> list[str]:
        """What the id token of such a job says of itself; the federation policy must equal it."""

    def unreviewed(self, branch: str) -> Iterator[str]:
        """How a change could reach a branch that nobody else has seen."""

    def unapproved(self, environment: str) -> Iterator[str]:
        """How a job of the environment could start that nobody else has approved."""

    def shared(self, environments: Sequence[str], asking: Sequence[str]) -> Iterator[str]:
        """What variables let jobs of one environment reach another; some ask who approved."""


def forge() -> Forge | None:
    """The forge that this process is a job of; None on a laptop."""
    variable = os.environ.get
    if variable("GITHUB_ACTIONS") == "true":
        home, name = required("GITHUB_API_URL"), required("GITHUB_REPOSITORY")
        return GitHub(home, name, variable("GITHUB_TOKEN", ""))
    if variable("GITLAB_CI") == "true":
        home, path = required("CI_API_V4_URL"), required("CI_PROJECT_PATH")
        return GitLab(home, path, variable(FORGE_TOKEN, ""))
    return None


def kind_of(project: Project) -> str:
    """What a repository lives on, `github` or `gitlab`; empty when nothing says it.

    A job's own surroundings say it, or the policy, or one of the two addresses that everybody
    knows; the name of any other host says nothing.
    """
    for variable, kind in (("GITHUB_ACTIONS", "github"), ("GITLAB_CI", "gitlab")):
        if os.environ.get(variable) == "true":
            return kind
    if project.forge != "both":
        return project.forge
    host = urlsplit(project.url).hostname or ""
    return {"github.com": "github", "gitlab.com": "gitlab"}.get(host, "")


def forge_of(project: Project) -> Forge | None:
    """The forge of a repository, by its address, such as `https://github.com/team/lakehouse`.

    None where there is no such address, or where nothing says which forge it is.
    """
    address, token = urlsplit(project.url.removesuffix(".git")), environment.text(FORGE_TOKEN)
    path, kind = address.path.strip("/"), kind_of(project)
    if not address.hostname or "/" not in path or not kind:
        return None
    if kind == "gitlab":
        return GitLab(f"https://{address.netloc}/api/v4", path, token)
    own = address.hostname != "github.com"
    home = f"https://{address.netloc}/api/v3" if own else "https://api.github.com"
    return GitHub(home, path, token)


@dataclass(frozen=True)
class _Api:
    """A REST interface.

    Attributes:
        home: what every address begins with.
        headers: who asks, and for which form of answer.
    """

    home: str
    headers: Mapping[str, str]

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Make a call.

        Raises:
            DeliveryError: the forge does not answer, or not as it should.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {**self.headers, "Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 (the forge's own address)
            f"{self.home}{path}", content, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                told = answer.read()
                return json.loads(told) if told else {}
        except urllib.error.HTTPError as error:
            told = f"forge: {method} {path}: {error.code} {error.reason}"
            raise _RefusalError(told, error.code) from None
        except (OSError, ValueError) as error:
            raise DeliveryError(f"forge: {method} {path}: {error}", Exit.FAILED) from None

    def found(self, path: str) -> Any:
        """What is there, or an empty answer when nothing is."""
        try:
            return self.call("GET", path)
        except _RefusalError as error:
            if error.status == 404:
                return {}
            raise

    def all(self, path: str) -> Iterator[Any]:
        """Every entry of a list, page by page."""
        joint = "&" if "?" in path else "?"
        for page in count(1):
            entries = self.call("GET", f"{path}{joint}per_page={_PAGE}&page={page}")
            yield from entries
            if len(entries) < _PAGE:
                return


class _RefusalError(DeliveryError):
    """The forge answered, but not with what was asked for."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, Exit.FAILED)
        self.status = status


class GitHub:
    """A repository on GitHub, as its jobs see it.

    Args:
        home: where its API is.
        name: the repository, such as `team/lakehouse`.
    """

    def __init__(self, home: str, name: str, token: str) -> None:
        headers = {"Accept": "application/vnd.github+json"}
        identity = {"Authorization": f"Bearer {token}"} if token else {}
        self.may_write = bool(token)
        self.name = name
        self.api = _Api(f"{home}/repos/{name}", {**headers, **identity})

    def asks(self, environment: str) -> bool:
        """Whether the environment has required reviewers."""
        rules = self.api.found(f"/environments/{quote(environment)}").get("protection_rules", [])
        return any(r.get("type") == "required_reviewers" and r.get("reviewers") for r in rules)

    def mend(self, environment: str) -> str:
        """The way through GitHub's settings."""
        return f"Settings, Environments, {environment}, Required reviewers"

    def approvers(self, environment: str) -> list[str]:
        """Who approved this run for the environment since its plan was made.

        GitHub keeps the reviews of all attempts of a run in one list, without a time.

        Raises:
            DeliveryError: the run was started again, and nothing says which reviews are older.
        """
        before, attempt = os.environ.get(APPROVED_BEFORE), os.environ.get("GITHUB_RUN_ATTEMPT", "1")
        if before is None and attempt != "1":
            raise DeliveryError(
                f"approval of {environment}: given attempt {attempt} of a run, expected its first: "
                "the approval of an earlier attempt does not count\n    Start the workflow anew.",
                Exit.REFUSED,
            )
        new = Counter(self.reviews(environment))
        new.subtract((before or "").split(","))
        return [*+new]

    def reviews(self, environment: str) -> list[str]:
        """Who approved this run for the environment, in any attempt."""
        reviews = self.api.found(f"/actions/runs/{required('GITHUB_RUN_ID')}/approvals")
        return [
            review["user"]["login"]
            for review in reviews or []
            if review["state"] == "approved"
            and environment in [known["name"] for known in review["environments"]]
        ]

    def comment(self, about: str, text: str) -> str:
        """One comment of the pull request; a person's is never taken for ours."""
        place = f"/issues/{self._request()}/comments"
        body = {"body": _marked(about, text)}
        for known in self.api.all(place):
            if _is_about(known, "body", about) and known["user"]["type"] == "Bot":
                changed = self.api.call("PATCH", f"/issues/comments/{known['id']}", body)
                return str(changed["html_url"])
        return str(self.api.call("POST", place, body)["html_url"])

    def issue(self, about: str, text: str) -> str:
        """One issue, opened and closed as it comes and goes."""
        known = next(
            (
                issue
                for issue in self.api.all("/issues?state=open")
                if _is_about(issue, "body", about) and issue["user"]["type"] == "Bot"
            ),
            None,
        )
        body = {"title": about, "body": _marked(about, text)}
        if known:
            change = body if text else {"state": "closed", "state_reason": "completed"}
            self.api.call("PATCH", f"/issues/{known['number']}", change)
            return str(known["html_url"])
        return str(self.api.call("POST", "/issues", body)["html_url"]) if text else ""

    def is_seen(self) -> bool:
        """Whether the repository shows its settings to us."""
        return bool(self.api.found(""))

    def is_locked(self, environment: str, branches: Sequence[str]) -> bool:
        """Whether the environment admits selected branches, and these are among ours.

        "Protected branches only" is not enough: where branches are protected by rulesets alone, it
        admits them all.
        """
        place = f"/environments/{quote(environment)}"
        policy = self.api.found(place).get("deployment_branch_policy") or {}
        if not policy.get("custom_branch_policies"):
            return False
        rules = self.api.found(f"{place}/deployment-branch-policies").get("branch_policies", [])
        named = {rule["name"] for rule in rules if rule.get("type", "branch") == "branch"}
        return len(named) == len(rules) > 0 and all(
            name in branches and self._is_protected(name) for name in named
        )

    def _is_protected(self, branch: str) -> bool:
        return bool(self.api.found(f"/branches/{quote(branch, safe='')}").get("protected"))

    def subjects(self, environment: str, branch: str) -> list[str]:  # noqa: ARG002
        """By name, and with ids, which repositories younger than July 2026 have in it."""
        forms, about = [f"repo:{self.name}"], self.api.found("")
        if about:
            owner, _, name = self.name.partition("/")
            forms.append(f"repo:{owner}@{about['owner']['id']}/{name}@{about['id']}")
        chosen = self.api.found("/actions/oidc/customization/sub").get("use_immutable_subject")
        if chosen is not None:
            forms = [forms[-1] if chosen else forms[0]]
        return [f"{form}:environment:{environment}" for form in forms]

    def unreviewed(self, branch: str) -> Iterator[str]:
        """What the rulesets of a branch leave open, and whether its code owners exist."""
        rules = list(self.api.all(f"/rules/branches/{quote(branch, safe='')}"))
        reviews = [r.get("parameters", {}) for r in rules if r["type"] == "pull_request"]
        missing = [name for key, name in _REVIEW.items() if not any(map(_given(key), reviews))]
        missing += [name for kind, name in _RULES.items() if kind not in {r["type"] for r in rules}]
        if missing:
            yield f"no ruleset of {branch} has: {', '.join(missing)}"
        for number in sorted({rule["ruleset_id"] for rule in rules if "ruleset_id" in rule}):
            ruleset = self.api.found(f"/rulesets/{number}")
            if ruleset.get("bypass_actors"):
                yield f"the ruleset {ruleset.get('name')} has a bypass list: empty it"
        errors = self.api.found("/codeowners/errors").get("errors")
        if errors is None:
            yield "there is no CODEOWNERS, so no owner is asked"
        for error in errors or ():
            yield f"{error['path']}:{error['line']}: {error['kind']}: no owner is asked"

    def unapproved(self, environment: str) -> Iterator[str]:
        """Whether admins, or whoever started the job, may let it through alone."""
        found = self.api.found(f"/environments/{quote(environment)}")
        rules = [r for r in found.get("protection_rules", []) if r["type"] == "required_reviewers"]
        if found.get("can_admins_bypass"):
            yield "switch off: Allow administrators to bypass configured protection rules"
        if not any(rule.get("prevent_self_review") for rule in rules):
            yield "switch on: Prevent self-review"

    def shared(self, environments: Sequence[str], asking: Sequence[str]) -> Iterator[str]:  # noqa: ARG002
        """Nothing: each subject names its environment, whatever the audience."""
        yield from ()

    def end_older(self, workflow: str) -> list[str]:
        """End runs of a workflow that began before this one, on its branch, and wait for people."""
        own, branch = required("GITHUB_RUN_ID"), quote(os.environ.get("GITHUB_REF_NAME", ""))
        place = f"/actions/workflows/{quote(workflow)}/runs?status=waiting&branch={branch}"
        ended = []
        for run in self.api.call("GET", f"{place}&per_page={_PAGE}")["workflow_runs"]:
            if int(run["id"]) < int(own):
                self.api.call("POST", f"/actions/runs/{run['id']}/cancel")
                ended.append(str(run["html_url"]))
        return ended

    def _request(self) -> int:
        try:
            event = json.loads(Path(required("GITHUB_EVENT_PATH")).read_text(encoding="utf-8"))
            return int(event["pull_request"]["number"])
        except (OSError, KeyError, TypeError, ValueError):
            raise _no_request() from None


class GitLab:
    """A project on GitLab; a job's own token may neither comment nor see who approves.

    Args:
        home: where its API is.
        path: the project, such as `team/lakehouse`.
    """

    def __init__(self, home: str, path: str, token: str) -> None:
        self.may_write = bool(token)
        self.path = path
        identity = {"PRIVATE-TOKEN": token} if token else {}
        self.everything = _Api(home, identity)
        self.api = _Api(f"{home}/projects/{quote(path, safe='')}", identity)

    def asks(self, environment: str) -> bool:
        """Whether the environment is protected, and wants an approval."""
        if not self.may_write:
            raise DeliveryError(
                f"approval of {environment}: GitLab tells nobody without {FORGE_TOKEN} whether "
                "somebody was asked\n    Set it to a project access token that may read the API, "
                "masked and protected; or approval: dispatch in delivery.yml.",
                Exit.REFUSED,
            )
        found = self.api.found(f"/protected_environments/{quote(environment)}")
        rules = [rule.get("required_approvals", 0) for rule in found.get("approval_rules", [])]
        return any([found.get("required_approval_count"), *rules])

    def mend(self, environment: str) -> str:
        """The way through GitLab's settings."""
        return f"Settings, CI/CD, Protected environments, {environment}, Approvers"

    def approvers(self, environment: str) -> list[str]:
        """Who approved the deployment that this job is."""
        listed = f"/deployments?environment={quote(environment)}&order_by=id&sort=desc"
        for known in self.api.all(listed) if self.may_write else ():
            if str((known.get("deployable") or {}).get("id")) == os.environ.get("CI_JOB_ID"):
                approvals = self.api.call("GET", f"/deployments/{known['id']}").get("approvals", [])
                return [a["user"]["username"] for a in approvals if a["status"] == "approved"]
        return []

    def reviews(self, environment: str) -> list[str]:  # noqa: ARG002
        """Nobody: each job is a deployment of its own, with approvals of its own."""
        return []

    def comment(self, about: str, text: str) -> str:
        """One note of the merge request."""
        request = os.environ.get("CI_MERGE_REQUEST_IID")
        if not request:
            raise _no_request()
        place, body = f"/merge_requests/{request}/notes", {"body": _marked(about, text)}
        for known in self.api.all(place):
            if _is_about(known, "body", about) and self._is_ours(known):
                self.api.call("PUT", f"{place}/{known['id']}", body)
                return self._address(f"merge_requests/{request}#note_{known['id']}")
        made = self.api.call("POST", place, body)
        return self._address(f"merge_requests/{request}#note_{made['id']}")

    def issue(self, about: str, text: str) -> str:
        """One issue, opened and closed as it comes and goes."""
        issues = self.api.all("/issues?state=opened")
        known = next(
            (i for i in issues if _is_about(i, "description", about) and self._is_ours(i)), None
        )
        body = {"title": about, "description": _marked(about, text)}
        if known:
            change = body if text else {"state_event": "close"}
            return str(self.api.call("PUT", f"/issues/{known['iid']}", change)["web_url"])
        return str(self.api.call("POST", "/issues", body)["web_url"]) if text else ""

    def is_seen(self) -> bool:
        """Whether the project shows its settings to us."""
        return bool(self.api.found(""))

    def is_locked(self, environment: str, branches: Sequence[str]) -> bool:  # noqa: ARG002
        """Whether the branches are protected: the subject names one, and nothing else does.

        Raises:
            DeliveryError: other settings open the way that the branch is to close.
        """
        about = self.api.found("")
        if about.get("merge_pipelines_enabled"):
            raise _open(
                "merged results pipelines are on: a request from a protected branch into any "
                "branch runs the code of both, with the subject of the protected one",
                "Settings, Merge requests, Merge options: switch them off, merge trains too.",
            )
        if about.get(_ROLE, _LEAST) not in _ROLES:
            raise _open(
                f"pipeline variables: given {about[_ROLE]}, expected {' or '.join(_ROLES)}: they "
                "reach into jobs that deliver, and the form of a new pipeline needs them",
                "Settings, CI/CD, Variables, Minimum role to use pipeline variables.",
            )
        places = (f"/protected_branches/{quote(branch, safe='')}" for branch in branches)
        return all(self.api.found(place) for place in places)

    def subjects(self, environment: str, branch: str) -> list[str]:
        """The branch's; requests have none of their own, so theirs is the project as a whole."""
        if environment in ("staging-plan", "preview"):
            return [f"{self.path} (subject_claim: project_path)"]
        return [f"project_path:{self.path}:ref_type:branch:ref:{branch}"]

    def unreviewed(self, branch: str) -> Iterator[str]:
        """What protection and approval rules of a branch leave open."""
        found = self.api.found(f"/protected_branches/{quote(branch, safe='')}")
        if any(level.get("access_level") for level in found.get("push_access_levels", [{}])):
            yield f"{branch} takes pushes: Allowed to push and merge: no one"
        if found.get("allow_force_push"):
            yield f"{branch} takes force pushes: switch them off"
        if not found.get("code_owner_approval_required"):
            yield f"{branch} asks no code owner: Code owner approval (Premium)"
        if not any(r.get("approvals_required") for r in self.api.found("/approval_rules") or ()):
            yield "no approval rule asks for an approval (Premium)"
        given = self.api.found("/approvals")
        missing = [name for (key, good), name in _APPROVALS.items() if given.get(key) is not good]
        if missing:
            yield f"approval settings: {', '.join(missing)} (Premium)"

    def unapproved(self, environment: str) -> Iterator[str]:  # noqa: ARG002
        """Whether whoever started the pipeline may let it through alone."""
        if self.api.found("").get("allow_pipeline_trigger_approve_deployment"):
            yield "switch off: Allow pipeline triggerer to approve deployment"

    def shared(self, environments: Sequence[str], asking: Sequence[str]) -> Iterator[str]:
        """Audiences are the only wall between identities of one branch: each has its own."""
        variables = list(self.api.all("/variables"))
        audiences = {v["environment_scope"]: v for v in variables if v["key"] == _AUDIENCE}
        missing = [name for name in environments if name not in audiences]
        if missing:
            yield f"no {_AUDIENCE} for {', '.join(missing)}"
        values = [(scope, v.get("value")) for scope, v in sorted(audiences.items())]
        for value, times in Counter(value for _, value in values).items():
            if times > 1:
                names = ", ".join(scope for scope, own in values if own == value)
                yield f"{names} have one {_AUDIENCE}: a token of each opens them all"
        for variable in variables:
            scope = variable["environment_scope"]
            if variable["key"] == FORGE_TOKEN and scope not in (*asking, *_READERS):
                yield f"{FORGE_TOKEN} is in {scope}, where nobody needs it"

    def _is_ours(self, text: Mapping[str, Any]) -> bool:
        """Whether this token wrote it: anybody could begin a text with our mark."""
        return bool(text["author"]["id"] == self.everything.call("GET", "/user")["id"])

    def _address(self, path: str) -> str:
        return f"{os.environ.get('CI_PROJECT_URL', '')}/-/{path}"


def _given(key: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda settings: bool(settings.get(key))


def _open(what: str, mend: str) -> DeliveryError:
    return DeliveryError(f"{what}\n    {mend}")


def _marked(about: str, text: str) -> str:
    """The text, and the mark by which it is found again."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n```\n… the rest is in the job."
    return f"<!-- delivery: {about} -->\n{shown}"


def _is_about(entry: Mapping[str, Any], field: str, about: str) -> bool:
    return str(entry.get(field) or "").startswith(f"<!-- delivery: {about} -->")


def _no_request() -> DeliveryError:
    return DeliveryError(
        "forge comment: expected a job of a pull or merge request; nothing else has comments"
    )
