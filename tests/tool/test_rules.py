"""What `delivery check` finds: each rule with its place, and silence where all is well."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, check
from delivery.checks.untrusted import refuse_untrusted
from delivery.config.target import read_target, require_configured_host
from delivery.errors import DeliveryError, Finding
from delivery.release.diff import diff_targets
from delivery.render.findings import Format, formatted

from tool.conftest import git

Edit = Callable[[str, str, str], None]
JOB, SCHEMA = "resources/shop/job.yml", "resources/shop/schema.yml"
PROD, STAGING, POLICY = "targets/prod.yml", "targets/staging.yml", "delivery.yml"


def found(project: Path, rule: str) -> list[tuple[str, str]]:
    return [(f"{f.file}:{f.line}", f.message) for f in check(CheckContext(project), [rule])]


@pytest.mark.parametrize(
    ("rule", "file", "old", "new", "place", "message"),
    [
        # The typed model.
        ("model", SCHEMA, "      name:", "      nmae: x\n      name:", f"{SCHEMA}:5",
         "schemas.shop_gold: unknown field nmae, expected name"),
        ("model", SCHEMA, "      name: shop_gold\n", "", f"{SCHEMA}:3",
         "schemas.shop_gold: missing name"),
        ("model", JOB, "            - task_key: load\n", "            - task_kye: load\n",
         f"{JOB}:11", "jobs.shop_daily.tasks[0].depends_on[0]: unknown field task_kye, expected "
         "task_key"),
        # Names, tags, owners.
        ("naming", SCHEMA, "    shop_gold:", "    gold:", f"{SCHEMA}:3",
         "schemas.gold: given gold, expected shop(_[a-z0-9]+)* (such as shop_gold)"),
        ("naming", JOB, "name: shop_daily", "name: daily", f"{JOB}:4",
         "jobs.shop_daily: given the name daily, expected the key, shop_daily"),
        ("tags", JOB, "tags: {project: demo, domain: shop}", "tags: {project: demo}",
         f"{JOB}:3", "jobs.shop_daily: given no tag domain"),
        ("notification", JOB, "on_failure:", "on_start:", f"{JOB}:3",
         "jobs.shop_daily: expected at least one recipient of failure notifications"),
        ("verify", POLICY, "shop: shop_daily", "shop: shop_dialy", f"{POLICY}:13",
         "verify.jobs.shop: given shop_dialy, expected one of shop_daily"),
        ("verify", POLICY, "verify:\n  jobs:\n    shop: shop_daily\n", "", f"{POLICY}:0",
         "verify.jobs: no job for the domain shop, expected one of its jobs"),
        ("verify", JOB, "timeout_seconds: 1200", "timeout_seconds: 1201", f"{JOB}:30",
         "jobs.shop_daily: timeout_seconds: given 1201, expected at most 1200, because "
         "verify.minutes of delivery.yml is 20"),
        ("verify", JOB, "      timeout_seconds: 1200\n", "", f"{JOB}:3",
         "jobs.shop_daily: timeout_seconds: given none, expected at most 1200, because "
         "verify.minutes of delivery.yml is 20"),
        ("verify", POLICY, "    shop: shop_daily\n", "    shop: shop_daily\n  minutes: 19\n",
         f"{JOB}:30",
         "jobs.shop_daily: timeout_seconds: given 1200, expected at most 1140, because "
         "verify.minutes of delivery.yml is 19"),
        ("verify", JOB, "      timeout_seconds: 1200\n", "      continuous: {}\n"
         "      timeout_seconds: 1200\n", f"{JOB}:30",
         "jobs.shop_daily: verifies shop, but is continuous and never ends"),
        ("include", "databricks.yml", "  - targets/*.yml\n  - resources/*/*.yml\n",
         "  - targets/dev.yml\n  - targets/staging.yml\n  - targets/prod.yml\n"
         "  - targets/identity.yml\n  - resources/shop/job.yml\n  - resources/shop/schema.yml\n",
         "databricks.yml:3", "include: no pattern can match an additional file"),
        # Released targets.
        ("released", PROD, "mode: production", "mode: development", f"{PROD}:3",
         "prod: mode: expected production"),
        ("released", PROD, "runner-of-prod", "deployer-of-prod", f"{PROD}:3",
         "prod: deployer, runner and planner: expected three different identities"),
        ("released", JOB, '{service_principal_name: "${var.runner}"}',
         "{user_name: ana@example.com}", f"{JOB}:29",
         "prod: user_name: given ana@example.com, expected a group or a service principal"),
        ("released", PROD, "/releases/${var.release}/files", "/files", f"{PROD}:3",
         "prod: workspace.file_path: expected a folder for each release"),
        ("released", PROD, "      catalog: demo_prod", "      catalog: demo_prod\n      release: x",
         f"{PROD}:3", "prod: variables.release: expected no value, because each release sets it"),
        ("released", PROD, "    presets:", "    permissions: [{level: CAN_VIEW, group_name: x}]\n"
         "    presets:", f"{PROD}:3",
         "prod: permissions: expected none, because the CLI would replace the folder's "
         "permissions"),
        ("released", PROD, "UNPAUSED", "PAUSED", f"{PROD}:3",
         "prod: presets.trigger_pause_status: given PAUSED, expected UNPAUSED"),
        ("released", JOB, "      tags:", "      schedule: {pause_status: PAUSED}\n      tags:",
         f"{JOB}:27",
         "jobs.shop_daily: schedule.pause_status: expected none, because the target sets it"),
        ("released", JOB, "      tags:", "      schedule: {}\n      continuous: {}\n      tags:",
         f"{JOB}:3", "jobs.shop_daily: given schedule and continuous, expected one"),
        ("released", JOB, "      tags:",
         "      permissions: [{level: CAN_MANAGE, group_name: users}]\n      tags:",
         f"{JOB}:3", "jobs.shop_daily: given CAN_MANAGE for everyone"),
        ("released", SCHEMA, "      name:",
         "      grants: [{principal: users, privileges: [ALL_PRIVILEGES]}]\n      name:",
         f"{SCHEMA}:3", "schemas.shop_gold: users has all privileges"),
        ("released", SCHEMA, "      name:",
         "      grants: [{principal: ana@example.com, privileges: [SELECT]}]\n      name:",
         f"{SCHEMA}:5", "prod: principal: given ana@example.com, expected a group or a service "
         "principal"),
        ("untrusted", PROD, "    workspace:\n", "    artifacts: {x: {type: whl}}\n    workspace:\n",
         f"{PROD}:4", "artifacts is refused for prod: it would run with the deployer's identity"),
        ("untrusted", "databricks.yml", "variables:", "experimental: {python: {}}\nvariables:",
         "databricks.yml:6",
         "experimental is refused for prod: it would run with the deployer's identity"),
        ("untrusted", PROD, "      host:", "      profile: x\n      host:", f"{PROD}:5",
         "workspace.profile is refused for prod: it would run with the deployer's identity"),
        ("untrusted", SCHEMA, "  schemas:", "  secrets: {x: {}}\n  schemas:", f"{SCHEMA}:2",
         "resources.secrets is refused for prod: it would run with the deployer's identity"),
        ("placeholder", PROD, "https://prod.example.com", "https://dbc-00000000-0000.example.com",
         f"{PROD}:5", "prod: host is not set yet"),
        ("placeholder", PROD, "planner-of-prod", "00000000-0000-0000-0000-000000000003",
         f"{PROD}:12", "prod: planner is not set yet"),
        # Parity.
        ("parity", PROD, "    variables:", "    git: {branch: x}\n    variables:", f"{PROD}:8",
         "git: staging has None, prod has {'branch': 'x'}"),
        # Paths and identity.
        ("path", JOB, "python_wheel_task:\n            package_name: app\n            entry_point: "
         "app\n            named_parameters:\n              task: shop.load",
         "notebook_task:\n            notebook_path: ../../src/nope\n          x:\n"
         "            named_parameters:\n              task: shop.load",
         f"{JOB}:21", "notebook_path: given ../../src/nope, expected a file"),
        ("path", JOB, "      tags:", "      x: {path: ../../pyproject.toml}\n      tags:",
         f"{JOB}:27", "path: given ../../pyproject.toml, expected a file that the release "
         "includes"),
        ("path", JOB, "      tags:",
         "      x:\n        - -r ${workspace.file_path}/requirements.txt\n"
         "        - ${workspace.file_path}/dist/x.whl\n      tags:",
         f"{JOB}:29", "x: given ${workspace.file_path}/dist/x.whl, expected a file"),
        ("identity", "targets/identity.yml", "  uuid: 7d2c1a52-4a3f-4a2e-9f0b-0a4f4c1f7a11\n", "",
         "targets/identity.yml:0", "bundle.uuid: given none"),
    ],
)  # fmt: skip
def test_a_slip_is_found_with_its_place(
    project: Path, edit: Edit, rule: str, file: str, old: str, new: str, place: str, message: str
) -> None:
    assert found(project, rule) == []
    edit(file, old, new)
    assert (place, message) in [
        (where, text.removesuffix(" (target prod)")) for where, text in found(project, rule)
    ], found(project, rule)
    assert all(finding.hint for finding in check(CheckContext(project), [rule]))


def test_a_released_target_that_is_none_is_told(project: Path, edit: Edit) -> None:
    edit(POLICY, "prod: release", "qa: release")
    assert found(project, "policy") == [
        (f"{POLICY}:9", "branches.targets.qa: given qa, expected one of dev, prod, staging")
    ]
    assert found(project, "released") == []


def test_a_fork_that_kept_the_identity_is_found(project: Path, edit: Edit) -> None:
    edit(POLICY, "team/demo", "team/lake")
    assert found(project, "identity") == []
    git(project, "remote", "add", "origin", "git@example.com:team/lake.git")
    assert found(project, "identity") == []
    git(project, "remote", "set-url", "origin", "https://u:t@example.com/fork/lake.git")
    ((place, message),) = found(project, "identity")
    assert place == "delivery.yml:4"
    assert message == (
        "project.url: given example.com/team/lake, expected this repository, example.com/fork/lake"
    )


def test_paths_that_may_differ_are_no_finding(project: Path, edit: Edit) -> None:
    edit(POLICY, "workspace.host]", "workspace.host, git]")
    edit(PROD, "    variables:", "    git: {branch: x}\n    variables:")
    assert found(project, "parity") == []


def test_two_targets_differ_where_they_are_told_to(project: Path) -> None:
    paths = {d.path: (d.first, d.second) for d in diff_targets(project, "staging", "prod")}
    assert paths["presets.trigger_pause_status"] == ("PAUSED", "UNPAUSED")
    assert paths["workspace.host"] == ("https://staging.example.com", "https://prod.example.com")
    assert diff_targets(project, "prod", "prod") == []


def test_another_host_than_the_pipeline_s_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRICKS_HOST", raising=False)
    target = read_target(project, "prod", {"release": "x"})
    assert require_configured_host(target) is target
    assert target.root == "/Workspace/Deployments/demo/prod"
    assert target.files == "/Workspace/Deployments/demo/prod/releases/x/files"
    assert target.release_folder("y") == "/Workspace/Deployments/demo/prod/releases/y"
    assert target.declared == {"jobs.shop_daily", "schemas.shop_gold"}
    monkeypatch.setenv("DATABRICKS_HOST", "https://prod.example.com/")
    assert require_configured_host(target) is target
    monkeypatch.setenv("DATABRICKS_HOST", "https://other.example.com")
    with pytest.raises(DeliveryError, match=r"host of prod: given https://prod\.example\.com"):
        require_configured_host(target)


def test_a_release_that_reaches_out_of_itself_is_refused(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "  - targets/*.yml", "  - targets/*.yml\n  - ../*.yml")
    with pytest.raises(DeliveryError, match=r"include \.\./\*\.yml leaves the release"):
        refuse_untrusted(project, "prod")


ODD = Finding("a,b.yml", 3, "rule", "given 100%\n::set-output", "Do it.", "warning")


def test_annotations_stay_one_message_whatever_a_file_contains() -> None:
    assert formatted([ODD], Format.GITHUB) == (
        "::warning file=a%2Cb.yml,line=3,title=rule::given 100%25%0A::set-output%0ADo it."
    )
    assert formatted([], Format.GITHUB) == "check: passed"


def test_code_quality_has_a_stable_fingerprint() -> None:
    one, other = json.loads(
        formatted([ODD, Finding("x.yml", 0, "r", "m", "Do it.")], Format.GITLAB)
    )
    assert (one["severity"], one["location"]) == (
        "info",
        {"path": "a,b.yml", "lines": {"begin": 3}},
    )
    assert (other["severity"], other["location"]["lines"]["begin"]) == ("major", 1)
    again = json.loads(formatted([ODD], Format.GITLAB))
    assert again[0]["fingerprint"] == one["fingerprint"] != other["fingerprint"]


def test_warnings_alone_stop_nothing() -> None:
    text = formatted([ODD], Format.TABLE)
    assert text.startswith("a,b.yml:3: warning: given 100%")
    assert text.endswith("check: passed, with warnings")
    assert json.loads(formatted([ODD], Format.JSON))[0]["severity"] == "warning"
