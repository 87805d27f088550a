"""`delivery check` tells everything at once, each with its place and what to do about it."""

from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, all_rules, check
from delivery.config.bundle import load_bundle
from delivery.config.policy import load_policy
from delivery.errors import DeliveryError, InvalidFileError
from delivery.workspace.bundle_cli import BundleCli

from tool.conftest import Edit, git
from tool.test_rules import JOB, POLICY, PROD, SCHEMA, STAGING, found

ROOT, TASKS = "databricks.yml", "src/app/shop/tasks.py"
ALERT = "late.dbalert.json"
CONTRACT = "src/app/shop/contracts/gold.shop.yml"

SLIPS = {
    "include": (ROOT, "  - resources/*/*.yml\n", ""),
    "reference": (SCHEMA, "${var.catalog}", "${var.catalgo}"),
    "wiring": (JOB, "task: shop.load", "task: shop.laod"),
    "section": (ROOT, "bundle:\n", "bundle:\n  nmae: x\n"),
    "target": (PROD, "mode: production", "mode: prodution"),
    "artifact": (PROD, "    mode:", "    artifacts: {shop: {files: [{source: x}]}}\n    mode:"),
    "alert": (SCHEMA, "  schemas:", f"  alerts: {{late: {{file_path: {ALERT}}}}}\n  schemas:"),
    "variable": (ROOT, "    default: team@example.com\n", "    description: Who.\n"),
    "task": (JOB, "          environment_key: default\n", ""),
    "dynamic": (JOB, "task: shop.load", "task: '{{job.parameters.none}}'"),
    "schedule": (JOB, "      tags:", "      schedule: {timezone_id: Mars/Base}\n      tags:"),
    "convention": (POLICY, "may_differ:", "conventions: {queue: true}\nmay_differ:"),
    "literal": (TASKS, "def ", 'TABLE = "demo_prod.x.y"\ndef '),
    "catalog": (SCHEMA, "${var.catalog}", "demo_prod"),
    "wheel": ("targets/dev.yml", '      runner: ""', "      wheel: app-9.9.9-py3-none-any.whl"),
    "ignore": (SCHEMA, "  schemas:", "  schemas:  # delivery: ignore"),
    "kind": (SCHEMA, "  schemas:", "  apps: {shop_app: {name: shop-app}}\n  schemas:"),
    "model": (SCHEMA, "      name:", "      nmae: x\n      name:"),
    "path": (JOB, "      tags:", "      x: {path: ../gone.py}\n      tags:"),
    "naming": (SCHEMA, "    shop_gold:", "    gold:"),
    "tags": (JOB, "domain: shop", "team: shop"),
    "notification": (JOB, "on_failure:", "on_start:"),
    "verify": (POLICY, "shop: shop_daily", "shop: shop_dialy"),
    "yaml": (SCHEMA, "      name:", "     name:"),
    "duplicate": (SCHEMA, "  schemas:", "  volumes: {shop_daily: {name: x}}\n  schemas:"),
    "untrusted": (PROD, "      host:", "      profile: x\n      host:"),
    "released": (PROD, "mode: production", "mode: development"),
    "run_as": (JOB, '"${var.runner}"', '"${var.planner}"'),
    "placeholder": (POLICY, "  url: https://example.com/team/demo\n", ""),
    "parity": (PROD, "    variables:", "    git: {branch: x}\n    variables:"),
    "identity": ("targets/identity.yml", "uuid:", "uid:"),
    "policy": (POLICY, "prod: release", "qa: release"),
    "cli": (PROD, "mode: production", "mode: prodution"),
    "secret": (SCHEMA, "      name:", "      password: hunter2\n      name:"),
    "tool": (POLICY, "may_differ:", "tool: {required_version: '<0.1'}\nmay_differ:"),
    "branch": (POLICY, "integration: main", "integration: trunk"),
    "contract": (CONTRACT, "status: active", "staus: active"),
}


