"""The settings of a repository on GitHub as things, by its REST API.

Sources: docs.github.com/rest/repos/rules (rulesets), docs.github.com/rest/actions/permissions,
docs.github.com/rest/deployments/environments and …/branch-policies, docs.github.com/rest/actions/
variables, docs.github.com/rest/repos/repos#list-codeowners-errors. `can_admins_bypass` is written
as the Terraform provider writes it: registry.terraform.io/providers/integrations/github,
`github_repository_environment`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NoReturn
from urllib.parse import quote

from delivery.bootstrap.call import Call
from delivery.bootstrap.forge_service import ForgeService
from delivery.bootstrap.thing import Look, Step, UnavailableError
from delivery.bootstrap.wanted import Environment, Wanted
from delivery.config.code_owners import NO_OWNER, OWNERS_FILE
from delivery.errors import NotVisibleError

ADMIN = "an admin of the repository"
ORGANIZATION = "an owner of the organization"
_RULESET = "delivery"
_CHECKS, _PULL = "required_status_checks", "pull_request"
# The rules and parameters of a ruleset: their names in the API and in GitHub's settings.
_RULES = {"deletion": "Restrict deletions", "non_fast_forward": "Block force pushes"}
_REVIEW = {
    "dismiss_stale_reviews_on_push": "Dismiss stale pull request approvals",
    "require_code_owner_review": "Require review from Code Owners",
    "require_last_push_approval": "Require approval of the most recent reviewable push",
}
_COUNT = "required_approving_review_count"
# Plans whose environments have no required reviewers in private repositories.
_WITHOUT_REVIEWERS = ("free", "pro", "team")
_Judge = Callable[[Mapping[str, Any]], str]  # what is wrong with a setting; empty if nothing is
_WRITERS = ("push", "maintain", "admin", "write")


@dataclass(frozen=True)
class GitHubSettings:
    """What a repository needs.

    Attributes:
        repository: what GitHub says of the repository itself.
    """

    service: ForgeService
    name: str
    wanted: Wanted
    repository: Mapping[str, Any] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        """Everything that the repository needs, in the order in which it is made."""
        yield Step("branch rules", self._rules, partial(self._save, {}), lacking=self._no_rules)
        yield self._switch("workflow token", "workflow", self._token_is_wrong, _READ_ONLY)
        yield self._switch("pinned actions", "", self._pins_are_wrong, _PINNED)
        if not self.is_private:  # GitHub has this setting for public repositories alone
            yield self._switch("workflows of forks", _FORKS, self._forks_are_wrong, _ASK_ALWAYS)
        for owner in self.wanted.owners:
            yield Step(f"code owner {owner}", partial(self._owner, owner))
        yield Step(OWNERS_FILE, self._owners_file)
        for environment in self.wanted.environments:
            yield from self._of_environment(environment)

    # --- the repository and its plan ---

    @property
    def _path(self) -> str:
        return f"/repos/{self.name}"

    @property
    def is_private(self) -> bool:
        """Whether it is private or internal; unknown repositories are public."""
        return bool(self.repository.get("private"))

    @cached_property
    def plan(self) -> str:
        """The plan of its owner, such as `team`; empty if this identity may not know it."""
        owner = self.repository.get("owner", {})
        is_user = owner.get("type") == "User"
        try:
            found = self.service.get("/user" if is_user else f"/orgs/{owner.get('login')}") or {}
        except (NotVisibleError, UnavailableError):
            return ""
        is_own = found.get("login") == owner.get("login")
        return str(found.get("plan", {}).get("name", "")) if is_own else ""

    @cached_property
    def _has_no_environments(self) -> bool:
        """Whether its plan has neither environments nor rulesets for it."""
        if not self.is_private or self.plan not in ("", "free"):
            return False
        try:
            self.service.get(f"{self._path}/rulesets")
        except UnavailableError:
            return True
        except NotVisibleError:
            pass
        return self.plan == "free"

    # --- the rules of branches ---

    def _rules(self) -> Look:
        problems: list[str] = []
        for branch in self.wanted.branches:
            lacking = self._lacking(branch)
            problems += [f"no ruleset of {branch} has: {', '.join(lacking)}"] if lacking else []
        own = self._own_ruleset()
        dangers = () if self.wanted.approvals else ("approvals: 0: nobody reviews a change",)
        if not problems:
            return Look(f"{', '.join(self.wanted.branches)}: {self._summary}", True, None, dangers)
        return Look("; ".join(problems), False, self._save(own), dangers)

    @property
    def _summary(self) -> str:
        count = self.wanted.approvals
        reviews = f"{count} approval{'s' if count > 1 else ''}" if count else "no approvals"
        return f"{reviews}, {len(self.wanted.checks)} checks, no force pushes"

    def _lacking(self, branch: str) -> list[str]:
        """What no ruleset without a bypass list has for a branch."""
        rules = list(self.service.pages(f"{self._path}/rules/branches/{quote(branch, safe='')}"))
        numbers = sorted({rule["ruleset_id"] for rule in rules if "ruleset_id" in rule})
        passed = {number: name for number in numbers if (name := self._bypassed(number))}
        held = [rule for rule in rules if rule.get("ruleset_id") not in passed]
        kinds = {rule["type"] for rule in held}
        reviews = [rule.get("parameters", {}) for rule in held if rule["type"] == _PULL]
        lacking = [name for kind, name in _RULES.items() if kind not in kinds]
        if max((r.get(_COUNT, 0) for r in reviews), default=-1) < self.wanted.approvals:
            lacking.append(f"Required approvals: {self.wanted.approvals}")
        if self.wanted.approvals:
            lacking += [
                name for key, name in _REVIEW.items() if not any(r.get(key) for r in reviews)
            ]
        known = {check["context"] for rule in held for check in _checks_of(rule)}
        absent = [check for check in self.wanted.checks if check not in known]
        if absent:
            lacking.append(f"the required checks {', '.join(absent)}")
        if lacking and passed:
            names = ", ".join(passed.values())
            lacking.append(f"(rules of {names} do not count: it has a bypass list)")
        return lacking

    def _bypassed(self, number: int) -> str:
        """The name of a ruleset that somebody may bypass; only admins see its bypass list."""
        found = self.service.get(f"{self._path}/rulesets/{number}") or {}
        return str(found.get("name", number)) if found.get("bypass_actors") else ""

    def _own_ruleset(self) -> dict[str, Any]:
        """The ruleset that an earlier run made, or that has its name; empty if there is none."""
        listed = self.service.pages(f"{self._path}/rulesets?includes_parents=false")
        numbers = [one["id"] for one in listed if one["name"] == _RULESET]
        return (self.service.get(f"{self._path}/rulesets/{numbers[0]}") or {}) if numbers else {}

    def _save(self, known: Mapping[str, Any]) -> Call:
        """One ruleset for all branches; rules that somebody added to it stay."""
        refs = [f"refs/heads/{branch}" for branch in self.wanted.branches]
        body = {
            "name": _RULESET,
            "target": "branch",
            "enforcement": "active",
            "bypass_actors": [],
            "conditions": {"ref_name": {"include": refs, "exclude": []}},
            "rules": self._wanted_rules(known.get("rules", ())),
        }
        path = f"{self._path}/rulesets"
        if known:
            return Call(self.service, "PUT", f"{path}/{known['id']}", body, ADMIN)
        return Call(self.service, "POST", path, body, ADMIN)

    def _wanted_rules(self, known: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        ours = (*_RULES, _PULL, _CHECKS)
        by_kind = {rule["type"]: rule.get("parameters", {}) for rule in known}
        others = [dict(rule) for rule in known if rule["type"] not in ours]
        found = by_kind.get(_PULL, {})
        is_reviewed = bool(self.wanted.approvals)
        review = {
            "required_review_thread_resolution": False,
            **found,
            **{key: is_reviewed or found.get(key, False) for key in _REVIEW},
            _COUNT: max(found.get(_COUNT, 0), self.wanted.approvals),
        }
        checks = list(by_kind.get(_CHECKS, {}).get(_CHECKS, ()))
        names = {check["context"] for check in checks}
        checks += [{"context": name} for name in self.wanted.checks if name not in names]
        strict = by_kind.get(_CHECKS, {}).get("strict_required_status_checks_policy", False)
        required = {"strict_required_status_checks_policy": strict, _CHECKS: checks}
        return [
            *({"type": kind} for kind in _RULES),
            {"type": _PULL, "parameters": review},
            {"type": _CHECKS, "parameters": required},
            *others,
        ]

    def _no_rules(self, reason: str) -> Look:
        return Look(f"{_FREE}, and nothing else protects its branches ({reason})", False)

    # --- settings of Actions ---

    def _switch(
        self, name: str, place: str, is_wrong: _Judge, values: Mapping[str, object]
    ) -> Step:
        path = f"{self._path}/actions/permissions{place and '/'}{place}"

        def look() -> Look:
            found = self.service.get(path) or {}
            absent = [key for key in values if key not in found]
            if absent:  # an older server
                raise UnavailableError(f"this server has no {', '.join(absent)}")
            problem = is_wrong(found)
            kept = {key: found[key] for key in ("enabled", "allowed_actions") if key in found}
            call = Call(self.service, "PUT", path, {**(kept if not place else {}), **values}, ADMIN)
            return Look(problem, False, call) if problem else Look(_said(values), True)

        blind = partial(Call, self.service, "PUT", path, {**values}, ADMIN)
        return Step(name, look, blind, lacking=partial(Look, is_there=False, instead=_REVIEWED))

    @staticmethod
    def _token_is_wrong(found: Mapping[str, Any]) -> str:
        problems = []
        if found.get("default_workflow_permissions") != "read":
            problems.append("workflows may write by default")
        if found.get("can_approve_pull_request_reviews"):
            problems.append("workflows may approve pull requests")
        return "; ".join(problems)

    @staticmethod
    def _pins_are_wrong(found: Mapping[str, Any]) -> str:
        return "" if found.get("sha_pinning_required") else "actions may be used by a mutable tag"

    @staticmethod
    def _forks_are_wrong(found: Mapping[str, Any]) -> str:
        is_right = found.get("approval_policy") == _ASK_ALWAYS["approval_policy"]
        return "" if is_right else "workflows of forks start without an approval"

    # --- code owners ---

    def _owners_file(self) -> Look:
        """GitHub reads the file of the default branch, and ignores what it does not know."""
        found = self.service.get(f"{self._path}/codeowners/errors")
        if found is None:
            message = f"no {OWNERS_FILE} on the default branch: merge it, or nobody is asked"
            return Look(message, False)
        errors = [f"line {error['line']}: {error['kind']}" for error in found.get("errors", ())]
        if errors:
            return Look(f"{'; '.join(errors)}: no code owner reviews", False)
        return Look("GitHub knows all owners", True)

    def _owner(self, owner: str) -> Look:
        who, _, team = owner.removeprefix("@").partition("/")
        if owner.startswith(NO_OWNER) or not owner.startswith("@"):
            message = f"given {owner}, expected a team of the organization, such as @{self.name}"
            return Look(
                f"{message.rpartition('/')[0]}/data-team: write it into {OWNERS_FILE}", False
            )
        if team:
            return self._team(owner, who, team)
        path = f"{self._path}/collaborators/{quote(who)}/permission"
        found = (self.service.get(path) or {}).get("permission", "no")
        if found in _WRITERS:
            return Look(f"has {found} access", True)
        return Look(f"has {found} access: give them write access", False)

    def _team(self, owner: str, who: str, team: str) -> Look:
        teams = self.service.pages(f"{self._path}/teams")
        levels = [one["permission"] for one in teams if one["slug"] == team]
        if any(level in _WRITERS for level in levels):
            return Look(f"has {levels[0]} access", True)
        place = f"/orgs/{quote(who)}/teams/{quote(team)}"
        if not levels and self.service.get(place) is None:
            message = f"{owner} is no team that this token may see"
            return Look(f"{message}: create it, or write another into {OWNERS_FILE}", False)
        path = f"{place}{self._path}"
        call = Call(self.service, "PUT", path, {"permission": "push"}, ORGANIZATION)
        return Look(f"has {levels[0] if levels else 'no'} access, expected push", False, call)

    # --- environments ---

    def _of_environment(self, one: Environment) -> Iterator[Step]:
        if self._has_no_environments:
            yield Step(f"environment {one.name}", _free)
            return
        new = partial(self._put, one, {}, ())
        yield Step(f"environment {one.name}", partial(self._environment, one), new)
        if one.branches:
            blind = partial(self._admit_all, one)
            yield Step(f"{one.name} branches", partial(self._branches, one), blind)
        if one.approval != "none":
            look, lacking = partial(self._reviewers, one), partial(self._no_reviewers, one)
            yield Step(f"{one.name} reviewers", look, lacking=lacking)
        look = partial(self._variables, one)
        yield Step(f"{one.name} variables", look, partial(self._set_all, one))
        if one.unknown:
            yield Step(f"{one.name} placeholders", partial(self._unknown, one))

    def _place(self, one: Environment) -> str:
        return f"{self._path}/environments/{quote(one.name, safe='')}"

    def _put(
        self, one: Environment, known: Mapping[str, Any], reviewers: Sequence[Mapping[str, Any]]
    ) -> Call:
        """The whole environment: a call replaces all of its rules."""
        rules = {rule["type"]: rule for rule in known.get("protection_rules", ())}
        found = rules.get("required_reviewers", {})
        kept = [{"type": r["type"], "id": r["reviewer"]["id"]} for r in found.get("reviewers", ())]
        asked = list(reviewers) or kept
        custom = {"protected_branches": False, "custom_branch_policies": True}
        body: dict[str, Any] = {
            "deployment_branch_policy": custom
            if one.branches
            else known.get("deployment_branch_policy")
        }
        if rules.get("wait_timer"):
            body["wait_timer"] = rules["wait_timer"].get("wait_timer", 0)
        if asked:
            body["reviewers"] = asked
            body["prevent_self_review"] = bool(
                (reviewers and self.wanted.approvals) or found.get("prevent_self_review")
            )
        if one.approval == "environment":
            body["can_admins_bypass"] = False
        return Call(self.service, "PUT", self._place(one), body, ADMIN)

    def _environment(self, one: Environment) -> Look:
        found = self.service.get(self._place(one))
        if found is None:
            return Look("does not exist", False, self._put(one, {}, ()))
        problems = []
        policy = found.get("deployment_branch_policy") or {}
        if one.branches and not policy.get("custom_branch_policies"):
            problems.append("other branches may run its jobs: not limited to selected branches")
        if one.approval == "environment" and found.get("can_admins_bypass"):
            problems.append("administrators may bypass its rules")
        if problems:
            return Look("; ".join(problems), False, self._put(one, found, ()))
        return Look("selected branches" if one.branches else "every branch", True)

    def _admit(self, one: Environment, branch: str) -> Call:
        path = f"{self._place(one)}/deployment-branch-policies"
        return Call(self.service, "POST", path, {"name": branch, "type": "branch"}, ADMIN)

    def _admit_all(self, one: Environment) -> tuple[Call, ...]:
        return tuple(self._admit(one, branch) for branch in one.branches)

    def _branches(self, one: Environment) -> Look:
        path = f"{self._place(one)}/deployment-branch-policies"
        found = list(self.service.pages(path, "branch_policies"))
        admitted = {rule["name"] for rule in found if rule.get("type", "branch") == "branch"}
        others = [
            rule
            for rule in found
            if rule.get("type", "branch") != "branch" or rule["name"] not in one.branches
        ]
        absent = [branch for branch in one.branches if branch not in admitted]
        calls = [
            *(self._admit(one, branch) for branch in absent),
            *(Call(self.service, "DELETE", f"{path}/{rule['id']}", {}, ADMIN) for rule in others),
        ]
        problems = [f"does not admit {branch}" for branch in absent]
        problems += [f"admits the {r.get('type', 'branch')} {r['name']}" for r in others]
        if problems:
            return Look("; ".join(problems), False, calls[0], (), tuple(calls[1:]))
        return Look(", ".join(one.branches), True)

    # --- approval ---

    def _reviewers(self, one: Environment) -> Look:
        if self.is_private and self.plan in _WITHOUT_REVIEWERS:
            name = self.plan.capitalize()
            raise UnavailableError(f"GitHub {name} has them in public repositories alone")
        if one.approval == "dispatch":
            return Look(f"not needed: {_DISPATCH}", True)
        found = self.service.get(self._place(one)) or {}
        rules = [r for r in found.get("protection_rules", ()) if r["type"] == "required_reviewers"]
        asked = [r for rule in rules for r in rule.get("reviewers", ())]
        is_alone = not self.wanted.approvals
        if asked and (is_alone or any(rule.get("prevent_self_review") for rule in rules)):
            names = (r["reviewer"].get("login") or r["reviewer"].get("slug") for r in asked)
            return Look(", ".join(filter(None, names)), True)
        if asked:
            kept = [{"type": r["type"], "id": r["reviewer"]["id"]} for r in asked]
            message = "who starts a job may approve it: Prevent self-review is off"
            return Look(message, False, self._put(one, found, kept))
        chosen = [r for name in self.wanted.approvers if (r := self._reviewer(name))]
        if not chosen:
            given = ", ".join(self.wanted.approvers) or "nobody"
            message = f"no required reviewers; given {given}, expected a team that exists"
            return Look(f"{message}: --approver @your-organization/your-team", False)
        return Look("no required reviewers", False, self._put(one, found, chosen))

    def _reviewer(self, name: str) -> dict[str, Any] | None:
        """A user or a team, as environments name it; None if there is none."""
        who, _, team = name.removeprefix("@").partition("/")
        path = f"/orgs/{quote(who)}/teams/{quote(team)}" if team else f"/users/{quote(who)}"
        is_name = name.startswith("@") and not name.startswith(NO_OWNER)
        found = self.service.get(path) if is_name else None
        return {"type": "Team" if team else "User", "id": found["id"]} if found else None

    @staticmethod
    def _no_reviewers(one: Environment, reason: str) -> Look:
        if one.approval == "dispatch":
            return Look(f"no required reviewers: {reason}", False, instead=_DISPATCH)
        advice = f"set approval: {{{one.name}: dispatch}} in delivery.yml"
        return Look(f"no required reviewers: {reason}; {advice}", False)

    # --- variables ---

    def _found(self, one: Environment, keys: Iterable[str]) -> dict[str, str]:
        """The variables of an environment; each is asked for, because a list has thirty at most."""
        path = f"{self._place(one)}/variables"
        known = ((key, self.service.get(f"{path}/{key}")) for key in keys)
        return {key: str(found["value"]) for key, found in known if found is not None}

    def _variables(self, one: Environment) -> Look:
        found = self._found(one, one.variables)
        calls = [
            self._set(one, key, is_new=key not in found)
            for key, value in one.variables.items()
            if found.get(key) != value
        ]
        if calls:
            return Look("; ".join(one.problems(found)), False, calls[0], (), tuple(calls[1:]))
        return Look(" ".join(f"{key}={value}" for key, value in found.items()), True)

    def _unknown(self, one: Environment) -> Look:
        return one.not_known(self._found(one, one.unknown))

    def _set(self, one: Environment, key: str, is_new: bool = True) -> Call:
        path = f"{self._place(one)}/variables"
        body = {"name": key, "value": one.variables[key]}
        if is_new:
            return Call(self.service, "POST", path, body, ADMIN)
        return Call(self.service, "PATCH", f"{path}/{key}", body, ADMIN)

    def _set_all(self, one: Environment) -> tuple[Call, ...]:
        return tuple(self._set(one, key) for key in one.variables)


_READ_ONLY = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False}
_PINNED = {"enabled": True, "sha_pinning_required": True}
_FORKS = "fork-pr-contributor-approval"
_ASK_ALWAYS = {"approval_policy": "all_external_contributors"}
_REVIEWED = "code owners review every change of .github"
_DISPATCH = "the job starts with the plan's digest (approval: dispatch)"
_FREE = (
    "GitHub Free has neither rulesets nor environments for a private repository: make it public, "
    "or use Pro, Team or Enterprise"
)


def _free() -> NoReturn:
    raise UnavailableError(_FREE)


def _checks_of(rule: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = rule.get("parameters", {}).get(_CHECKS, ()) if rule["type"] == _CHECKS else ()
    return [*found]


def _said(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key}: {str(value).lower()}" for key, value in values.items())
