"""`delivery bootstrap github|gitlab`: the settings of a forge, from nothing to everything."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from delivery.bootstrap.forges import connect_settings
from delivery.bootstrap.wanted import request_checks
from delivery.cli.app import build_app
from delivery.config.policy import load_policy
from delivery.errors import DeliveryError
from delivery.status.doctor import HealthCheck, _forge
from harness.baking import git
from harness.fake_forge import ADMIN, NAME, Forge
from harness.fake_github import Repository
from harness.fake_gitlab import Project
from typer.testing import CliRunner, Result

KINDS = ("github", "gitlab")
PREVIEWS = "0a000000-0000-4000-8000-000000000001"
HOST = "https://dbc-1.cloud.databricks.com"
Run = Callable[..., Result]


@pytest.fixture(scope="session")
def settled(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after `delivery bootstrap TARGET` for its targets; it is shared, and only read."""
    path = tmp_path_factory.mktemp("settled") / "lake"
    shutil.copytree(bake(project_name="Lake").path, path)
    for number, target in enumerate(("staging", "prod", "preview"), start=1):
        file = path / f"targets/{target}.yml"
        text = re.sub(r'host: ".*"', f'host: "{HOST}"', file.read_text("utf-8"))
        for role in ("deployer", "runner", "planner"):
            known = f"{role[0].encode().hex()}000000-0000-4000-8000-00000000000{number}"
            text = re.sub(rf"{role}: \S+  # set me", f"{role}: {known}", text)
        file.write_text(text, "utf-8")
    (path / "CODEOWNERS").write_text("# all\n* @acme/data-team\n", "utf-8")
    return path


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A repository as it is made, with the project's code on its default branch."""
    with Forge() as one:
        one.hub.owners = ["@acme/data-team"]
        yield one
    assert one.unknown == []


