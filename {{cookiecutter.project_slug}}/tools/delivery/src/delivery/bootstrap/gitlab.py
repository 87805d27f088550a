"""The settings of a project on GitLab as things, by its REST API.

Sources: docs.gitlab.com/api/protected_branches, …/projects, …/merge_request_approvals,
…/environments, …/protected_environments, …/project_level_variables, …/pipeline_schedules. What a
plan lacks is known from the project itself: `allow_pipeline_trigger_approve_deployment` is there
only where protected environments are, from Premium on (docs.gitlab.com/api/projects).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any
from urllib.parse import quote

from delivery.bootstrap.call import Call
from delivery.bootstrap.forge_service import ForgeService
from delivery.bootstrap.thing import Look, Step, UnavailableError
from delivery.bootstrap.wanted import Environment, Wanted
from delivery.config.code_owners import NO_OWNER, OWNERS_FILE
from delivery.config.target import PREVIEW_TARGET
from delivery.forge.environment import FORGE_TOKEN

MAINTAINER = "a maintainer of the project"
_NOBODY, _DEVELOPER, _MAINTAINER = 0, 30, 40
_CRON = "17 3 * * *"
_TRIGGER = "allow_pipeline_trigger_approve_deployment"
_ROLE = "ci_pipeline_variables_minimum_override_role"
_ROLES = ("maintainer", "owner")
_READERS = ("forge", "doctor")  # environments of jobs that have a token but no identity
_ANY = "any_approver"
_COMMITTERS = "merge_requests_disable_committers_approval"
# The approval settings: their names and values in the API, their names in the settings.
_APPROVALS = {
    ("merge_requests_author_approval", False): "Prevent approval by author",
    (_COMMITTERS, True): "Prevent approvals by users who add commits",
    ("reset_approvals_on_push", True): "Remove all approvals when commits are added",
}
_DISPATCH = "the job starts with the plan's digest (approval: dispatch)"
_MERGES = "only maintainers merge into the protected branches"


@dataclass(frozen=True)
class GitLabSettings:
    """What a project needs.

    Attributes:
        project: what GitLab says of the project itself.
    """

    service: ForgeService
    path: str
    wanted: Wanted
    project: Mapping[str, Any] = field(default_factory=dict)

    def steps(self) -> Iterator[Step]:
        """Everything that the project needs, in the order in which it is made."""
        for branch in self.wanted.branches:
            blind = partial(self._protect, branch)
            yield Step(f"branch {branch}", partial(self._branch, branch), blind)
            look = partial(self._code_owners_review, branch)
            yield Step(f"{branch} code owners", look, lacking=_merged_by_maintainers)
        yield Step("wider branch rules", self._wider_rules)
        for owner in self.wanted.owners:
            yield Step(f"code owner {owner}", partial(self._owner, owner))
        yield Step("approval rule", self._approval_rule, lacking=_merged_by_maintainers)
        yield Step("approval settings", self._approval_settings, lacking=_merged_by_maintainers)
        yield from self._switches()
        for environment in self.wanted.environments:
            yield from self._of_environment(environment)
        yield Step("forge tokens", self._tokens)
        yield Step(f"schedule {self.wanted.nightly}", self._schedule, self._new_schedule)

    @property
    def has_premium(self) -> bool:
        """Whether its plan has protected environments and approvals: Premium or Ultimate."""
        return _TRIGGER in self.project

    @property
    def _path(self) -> str:
        return f"/projects/{quote(self.path, safe='')}"

    def _project(self) -> Mapping[str, Any]:
        """The project as it is now."""
        found: Mapping[str, Any] = self.service.get(self._path) or {}
        return found

    def _premium(self, what: str) -> None:
        """Raises UnavailableError where the plan lacks what Premium has."""
        if not self.has_premium:
            raise UnavailableError(f"GitLab Free has no {what} (Premium)")

    # --- branches ---

    def _protect(self, branch: str) -> Call:
        body = {
            "name": branch,
            "push_access_level": _NOBODY,
            "merge_access_level": _MAINTAINER,
            "allow_force_push": False,
        }
        return Call(self.service, "POST", f"{self._path}/protected_branches", body, MAINTAINER)

    def _branch(self, branch: str) -> Look:
        found = self.service.get(f"{self._path}/protected_branches/{quote(branch, safe='')}")
        if found is None:
            return Look("not protected", False, self._protect(branch))
        problems, calls = self._weak(branch, found)
        if problems:
            return Look("; ".join(problems), False, calls[0], (), tuple(calls[1:]))
        return Look("nobody pushes", True)

    def _wider_rules(self) -> Look:
        """The most permissive of all rules that match a branch applies to it."""
        found = [
            f"{rule['name']} matches {branch}, too, and accepts pushes: protect it alike"
            for rule in self.service.pages(f"{self._path}/protected_branches")
            for branch in self.wanted.branches
            if rule["name"] != branch and fnmatchcase(branch, rule["name"]) and _accepts(rule)
        ]
        return Look("; ".join(found), False) if found else Look("none", True)

    def _weak(self, branch: str, found: Mapping[str, Any]) -> tuple[list[str], list[Call]]:
        """What is wrong with the protection of a branch, and the calls that correct it."""
        pushes, merges = found.get("push_access_levels", []), found.get("merge_access_levels", [])
        is_pushed = any(_may(level) for level in pushes) or not pushes
        is_merged = not self.has_premium and any(
            level.get("access_level") == _DEVELOPER for level in merges
        )
        problems = ["accepts pushes"] if is_pushed else []
        problems += ["accepts force pushes"] if found.get("allow_force_push") else []
        problems += ["developers merge, and no approval is required"] if is_merged else []
        path = f"{self._path}/protected_branches/{quote(branch, safe='')}"
        if not problems:
            return [], []
        if self.has_premium or problems == ["accepts force pushes"]:
            body: dict[str, Any] = {"allow_force_push": False}
            if is_pushed:
                gone = [{"id": level["id"], "_destroy": True} for level in pushes if _may(level)]
                new = [] if len(gone) < len(pushes) else [{"access_level": _NOBODY}]
                body["allowed_to_push"] = [*gone, *new]
            return problems, [Call(self.service, "PATCH", path, body, MAINTAINER)]
        # Free changes no access levels: the protection is made anew.
        return problems, [Call(self.service, "DELETE", path, {}, MAINTAINER), self._protect(branch)]

    def _code_owners_review(self, branch: str) -> Look:
        self._premium("approval by code owners")
        path = f"{self._path}/protected_branches/{quote(branch, safe='')}"
        found = self.service.get(path) or {}
        if found.get("code_owner_approval_required") or not self.wanted.approvals:
            return Look("required" if self.wanted.approvals else "approvals: 0", True)
        body = {"code_owner_approval_required": True}
        call = Call(self.service, "PATCH", path, body, MAINTAINER)
        return Look("no code owner has to approve", False, call)

    # --- approvals of requests ---

    def _approval_rule(self) -> Look:
        self._premium("approval rules")
        if not self.wanted.approvals:
            return Look("none", True, None, ("approvals: 0: nobody reviews a change",))
        path, count = f"{self._path}/approval_rules", self.wanted.approvals
        rules = list(self.service.pages(path))
        most = max((rule.get("approvals_required", 0) for rule in rules), default=0)
        if most >= count:
            return Look(f"{most} required", True)
        known = next((rule for rule in rules if rule.get("rule_type") == _ANY), None)
        body = {"name": "All Members", "approvals_required": count}
        if known:
            call = Call(self.service, "PUT", f"{path}/{known['id']}", body, MAINTAINER)
        else:
            call = Call(self.service, "POST", path, {**body, "rule_type": _ANY}, MAINTAINER)
        return Look(f"requires {most} approvals, expected {count}", False, call)

    def _approval_settings(self) -> Look:
        self._premium("approval settings")
        if not self.wanted.approvals:
            return Look("not needed: approvals: 0", True)
        path = f"{self._path}/approvals"
        given = self.service.get(path) or {}
        off = {key: name for key, name in _APPROVALS.items() if given.get(key[0]) is not key[1]}
        if off:
            call = Call(self.service, "POST", path, dict(list(off)), MAINTAINER)
            return Look(f"off: {', '.join(off.values())}", False, call)
        return Look(", ".join(_APPROVALS.values()), True)

    # --- settings of the project ---

    def _switches(self) -> Iterator[Step]:
        """The settings that are one field of the project each."""
        yield self._switch(
            "pipelines must succeed",
            {"only_allow_merge_if_pipeline_succeeds": True},
            "a request may be merged whatever its pipeline says",
        )
        yield self._switch(
            "merged results pipelines",
            {"merge_pipelines_enabled": False, "merge_trains_enabled": False},
            "a merge request from a protected branch into any branch runs the code of both with "
            "the subject of the protected branch",
        )
        yield self._switch(
            "outdated deployments",
            {"ci_forward_deployment_enabled": True},
            "an older pipeline may deploy over a newer one",
        )
        yield Step("pipeline variables", self._role, partial(self._set, {_ROLE: _ROLES[0]}))
        if any(one.approval == "environment" for one in self.wanted.environments):
            is_alone = not self.wanted.approvals
            yield self._switch(
                "approval by others",
                {} if is_alone else {_TRIGGER: False},
                "who starts a pipeline may approve its deployment",
            )

    def _switch(self, name: str, values: Mapping[str, bool], problem: str) -> Step:
        def look() -> Look:
            found = self._project()
            # A plan that lacks a setting does not show it; what it lacks is off.
            if all(bool(found.get(key)) is value for key, value in values.items()):
                return Look(", ".join(f"{k}: {str(v).lower()}" for k, v in values.items()), True)
            return Look(problem, False, self._set(values))

        return Step(name, look, partial(self._set, values))

    def _set(self, values: Mapping[str, object]) -> Call:
        return Call(self.service, "PUT", self._path, dict(values), MAINTAINER)

    def _role(self) -> Look:
        given = self._project().get(_ROLE, _ROLES[0])
        if given in _ROLES:
            return Look(str(given), True)
        message = (
            f"allowed for {given}, expected {' or '.join(_ROLES)}: they can change the jobs that "
            "deliver, and the New pipeline form needs them"
        )
        return Look(message, False, self._set({_ROLE: _ROLES[0]}))

    # --- code owners ---

    def _owner(self, owner: str) -> Look:
        name = owner.removeprefix("@")
        if owner.startswith(NO_OWNER) or not owner.startswith("@"):
            message = f"given {owner}, expected a group or a member, such as @your-group/your-team"
            return Look(f"{message}: write it into {OWNERS_FILE}", False)
        groups = self.service.pages(
            f"{self._path}/groups?with_shared=true&shared_min_access_level={_DEVELOPER}"
        )
        if any(group["full_path"] == name for group in groups):
            return Look("a group of the project", True)
        if self._member(name).get("access_level", 0) >= _DEVELOPER:
            return Look("a member of the project", True)
        group = self.service.get(f"/groups/{quote(name, safe='')}")
        if group is None:
            return Look("no group or member that may write: no code owner reviews", False)
        body = {"group_id": group["id"], "group_access": _DEVELOPER}
        call = Call(self.service, "POST", f"{self._path}/share", body, MAINTAINER)
        return Look("a group that may not write here: no code owner reviews", False, call)

    # --- environments ---

    def _of_environment(self, one: Environment) -> Iterator[Step]:
        if one.name != PREVIEW_TARGET:  # each request has its own, which its job makes
            blind = partial(self._new_environment, one)
            yield Step(f"environment {one.name}", partial(self._environment, one), blind)
        if one.approval != "none":
            look, lacking = partial(self._approvers, one), partial(_no_approvers, one)
            yield Step(f"{one.name} approvers", look, lacking=lacking)
        look = partial(self._variables, one)
        yield Step(f"{one.name} variables", look, partial(self._set_all, one))
        if one.unknown:
            yield Step(f"{one.name} placeholders", partial(self._unknown, one))

    def _new_environment(self, one: Environment) -> Call:
        path = f"{self._path}/environments"
        return Call(self.service, "POST", path, {"name": one.name}, MAINTAINER)

    def _environment(self, one: Environment) -> Look:
        path = f"{self._path}/environments?name={quote(one.name)}"
        if any(found["name"] == one.name for found in self.service.pages(path)):
            return Look("exists", True)
        return Look("does not exist", False, self._new_environment(one))

    def _approvers(self, one: Environment) -> Look:
        self._premium("protected environments")
        if one.approval == "dispatch":
            return Look(f"not needed: {_DISPATCH}", True)
        path = f"{self._path}/protected_environments"
        place = f"{path}/{quote(one.name, safe='')}"
        found = self.service.get(place)
        rules = (found or {}).get("approval_rules") or ()
        count = (found or {}).get("required_approval_count") or 0
        most = max([count, *(rule.get("required_approvals", 0) for rule in rules)])
        if most:
            return Look(f"{most} required", True)
        new = {"approval_rules": [{**self._approver(), "required_approvals": 1}]}
        if found is None:
            levels = [{"access_level": _MAINTAINER}]
            body = {"name": one.name, "deploy_access_levels": levels, **new}
            call = Call(self.service, "POST", path, body, MAINTAINER)
            return Look("not protected: no approval is required", False, call)
        call = Call(self.service, "PUT", place, new, MAINTAINER)
        return Look("no approval is required", False, call)

    def _approver(self) -> dict[str, int]:
        """Who approves: the first approver that is a group or a member, else maintainers."""
        for name in (one.removeprefix("@") for one in self.wanted.approvers if "@" in one[:1]):
            group = self.service.get(f"/groups/{quote(name, safe='')}")
            if group is not None:
                return {"group_id": group["id"]}
            if member := self._member(name):
                return {"user_id": member["id"]}
        return {"access_level": _MAINTAINER}

    def _member(self, name: str) -> Mapping[str, Any]:
        """A member of the project or of a group above it; empty if there is none."""
        listed = self.service.pages(f"{self._path}/members/all?query={quote(name)}")
        return next((one for one in listed if one["username"] == name), {})

    # --- variables ---

    def _all_variables(self) -> list[Mapping[str, Any]]:
        return list(self.service.pages(f"{self._path}/variables"))

    def _known(self, one: Environment) -> dict[str, Mapping[str, Any]]:
        """The variables of an environment alone, by their keys."""
        scope = _scope(one)
        return {v["key"]: v for v in self._all_variables() if v.get("environment_scope") == scope}

    def _variables(self, one: Environment) -> Look:
        known, protected = self._known(one), bool(one.branches)
        problems = list(one.problems({key: str(v.get("value")) for key, v in known.items()}))
        calls = []
        for key, value in one.variables.items():
            given = known.get(key)
            is_flagged = given is not None and bool(given.get("protected")) is protected
            if given is None:
                calls.append(self._new_variable(one, key))
            elif not is_flagged or given.get("value") != value:
                calls.append(self._change_variable(one, key))
            if given is not None and not is_flagged:
                problems.append(f"{key} must{'' if protected else ' not'} be protected")
        if calls:
            return Look("; ".join(problems), False, calls[0], (), tuple(calls[1:]))
        values = " ".join(f"{key}={value}" for key, value in one.variables.items())
        return Look(f"{values}{', protected' if protected else ''}", True)

    def _unknown(self, one: Environment) -> Look:
        return one.not_known({key: str(v.get("value")) for key, v in self._known(one).items()})

    def _body(self, one: Environment, key: str) -> dict[str, Any]:
        flags = {"protected": bool(one.branches), "masked": False, "raw": True}
        return {"value": one.variables[key], "environment_scope": _scope(one), **flags}

    def _set_all(self, one: Environment) -> tuple[Call, ...]:
        return tuple(self._new_variable(one, key) for key in one.variables)

    def _new_variable(self, one: Environment, key: str) -> Call:
        path, body = f"{self._path}/variables", {"key": key, **self._body(one, key)}
        return Call(self.service, "POST", path, body, MAINTAINER)

    def _change_variable(self, one: Environment, key: str) -> Call:
        scope = quote(_scope(one), safe="")
        path = f"{self._path}/variables/{key}?filter[environment_scope]={scope}"
        return Call(self.service, "PUT", path, self._body(one, key), MAINTAINER)

    def _tokens(self) -> Look:
        """Tokens are secrets: they are looked at, and made by people."""
        asking = [one.name for one in self.wanted.environments if one.approval == "environment"]
        listed = self._all_variables()
        tokens = {v["environment_scope"]: v for v in listed if v["key"] == FORGE_TOKEN}
        on = {v["key"] for v in listed if v.get("value") == "on"}
        needed = [*asking] if self.has_premium else []
        needed += ["forge"] if "DELIVERY_TELLS" in on else []
        needed += ["doctor"] if "DELIVERY_DOCTOR" in on else []
        problems = [f"no {FORGE_TOKEN} in {scope}" for scope in needed if scope not in tokens]
        for scope, token in tokens.items():
            if scope not in (*asking, *_READERS):
                problems.append(f"{FORGE_TOKEN} is in {scope}, where no job needs it")
            elif not token.get("protected") or not token.get("masked"):
                problems.append(f"{FORGE_TOKEN} in {scope} must be protected and masked")
        if problems:
            message = "a secret that people set: Settings, CI/CD, Variables"
            return Look(f"{'; '.join(problems)} ({message})", False)
        return Look(", ".join(tokens) or "none, and none is needed", True)

    # --- the schedule ---

    def _new_schedule(self) -> Call:
        body = {
            "description": "delivery: drift, previews and settings, every night",
            "ref": f"refs/heads/{self.wanted.nightly}",
            "cron": _CRON,
            "cron_timezone": "UTC",
            "active": True,
        }
        return Call(self.service, "POST", f"{self._path}/pipeline_schedules", body, MAINTAINER)

    def _schedule(self) -> Look:
        path = f"{self._path}/pipeline_schedules"
        branch = self.wanted.nightly
        listed = self.service.pages(path)
        ours = [one for one in listed if one["ref"].removeprefix("refs/heads/") == branch]
        if any(one.get("active") for one in ours):
            first = next(one for one in ours if one.get("active"))
            return Look(f"{first['cron']} {first.get('cron_timezone', '')}".strip(), True)
        if ours:
            body = {"active": True}
            call = Call(self.service, "PUT", f"{path}/{ours[0]['id']}", body, MAINTAINER)
            return Look("is not active", False, call)
        return Look(f"no schedule on {branch}", False, self._new_schedule())


def _merged_by_maintainers(reason: str) -> Look:
    return Look(reason, False, instead=_MERGES)


def _no_approvers(one: Environment, reason: str) -> Look:
    if one.approval == "dispatch":
        return Look(reason, False, instead=_DISPATCH)
    return Look(f"{reason}; set approval: {{{one.name}: dispatch}} in delivery.yml", False)


def _scope(one: Environment) -> str:
    return f"{PREVIEW_TARGET}/*" if one.name == PREVIEW_TARGET else one.name


def _may(level: Mapping[str, Any]) -> bool:
    """Whether an access level lets anybody in: a role, a user, a group or a deploy key."""
    return level.get("access_level") != _NOBODY


def _accepts(rule: Mapping[str, Any]) -> bool:
    """Whether a rule for branches accepts pushes."""
    levels: Sequence[Mapping[str, Any]] = rule.get("push_access_levels", ())
    return bool(rule.get("allow_force_push")) or any(map(_may, levels))
