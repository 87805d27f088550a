"""The settings of an emulated repository on GitHub, with the limits of its plans.

Each endpoint answers as its documentation says: status codes, what a plan refuses, and 404 or 403
for what a token may not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

Answer = tuple[int, Any]
# docs.github.com/rest/repos/rules, and what it says on a private repository of GitHub Free
UPGRADE = (
    403,
    {"message": "Upgrade to GitHub Pro or make this repository public to enable this feature."},
)
# github.com/backstage/backstage/issues/28977
NO_REVIEWERS = (
    422,
    {
        "message": "Failed to create the environment protection rule. Please ensure the billing "
        "plan supports the required reviewers protection rule."
    },
)
# github.com/github-community-projects/safe-settings/issues/628
NO_SELF_REVIEW = (
    422,
    {
        "message": "Failed to create or update the environment protection rule. Required reviewers "
        "must have at least one reviewer to set prevent_self_review."
    },
)
NOT_FOUND = (404, {"message": "Not Found"})
WRITERS = ("push", "maintain", "admin")


def invalid(reason: str) -> Answer:
    """docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed"""
    return 422, {"message": "Validation Failed", "errors": [reason]}


@dataclass
class Place:
    """An environment."""

    reviewers: list[dict[str, Any]] = field(default_factory=list)
    prevent_self_review: bool = False
    wait_timer: int = 0
    can_admins_bypass: bool = True
    policy: dict[str, bool] | None = None
    branches: dict[int, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class Repository:
    """The settings of a repository.

    Attributes:
        plan: that of the organization: free, team or enterprise.
        shows_plan: whether the token belongs to an owner of the organization, who sees its plan.
        teams: of the organization: the id of each.
        levels: what each team may do in the repository.
        people: the id of each user, and what they may do in the repository.
        owners: the code owners in the file of the default branch; None: there is no file.
        broken: lines of that file that mean nothing.
    """

    name: str = "acme/lakehouse"
    private: bool = False
    plan: str = "enterprise"
    shows_plan: bool = True
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    actions: dict[str, Any] = field(
        default_factory=lambda: {
            "enabled": True,
            "allowed_actions": "all",
            "sha_pinning_required": False,
        }
    )
    workflow: dict[str, Any] = field(
        default_factory=lambda: {
            "default_workflow_permissions": "write",
            "can_approve_pull_request_reviews": True,
        }
    )
    forks: dict[str, Any] = field(
        default_factory=lambda: {"approval_policy": "first_time_contributors"}
    )
    teams: dict[str, int] = field(default_factory=lambda: {"data-team": 71})
    levels: dict[str, str] = field(default_factory=dict)
    people: dict[str, tuple[int, str]] = field(default_factory=dict)
    owners: list[str] | None = None
    broken: list[int] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(100))

    # --- the repository and its owner: docs.github.com/rest/repos/repos, …/orgs/orgs ---

    def itself(self) -> dict[str, Any]:
        """The repository."""
        owner = {"id": 11, "login": self.name.partition("/")[0], "type": "Organization"}
        return {"id": 22, "owner": owner, "private": self.private}

    def organization(self) -> dict[str, Any]:
        """Only owners of an organization see its plan."""
        plan = {"plan": {"name": self.plan}} if self.shows_plan else {}
        return {"login": self.name.partition("/")[0], **plan}

    @property
    def is_limited(self) -> bool:
        """docs.github.com/get-started/learning-about-github/githubs-plans"""
        return self.private and self.plan == "free"

    # --- rulesets: docs.github.com/rest/repos/rules ---

    def list_rulesets(self) -> Any:
        """Without their rules."""
        if self.is_limited:
            return UPGRADE
        return [{"id": n, "name": one["name"]} for n, one in self.rulesets.items()]

    def ruleset(self, number: int, is_admin: bool) -> Any:
        """Only who may write it sees who may bypass it."""
        if number not in self.rulesets:
            return NOT_FOUND
        hidden = () if is_admin else ("bypass_actors",)
        return {"id": number, **{k: v for k, v in self.rulesets[number].items() if k not in hidden}}

    def save_ruleset(self, number: int | None, body: dict[str, Any]) -> Answer:
        """Create or replace one; names are unique."""
        if self.is_limited:
            return UPGRADE
        if number is not None and number not in self.rulesets:
            return NOT_FOUND
        others = [one["name"] for n, one in self.rulesets.items() if n != number]
        if body.get("name") in others:
            return invalid("Name must be unique")
        if {"name", "enforcement"} - body.keys() or body["enforcement"] not in (
            "active",
            "disabled",
        ):
            return invalid("name and enforcement are required")
        known = next(self.numbers) if number is None else number
        self.rulesets[known] = {**self.rulesets.get(known, {}), **body}
        return 201 if number is None else 200, self.ruleset(known, is_admin=True)

    def rules_of(self, branch: str) -> Any:
        """The active rules of all rulesets for a branch."""
        if self.is_limited:
            return UPGRADE
        return [
            {**rule, "ruleset_id": number, "ruleset_source_type": "Repository"}
            for number, one in self.rulesets.items()
            if one["enforcement"] == "active"
            and f"refs/heads/{branch}" in one["conditions"]["ref_name"]["include"]
            for rule in one["rules"]
        ]

    # --- Actions: docs.github.com/rest/actions/permissions ---

    def set_forks(self, body: dict[str, Any]) -> Answer:
        """Only public repositories have it."""
        if self.private:
            return 422, {"message": "Fork PR approval is not allowed for private repositories."}
        self.forks = body
        return 204, {}

    # --- environments: docs.github.com/rest/deployments/environments and …/branch-policies ---

    def place(self, name: str) -> Any:
        """An environment."""
        if self.is_limited or name not in self.places:
            return NOT_FOUND
        one, rules = self.places[name], []
        if one.reviewers:
            asked = [self._reviewer(reviewer) for reviewer in one.reviewers]
            rules.append({
                "type": "required_reviewers",
                "prevent_self_review": one.prevent_self_review,
                "reviewers": asked,
            })  # fmt: skip
        if one.wait_timer:
            rules.append({"type": "wait_timer", "wait_timer": one.wait_timer})
        return {
            "name": name,
            "protection_rules": rules,
            "deployment_branch_policy": one.policy,
            "can_admins_bypass": one.can_admins_bypass,
        }

    def _reviewer(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["type"] == "Team":
            slug = next(slug for slug, number in self.teams.items() if number == given["id"])
            return {"type": "Team", "reviewer": {"id": given["id"], "slug": slug}}
        login = next((who for who, (n, _) in self.people.items() if n == given["id"]), "someone")
        return {"type": "User", "reviewer": {"id": given["id"], "login": login}}

    def put_place(self, name: str, body: dict[str, Any]) -> Answer:
        """Create or replace an environment: what is not given is reset."""
        if self.is_limited:
            return NOT_FOUND
        asked, policy = body.get("reviewers") or [], body.get("deployment_branch_policy")
        if (asked or body.get("wait_timer")) and self.private and self.plan != "enterprise":
            return NO_REVIEWERS
        if body.get("prevent_self_review") and not asked:
            return NO_SELF_REVIEW
        if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
            return invalid("protected_branches and custom_branch_policies cannot be the same")
        one = self.places.setdefault(name, Place())
        one.reviewers, one.policy = [dict(reviewer) for reviewer in asked], policy
        one.prevent_self_review = bool(body.get("prevent_self_review"))
        one.wait_timer = int(body.get("wait_timer") or 0)
        one.can_admins_bypass = body.get("can_admins_bypass", one.can_admins_bypass)
        if not (policy or {}).get("custom_branch_policies"):
            one.branches.clear()
        return 200, self.place(name)

    def admitted(self, name: str) -> Any:
        """The branches that an environment admits."""
        if name not in self.places:
            return NOT_FOUND
        rules = [{"id": n, **rule} for n, rule in self.places[name].branches.items()]
        return {"total_count": len(rules), "branch_policies": rules}

    def admit(self, name: str, body: dict[str, Any]) -> Answer:
        """404 unless the environment has selected branches; 303 if the branch is there already."""
        one = self.places.get(name)
        if one is None or not (one.policy or {}).get("custom_branch_policies"):
            return NOT_FOUND
        rule = {"name": body["name"], "type": body.get("type", "branch")}
        if rule in one.branches.values():
            return 303, {}
        one.branches[next(self.numbers)] = rule
        return 200, rule

    # --- variables: docs.github.com/rest/actions/variables ---

    def variable(self, place: str, name: str) -> Any:
        """One variable."""
        found = self.places[place].variables.get(name) if place in self.places else None
        return NOT_FOUND if found is None else {"name": name, "value": found}

    def new_variable(self, place: str, body: dict[str, Any]) -> Answer:
        """409 if it exists already."""
        if place not in self.places:
            return NOT_FOUND
        if body["name"] in self.places[place].variables:
            return 409, {"message": "Already exists - Variable already exists"}
        self.places[place].variables[body["name"]] = body["value"]
        return 201, {}

    def change_variable(self, place: str, name: str, body: dict[str, Any]) -> Answer:
        """404 if it does not exist."""
        if place not in self.places or name not in self.places[place].variables:
            return NOT_FOUND
        self.places[place].variables[name] = body["value"]
        return 204, {}

    # --- teams, people and code owners: docs.github.com/rest/teams/teams, …/collaborators ---

    def of_repository(self) -> list[dict[str, Any]]:
        """The teams of the repository, with what they may do."""
        return [{"slug": slug, "permission": level} for slug, level in self.levels.items()]

    def let_team(self, slug: str, body: dict[str, Any]) -> Answer:
        """Give a team of the organization a level."""
        if slug not in self.teams:
            return NOT_FOUND
        self.levels[slug] = body["permission"]
        return 204, {}

    def errors(self) -> Any:
        """docs.github.com/rest/repos/repos#list-codeowners-errors: of the default branch."""
        if self.owners is None:
            return NOT_FOUND
        unknown = [owner for owner in self.owners if not self._may_write(owner)]
        found = [{"line": 2, "kind": "Unknown owner", "path": "CODEOWNERS"} for _ in unknown]
        found += [{"line": n, "kind": "Invalid pattern", "path": "CODEOWNERS"} for n in self.broken]
        return {"errors": found}

    def _may_write(self, owner: str) -> bool:
        _, _, team = owner.removeprefix("@").partition("/")
        if team:
            return self.levels.get(team) in WRITERS
        return self.people.get(owner.removeprefix("@"), (0, ""))[1] in ("write", "admin")
