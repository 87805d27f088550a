"""Conventions of jobs, catalogs, wheels, tokens, and comments that accept a finding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from delivery.checks.registry import CheckContext, check
from delivery.render.findings import Format, exit_code, formatted

from tool.conftest import Edit, git
from tool.test_rules import JOB, POLICY, PROD, SCHEMA, found

ALL = (
    "conventions: {timeout: true, queue: true, max_concurrent_runs: 1, timezone: UTC, "
    "duration_warning: true, retries: 1}\n"
)
GOOD = (
    "      queue: {enabled: true}\n      schedule: {quartz_cron_expression: 0 0 6 * * ?, "
    "timezone_id: UTC}\n      health: {rules: [{metric: RUN_DURATION_SECONDS, op: GREATER_THAN, "
    "value: 900}]}\n"
)
TOKEN = "dapi" + "0123456789abcdef" * 2


@pytest.fixture
def good(project: Path, edit: Edit) -> Path:
    """A project that follows all conventions."""
    edit(POLICY, "may_differ:", f"{ALL}may_differ:")
    edit(JOB, "      tags:", f"{GOOD}      tags:")
    edit(JOB, "          environment_key: default\n", "          environment_key: default\n"
         "          max_retries: 1\n")  # fmt: skip
    return project


def conventions(project: Path) -> list[str]:
    messages = [message for _, message in found(project, "convention")]
    return sorted(message.removeprefix("jobs.shop_daily: ") for message in messages)


def test_a_job_that_follows_them_has_no_finding(good: Path) -> None:
    assert found(good, "convention") == []


def test_nothing_is_expected_without_a_policy(project: Path) -> None:
    assert found(project, "convention") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("      queue: {enabled: true}\n", "",
         "no queue, so a run that meets another one is skipped"),
        ("enabled: true", "enabled: false", "no queue, so a run that meets another one is skipped"),
        ("timezone_id: UTC", "timezone_id: Europe/Berlin",
         "schedule.timezone_id: given Europe/Berlin, expected UTC"),
        ("RUN_DURATION_SECONDS", "STREAMING_BACKLOG_BYTES", "no warning about long runs"),
        ("value: 900", "value: 1200",
         "health: given a warning after 1200 s, expected less than the time limit"),
        ("      timeout_seconds: 1200\n", "", "no timeout_seconds, expected a time limit"),
        ("      timeout_seconds: 1200\n", "      timeout_seconds: 1200\n"
         "      max_concurrent_runs: 2\n", "max_concurrent_runs: given 2, expected at most 1"),
    ],
)  # fmt: skip
def test_a_job_that_does_not_is_found(
    good: Path, edit: Edit, old: str, new: str, message: str
) -> None:
    edit(JOB, old, new)
    assert conventions(good) == [message]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("timeout_seconds", "timeout_second"),
        ("max_retries", "max_retry"),
        (", timezone_id: UTC", ""),
    ],
)
def test_a_misspelt_field_is_one_finding(good: Path, edit: Edit, old: str, new: str) -> None:
    edit(JOB, old, new)
    assert conventions(good) == []
    assert found(good, "model")


def test_tasks_that_can_be_repeated_are(good: Path, edit: Edit) -> None:
    edit(JOB, "          max_retries: 1\n", "")
    assert conventions(good) == [
        f"task {name}: max_retries: given none, expected at least 1" for name in ("count", "load")
    ]


@pytest.mark.parametrize(
    ("work", "repeats"),
    [
        ("condition_task: {op: EQUAL_TO, left: a, right: b}", False),
        ("run_job_task: {job_id: 1}", False),
        ("sql_task: {query: {query_id: q}, warehouse_id: w}", True),
        ("pipeline_task: {pipeline_id: p}", True),
        ("for_each_task: {inputs: '[1]', task: {task_key: i, notebook_task: {notebook_path: /W}}}",
         True),
    ],
)  # fmt: skip
def test_whether_a_task_is_repeated_depends_on_its_work(
    good: Path, edit: Edit, work: str, repeats: bool
) -> None:
    edit(JOB, "      tasks:\n", f"      tasks:\n        - {{task_key: other, {work}}}\n")
    assert bool(conventions(good)) is repeats


@pytest.mark.parametrize("trigger", ["trigger: {file_arrival: {url: s3://a/b/}}", ""])
def test_a_job_without_a_schedule_has_no_zone(good: Path, edit: Edit, trigger: str) -> None:
    schedule = "schedule: {quartz_cron_expression: 0 0 6 * * ?, timezone_id: UTC}"
    edit(JOB, f"      {schedule}\n", f"      {trigger}\n" if trigger else "")
    assert conventions(good) == []


@pytest.mark.parametrize(
    "text", ["demo_prod", "/Volumes/demo_prod/shop/x", "SELECT * FROM demo_prod.shop.x"]
)
def test_a_catalog_of_another_target_is_found_in_any_value(
    project: Path, edit: Edit, text: str
) -> None:
    edit(JOB, "task: shop.load", f'task: shop.load\n              source: "{text}"')
    ((_, message),) = found(project, "catalog")
    assert message == f"source: given {text}, with the catalog of prod (target dev, staging)"


def test_a_job_of_one_target_alone_is_named_once(project: Path, edit: Edit) -> None:
    job = (project / JOB).read_text(encoding="utf-8").replace("shop_daily", "shop_report")
    indented = "\n".join(f"    {line}" if line else "" for line in job.splitlines())
    report = project / "resources/shop/report.yml"
    report.write_text(f"targets:\n  prod:\n{indented}\n", encoding="utf-8")
    ((_, message),) = found(project, "parity")
    assert message.startswith("resources.jobs.shop_report: staging has None, prod has ")
    edit(POLICY, "may_differ: [", "may_differ: [resources.jobs.shop_report, ")
    assert [f for f in check(CheckContext(project)) if f.severity == "error"] == []


def test_one_workspace_may_have_all_targets(project: Path, edit: Edit) -> None:
    edit(PROD, "https://prod.example.com", "https://staging.example.com")
    assert [f for f in check(CheckContext(project)) if f.severity == "error"] == []


@pytest.mark.parametrize("name", ["a.py", "b.sql", "c.ipynb", "d.lvdash.json"])
def test_a_catalog_in_code_is_found(project: Path, name: str) -> None:
    (project / "src" / name).write_text("one\nSELECT * FROM demo_prod.x.y\n", encoding="utf-8")
    ((place, message),) = found(project, "literal")
    assert place == f"src/{name}:2"
    assert message == "given demo_prod, the catalog of prod, in code"
    for text in (
        "SELECT * FROM demo_product.x.y",
        "demo_prod = 1",
        "demo_prod.x",
        "a.demo_prod.x.y",
    ):
        (project / "src" / name).write_text(f"one\n{text}\n", encoding="utf-8")
        assert found(project, "literal") == [], text
    (project / "src" / name).write_text("one\n/Volumes/demo_prod/x/y\n", encoding="utf-8")
    assert len(found(project, "literal")) == 1


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("0 6 * * *", "0 0 6 * * ?"),
        ("30 6 * * 1", "0 30 6 ? * 1"),
        ("0 30 6 * * *", "0 30 6 * * ?"),
        ("0 30 6 * * MON", "0 30 6 ? * MON"),
        ("6", "0 0 6 * * ?"),
    ],
)
def test_a_cron_expression_is_told_in_the_form_of_quartz(
    project: Path, edit: Edit, given: str, hint: str
) -> None:
    schedule = f"schedule: {{quartz_cron_expression: '{given}', timezone_id: UTC}}"
    edit(JOB, "      tags:", f"      {schedule}\n      tags:")
    (finding,) = check(CheckContext(project), ["schedule"])
    assert finding.hint.startswith(f"quartz_cron_expression: {hint!r}; see ")


@pytest.mark.parametrize("name", ["x.lvdash.json", "x.dbalert.json", "x.ipynb"])
def test_a_document_behind_a_resource_is_json(project: Path, edit: Edit, name: str) -> None:
    field = "notebook_path" if name.endswith("ipynb") else "file_path"
    edit(JOB, "      tags:", f"      x: {{{field}: ../../src/{name}}}\n      tags:")
    (project / "src" / name).write_text("{}\n", encoding="utf-8")
    assert found(project, "path") == []
    (project / "src" / name).write_text("{\n  a\n}\n", encoding="utf-8")
    (finding,) = check(CheckContext(project), ["path"])
    assert finding.message == f"{field}: given ../../src/{name}, expected a JSON document"
    assert finding.hint == f"Line 2 of src/{name} is not valid."


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("resources.schemas.shop_gold.nam", "given nam, expected name"),
        ("resources.schema.shop_gold.name", "given the kind schema, expected schemas"),
    ],
)
def test_a_misspelt_field_of_a_resource_is_found(
    project: Path, edit: Edit, reference: str, message: str
) -> None:
    edit(JOB, "      tags:", f"      description: '${{{reference}}}'\n      tags:")
    assert [said for _, said in found(project, "reference")] == [f"${{{reference}}}: {message}"]
    edit(JOB, reference, "resources.schemas.shop_gold.id")
    assert found(project, "reference") == []


def test_an_alert_from_a_file_is_told_whom_it_would_run_as(project: Path, edit: Edit) -> None:
    alert = "{display_name: late, warehouse_id: w, file_path: ../../src/x.dbalert.json}"
    edit(SCHEMA, "  schemas:", f"  alerts:\n    shop_alert: {alert}\n  schemas:")
    (finding,) = check(CheckContext(project), ["run_as"])
    assert finding.severity == "warning"
    assert finding.message.startswith("alerts.shop_alert: from a file, so it would run as the dep")
    edit(SCHEMA, "file_path:", "run_as: {service_principal_name: x}, file_path:")
    assert "given run_as beside file_path" in found(project, "kind")[0][1]


@pytest.mark.parametrize("text", ["demo_prod_2", "my-demo_prod", "demo_production"])
def test_a_longer_name_is_another_catalog(project: Path, edit: Edit, text: str) -> None:
    edit(JOB, "task: shop.load", f'task: shop.load\n              source: "{text}"')
    assert found(project, "catalog") == []


def test_a_wheel_has_the_version_that_is_built(project: Path, edit: Edit) -> None:
    wheel = "app-0.1.0-py3-none-any.whl"
    edit("targets/dev.yml", '      runner: ""', f'      runner: ""\n      wheel: "{wheel}"')
    project_file = (project / "pyproject.toml").read_text(encoding="utf-8")
    named = project_file.replace("[project]", '[project]\nversion = "0.1.0"')
    (project / "pyproject.toml").write_text(named, encoding="utf-8")
    assert found(project, "wheel") == []
    (project / "pyproject.toml").write_text(named.replace("0.1.0", "0.2.0"), encoding="utf-8")
    ((place, message),) = found(project, "wheel")
    assert place.startswith("targets/dev.yml:")
    assert message == (
        f"dev: wheel: given {wheel}, expected app-0.2.0-py3-none-any.whl, which is built"
    )


@pytest.mark.parametrize("name", ["env.sh", ".databrickscfg", "docs/notes.md", "n.ipynb", "a b.py"])
def test_a_token_is_found_in_every_text_file(project: Path, name: str) -> None:
    git(project, "init", "--quiet")
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(f"one\nTOKEN={TOKEN}\n", encoding="utf-8")
    ((place, message),) = found(project, "secret")
    assert place == f"{name}:2"
    assert TOKEN not in message
    git(project, "add", "--all")
    assert len(found(project, "secret")) == 1


def test_a_token_that_git_ignores_or_that_is_allowed_is_no_finding(project: Path) -> None:
    git(project, "init", "--quiet")
    (project / ".gitignore").write_text(".env*\n", encoding="utf-8")
    (project / ".env.local").write_text(TOKEN, encoding="utf-8")
    (project / "a.py").write_text(f"{TOKEN}  # pragma: allowlist secret\n", encoding="utf-8")
    (project / "b.py").write_text(f"{TOKEN}0\n", encoding="utf-8")  # too long
    assert found(project, "secret") == []


def test_a_comment_accepts_a_finding_and_its_reason_is_listed(good: Path, edit: Edit) -> None:
    edit(JOB, "          max_retries: 1\n", "          max_retries: 0  # delivery: ignore "
         "convention -- the source charges for each call\n")  # fmt: skip
    findings = check(CheckContext(good), ["convention"])
    assert {finding.severity for finding in findings} == {"ignored"}
    assert exit_code(findings) == 0
    text = formatted(findings, Format.TABLE)
    assert "ignored: jobs.shop_daily: task load: max_retries: given 0" in text
    assert "(ignored: the source charges for each call)" in text
    assert text.endswith("check: passed")
    assert json.loads(formatted(findings, Format.JSON))[0]["severity"] == "ignored"
    assert formatted(findings, Format.GITHUB).startswith("::notice ")


def test_a_comment_accepts_only_the_rules_that_it_names(good: Path, edit: Edit) -> None:
    edit(JOB, "timezone_id: UTC", "timezone_id: Asia/Tokyo")
    edit(JOB, "      schedule:", "      # delivery: ignore naming -- all is local\n      schedule:")
    assert [f.severity for f in check(CheckContext(good), ["convention"])] == ["error"]


def test_a_comment_of_its_own_line_is_about_the_next(good: Path, edit: Edit) -> None:
    edit(JOB, "timezone_id: UTC", "timezone_id: Asia/Tokyo")
    edit(JOB, "      schedule:", "      # delivery: ignore convention, schedule — all is local\n"
         "      schedule:")  # fmt: skip
    assert [f.severity for f in check(CheckContext(good), ["convention"])] == ["ignored"]


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignore", "ignore: expected the rules, and a reason after --"),
        ("ignore convention", "ignore: expected the rules, and a reason after --"),
        ("ignore convention --", "ignore: expected the rules, and a reason after --"),
        ("ignore -- because", "ignore: expected the rules, and a reason after --"),
        ("ignore secret -- because", "ignore: given secret, which cannot be ignored"),
        ("ignore run_as -- because", "ignore: given run_as, which cannot be ignored"),
        ("ignore namig -- because", "ignore: given the rule namig, expected naming"),
    ],
)
def test_a_comment_names_rules_and_says_why(
    project: Path, edit: Edit, comment: str, message: str
) -> None:
    edit(SCHEMA, "  schemas:", f"  schemas:  # delivery: {comment}")
    ((place, said),) = found(project, "ignore")
    assert (place, said) == (f"{SCHEMA}:2", message)


def test_a_comment_that_accepts_nothing_is_told(project: Path, edit: Edit) -> None:
    edit(SCHEMA, "  schemas:", "  schemas:  # delivery: ignore naming -- it is short")
    told = [f for f in check(CheckContext(project)) if f.rule == "ignore"]
    assert [(f.line, f.severity, f.message) for f in told] == [
        (2, "warning", "ignore: no finding of naming in line 2")
    ]
    assert found(project, "ignore") == []  # alone, it cannot know


def test_nobody_accepts_what_protects_others(project: Path, edit: Edit) -> None:
    edit(PROD, "mode: production", "mode: development  # delivery: ignore released -- hurry")
    errors = {f.rule for f in check(CheckContext(project)) if f.severity == "error"}
    assert {"released", "ignore"} <= errors
