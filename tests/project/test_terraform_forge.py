"""The forge's side as Terraform: `delivery doctor` finds nothing wrong in what it makes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from delivery.config.policy import load_policy
from delivery.config.target import UNKNOWN_RELEASE, read_target
from delivery.status.doctor import HealthCheck, _forge
from harness.fake_forge import ADMIN, Forge
from harness.terraform import PLACE, copied, outcome_of, planned, problems, started

pytestmark = pytest.mark.slow

HOST = "https://dbc-1.cloud.databricks.com"
PREVIEWS, PLATFORM = (f"bbbbbbbb-0000-4000-8000-00000000000{n}" for n in (1, 2))


def forge_plan(root: Path, forge: str, **values: str) -> dict[str, dict[str, Any]]:
    """What a stack of a forge would make, with the ids that the first applies gave."""
    for name in ("staging", "prod"):
        file = root / f"targets/{name}.yml"
        text = re.sub(r"00000000-([-0]{15}\d{12})", r"cccccccc-\1", file.read_text("utf-8"))
        assert text.count("cccccccc-") == 3
        file.write_text(text, encoding="utf-8")
    for file in (root / "targets").glob("*.yml"):
        text = re.sub(r'host: ".*"', f'host: "{HOST}"', file.read_text("utf-8"))
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


def on_github(plan: Mapping[str, dict[str, Any]], forge: Forge) -> None:
    """Make what is planned; the team is in the repository already."""
    hub = forge.hub
    hub.owners, hub.levels = [OWNER], {"data-team": "push"}
    (rules,) = of_kind(plan, "github_repository_ruleset")
    made = {
        "name": rules["name"],
        "enforcement": rules["enforcement"],
        "bypass_actors": rules["bypass_actors"],
        "conditions": {"ref_name": rules["conditions"][0]["ref_name"][0]},
        "rules": [*_rules(rules["rules"][0])],
    }
    assert hub.save_ruleset(None, made)[0] == 201
    for one in of_kind(plan, "github_repository_environment"):
        asked = [{"type": "Team", "id": team} for r in one["reviewers"] for team in r["teams"]]
        policy = (one["deployment_branch_policy"] or [None])[0]
        settings = {**one, "reviewers": asked, "deployment_branch_policy": policy}
        assert hub.put_place(one["environment"], settings)[0] == 200
    for one in of_kind(plan, "github_repository_environment_deployment_policy"):
        assert hub.admit(one["environment"], {"name": one["branch_pattern"]})[0] == 200
    for one in of_kind(plan, "github_actions_environment_variable"):
        variable = {"name": one["variable_name"], "value": one["value"]}
        assert hub.new_variable(one["environment"], variable)[0] == 201
    (hub.workflow,) = of_kind(plan, "github_workflow_repository_permissions")
    (hub.actions,) = of_kind(plan, "github_actions_repository_permissions")


def _rules(planned: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in planned.items():
        if isinstance(value, list) and value:
            given = dict(value[0])
            if "required_check" in given:
                given["required_status_checks"] = given.pop("required_check")
            yield {"type": name, "parameters": given}
        elif value:
            yield {"type": name}


def on_gitlab(plan: Mapping[str, dict[str, Any]], forge: Forge) -> None:
    """Make what is planned; the group is in the project already, and the job's token is set."""
    lab = forge.lab
    lab.groups, lab.shared = {OWNER.removeprefix("@"): 71}, {OWNER.removeprefix("@"): 30}
    for one in of_kind(plan, "gitlab_branch_protection"):
        kinds = ("push", "merge")
        levels = {f"{k}_access_level": LEVELS[one[f"allowed_to_{k}"][0]["access_level"]]
                  for k in kinds}  # fmt: skip
        assert lab.protect({**one, "name": one["branch"], **levels})[0] == 201
    for one in of_kind(plan, "gitlab_project_approval_rule"):
        assert lab.new_rule(one)[0] == 201
    for one in of_kind(plan, "gitlab_project_level_mr_approvals"):
        lab.set_approvals(one)
    for one in of_kind(plan, "gitlab_project_environment"):
        assert lab.new_environment(one)[0] == 201
    for one in of_kind(plan, "gitlab_project_protected_environment"):
        assert lab.guard({**one, "name": one["environment"]})[0] == 201
    for one in of_kind(plan, "gitlab_project_variable"):
        assert lab.new_variable(one)[0] == 201
    for one in of_kind(plan, "gitlab_pipeline_schedule"):
        assert lab.new_schedule({"active": True, **one})[0] == 201
    token = {"key": "DELIVERY_FORGE_TOKEN", "environment_scope": "prod", "value": "a-token"}
    lab.new_variable({**token, "protected": True, "masked": True})


OWNER = "@acme/data-team"
LEVELS = {"no one": 0, "maintainer": 40}
MAKE = {"github": on_github, "gitlab": on_gitlab}
# What the providers do not know: the page says so.
LEFT = {
    "github": {"workflows of forks"},
    "gitlab": {"pipelines must succeed"},
}


def checks(
    root: Path, forge: Forge, kind: str, monkeypatch: pytest.MonkeyPatch
) -> list[HealthCheck]:
    """What `doctor` says of the settings of the forge, to an admin."""
    for name in [n for n in os.environ if n.startswith(("GITHUB_", "GITLAB_", "CI_"))]:
        monkeypatch.delenv(name)
    tokens = ("GITHUB_TOKEN", "DELIVERY_FORGE_TOKEN")
    for name, value in (forge.github() if kind == "github" else forge.gitlab()).items():
        monkeypatch.setenv(name, ADMIN if name in tokens else value)
    found = [*_forge(root, load_policy(root))]
    return found[[check.name for check in found].index("forge") + 1 :]


FORGES = {"github": {"reviewers": "{ teams = [71] }"}, "gitlab": {"approvers": "71"}}


@pytest.mark.parametrize("branching", ["trunk", "environments"])
@pytest.mark.parametrize("kind", FORGES)
def test_doctor_finds_nothing_wrong_in_what_terraform_makes(
    kind: str, branching: str, bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bake(ci=kind, branching=branching, include_terraform="yes")
    root = copied(project, tmp_path / "lake", kind)
    (root / "CODEOWNERS").write_text(f"* {OWNER}\n", encoding="utf-8")
    plan = forge_plan(root, kind, **FORGES[kind])
    with Forge() as forge:
        MAKE[kind](plan, forge)
        found = checks(root, forge, kind, monkeypatch)
        assert forge.unknown == []
    assert len(found) >= 15
    wrong = {one.name: one.message for one in found if not one.ok}
    assert wrong.keys() == LEFT[kind], wrong
    assert plan_variables(kind, plan) == expected_variables(root)


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