@pytest.mark.parametrize("rule", all_rules())
def test_every_rule_says_where_and_how_to_mend(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setattr("delivery.workspace.bundle_cli.find_cli", lambda: "databricks")
    monkeypatch.setattr(BundleCli, "warnings", lambda cli, *_: ["Warning: odd\n  in x.yml:3:4"])
    (project / CONTRACT).parent.mkdir()
    (project / CONTRACT).write_text("status: active\n", encoding="utf-8")
    (project / "resources/shop" / ALERT).write_text('{"schedule": 7}', encoding="utf-8")
    edit(*SLIPS[rule])
    if rule == "branch":
        edit(POLICY, "staging: main", "staging: stage")
    findings = check(CheckContext(project, cli="full"), [rule])
    assert findings
    assert all(finding.file and finding.hint.strip() for finding in findings), findings


def test_one_wrong_reference_is_one_finding(project: Path, edit: Edit) -> None:
    edit(PROD, "Deployments/demo/${bundle.target}", "Deployments/${var.nope}")
    edit(JOB, "      tags:", "      description: ${workspace.file_path}\n      tags:")
    ((place, message),) = found(project, "reference")
    assert (place, message[:11]) == (f"{PROD}:6", "${var.nope}")


def test_a_wrong_reference_is_told_where_it_is_written(project: Path, edit: Edit) -> None:
    edit(PROD, "catalog: demo_prod", "catalog: ${var.onwer}")
    (finding,) = check(CheckContext(project), ["reference"])
    assert (finding.file, finding.line, finding.hint) == (PROD, 9, "Write owner for onwer.")


def test_a_variable_that_nothing_uses_is_looked_at_too(project: Path, edit: Edit) -> None:
    edit(PROD, "planner-of-prod", "${var.nope}")
    ((place, _),) = found(project, "reference")
    assert place == f"{PROD}:12"


def test_a_circle_is_one_finding(project: Path, edit: Edit) -> None:
    edit(PROD, "catalog: demo_prod", "owner: ${var.catalog}\n      catalog: ${var.owner}")
    assert [message for _, message in found(project, "reference")] == [
        "${var.catalog}: refers to itself: var.catalog → var.owner → var.catalog (target prod)"
    ]


def test_all_files_that_are_no_yaml_are_told_and_the_rest_is_judged(
    project: Path, edit: Edit
) -> None:
    edit(JOB, "resources:", "resources: [")
    edit(SCHEMA, "resources:", "resources: {")
    edit(PROD, "mode: production", "mode: development")
    findings = {(f.file, f.rule) for f in check(CheckContext(project))}
    paused = (PROD, "target")  # nothing is scheduled in development
    assert findings == {(JOB, "yaml"), (SCHEMA, "yaml"), (PROD, "released"), paused}


def test_a_broken_root_hides_no_other_broken_file_and_sets_off_no_rule(
    project: Path, edit: Edit
) -> None:
    edit(ROOT, "bundle:", "bundle: [")
    edit(
        JOB, "      tags: {project: demo, domain: shop}\n", ""
    )  # presets of the root may have them
    edit(JOB, "\n        - task_key: load\n", "\n        -\n        - task_key: load\n")
    edit(SCHEMA, "resources:", "resources: {")
    findings = check(CheckContext(project))
    assert {(f.file, f.rule) for f in findings} == {
        (ROOT, "yaml"), (SCHEMA, "yaml"), (JOB, "wiring"), (JOB, "model"),
    }  # fmt: skip


def test_a_command_that_needs_the_bundle_tells_all_of_it_too(project: Path, edit: Edit) -> None:
    edit(SCHEMA, "resources:", "resources: {")
    edit(PROD, "targets:", "targets: {")
    with pytest.raises(InvalidFileError, match=rf"(?s){PROD}:.*{SCHEMA}:"):
        load_bundle(project)


@pytest.mark.parametrize(
    ("file", "old", "new", "place", "message"),
    [
        (ROOT, "include:\n  - targets/*.yml\n  - resources/*/*.yml\n", "include: targets/*.yml\n",
         f"{ROOT}:3", "include: given a string, expected a list"),
        (ROOT, "variables:", "presets: [x]\nvariables:", f"{ROOT}:6",
         "presets: given a list, expected a mapping"),
        (PROD, "    presets:\n      trigger_pause_status: UNPAUSED", "    presets: 3",
         f"{PROD}:13", "presets: given a number, expected a mapping"),
        (SCHEMA, "  schemas:\n    shop_gold:", "  schemas: [1]\n  x:\n    shop_gold:",
         f"{SCHEMA}:2", "schemas: given a list, expected a mapping"),
        (JOB, "resources:", "targets: {qa: true}\nresources:", f"{JOB}:1",
         "qa: given a Boolean, expected a mapping"),
    ],
)  # fmt: skip
def test_a_wrong_kind_of_value_is_told_with_an_example(
    project: Path, edit: Edit, file: str, old: str, new: str, place: str, message: str
) -> None:
    edit(file, old, new)
    findings = [f for f in check(CheckContext(project)) if f.file == file]
    assert [(f"{f.file}:{f.line}", f.message) for f in findings] == [(place, message)]
    assert findings[0].hint.startswith("Example: ")


def test_what_is_empty_takes_nothing_away(project: Path, edit: Edit) -> None:
    (project / "resources/shop/more.yml").write_text("resources:\n", encoding="utf-8")
    edit(PROD, "    mode:", "    resources:\n    mode:")
    assert check(CheckContext(project)) == []


def test_all_slips_of_the_policy_are_told_with_their_lines(project: Path, edit: Edit) -> None:
    edit(POLICY, "verify:", "foo: 1\nplan_hours: 0\nverify:")
    edit(POLICY, "    shop: shop_daily", "    shop: 3")
    findings = [(f.line, f.message) for f in check(CheckContext(project))]
    assert [line for line, _ in findings] == [11, 12, 15]
    assert [message.partition(":")[0] for _, message in findings] == [
        "foo", "plan_hours", "verify.jobs.shop",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("  targets:\n    staging: main\n    prod: release", "  targets: {}", "branches.targets"),
        ("verify:", "naming: {keys: 'a{99999999999}'}\nverify:", "naming.keys"),
    ],
)
def test_what_no_rule_could_work_with_is_refused(
    project: Path, edit: Edit, old: str, new: str, place: str
) -> None:
    edit(POLICY, old, new)
    with pytest.raises(DeliveryError, match=rf"delivery\.yml:\d+: {place}: "):
        load_policy(project)
    assert {f.rule for f in check(CheckContext(project))} == {"policy"}


