"""The settings of an emulated project on GitLab, with the limits of its plans.

Each endpoint answers as its documentation says: docs.gitlab.com/api/protected_branches,
…/projects, …/merge_request_approvals, …/environments, …/protected_environments,
…/project_level_variables, …/pipeline_schedules, …/members, …/groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

Answer = tuple[int, Any]
NOT_FOUND = (404, {"message": "404 Not Found"})
TRIGGER = "allow_pipeline_trigger_approve_deployment"
# Fields of a project that only Premium shows and changes: docs.gitlab.com/api/projects
PREMIUM = (TRIGGER, "merge_pipelines_enabled", "merge_trains_enabled")


@dataclass
class Project:
    """The settings of a project.

    Attributes:
        premium: whether its plan is Premium or Ultimate.
        groups: the full path and the id of each group.
        shared: the groups that may write in the project.
        members: the level of each member.
    """

    premium: bool = True
    fields: dict[str, Any] = field(
        default_factory=lambda: {
            "only_allow_merge_if_pipeline_succeeds": False,
            "ci_forward_deployment_enabled": True,
            "ci_pipeline_variables_minimum_override_role": "maintainer",
            **dict.fromkeys(PREMIUM, False),
        }
    )
    branches: dict[str, dict[str, Any]] = field(default_factory=dict)
    rules: list[dict[str, Any]] = field(default_factory=list)
    approvals: dict[str, Any] = field(
        default_factory=lambda: {
            "merge_requests_author_approval": True,
            "merge_requests_disable_committers_approval": False,
            "reset_approvals_on_push": False,
        }
    )
    environments: list[str] = field(default_factory=list)
    protected: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: list[dict[str, Any]] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    groups: dict[str, int] = field(default_factory=lambda: {"acme/data-team": 71})
    shared: dict[str, int] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(100))

    def itself(self) -> dict[str, Any]:
        """The project, without what its plan lacks."""
        hidden = () if self.premium else PREMIUM
        return {"id": 29, **{k: v for k, v in self.fields.items() if k not in hidden}}

    def change(self, body: dict[str, Any]) -> Answer:
        """What the plan lacks is ignored."""
        ignored = () if self.premium else PREMIUM
        self.fields |= {key: value for key, value in body.items() if key not in ignored}
        return 200, self.itself()

    # --- branches ---

    def _level(self, **given: Any) -> dict[str, Any]:
        return {"id": next(self.numbers), "access_level": None, **given}

    def branch(self, name: str) -> Any:
        """One rule, by its own name."""
        return self.branches.get(name, NOT_FOUND)

    def protect(self, body: dict[str, Any]) -> Answer:
        """409 if there is one."""
        name = body["name"]
        if name in self.branches:
            return 409, {"message": f"Protected branch '{name}' already exists"}
        owners = self.premium and body.get("code_owner_approval_required", False)
        self.branches[name] = {
            "id": next(self.numbers),
            "name": name,
            "push_access_levels": [self._level(access_level=body.get("push_access_level", 40))],
            "merge_access_levels": [self._level(access_level=body.get("merge_access_level", 40))],
            "allow_force_push": body.get("allow_force_push", False),
            "code_owner_approval_required": owners,
        }
        return 201, self.branches[name]

    def change_branch(self, name: str, body: dict[str, Any]) -> Answer:
        """Levels and code owners are changed by Premium alone."""
        if name not in self.branches:
            return NOT_FOUND
        one = self.branches[name]
        one["allow_force_push"] = body.get("allow_force_push", one["allow_force_push"])
        if not self.premium:
            return 200, one
        key = "code_owner_approval_required"
        one[key] = body.get(key, one[key])
        for given in body.get("allowed_to_push", ()):
            levels = one["push_access_levels"]
            if given.get("_destroy"):
                levels[:] = [level for level in levels if level["id"] != given["id"]]
            else:
                levels.append(self._level(**given))
        return 200, one

    def unprotect(self, name: str) -> Answer:
        """204, or 404."""
        return (204, {}) if self.branches.pop(name, None) else NOT_FOUND

    # --- approvals ---

    def list_rules(self) -> Any:
        """Premium alone has them."""
        return self.rules if self.premium else NOT_FOUND

    def new_rule(self, body: dict[str, Any]) -> Answer:
        """There is one rule for any approver."""
        if not self.premium:
            return NOT_FOUND
        kind = body.get("rule_type", "regular")
        if kind == "any_approver" and any(r["rule_type"] == kind for r in self.rules):
            return 400, {"message": ["any-approver for the project already exists"]}
        self.rules.append({"id": next(self.numbers), "rule_type": kind, **body})
        return 201, self.rules[-1]

    def change_rule(self, number: int, body: dict[str, Any]) -> Answer:
        """200, or 404."""
        found = [rule for rule in self.rules if rule["id"] == number and self.premium]
        for rule in found:
            rule.update(body)
        return (200, found[0]) if found else NOT_FOUND

    def set_approvals(self, body: dict[str, Any]) -> Answer:
        """Premium alone has them."""
        if not self.premium:
            return NOT_FOUND
        self.approvals |= body
        return 201, self.approvals

    # --- environments ---

    def new_environment(self, body: dict[str, Any]) -> Answer:
        """400 if there is one."""
        if body["name"] in self.environments:
            return 400, {"message": {"name": ["has already been taken"]}}
        self.environments.append(body["name"])
        return 201, {"name": body["name"]}

    def guard(self, body: dict[str, Any]) -> Answer:
        """Protect an environment; 409 if it is protected."""
        if not self.premium:
            return NOT_FOUND
        if body["name"] in self.protected:
            return 409, {"message": f"Protected environment '{body['name']}' already exists"}
        if any(self._is_foreign(rule) for rule in body.get("approval_rules", ())):
            return 422, {"message": "Approval rules group must have access to the project"}
        self.protected[body["name"]] = {"approval_rules": [], **body}
        return 201, self.protected[body["name"]]

    def change_guard(self, name: str, body: dict[str, Any]) -> Answer:
        """200, or 404."""
        if name not in self.protected or not self.premium:
            return NOT_FOUND
        self.protected[name]["approval_rules"] += body.get("approval_rules", [])
        return 200, self.protected[name]

    def _is_foreign(self, rule: dict[str, Any]) -> bool:
        known = {self.groups[name] for name in self.shared}
        return "group_id" in rule and rule["group_id"] not in known

    # --- variables ---

    def new_variable(self, body: dict[str, Any]) -> Answer:
        """One key is there once for each scope."""
        scope = body.get("environment_scope", "*")
        if any((v["key"], v["environment_scope"]) == (body["key"], scope) for v in self.variables):
            return 400, {"message": {"key": [f"({body['key']}) has already been taken"]}}
        flags = {"protected": False, "masked": False, "raw": False}
        self.variables.append({**flags, "environment_scope": scope, **body})
        return 201, self.variables[-1]

    def change_variable(self, key: str, scope: str, body: dict[str, Any]) -> Answer:
        """409 if several have the key and no scope was given."""
        found = [v for v in self.variables if v["key"] == key]
        found = [v for v in found if v["environment_scope"] == scope] if scope else found
        if len(found) > 1:
            message = "There are multiple variables with provided parameters."
            return 409, {"message": f"{message} Please use 'filter[environment_scope]'."}
        for variable in found:
            variable.update(body)
        return (200, found[0]) if found else NOT_FOUND

    # --- schedules ---

    def new_schedule(self, body: dict[str, Any]) -> Answer:
        """A short ref is expanded."""
        ref = f"refs/heads/{body['ref'].removeprefix('refs/heads/')}"
        self.schedules.append({"id": next(self.numbers), "active": True, **body, "ref": ref})
        return 201, self.schedules[-1]

    def change_schedule(self, number: int, body: dict[str, Any]) -> Answer:
        """200, or 404."""
        found = [one for one in self.schedules if one["id"] == number]
        for one in found:
            one.update(body)
        return (200, found[0]) if found else NOT_FOUND

    # --- people ---

    def share(self, body: dict[str, Any]) -> Answer:
        """Let a group into the project; 409 if it is in already."""
        name = next((n for n, number in self.groups.items() if number == body["group_id"]), "")
        if name in self.shared:
            return 409, {"message": ["Group has already been taken"]}
        self.shared[name] = body["group_access"]
        return 201, body