@pytest.fixture
def project(settled: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(settled)
    return settled


@pytest.fixture
def own(settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, to change."""
    path = shutil.copytree(settled, tmp_path / "lake")
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def run(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command as an admin of a forge, or with another token."""

    def type_in(kind: str, *words: str, token: str = ADMIN, code: int | None = None) -> Result:
        become(kind, forge, monkeypatch, token)
        done = CliRunner().invoke(build_app(), [*words])
        assert not isinstance(done.exception, AssertionError | KeyError | TypeError), done.exception
        assert code is None or done.exit_code == code, f"{done.exit_code}\n{done.output}"
        return done

    return type_in


def become(kind: str, forge: Forge, monkeypatch: pytest.MonkeyPatch, token: str = ADMIN) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "CI_", "GITLAB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    given = forge.github() if kind == "github" else forge.gitlab()
    names = ("GITHUB_TOKEN", "DELIVERY_FORGE_TOKEN")
    for name, value in given.items():
        monkeypatch.setenv(name, token if name in names else value)


def bootstrap(run: Run, kind: str, *options: str, **how: Any) -> Result:
    return run(kind, "bootstrap", kind, "--previews", PREVIEWS, *options, **how)


def things(run: Run, kind: str, *options: str, **how: Any) -> dict[str, dict[str, Any]]:
    document = json.loads(bootstrap(run, kind, *options, "--output", "json", **how).stdout)
    found = {thing["name"]: thing for thing in document["things"]}
    assert len(found) == len(document["things"]), "two things have one name"
    return found


def checks(kind: str, forge: Forge, token: str = ADMIN) -> dict[str, HealthCheck]:
    """What `doctor` says of the forge."""
    root = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        become(kind, forge, patch, token)
        found = {check.name: check for check in _forge(root, load_policy(root))}
    names = [*found]
    return {name: found[name] for name in names[names.index("forge") + 1 :]}


@pytest.fixture(scope="session")
def made(settled: Path) -> dict[str, tuple[Repository, Project]]:
    """What `--apply` leaves on each forge; the token of prod is there, too."""
    found = {}
    for kind in KINDS:
        with Forge() as one, pytest.MonkeyPatch.context() as patch:
            one.hub.owners = ["@acme/data-team"]
            secrets(one)
            assert applied(kind, settled, one, patch) <= {"made", "present"}
            found[kind] = (one.hub, one.lab)
    return found


@pytest.fixture
def ready(
    made: dict[str, tuple[Repository, Project]], project: Path, forge: Forge
) -> Callable[[str], None]:
    """What is there after `--apply`, and after people set the secrets."""

    def make(kind: str) -> None:
        forge.hub, forge.lab = copy.deepcopy(made[kind])

    return make


def secrets(forge: Forge) -> None:
    """The token that no call makes."""
    token = {"key": "DELIVERY_FORGE_TOKEN", "environment_scope": "prod", "value": None}
    forge.lab.variables.append({**token, "protected": True, "masked": True, "raw": False})


ENVIRONMENTS = ("staging", "staging-plan", "prod", "prod-plan", "preview")
EXPECTED = {
    "github": [
        "branch rules", "workflow token", "pinned actions", "workflows of forks",
        "code owner @acme/data-team", "CODEOWNERS",
        "environment staging", "staging branches", "staging variables",
        "environment staging-plan", "staging-plan variables",
        "environment prod", "prod branches", "prod reviewers", "prod variables",
        "environment prod-plan", "prod-plan branches", "prod-plan variables",
        "environment preview", "preview variables",
    ],
    "gitlab": [
        "branch main", "main code owners", "wider branch rules", "code owner @acme/data-team",
        "approval rule", "approval settings", "pipelines must succeed",
        "merged results pipelines", "outdated deployments", "pipeline variables",
        "approval by others",
        "environment staging", "staging variables", "environment staging-plan",
        "staging-plan variables", "environment prod", "prod approvers", "prod variables",
        "environment prod-plan", "prod-plan variables", "preview variables",
        "forge tokens", "schedule main",
    ],
}  # fmt: skip


# --- from nothing to everything ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_lists_everything_and_changes_nothing(
    kind: str, run: Run, forge: Forge, project: Path
) -> None:
    found = things(run, kind, code=2)
    assert [*found] == EXPECTED[kind]
    assert forge.writes() == []
    text = bootstrap(run, kind, code=2).output
    place = {"github": f"/github/repos/{NAME}/rulesets", "gitlab": "/protected_branches"}[kind]
    assert re.search(rf"^    POST http://\S+{place}$", text, re.MULTILINE)
    assert f"To make them: delivery bootstrap {kind} --apply; as commands" in text


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_applied_is_complete_and_a_second_run_has_nothing_to_do(
    kind: str, run: Run, forge: Forge, project: Path
) -> None:
    made = things(run, kind, "--apply", code=0 if kind == "github" else 2)
    without_call = [n for n, thing in made.items() if thing["state"] == "missing"]
    assert without_call == ([] if kind == "github" else ["forge tokens"])  # a secret
    secrets(forge)
    writes = len(forge.writes())
    for options in ((), ("--apply",)):
        text = bootstrap(run, kind, *options, code=0).output
        assert f"nothing to do: all {len(EXPECTED[kind])} are there." in text
    assert len(forge.writes()) == writes
    assert {check.ok for check in checks(kind, forge).values()} == {True}


def test_github_has_what_the_pages_promise(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    (rules,) = forge.hub.rulesets.values()
    assert rules["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    by_kind = {rule["type"]: rule.get("parameters", {}) for rule in rules["rules"]}
    assert {"deletion", "non_fast_forward"} <= by_kind.keys()
    review = by_kind["pull_request"]
    assert review["required_approving_review_count"] == 1
    assert review["dismiss_stale_reviews_on_push"]
    assert review["require_last_push_approval"]
    assert review["require_code_owner_review"]
    contexts = [c["context"] for c in by_kind["required_status_checks"]["required_status_checks"]]
    assert contexts == ["check (Python 3.11)", "check (Python 3.12)", "release"]
    prod = forge.hub.places["prod"]
    assert prod.reviewers == [{"type": "Team", "id": 71}]
    assert (prod.prevent_self_review, prod.can_admins_bypass) == (True, False)
    assert [one["name"] for one in prod.branches.values()] == ["main"]
    assert forge.hub.places["staging-plan"].policy is None
    assert prod.variables == {
        "DATABRICKS_HOST": HOST,
        "DATABRICKS_CLIENT_ID": "64000000-0000-4000-8000-000000000002",
        "DATABRICKS_TOKEN_AUDIENCE": "lake-prod",
    }
    assert forge.hub.places["preview"].variables["DATABRICKS_CLIENT_ID"] == PREVIEWS


def test_gitlab_has_what_the_pages_promise(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("gitlab")
    lab = forge.lab
    main = lab.branches["main"]
    assert [level["access_level"] for level in main["push_access_levels"]] == [0]
    assert (main["allow_force_push"], main["code_owner_approval_required"]) == (False, True)
    assert lab.rules[0]["approvals_required"] == 1
    assert lab.protected["prod"]["approval_rules"] == [{"group_id": 71, "required_approvals": 1}]
    assert lab.fields["merge_pipelines_enabled"] is False
    (schedule,) = lab.schedules
    assert (schedule["ref"], schedule["active"]) == ("refs/heads/main", True)
    found = {(v["environment_scope"], v["key"]): v for v in lab.variables}
    audiences = {v["value"] for (_, key), v in found.items() if key == "DATABRICKS_TOKEN_AUDIENCE"}
    assert audiences == {f"lake-{name}" for name in ENVIRONMENTS}
    flags = {scope: v["protected"] for (scope, _), v in found.items()}
    assert flags == {
        "staging": True, "prod": True, "prod-plan": True, "staging-plan": False, "preview/*": False,
    }  # fmt: skip
    assert found["preview/*", "DATABRICKS_CLIENT_ID"]["value"] == PREVIEWS


@pytest.mark.parametrize("kind", KINDS)
def test_branches_of_their_own_are_all_protected(
    kind: str, run: Run, forge: Forge, own: Path
) -> None:
    _edit(own, "delivery.yml", 'staging: "main"', "staging: staging")
    _edit(own, "delivery.yml", 'prod: "main"', "prod: prod")
    bootstrap(run, kind, "--apply")
    secrets(forge)
    bootstrap(run, kind, code=0)
    if kind == "gitlab":
        assert [*forge.lab.branches] == ["main", "staging", "prod"]
        assert forge.lab.schedules[0]["ref"] == "refs/heads/prod"
        return
    (rules,) = forge.hub.rulesets.values()
    refs = [f"refs/heads/{branch}" for branch in ("main", "staging", "prod")]
    assert rules["conditions"]["ref_name"]["include"] == refs
    names = {n: [b["name"] for b in p.branches.values()] for n, p in forge.hub.places.items()}
    assert (names["prod"], names["prod-plan"]) == (["prod"], ["main", "staging", "prod"])


def _edit(path: Path, file: str, old: str, new: str) -> None:
    text = (path / file).read_text("utf-8")
    assert old in text
    (path / file).write_text(text.replace(old, new), "utf-8")


def test_required_checks_are_those_of_the_pipelines(own: Path) -> None:
    file = own / ".github/workflows/check.yml"
    known = yaml.safe_load(file.read_text("utf-8"))["jobs"]["check"]
    assert known["strategy"]["matrix"]["python"] == ["3.11", "3.12"]
    _edit(own, ".github/workflows/check.yml", '["3.11", "3.12"]', '["3.13"]')
    _edit(own, ".github/workflows/check.yml", "    name: release\n", "")
    assert list(request_checks(own)) == ["check (Python 3.13)", "release"]
    _edit(own, ".github/workflows/check.yml", "check (Python ${{ matrix.python }})", "check")
    _edit(own, ".github/workflows/check.yml", "    name: check\n", "")
    assert list(request_checks(own)) == ["check (3.13)", "release"]
    _edit(own, ".github/workflows/check.yml", "  merge_group:\n", "")
    assert list(request_checks(own)) == []  # a check that some requests lack blocks them for ever


# --- one thing is missing or wrong ---

Change = Callable[[Forge], object]


def _rule(forge: Forge, kind: str) -> dict[str, Any]:
    (rules,) = forge.hub.rulesets.values()
    return next(rule for rule in rules["rules"] if rule["type"] == kind)


def _drop_rule(kind: str) -> Change:
    def change(forge: Forge) -> None:
        (rules,) = forge.hub.rulesets.values()
        rules["rules"].remove(_rule(forge, kind))

    return change


def _review(key: str, value: object) -> Change:
    return lambda forge: _rule(forge, "pull_request")["parameters"].update({key: value})


def _ruleset(**values: object) -> Change:
    return lambda forge: next(iter(forge.hub.rulesets.values())).update(values)


def _drop_check(forge: Forge) -> None:
    _rule(forge, "required_status_checks")["parameters"]["required_status_checks"].pop()


def _place(name: str, **values: object) -> Change:
    def change(forge: Forge) -> None:
        for key, value in values.items():
            setattr(forge.hub.places[name], key, value)

    return change


def _admit(name: str, branch: str, kind: str = "branch") -> Change:
    return lambda forge: forge.hub.places[name].branches.update({7: {"name": branch, "type": kind}})


def _admit_any(forge: Forge) -> None:
    forge.hub.places["prod"].policy = {"protected_branches": True, "custom_branch_policies": False}
    forge.hub.places["prod"].branches.clear()


def _variable(name: str, key: str, value: str | None) -> Change:
    def change(forge: Forge) -> None:
        known = forge.hub.places[name].variables
        known.pop(key)
        if value is not None:
            known[key] = value

    return change


def _force(number: int) -> Change:
    return lambda forge: setattr(forge.hub, "levels", {} if number else {"data-team": "pull"})


BYPASS = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
HUB: list[tuple[str, Change, list[str], str]] = [
    ("no ruleset", lambda f: f.hub.rulesets.clear(), ["branch rules"], "no ruleset of main has"),
    ("a ruleset that is off", _ruleset(enforcement="disabled"), ["branch rules"], "deletions"),
    ("a bypass list", _ruleset(bypass_actors=BYPASS), ["branch rules"], "it has a bypass list"),
    ("another branch", _ruleset(conditions={"ref_name": {"include": ["refs/heads/x"]}}),
     ["branch rules"], "no ruleset of main"),
    ("deletions", _drop_rule("deletion"), ["branch rules"], "has: Restrict deletions"),
    ("force pushes", _drop_rule("non_fast_forward"), ["branch rules"], "has: Block force pushes"),
    ("no review", _drop_rule("pull_request"), ["branch rules"], "Required approvals: 1, Dismiss"),
    ("no checks", _drop_rule("required_status_checks"), ["branch rules"],
     "the required checks check (Python 3.11), check (Python 3.12), release"),
    ("a check too few", _drop_check, ["branch rules"], "has: the required checks release"),
    ("no approval", _review("required_approving_review_count", 0), ["branch rules"],
     "has: Required approvals: 1"),
    ("stale approvals", _review("dismiss_stale_reviews_on_push", False), ["branch rules"],
     "has: Dismiss stale pull request approvals"),
    ("no code owners", _review("require_code_owner_review", False), ["branch rules"],
     "has: Require review from Code Owners"),
    ("the last push", _review("require_last_push_approval", False), ["branch rules"],
     "has: Require approval of the most recent reviewable push"),
    ("a token that writes",
     lambda f: f.hub.workflow.update(default_workflow_permissions="write"), ["workflow token"],
     "workflows may write by default"),
    ("workflows that approve",
     lambda f: f.hub.workflow.update(can_approve_pull_request_reviews=True), ["workflow token"],
     "workflows may approve pull requests"),
    ("tags of actions", lambda f: f.hub.actions.update(sha_pinning_required=False),
     ["pinned actions"], "mutable tag"),
    ("forks", lambda f: f.hub.forks.update(approval_policy="first_time_contributors"),
     ["workflows of forks"], "without an approval"),
    ("a team without access", _force(1), ["code owner @acme/data-team", "CODEOWNERS"],
     "has no access, expected push"),
    ("a team that reads", _force(0), ["code owner @acme/data-team", "CODEOWNERS"],
     "has pull access, expected push"),
    ("no environment", lambda f: f.hub.places.pop("staging"),
     ["environment staging", "staging branches", "staging variables"], "does not exist"),
    ("any branch", _admit_any, ["environment prod", "prod branches"], "not limited to selected"),
    ("admins", _place("prod", can_admins_bypass=True), ["environment prod"],
     "administrators may bypass"),
    ("another branch of prod", _admit("prod", "feature/*"), ["prod branches"],
     "admits the branch feature/*"),
    ("a tag", _admit("prod-plan", "main", "tag"), ["prod-plan branches"], "admits the tag main"),
    ("no branch", lambda f: f.hub.places["staging"].branches.clear(), ["staging branches"],
     "does not admit main"),
    ("no reviewers", _place("prod", reviewers=[], prevent_self_review=False), ["prod reviewers"],
     "no required reviewers"),
    ("who starts it approves it", _place("prod", prevent_self_review=False), ["prod reviewers"],
     "who starts a job may approve it"),
    ("no host", _variable("prod", "DATABRICKS_HOST", None), ["prod variables"],
     "no DATABRICKS_HOST"),
    ("another client", _variable("staging", "DATABRICKS_CLIENT_ID", "other"),
     ["staging variables"], "DATABRICKS_CLIENT_ID is other, expected 64000000"),
    ("another audience", _variable("preview", "DATABRICKS_TOKEN_AUDIENCE", "lake-prod"),
     ["preview variables"], "is lake-prod, expected lake-preview"),
]  # fmt: skip


def _branch(**values: object) -> Change:
    return lambda forge: forge.lab.branches["main"].update(values)


def _push(*levels: dict[str, object]) -> Change:
    found = [{"id": number, **level} for number, level in enumerate(levels, start=5)]
    return _branch(push_access_levels=found)


def _field(**values: object) -> Change:
    return lambda forge: forge.lab.fields.update(values)


def _of(scope: str, key: str, forge: Forge) -> dict[str, Any]:
    return next(
        v for v in forge.lab.variables if (v["environment_scope"], v["key"]) == (scope, key)
    )


def _set(scope: str, key: str, **values: object) -> Change:
    return lambda forge: _of(scope, key, forge).update(values)


LAB: list[tuple[str, Change, list[str], str]] = [
    ("no protection", lambda f: f.lab.branches.clear(), ["branch main", "main code owners"],
     "not protected"),
    ("developers push", _push({"access_level": 0}, {"access_level": 30}), ["branch main"],
     "accepts pushes"),
    ("a deploy key", _push({"access_level": 40, "deploy_key_id": 1}), ["branch main"],
     "accepts pushes"),
    ("a user", _push({"access_level": None, "user_id": 3}), ["branch main"], "accepts pushes"),
    ("force pushes", _branch(allow_force_push=True), ["branch main"], "accepts force pushes"),
    ("no code owners", _branch(code_owner_approval_required=False), ["main code owners"],
     "no code owner has to approve"),
    ("a group that is out", lambda f: f.lab.shared.clear(), ["code owner @acme/data-team"],
     "may not write here"),
    ("no rule", lambda f: f.lab.rules.clear(), ["approval rule"], "requires 0 approvals"),
    ("no approval", lambda f: f.lab.rules[0].update(approvals_required=0), ["approval rule"],
     "requires 0 approvals, expected 1"),
    ("the author", lambda f: f.lab.approvals.update(merge_requests_author_approval=True),
     ["approval settings"], "off: Prevent approval by author"),
    ("who adds commits",
     lambda f: f.lab.approvals.update(merge_requests_disable_committers_approval=False),
     ["approval settings"], "off: Prevent approvals by users who add commits"),
    ("stale approvals", lambda f: f.lab.approvals.update(reset_approvals_on_push=False),
     ["approval settings"], "off: Remove all approvals when commits are added"),
    ("a red pipeline", _field(only_allow_merge_if_pipeline_succeeds=False),
     ["pipelines must succeed"], "whatever its pipeline says"),
    ("merged results", _field(merge_pipelines_enabled=True), ["merged results pipelines"],
     "runs the code of both"),
    ("merge trains", _field(merge_trains_enabled=True), ["merged results pipelines"], "subject"),
    ("older pipelines", _field(ci_forward_deployment_enabled=False), ["outdated deployments"],
     "may deploy over a newer one"),
    ("variables of developers", _field(ci_pipeline_variables_minimum_override_role="developer"),
     ["pipeline variables"], "allowed for developer, expected maintainer or owner"),
    ("variables of nobody", _field(ci_pipeline_variables_minimum_override_role="no_one_allowed"),
     ["pipeline variables"], "allowed for no_one_allowed"),
    ("who starts it approves it", _field(allow_pipeline_trigger_approve_deployment=True),
     ["approval by others"], "may approve its deployment"),
    ("no environment", lambda f: f.lab.environments.remove("prod"), ["environment prod"],
     "does not exist"),
    ("no protected environment", lambda f: f.lab.protected.clear(), ["prod approvers"],
     "not protected"),
    ("no approvers", lambda f: f.lab.protected["prod"].update(approval_rules=[]),
     ["prod approvers"], "no approval is required"),
    ("no host", lambda f: f.lab.variables.remove(_of("prod", "DATABRICKS_HOST", f)),
     ["prod variables"], "no DATABRICKS_HOST"),
    ("one audience for two", _set("prod-plan", "DATABRICKS_TOKEN_AUDIENCE", value="lake-prod"),
     ["prod-plan variables"], "is lake-prod, expected lake-prod-plan"),
    ("not protected", _set("prod", "DATABRICKS_CLIENT_ID", protected=False), ["prod variables"],
     "DATABRICKS_CLIENT_ID must be protected"),
    ("protected from requests", _set("preview/*", "DATABRICKS_HOST", protected=True),
     ["preview variables"], "DATABRICKS_HOST must not be protected"),
    ("another scope", _set("staging", "DATABRICKS_HOST", environment_scope="*"),
     ["staging variables"], "no DATABRICKS_HOST"),
    ("no schedule", lambda f: f.lab.schedules.clear(), ["schedule main"], "no schedule on main"),
    ("a schedule of another branch", lambda f: f.lab.schedules[0].update(ref="refs/heads/x"),
     ["schedule main"], "no schedule on main"),
    ("a schedule that is off", lambda f: f.lab.schedules[0].update(active=False),
     ["schedule main"], "is not active"),
]  # fmt: skip
WRONG = [("github", *one) for one in HUB] + [("gitlab", *one) for one in LAB]


@pytest.mark.parametrize(
    ("kind", "change", "expected", "message"),
    [(one[0], *one[2:]) for one in WRONG],
    ids=[f"{one[0]}: {one[1]}" for one in WRONG],
)
def test_what_is_missing_or_wrong_is_named_and_corrected(
    kind: str,
    change: Change,
    expected: list[str],
    message: str,
    run: Run,
    forge: Forge,
    ready: Callable[[str], None],
) -> None:
    ready(kind)
    change(forge)
    found = things(run, kind, code=2)
    assert [name for name, thing in found.items() if thing["state"] == "missing"] == expected
    assert message in found[expected[0]]["message"]
    red = {name: check.message for name, check in checks(kind, forge).items() if not check.ok}
    assert [*red] == expected
    assert all(text.endswith(f": delivery bootstrap {kind}") for text in red.values())
    made = things(run, kind, "--apply", code=0)
    left = [name for name in expected if made[name]["state"] != "made"]
    assert left in ([], ["CODEOWNERS"])  # its errors are gone once the team has access
    assert "nothing to do" in bootstrap(run, kind, code=0).output
    assert {check.ok for check in checks(kind, forge).values()} == {True}


def test_a_ruleset_keeps_what_somebody_added(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    (rules,) = forge.hub.rulesets.values()
    rules["rules"].append({"type": "required_signatures"})
    _review("required_approving_review_count", 2)(forge)
    listed = _rule(forge, "required_status_checks")["parameters"]["required_status_checks"]
    listed.append({"context": "lint", "integration_id": 7})
    _drop_rule("deletion")(forge)
    bootstrap(run, "github", "--apply", code=0)
    (rules,) = forge.hub.rulesets.values()
    assert {"type": "required_signatures"} in rules["rules"]
    assert _rule(forge, "pull_request")["parameters"]["required_approving_review_count"] == 2
    listed = _rule(forge, "required_status_checks")["parameters"]["required_status_checks"]
    assert {"context": "lint", "integration_id": 7} in listed
    assert len(listed) == 4


def test_an_environment_keeps_its_timer_and_reviewers(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    forge.hub.people["ana"] = (5, "write")
    prod = forge.hub.places["prod"]
    prod.wait_timer, prod.can_admins_bypass = 30, True
    prod.reviewers = [{"type": "User", "id": 5}]
    bootstrap(run, "github", "--apply", code=0)
    assert (prod.wait_timer, prod.can_admins_bypass) == (30, False)
    assert (prod.reviewers, prod.prevent_self_review) == ([{"type": "User", "id": 5}], True)


def test_a_wider_rule_for_branches_is_named(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("gitlab")
    forge.lab.protect({"name": "ma*", "push_access_level": 30})
    found = things(run, "gitlab", "--apply", code=2)["wider branch rules"]
    assert "ma* matches main, too, and accepts pushes" in found["message"]
    assert not checks("gitlab", forge)["wider branch rules"].ok
    forge.lab.branches["ma*"]["push_access_levels"][0]["access_level"] = 0
    bootstrap(run, "gitlab", code=0)


@pytest.mark.parametrize(
    ("scope", "flags", "message"),
    [
        ("*", {}, "DELIVERY_FORGE_TOKEN is in *, where no job needs it"),
        ("staging", {}, "is in staging, where no job needs it"),
        ("doctor", {"masked": False}, "in doctor must be protected and masked"),
        ("forge", {"protected": False}, "in forge must be protected and masked"),
    ],
)
def test_tokens_are_looked_at_and_left_alone(
    scope: str,
    flags: dict[str, bool],
    message: str,
    run: Run,
    forge: Forge,
    ready: Callable[[str], None],
) -> None:
    ready("gitlab")
    token = {"key": "DELIVERY_FORGE_TOKEN", "environment_scope": scope, "value": None}
    forge.lab.variables.append({**token, "protected": True, "masked": True, **flags})
    writes = forge.writes()
    found = things(run, "gitlab", "--apply", code=2)["forge tokens"]
    assert message in found["message"]
    assert found["call"] is None
    assert forge.writes() == writes
    assert message in checks("gitlab", forge)["forge tokens"].message


def test_a_job_that_needs_a_token_says_so(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("gitlab")
    for switch, scope in (("DELIVERY_TELLS", "forge"), ("DELIVERY_DOCTOR", "doctor")):
        variable = {"key": switch, "environment_scope": "*", "value": "on"}
        forge.lab.variables.append(variable)
        assert f"no DELIVERY_FORGE_TOKEN in {scope}" in bootstrap(run, "gitlab", code=2).output
        forge.lab.variables.remove(variable)


# --- what is not known ---


@pytest.mark.parametrize("kind", KINDS)
def test_ids_that_are_not_known_name_the_command_that_makes_them(
    kind: str, run: Run, forge: Forge, own: Path
) -> None:
    _edit(own, "targets/prod.yml", "deployer: 64", "deployer: 00000000-0000-0000-0000-000000000001")
    found = json.loads(run(kind, "bootstrap", kind, "--apply", "--output", "json", code=2).stdout)
    messages = {thing["name"]: thing["message"] for thing in found["things"]}
    assert (
        "delivery bootstrap prod --apply writes it into targets/prod.yml"
        in (messages["prod placeholders"])
    )
    assert "delivery bootstrap preview prints it: --previews ID" in messages["preview placeholders"]
    bootstrap(run, kind, "--apply", code=2)  # now with the id of previews
    if kind == "github":
        forge.hub.places["prod"].variables["DATABRICKS_CLIENT_ID"] = "of another day"
    old = {"key": "DATABRICKS_CLIENT_ID", "environment_scope": "prod", "value": "of another day"}
    forge.lab.variables.append(old)
    rows = json.loads(run(kind, "bootstrap", kind, "--output", "json", code=2).stdout)["things"]
    states = {thing["name"]: thing["state"] for thing in rows}
    assert states["preview placeholders"] == "present"  # the forge has one, and no file has another
    assert states["prod placeholders"] == "missing"


@pytest.mark.parametrize("kind", KINDS)
def test_an_owner_that_nobody_set_is_told(kind: str, run: Run, forge: Forge, own: Path) -> None:
    file = own / "CODEOWNERS"
    for owner, message in (
        ("@example/data-team", "given @example/data-team, expected a"),
        ("data@example.com", "given data@example.com, expected a"),
        ("@acme/nobody", "no"),
        ("@ghost", "no"),
    ):
        file.write_text(f"* {owner}\n", "utf-8")
        found = things(run, kind, "--apply", code=2)[f"code owner {owner}"]
        assert (found["state"], found["call"]) == ("missing", None)
        assert message in found["message"]
        assert not checks(kind, forge)[f"code owner {owner}"].ok


def test_codeowners_must_be_on_the_default_branch(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    forge.hub.owners = None
    assert "no CODEOWNERS on the default branch" in bootstrap(run, "github", code=2).output
    forge.hub.owners, forge.hub.broken = ["@acme/data-team"], [7]
    assert "line 7: Invalid pattern: no code owner reviews" in (
        bootstrap(run, "github", code=2).output
    )


def test_approvers_may_be_named(run: Run, forge: Forge, project: Path) -> None:
    forge.hub.people, forge.hub.teams["leads"] = {"ana": (5, "write")}, 9
    names = ("--approver", "@ana", "--approver", "@acme/leads")
    bootstrap(run, "github", *names, "--apply", code=0)
    asked = [{"type": "User", "id": 5}, {"type": "Team", "id": 9}]
    assert forge.hub.places["prod"].reviewers == asked
    forge.hub.places["prod"].reviewers.clear()
    text = bootstrap(run, "github", "--approver", "@nobody", "--apply", code=2).output
    assert "given @nobody, expected a team that exists: --approver" in text
    forge.lab.members = {"ana": 40}
    bootstrap(run, "gitlab", *names, "--apply", code=2)
    assert forge.lab.protected["prod"]["approval_rules"] == [
        {"user_id": 5, "required_approvals": 1}
    ]
    forge.lab.protected.clear()
    bootstrap(run, "gitlab", "--approver", "@nobody", "--apply", code=2)
    (rule,) = forge.lab.protected["prod"]["approval_rules"]
    assert rule == {"access_level": 40, "required_approvals": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_alone_needs_no_approval_of_others(
    kind: str, run: Run, forge: Forge, own: Path
) -> None:
    _edit(own, "delivery.yml", "  approvals: 1\n", "  approvals: 0\n")
    forge.hub.people = {"ana": (5, "admin")}
    (own / "CODEOWNERS").write_text("* @ana\n", "utf-8")
    forge.hub.owners, forge.lab.members = ["@ana"], {"ana": 50}
    bootstrap(run, kind, "--apply")
    secrets(forge)
    text = bootstrap(run, kind, code=0).output
    assert "approvals: 0: nobody reviews a change" in text
    if kind == "github":
        assert _rule(forge, "pull_request")["parameters"]["required_approving_review_count"] == 0
        assert not forge.hub.places["prod"].prevent_self_review
        assert forge.hub.places["prod"].reviewers == [{"type": "User", "id": 5}]
    else:
        assert forge.lab.rules == []
    for doctor in checks(kind, forge).values():
        assert doctor.ok, doctor


# --- what a plan does not have ---


def test_a_free_private_repository_is_told_that_nothing_protects_it(
    run: Run, forge: Forge, project: Path
) -> None:
    forge.hub.private, forge.hub.plan = True, "free"
    for shows in (True, False):  # whoever owns the organization sees its plan
        forge.hub.shows_plan = shows
        found = things(run, "github", "--apply", code=2)
        for name in ("branch rules", "environment prod", "environment staging"):
            assert (found[name]["state"], found[name]["call"]) == ("missing", None)
            assert "GitHub Free has neither rulesets nor environments" in found[name]["message"]
        assert not any(place in write for write in forge.writes() for place in ("ruleset", "/env"))
        assert not checks("github", forge)["branch rules"].ok
        assert "prod variables" not in found


@pytest.mark.parametrize("shows", [True, False])
def test_a_team_plan_has_no_reviewers_in_private_repositories(
    shows: bool, run: Run, forge: Forge, own: Path
) -> None:
    forge.hub.private, forge.hub.plan, forge.hub.shows_plan = True, "team", shows
    found = things(run, "github", "--apply", code=2)
    missing = [name for name, thing in found.items() if thing["state"] == "missing"]
    assert missing == ["prod reviewers"]
    advice = "set approval: {prod: dispatch} in delivery.yml"
    assert advice in found["prod reviewers"]["message"]
    assert not checks("github", forge)["prod reviewers"].ok
    _edit(own, "delivery.yml", "  prod: environment\n", "  prod: dispatch\n")
    text = bootstrap(run, "github", "--apply", code=0).output
    if shows:
        assert "– prod reviewers: no required reviewers: GitHub Team has them in public" in text
        assert "instead: the job starts with the plan's digest (approval: dispatch)" in text
        assert "1 of 19 this plan does not have." in text
        assert "nothing to do: all 18 are there." in text
    doctor = checks("github", forge)["prod reviewers"]
    assert (doctor.ok, doctor.is_unavailable) == (True, shows)
    assert ("– prod reviewers" in run("github", "doctor").output) is shows


def test_gitlab_free_says_what_protects_instead(run: Run, forge: Forge, own: Path) -> None:
    forge.lab.premium = False
    found = things(run, "gitlab", "--apply", code=2)
    assert [n for n, t in found.items() if t["state"] == "missing"] == ["prod approvers"]
    assert "set approval: {prod: dispatch}" in found["prod approvers"]["message"]
    _edit(own, "delivery.yml", "  prod: environment\n", "  prod: dispatch\n")
    text = bootstrap(run, "gitlab", "--apply", code=0).output
    for line in (
        "– main code owners: GitLab Free has no approval by code owners (Premium); instead: only "
        "maintainers merge into the protected branches",
        "– approval rule: GitLab Free has no approval rules (Premium); instead: only maintainers",
        "– prod approvers: GitLab Free has no protected environments (Premium); instead: the job "
        "starts with the plan's digest (approval: dispatch)",
    ):
        assert line in text, text
    assert "nothing to do" in bootstrap(run, "gitlab", code=0).output
    doctor = checks("gitlab", forge)
    assert {check.ok for check in doctor.values()} == {True}
    assert [name for name, check in doctor.items() if check.is_unavailable] == [
        "main code owners", "approval rule", "approval settings", "prod approvers",
    ]  # fmt: skip


@pytest.mark.parametrize("level", ["push", "merge"])
def test_gitlab_free_protects_a_branch_anew(level: str, run: Run, forge: Forge, own: Path) -> None:
    forge.lab.premium = False
    _edit(own, "delivery.yml", "  prod: environment\n", "  prod: dispatch\n")
    bootstrap(run, "gitlab", "--apply", code=0)
    forge.lab.branches["main"][f"{level}_access_levels"][0]["access_level"] = 30
    assert not checks("gitlab", forge)["branch main"].ok
    bootstrap(run, "gitlab", "--apply", code=0)
    assert [write.split()[0] for write in forge.writes()[-2:]] == ["DELETE", "POST"]
    forge.lab.branches["main"]["allow_force_push"] = True
    bootstrap(run, "gitlab", "--apply", code=0)
    assert forge.writes()[-1].startswith("PATCH")  # which leaves no gap


# --- who may, and who may not ---


def test_a_job_of_the_night_reads_what_its_token_may(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    found = checks("github", forge, "a-token-of-the-job")
    assert {check.ok for check in found.values()} == {True}
    hidden = [n for n, check in found.items() if check.message.startswith("not checked: ")]
    assert {"workflow token", "prod variables"} <= {*hidden}
    assert {"branch rules", "environment prod", "prod branches", "prod reviewers"}.isdisjoint(
        hidden
    )


@pytest.mark.parametrize(("kind", "token"), [("github", "a-token-of-the-job"),
                                             ("gitlab", "a-token-of-the-project")])  # fmt: skip
def test_a_token_that_may_not_write_makes_nothing(
    kind: str, token: str, run: Run, forge: Forge, project: Path
) -> None:
    result = bootstrap(run, kind, "--apply", token=token, code=4)
    assert "needs a" in result.output
    assert forge.hub.places == {}
    assert forge.lab.branches == {}


def test_commands_for_who_may_not_look_are_complete(run: Run, forge: Forge, project: Path) -> None:
    script = bootstrap(run, "github", "--commands", token="a-token-of-the-job", code=4).output
    lines = script.splitlines()
    (at,) = [n for n, line in enumerate(lines) if line.startswith("# prod variables: an admin")]
    assert lines[at].endswith("not visible here: leave it out if it is there")
    names = [re.search(r'"name": "(\w+)"', line) for line in lines[at + 1 : at + 4]]
    assert [found and found[1] for found in names] == [
        "DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_TOKEN_AUDIENCE",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_repository_that_is_not_seen_is_told(
    kind: str, run: Run, forge: Forge, project: Path
) -> None:
    forge.is_seen = False
    text = str(bootstrap(run, kind).exception)
    assert f"{NAME}: given a token that may not see it" in text
    assert "set DELIVERY_FORGE_TOKEN to a token of an admin" in text


def test_a_repository_must_be_that_of_the_forge(
    run: Run, forge: Forge, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("github", forge, monkeypatch)
    policy = load_policy(project)
    with pytest.raises(DeliveryError, match="given a repository on github, expected one on gitlab"):
        connect_settings(project, policy, "gitlab")
    for name in ("GITHUB_ACTIONS", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DeliveryError, match="expected the address of the repository, such as"):
        connect_settings(project, policy, "gitlab")


def test_a_token_is_sent_to_no_host_that_only_a_file_names(
    run: Run, forge: Forge, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    become("github", forge, monkeypatch)
    monkeypatch.delenv("GITHUB_ACTIONS")
    monkeypatch.setattr("delivery.forge.base.Api.call", pytest.fail)
    _edit(own, "delivery.yml", 'url: ""', 'url: "https://git.example.com/team/lake"')
    git(own, "init", "--quiet", "--template=")
    for origin in ("none", "evil.example.com"):
        if origin != "none":
            git(own, "remote", "add", "origin", f"https://{origin}/team/lake.git")
        with pytest.raises(DeliveryError, match=f"expected the host of .* origin: {origin}"):
            connect_settings(own, load_policy(own), "github")
    git(own, "remote", "set-url", "origin", "git@git.example.com:team/lake.git")
    with pytest.raises(pytest.fail.Exception):
        connect_settings(own, load_policy(own), "github")


def test_a_server_that_lacks_a_setting_is_not_asked_for_it_again(
    run: Run, forge: Forge, ready: Callable[[str], None]
) -> None:
    ready("github")
    del forge.hub.actions["sha_pinning_required"]
    text = bootstrap(run, "github", "--apply", code=0).output
    assert "– pinned actions: this server has no sha_pinning_required; instead: code owners" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("github", "--developers", "x"), "--developers: expected for a target only"),
        (("gitlab", "--storage-root", "x"), "--storage-root: expected for a target only"),
        (("staging", "--approver", "x"), "--approver: expected for github or gitlab only"),
        (("github", "--apply", "--commands"), "--commands: expected without --apply"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    words: tuple[str, ...], message: str, run: Run, project: Path
) -> None:
    assert message in str(run("github", "bootstrap", *words).exception)


# --- whatever goes wrong ---

FAULTS: tuple[int | str, ...] = (403, 500, "reset", "lost")
EVERYWHERE = bool(os.environ.get("BAD_DAYS"))


def applied(kind: str, project: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What `--apply` does, in this process; the states of all things."""
    become(kind, forge, monkeypatch)
    settings = connect_settings(project, load_policy(project), kind, PREVIEWS)
    return {str(step.make().state) for step in settings.steps()}


def state(forge: Forge) -> Any:
    """Everything that is set, without ids and whatever its order."""
    places = {name: vars(place) for name, place in forge.hub.places.items()}
    return _plain({**vars(forge.hub), "places": places, "lab": vars(forge.lab)})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        known = {k: _plain(v) for k, v in value.items() if k not in ("id", "numbers")}
        is_list = known and all(isinstance(key, int) for key in known)
        return sorted(known.values(), key=str) if is_list else known
    return sorted(map(_plain, value), key=str) if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_after_any_fault_the_next_run_completes_it(
    kind: str, project: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets(forge)
    start = copy.deepcopy((forge.hub, forge.lab))
    assert applied(kind, project, forge, monkeypatch) <= {"made", "present"}
    calls, complete = len(forge.seen), state(forge)
    fired = 0
    for call in range(1, calls + 1):
        for fault in FAULTS if EVERYWHERE else (FAULTS[call % len(FAULTS)],):
            forge.hub, forge.lab = copy.deepcopy(start)
            known = forge.fault(call, fault)
            with contextlib.suppress(DeliveryError):
                applied(kind, project, forge, monkeypatch)
            fired += known.fired
            forge.faults.clear()
            assert applied(kind, project, forge, monkeypatch) <= {"made", "present"}, (call, fault)
            assert state(forge) == complete, (call, fault)
    assert fired == calls * (len(FAULTS) if EVERYWHERE else 1) > 40


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_says_what_to_do(kind: str, run: Run, forge: Forge, project: Path) -> None:
    forge.fault(8, 500)
    text = str(bootstrap(run, kind, "--apply").exception)
    assert "What was made stays. Run the same command again: it goes on from there." in text


# --- commands ---


def programs(folder: Path, forge: Forge) -> Path:
    """`gh` and `glab`, as far as `api` goes: they know the host, and have their own token."""
    folder.mkdir()
    for name, header in (("gh", "Authorization: Bearer"), ("glab", "PRIVATE-TOKEN:")):
        file = folder / name
        home = f"{forge.url}/{'github' if name == 'gh' else 'gitlab'}"
        file.write_text(
            f"#!{sys.executable}\n"
            "import argparse, sys, urllib.request\n"
            "p = argparse.ArgumentParser()\n"
            "p.add_argument('api', choices=['api']); p.add_argument('--hostname', required=True)\n"
            "p.add_argument('--method'); p.add_argument('--header'); p.add_argument('--input')\n"
            "p.add_argument('path'); a = p.parse_args()\n"
            "assert a.input in (None, '-') and not a.path.startswith('/')\n"
            "body = sys.stdin.buffer.read() if a.input else None\n"
            f"name, value = {header + ' ' + ADMIN!r}.split(' ', 1)\n"
            f"r = urllib.request.Request({home!r} + '/' + a.path, body, method=a.method)\n"
            "r.add_header(name.rstrip(':'), value)\n"
            "urllib.request.urlopen(r).read()\n",
            encoding="utf-8",
        )
        file.chmod(0o755)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_typed_one_after_another_the_commands_complete_it(
    kind: str, run: Run, forge: Forge, project: Path, tmp_path: Path
) -> None:
    place = programs(tmp_path / "programs", forge)
    script = bootstrap(run, kind, "--commands", code=2).output
    assert forge.writes() == []
    lines = [line for line in script.splitlines() if not line.startswith("#")]
    assert all(shlex.split(line) for line in lines)
    assert ADMIN not in script
    env = {"PATH": f"{place}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-e", "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    secrets(forge)
    assert "nothing to do" in bootstrap(run, kind, code=0).output
    again = bootstrap(run, kind, "--commands", code=0)
    assert (again.stdout, "nothing to do" in again.stderr) == ("", True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_commands_are_the_calls_of_a_host_that_the_programs_know(
    kind: str, run: Run, project: Path, forge: Forge
) -> None:
    from delivery.bootstrap.call import Call
    from delivery.bootstrap.forge_service import ForgeService
    from delivery.forge.base import Api

    hosts = {
        "https://api.github.com": "gh api --method DELETE repos/a/b",
        "https://git.example.com/api/v3": "gh api --hostname git.example.com --method DELETE",
        "https://gitlab.com/api/v4": "gh api --method DELETE repos/a/b",
    }
    for home, expected in hosts.items():
        call = Call(ForgeService(Api(home, {}), "gh"), "DELETE", "/repos/a/b", {}, "an admin")
        assert call.command.startswith(expected)
    found = [call for thing in things(run, kind).values() for call in (thing["call"],) if call]
    text = bootstrap(run, kind, "--commands").output
    for call in found:
        assert shlex.quote(json.dumps(call["body"])) in text