def test_without_prefixes_a_branch_has_any_name_and_a_commit_is_still_judged(
    project: Path, edit: Edit
) -> None:
    edit(POLICY, "prefixes: [feature, fix]", "prefixes: []")
    git(project, "remote", "add", "origin", "https://example.com/team/demo.git")
    (finding,) = check(CheckContext(project, committing=True))
    assert finding.hint == "git switch -c late-arrivals"
    git(project, "checkout", "--quiet", "--orphan", "anything")
    assert check(CheckContext(project, committing=True)) == []


def test_a_target_that_is_none_hides_no_finding_of_those_that_are(
    project: Path, edit: Edit
) -> None:
    edit(POLICY, "prod: release", "qa: release")
    edit(STAGING, "    mode: production\n", "")
    findings = [(f.file, f.line, f.rule) for f in check(CheckContext(project))]
    assert findings == [(POLICY, 9, "policy"), (STAGING, 2, "released")]


def test_code_that_does_not_parse_is_told_and_the_other_tasks_are_judged(
    project: Path, edit: Edit
) -> None:
    edit(TASKS, "def count(tables):", "def count(tables:")
    edit(JOB, "          depends_on:\n            - task_key: load", "          depends_on:\n"
         "            - task_key: laod")  # fmt: skip
    findings = found(project, "wiring")
    assert [place for place, _ in findings] == [f"{JOB}:11", f"{TASKS}:10"]
    assert "target" not in findings[1][1], "it is so for all of them"


@pytest.mark.parametrize(
    "text", ["[project\n", "x = 1\n", "project = 3\n", "[project]\nscripts = 1\n"]
)
def test_a_broken_pyproject_is_one_finding(project: Path, text: str) -> None:
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    ((place, message),) = found(project, "wiring")
    assert place == ("pyproject.toml:1" if text.startswith("[project\n") else "pyproject.toml:0")
    assert message.startswith("cannot be read: ")
    (project / "pyproject.toml").unlink()
    assert len(found(project, "wiring")) == 1


def test_an_entry_point_without_a_module_is_a_finding(project: Path, edit: Edit) -> None:
    edit("pyproject.toml", "app.entry:main", "")
    assert found(project, "wiring")


@pytest.mark.parametrize("new", ["    shop_daily:\n    x:", "    shop_daily: 3\n    x:"])
def test_an_empty_job_is_told_at_its_key(project: Path, edit: Edit, new: str) -> None:
    edit(JOB, "    shop_daily:", new)
    assert (f"{JOB}:3", "given no tasks, expected at least one") in found(project, "wiring")


def test_an_empty_task_is_told_where_it_stands(project: Path, edit: Edit) -> None:
    edit(JOB, "\n        - task_key: load\n", "\n        -\n        - task_key: load\n")
    assert (f"{JOB}:18", "given nothing as a task") in found(project, "wiring")


def test_all_wrong_types_of_a_resource_are_told(project: Path, edit: Edit) -> None:
    edit(
        JOB,
        "      tags:",
        "      max_concurrent_runs: many\n      max_retries: soon\n      tags:",
    )
    edit(JOB, "          environment_key: default\n", "          max_retries: no\n"
         "          environment_key: default\n")  # fmt: skip
    places = [place for place, _ in found(project, "model")]
    assert places == [f"{JOB}:9", f"{JOB}:20", f"{JOB}:29", f"{JOB}:30"]


