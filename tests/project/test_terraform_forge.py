"""The forge's side as Terraform: `delivery doctor` finds nothing wrong in what it makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from delivery.config.policy import load_policy
from delivery.config.target import UNKNOWN_RELEASE, read_target
from delivery.forge.base import Forge
from delivery.forge.github import GitHub
from delivery.forge.gitlab import GitLab
from delivery.status.doctor import _protection
from harness.terraform import PLACE, copied, outcome_of, planned, problems, started

pytestmark = pytest.mark.slow

PREVIEWS, PLATFORM = (f"bbbbbbbb-0000-4000-8000-00000000000{n}" for n in (1, 2))


def forge_plan(root: Path, forge: str, **values: str) -> dict[str, dict[str, Any]]:
    """What a stack of a forge would make, with the ids that the first applies gave."""
    for name in ("staging", "prod"):
        file = root / f"targets/{name}.yml"
        text = re.sub(r"00000000-([-0]{15}\d{12})", r"cccccccc-\1", file.read_text("utf-8"))
        assert text.count("cccccccc-") == 3
        file.write_text(text, encoding="utf-8")
    folder = root / PLACE / "stacks" / forge
    ids = {"previews_client_id": PREVIEWS, "platform_client_id": PLATFORM}
    given = {name: f'"{value}"' for name, value in ids.items()} | values
    variables = "\n".join(f"  {name} = {value}" for name, value in given.items())
    (folder / "tests").mkdir()
    (folder / "tests/all.tftest.hcl").write_text(
        f'mock_provider "{forge}" {{\n  override_during = plan\n}}\n\n'
        f'variables {{\n{variables}\n}}\n\nrun "all" {{\n  command = plan\n}}\n',
        encoding="utf-8",
    )
    code, told = outcome_of(started(folder))
    assert code == 0, problems(told)
    return planned(told)["all"]


def of_kind(plan: Mapping[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [values for address, values in plan.items() if f".{kind}." in address]


class PlannedGitHub(GitHub):
    """A repository with the settings that Terraform plans."""

    def __init__(self, plan: Mapping[str, dict[str, Any]]) -> None:
        super().__init__("https://api.github.com", "team/lakehouse", "token")
        self.plan, self.api = plan, self  # type: ignore[assignment]

    def _ruleset(self) -> dict[str, Any]:
        (found,) = of_kind(self.plan, "github_repository_ruleset")
        assert found["enforcement"] == "active"
        return found

    def _includes(self, branch: str) -> bool:
        return f"refs/heads/{branch}" in self._ruleset()["conditions"][0]["ref_name"][0]["include"]

    def all(self, path: str) -> Iterator[Any]:
        (rules,) = self._ruleset()["rules"]
        if not self._includes(path.removeprefix("/rules/branches/")):
            return
        for name, value in rules.items():
            if value:
                given = value[0] if isinstance(value, list) else {}
                yield {"type": name, "parameters": given, "ruleset_id": 1}

    def get_or_empty(self, path: str) -> Any:
        environment = path.removeprefix("/environments/").partition("/")[0]
        if path.endswith("/deployment-branch-policies"):
            found = of_kind(self.plan, "github_repository_environment_deployment_policy")
            names = [p["branch_pattern"] for p in found if p["environment"] == environment]
            return {"branch_policies": [{"name": name, "type": "branch"} for name in names]}
        if path.startswith("/environments/"):
            return self._environment(environment)
        if path.startswith("/branches/"):
            return {"protected": self._includes(path.removeprefix("/branches/"))}
        known = {"/rulesets/1": {"bypass_actors": self._ruleset()["bypass_actors"]},
                 "/codeowners/errors": {"errors": []}}  # fmt: skip
        return known.get(path, {"id": 1})

    def _environment(self, name: str) -> Any:
        (one,) = (e for e in of_kind(self.plan, "github_repository_environment")
                  if e["environment"] == name)  # fmt: skip
        reviewers = [*(one["reviewers"] or [])]
        rule = {"type": "required_reviewers", "reviewers": reviewers,
                "prevent_self_review": one["prevent_self_review"]}  # fmt: skip
        policy = one["deployment_branch_policy"]
        return {"protection_rules": [rule] if reviewers else [],
                "can_admins_bypass": one["can_admins_bypass"],
                "deployment_branch_policy": policy[0] if policy else None}  # fmt: skip


class PlannedGitLab(GitLab):
    """A project with the settings that Terraform plans."""

    def __init__(self, plan: Mapping[str, dict[str, Any]]) -> None:
        super().__init__("https://gitlab.com/api/v4", "team/sub/lakehouse", "token")
        self.plan, self.api = plan, self  # type: ignore[assignment]

    def all(self, path: str) -> Iterator[Any]:
        assert path == "/variables"
        yield from of_kind(self.plan, "gitlab_project_variable")

    def get_or_empty(self, path: str) -> Any:
        kind, _, name = path.strip("/").partition("/")
        if kind == "approval_rules":
            return of_kind(self.plan, "gitlab_project_approval_rule")
        if kind == "approvals":
            return of_kind(self.plan, "gitlab_project_level_mr_approvals")[0]
        if kind == "protected_environments":
            found = of_kind(self.plan, "gitlab_project_protected_environment")
            return next((one for one in found if one["environment"] == name), {})
        if kind == "protected_branches":
            found = of_kind(self.plan, "gitlab_branch_protection")
            (one,) = (branch for branch in found if branch["branch"] == name)
            levels = [{"access_level": 0 if level["access_level"] == "no one" else 40}
                      for level in one["allowed_to_push"]]  # fmt: skip
            return {**one, "push_access_levels": levels}
        return {}  # what the provider does not know is as GitLab has it by default


def forge_of(forge: str, plan: Mapping[str, dict[str, Any]]) -> Forge:
    """The forge after the stack is applied."""
    return PlannedGitHub(plan) if forge == "github" else PlannedGitLab(plan)


FORGES = {"github": {"reviewers": "{ teams = [7] }"}, "gitlab": {"approvers": "7"}}


@pytest.mark.parametrize("branching", ["trunk", "environments"])
@pytest.mark.parametrize("forge", FORGES)
def test_doctor_finds_nothing_wrong_in_what_terraform_makes(
    forge: str, branching: str, bake: Bake, tmp_path: Path
) -> None:
    project = bake(ci=forge, branching=branching, include_terraform="yes")
    root = copied(project, tmp_path / "lake", forge)
    plan = forge_plan(root, forge, **FORGES[forge])
    policy = load_policy(root)
    checks = [*_protection(policy, forge_of(forge, plan))]
    assert len(checks) >= 6
    assert [f"{one.name}: {one.message}" for one in checks if not one.ok] == []
    assert plan_variables(forge, plan) == expected_variables(root)


def plan_variables(forge: str, plan: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The variables of each environment."""
    kind, place, key = (
        ("github_actions_environment_variable", "environment", "variable_name")
        if forge == "github"
        else ("gitlab_project_variable", "environment_scope", "key")
    )
    found: dict[str, dict[str, str]] = {}
    for one in of_kind(plan, kind):
        found.setdefault(one[place].removesuffix("/*"), {})[one[key]] = one["value"]
    return found