def test_a_required_field_of_a_wrong_type_is_not_told_as_missing(project: Path, edit: Edit) -> None:
    alert = (
        "display_name: x, query_text: x, warehouse_id: x,\n      evaluation: 3,\n      schedule: x"
    )
    edit(SCHEMA, "  schemas:", f"  alerts:\n    shop_alert: {{{alert}}}\n  schemas:")
    assert [place for place, _ in found(project, "model")] == [f"{SCHEMA}:4", f"{SCHEMA}:5"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("password: {{secrets/scope/key}}", 6, "given a key that is not a string"),
        ("size: 08", 6, "given 08, not a number"),
        ("size: !!int x", 6, "given x, not a number"),
        ("size: !!bool x", 6, "given x, not a number"),
    ],
)
def test_what_yaml_reads_otherwise_than_it_looks_is_told(
    project: Path, edit: Edit, text: str, line: int, message: str
) -> None:
    edit(SCHEMA, "      name:", f"      {text}\n      name:")
    assert [(f.line, f.message) for f in check(CheckContext(project))] == [(line - 1, message)]


@pytest.mark.parametrize("pattern", ["../*.yml", "/tmp/*.yml"])
def test_an_include_out_of_the_project_is_told_and_its_files_are_left_alone(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr(
        "delivery.workspace.bundle_cli.find_cli", lambda: pytest.fail("the CLI was asked")
    )
    outside = project.parent / "outside.yml"
    outside.write_text("targets: {x: {workspace: {host: https://example.com}}}\n", "utf-8")
    pattern = pattern.replace("/tmp/*.yml", outside.as_posix())
    edit(ROOT, "  - targets/*.yml", f"  - targets/*.yml\n  - {pattern}")
    findings = check(CheckContext(project, cli="full"), ["include", "cli"])
    assert [(f.file, f.line) for f in findings] == [(ROOT, 3)]
    assert "https://example.com" in outside.read_text("utf-8")


def installed(monkeypatch: pytest.MonkeyPatch, project: Path, script: str) -> Path:
    """A CLI that only runs a script, and the file that it may write to."""
    program, out = project.parent / "cli.sh", project.parent / "out.txt"
    program.write_text(f"#!/bin/sh\nexec 3>>{out}\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("delivery.workspace.bundle_cli.find_cli", lambda: str(program))
    return out


def test_the_cli_is_asked_once_without_a_token_and_before_any_call(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", "none-of-its-business")
    warning = f"echo 'Warning: odd' >&2; echo '  in {SCHEMA}:3:5' >&2"
    out = installed(monkeypatch, project, f"env >&3; {warning}")
    (finding,) = check(CheckContext(project, cli="quick"))
    assert (finding.rule, finding.file, finding.line) == ("cli", SCHEMA, 3)
    given = out.read_text("utf-8").splitlines()
    assert given.count("DATABRICKS_RATE_LIMIT=offline") == 1
    assert not any("none-of-its-business" in line for line in given)


def test_what_the_cli_finds_too_is_one_finding(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(SCHEMA, "      name:", "      nmae: x\n      name:")
    installed(monkeypatch, project, f"echo 'Warning: nmae' >&2; echo '  in {SCHEMA}:5:7' >&2")
    assert [f.rule for f in check(CheckContext(project, cli="quick"))] == ["model"]


@pytest.mark.parametrize("answer", ["sleep 60", "exit 7", "echo 'Error: broken' >&2; sleep 60"])
def test_a_cli_that_does_not_answer_is_not_waited_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr("delivery.checks.cli._QUICK_SECONDS", 1)
    installed(monkeypatch, project, answer)
    assert check(CheckContext(project, cli="quick")) == []


def test_a_large_bundle_is_not_read_by_the_cli_unless_one_asks(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.checks.cli._QUICK_BYTES", 10)
    out = installed(monkeypatch, project, "echo asked >&3")
    assert check(CheckContext(project, cli="quick")) == []
    assert out.exists() is False
    check(CheckContext(project, cli="full"), ["cli"])
    assert out.read_text("utf-8").splitlines() == ["asked"] * 3  # dev, staging and prod


def test_a_project_without_a_home_is_warned_with_the_line_to_write(
    project: Path, edit: Edit
) -> None:
    edit(POLICY, "  url: https://example.com/team/demo\n", "")
    git(project, "remote", "add", "origin", "git@example.com:team/lake.git")
    (finding,) = check(CheckContext(project))
    assert (finding.rule, finding.severity, finding.line) == ("placeholder", "warning", 1)
    assert 'url: "https://example.com/team/lake"' in finding.hint