def expected_variables(root: Path) -> dict[str, dict[str, str]]:
    """What `delivery bootstrap` prints, and those of the platform."""
    found = {}
    for target in ("staging", "prod", "preview"):
        one = read_target(root, target, UNKNOWN_RELEASE)
        ids = {target: one.deployer, f"{target}-plan": one.planner}
        for name, number in ({"preview": PREVIEWS} if target == "preview" else ids).items():
            found[name] = {
                "DATABRICKS_HOST": one.host,
                "DATABRICKS_CLIENT_ID": number,
                "DATABRICKS_TOKEN_AUDIENCE": f"{one.bundle}-{name}",
            }
            bundle = one.bundle
    audience = f"{bundle}-terraform"
    found["terraform"] = {
        "DATABRICKS_CLIENT_ID": PLATFORM,
        "DATABRICKS_TOKEN_AUDIENCE": audience,
    }
    return found


@pytest.mark.parametrize("forge", FORGES)
def test_terraform_s_own_jobs_are_gated_like_prod(forge: str, bake: Bake, tmp_path: Path) -> None:
    project = bake(branching="environments", include_terraform="yes")
    root = copied(project, tmp_path / "lake", forge)
    plan = forge_plan(root, forge, **FORGES[forge])
    if forge == "github":
        environments = {e["environment"]: e for e in of_kind(plan, "github_repository_environment")}
        differing = {
            key
            for key, value in environments["prod"].items()
            if environments["terraform"][key] != value
        }
        assert differing <= {"environment", "id", "repository_id"}
        policies = of_kind(plan, "github_repository_environment_deployment_policy")
        branches = {n: [p["branch_pattern"] for p in policies if p["environment"] == n]
                    for n in ("prod", "terraform")}  # fmt: skip
        assert branches["terraform"] == branches["prod"] == ["prod"]
    else:
        found = {e["environment"]: e
                 for e in of_kind(plan, "gitlab_project_protected_environment")}  # fmt: skip
        assert found["terraform"]["approval_rules"] == found["prod"]["approval_rules"]
        variables = of_kind(plan, "gitlab_project_variable")
        assert all(v["protected"] for v in variables if v["environment_scope"] == "terraform")
