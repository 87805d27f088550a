"""The rules, where the other tests leave room."""

import pkgutil
import re
from pathlib import Path

import databricks.bundles
import pytest
from delivery.checks.identity import _place
from delivery.checks.model import model_of
from delivery.checks.placeholder import is_placeholder
from delivery.errors import DeliveryError
from delivery.release.diff import diff_targets
from delivery.resources import KINDS, UNTRIED

from tool.conftest import Edit, git
from tool.test_rules import JOB, POLICY, PROD, SCHEMA, STAGING, found

PIPELINE = "      catalog_name: ${var.catalog}\n      name: shop_gold\n"


def test_a_resource_that_is_no_mapping_is_found_at_its_key(project: Path, edit: Edit) -> None:
    edit(SCHEMA, f"    shop_gold:\n{PIPELINE}", "    shop_gold: abc\n")
    ((place, message),) = found(project, "model")
    assert place == f"{SCHEMA}:3"
    assert message.startswith("schemas.shop_gold: given a string")


@pytest.mark.parametrize(
    ("file", "old", "new", "place", "message"),
    [
        (JOB, "      tags:", "      max_concurrent_runs: many\n      tags:", f"{JOB}:27",
         "jobs.shop_daily.max_concurrent_runs: given many, expected a whole number"),
        (SCHEMA, "      name: shop_gold",
         "      name: shop_gold\n      grants:\n        - {principal: a, privileges: [SELECT]}\n"
         "        - {principal: a, privileges: [SELEKT]}",
         f"{SCHEMA}:8", "schemas.shop_gold.grants[1].privileges[0]: given SELEKT, expected SELECT"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_found_where_it_stands(
    project: Path, edit: Edit, file: str, old: str, new: str, place: str, message: str
) -> None:
    edit(file, old, new)
    assert found(project, "model") == [(place, message)]


def test_all_unknown_fields_are_told_at_once(project: Path, edit: Edit) -> None:
    edit(SCHEMA, "      name:", "      nmae: x\n      zzzz: 1\n      name:")
    assert found(project, "model") == [
        (f"{SCHEMA}:5", "schemas.shop_gold: unknown field nmae, expected name"),
        (f"{SCHEMA}:6", "schemas.shop_gold: unknown field zzzz"),
    ]


def test_an_id_that_only_the_workspace_knows_fits_the_model(project: Path, edit: Edit) -> None:
    edit(JOB, "timeout_seconds: 1200", "timeout_seconds: ${resources.schemas.shop_gold.id}")
    assert found(project, "model") == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [("", True), ("https://dbc-00000000-0000.cloud.example.com", True),
     ("https://adb-0000000000000000.0.example.com", True),
     ("https://0000000000000000.0.example.com", True),
     ("00000000-0000-0000-0000-000000000001", True),
     ("https://adb-1234567890123456.7.example.com", False),
     ("0b2b6fd2-0d4a-4b0a-9d0e-6f3a7c1f2a33", False)],
)  # fmt: skip
def test_what_still_stands_for_not_set_is_known(host: str, expected: bool) -> None:
    assert is_placeholder(host) is expected


@pytest.mark.parametrize("everyone", ["users", "account users"])
def test_nothing_is_managed_by_everyone(project: Path, edit: Edit, everyone: str) -> None:
    rights = f"      permissions: [{{level: CAN_MANAGE, group_name: {everyone}}}]\n      tags:"
    edit(JOB, "      tags:", rights)
    assert found(project, "released") == [
        (f"{JOB}:3", "jobs.shop_daily: given CAN_MANAGE for everyone")
    ]


@pytest.mark.parametrize("spelt", ["ALL_PRIVILEGES", "ALL PRIVILEGES"])
def test_nobody_gets_all_privileges(project: Path, edit: Edit, spelt: str) -> None:
    edit(SCHEMA, "      name:",
         f"      grants: [{{principal: team, privileges: [{spelt}]}}]\n      name:")  # fmt: skip
    assert found(project, "released") == [
        (f"{SCHEMA}:3", "schemas.shop_gold: team has all privileges")
    ]


@pytest.mark.parametrize("way", ["schedule", "trigger", "continuous"])
def test_no_job_says_itself_whether_it_is_paused(project: Path, edit: Edit, way: str) -> None:
    edit(JOB, "      tags:", f"      {way}: {{pause_status: PAUSED}}\n      tags:")
    assert found(project, "released") == [
        (f"{JOB}:27",
         f"jobs.shop_daily: {way}.pause_status: expected none, because the target sets it")
    ]  # fmt: skip


def test_a_release_has_no_default_that_a_bare_deploy_could_use(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "    description: The release.", "    default: x")
    message = "variables.release: expected no value, because each release sets it"
    assert found(project, "released") == [
        (f"{PROD}:3", f"prod: {message}"), (f"{STAGING}:3", f"staging: {message}"),
    ]  # fmt: skip


def test_tags_of_the_target_count_and_pipelines_have_them_too(project: Path, edit: Edit) -> None:
    edit(SCHEMA, "  schemas:", "  pipelines:\n    shop_flow: {name: x}\n  schemas:")
    assert found(project, "tags") == [
        (f"{SCHEMA}:3", "pipelines.shop_flow: given no tag domain, project")
    ]
    for file in (STAGING, PROD):
        edit(file, "    presets:\n", "    presets:\n      tags: {project: demo, domain: shop}\n")
    assert found(project, "tags") == []


def test_a_webhook_is_somebody_who_is_told(project: Path, edit: Edit) -> None:
    edit(JOB, 'email_notifications: {on_failure: ["${var.owner}"]}',
         "webhook_notifications: {on_failure: [{id: x}]}")  # fmt: skip
    assert found(project, "notification") == []


def test_a_key_matches_as_a_whole(project: Path, edit: Edit) -> None:
    edit(SCHEMA, "    shop_gold:", "    shop_Gold:")
    edit(JOB, "schemas.shop_gold", "schemas.shop_Gold")
    ((place, message),) = found(project, "naming")
    assert place == f"{SCHEMA}:3"
    assert message.startswith("schemas.shop_Gold: given shop_Gold, expected shop(_[a-z0-9]+)*")


def test_a_folder_s_name_is_no_pattern(project: Path, edit: Edit) -> None:
    (project / "resources/s.op").mkdir()
    (project / SCHEMA).rename(project / "resources/s.op/schema.yml")
    messages = [message for _, message in found(project, "naming")]
    assert messages == [
        r"schemas.shop_gold: given shop_gold, expected s\.op(_[a-z0-9]+)* "
        "(such as s.op_shop_gold)"
    ]


NOTEBOOK = {
    ".py": "# Databricks notebook source",
    ".sql": "-- Databricks notebook source",
    ".r": "# Databricks notebook source",
    ".scala": "// Databricks notebook source",
    ".ipynb": "{}",
}


@pytest.mark.parametrize("suffix", NOTEBOOK)
def test_a_notebook_is_named_with_its_ending(project: Path, edit: Edit, suffix: str) -> None:
    edit(JOB, "      tags:", "      x: {notebook_path: ../../src/flow}\n      tags:")
    assert len(found(project, "path")) == 1
    (project / f"src/flow{suffix}").write_text(f"{NOTEBOOK[suffix]}\n", encoding="utf-8")
    ((_, message),) = found(project, "path")
    assert message == f"notebook_path: given ../../src/flow, expected ../../src/flow{suffix}"
    edit(JOB, "../../src/flow", f"../../src/flow{suffix}")
    assert found(project, "path") == []


def test_a_notebook_in_the_release_has_no_ending(project: Path, edit: Edit) -> None:
    path = "'${workspace.file_path}/src/flow'"
    edit(JOB, "      tags:", f"      x: {{notebook_path: {path}}}\n      tags:")
    assert len(found(project, "path")) == 1
    (project / "src/flow.sql").touch()
    assert found(project, "path") == []


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("notebook_path", "plain.py", "a notebook, which this file is not"),
        ("notebook_path", "app", "a notebook, not a folder"),
        ("notebook_path", "data.csv", "a notebook"),
        ("python_file", "note.py", "a file, not a notebook"),
        ("python_file", "app", "a file"),
        ("notebook: {path", "plain.py", "a notebook, which this file is not"),
        ("file: {path", "note.py", "a file, not a notebook"),
        ("project_directory", "plain.py", "a folder"),
        ("root_path", "gone", "a folder"),
        ("source_code_path", "gone", "a folder"),
        ("file_path", "gone.lvdash.json", "a file"),
    ],
)
def test_a_file_is_of_the_sort_that_its_field_wants(
    project: Path, edit: Edit, field: str, given: str, expected: str
) -> None:
    (project / "src/plain.py").write_text("print(1)\n", encoding="utf-8")
    (project / "src/note.py").write_text("# Databricks notebook source\n", encoding="utf-8")
    (project / "src/data.csv").write_text("a\n", encoding="utf-8")
    end = "}" * (1 + field.count("{"))
    edit(JOB, "      tags:", f"      x: {{{field}: ../../src/{given}{end}\n      tags:")
    ((_, message),) = found(project, "path")
    assert message.endswith(f"given ../../src/{given}, expected {expected}")


def test_paths_in_a_git_source_are_not_of_this_project(project: Path, edit: Edit) -> None:
    task = "        - task_key: note\n          notebook_task: {notebook_path: notebooks/gone}\n"
    edit(JOB, "      tasks:\n", f"      tasks:\n{task}")
    assert len(found(project, "path")) == 1
    source = "git_source: {git_url: https://example.com/x, git_provider: gitHub, git_branch: main}"
    edit(JOB, "      tasks:\n", f"      {source}\n      tasks:\n")
    assert found(project, "path") == []


def test_no_kind_of_the_models_is_missing() -> None:
    modules = {module.name for module in pkgutil.iter_modules(databricks.bundles.__path__)}
    kinds = modules - {"build", "core", "version"}
    assert kinds <= KINDS.keys() | UNTRIED.keys()
    assert not KINDS.keys() & UNTRIED.keys()
    assert [kind for kind in kinds if model_of(kind) is None] == []


def test_the_folder_of_a_glob_is_enough(project: Path, edit: Edit) -> None:
    edit(JOB, "      tags:", "      x: {glob: {include: '../../src/app/**/*.sql'}}\n      tags:")
    assert found(project, "path") == []
    edit(JOB, "src/app/**", "src/gone/**")
    assert len(found(project, "path")) == 1


def test_only_rights_name_identities(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "variables:\n", "variables:\n  user_name: {default: svc}\n")
    edit(JOB, "      tags:", "      x: {user_name: svc, principal: a@example.com}\n      tags:")
    assert found(project, "released") == []
    edit(SCHEMA, "      name:", "      grants: [{principal: a@example.com}]\n      name:")
    assert {message.partition(": ")[2] for _, message in found(project, "released")} == {
        "principal: given a@example.com, expected a group or a service principal"
    }


@pytest.mark.parametrize("branch", ["revert-12-feature/late", "revert-1f2e3d4c"])
def test_the_branch_of_the_button_revert_may_be_checked(
    project: Path, monkeypatch: pytest.MonkeyPatch, branch: str
) -> None:
    monkeypatch.setattr("delivery.checks.branch.pipeline_branch", lambda: branch)
    assert found(project, "branch") == []
    monkeypatch.setattr("delivery.checks.branch.pipeline_branch", lambda: f"un{branch}")
    assert len(found(project, "branch")) == 1


@pytest.mark.parametrize("value", ["job.parameters.token", "tasks.a.values.b", "secrets/s/k"])
def test_a_dynamic_value_is_no_secret(project: Path, edit: Edit, value: str) -> None:
    edit(JOB, "      tags:", f"      x: {{token: '{{{{{value}}}}}'}}\n      tags:")
    assert found(project, "secret") == []
    edit(JOB, f"{{{{{value}}}}}", "hunter2")
    assert len(found(project, "secret")) == 1


def test_one_slip_is_one_finding_whatever_the_targets_say(project: Path, edit: Edit) -> None:
    edit(JOB, "      tags:", "      max_concurrent_runs: '${var.catalog}'\n      tags:")
    ((_, message),) = found(project, "model")
    assert message == "jobs.shop_daily.max_concurrent_runs: given demo_dev, expected a whole number"


def test_the_target_is_known_in_a_path(project: Path, edit: Edit) -> None:
    text = "'${workspace.file_path}/src/conf/${bundle.target}.json'"
    edit(JOB, "      tags:", f"      x: [{text}]\n      tags:")
    assert len(found(project, "path")) == 1
    (project / "src/conf").mkdir()
    (project / "src/conf/staging.json").touch()
    ((_, message),) = found(project, "path")
    assert message.endswith("expected a file (target prod)")
    (project / "src/conf/prod.json").touch()
    assert found(project, "path") == []


@pytest.mark.parametrize("built", ["requirements.txt", "dist/${var.wheel}", "release.yml"])
def test_what_a_release_makes_itself_is_no_missing_file(
    project: Path, edit: Edit, built: str
) -> None:
    edit(JOB, "      tags:", f"      x: '${{workspace.file_path}}/{built}'\n      tags:")
    assert found(project, "path") == []


def test_a_single_file_can_be_included(project: Path, edit: Edit) -> None:
    edit(JOB, "      tags:", "      x: {path: ../../pyproject.toml}\n      tags:")
    edit(POLICY, "verify:", "release: {include: [src/, pyproject.toml]}\nverify:")
    assert found(project, "path") == []
    edit(POLICY, "[src/, pyproject.toml]", "[src/, pyproject.tom]")
    assert len(found(project, "path")) == 1


def test_a_pattern_covers_what_is_below_it_and_no_name_that_starts_alike(
    project: Path, edit: Edit
) -> None:
    edit(STAGING, "    variables:", "    git: {branch: y}\n    variables:")
    edit(PROD, "    variables:", "    git: {branch: x}\n    gitty: {branch: x}\n    variables:")
    edit(POLICY, "workspace.host]", "workspace.host, git]")
    assert found(project, "parity") == [
        (f"{PROD}:9", "gitty: staging has None, prod has {'branch': 'x'}")
    ]


def test_what_only_the_first_target_has_is_found_there(project: Path, edit: Edit) -> None:
    edit(STAGING, "    variables:", "    git: {branch: x}\n    variables:")
    assert found(project, "parity") == [
        (f"{STAGING}:8", "git: staging has {'branch': 'x'}, prod has None")
    ]


def test_entries_of_lists_differ_by_their_names(project: Path, edit: Edit) -> None:
    text = "    resources: {jobs: {shop_daily: {tasks: [{task_key: load, max_retries: 2}]}}}\n"
    edit(PROD, "    presets:", f"{text}    presets:")
    path = "resources.jobs.shop_daily.tasks[load].max_retries"
    assert [m for _, m in found(project, "parity")] == [f"{path}: staging has None, prod has 2"]
    edit(POLICY, "workspace.host]", f"workspace.host, '{path}']")
    assert found(project, "parity") == []


def test_a_target_that_is_none_has_no_differences(project: Path) -> None:
    with pytest.raises(DeliveryError, match="given 'qa', expected one of dev, prod, staging"):
        diff_targets(project, "staging", "qa")


@pytest.mark.parametrize(
    "address",
    ["https://example.com/team/lake", "https://example.com/team/lake.git",
     "https://example.com/team/lake/", "https://Example.com/Team/Lake", "example.com:team/lake",
     "git@example.com:team/lake.git", "ssh://git@example.com:22/team/lake.git",
     "https://u:t@example.com/team/lake.git"],
)  # fmt: skip
def test_a_repository_is_known_however_it_is_addressed(address: str) -> None:
    assert _place(address) == ("example.com", "team/lake")


@pytest.mark.parametrize(
    "address",
    ["", "/srv/git/lake.git", "../lake", "lake", "file:///srv/git/lake.git", "C:\\git\\lake",
     "C:/git/lake"],
)  # fmt: skip
def test_a_folder_of_this_machine_is_no_other_repository(address: str) -> None:
    assert _place(address) is None


def test_a_password_may_have_a_slash() -> None:
    assert _place("https://user:wo/rd@example.com/team/lake") == ("example.com", "team/lake")


def test_a_job_that_a_target_changes_stays_in_its_domain(project: Path, edit: Edit) -> None:
    change = "    resources: {jobs: {shop_daily: {timeout_seconds: 60}}}\n    presets:"
    for target in (STAGING, PROD):
        edit(target, "    presets:", change)
    assert [message for _, message in found(project, "naming")] == []


def test_a_resource_stands_in_the_folder_of_a_domain(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "variables:", "resources: {volumes: {x: {name: x}}}\nvariables:")
    messages = [message for _, message in found(project, "naming")]
    assert messages == ["volumes.x: given databricks.yml, expected a file in resources/DOMAIN/"]


def test_a_host_that_is_missing_is_told(project: Path, edit: Edit) -> None:
    edit(PROD, "      host: https://prod.example.com\n", "")
    assert [message for _, message in found(project, "placeholder")] == [
        "prod: host is not set yet"
    ]


def test_readers_that_are_everyone_are_told_until_a_group_is_named(
    project: Path, edit: Edit
) -> None:
    everyone = "  readers:\n    default: account users\n"
    edit("databricks.yml", "  release:\n", f"{everyone}  release:\n")
    edit(PROD, "      catalog: demo_prod\n", "      catalog: demo_prod\n      readers: analysts\n")
    ((_, message),) = found(project, "placeholder")
    assert message == "staging: readers: given account users, a group that includes everyone"


def test_owners_that_no_forge_asks_are_told_once(project: Path) -> None:
    file = project / "CODEOWNERS"
    text = "# a@b\n* @example/data\n/src/ @acme/data team@example.com\norders/ @example/data\n"
    file.write_text(text, encoding="utf-8")
    assert [message for _, message in found(project, "placeholder")] == [
        "code owner: @example/data is not set yet, so no review is requested",
        "code owner: given team@example.com, expected a team, because a mailing list gets no "
        "review requests",
    ]
    file.write_text("* @acme/data @ana\n", encoding="utf-8")
    assert found(project, "placeholder") == []


def test_no_credentials_of_an_address_are_told(project: Path, edit: Edit) -> None:
    edit(POLICY, "team/demo", "team/lake")
    who = "user:word"
    git(project, "remote", "add", "origin", f"https://{who}@example.com/fork/lake.git")
    ((_, message),) = found(project, "identity")
    assert "word" not in message
    assert "user" not in message


def test_without_git_nothing_is_a_fork(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(POLICY, "team/demo", "team/lake")
    monkeypatch.setenv("PATH", "")
    assert found(project, "identity") == []


@pytest.mark.parametrize(
    "text",
    [
        "file_path: ../../src/sales.lvdash.json",
        "source_code_path: ../../src/portal",
        "notebook_path: flow",
        "project_directory: ../../src/dbt",
        "libraries: [{jar: ../../src/*.jar}]",
        "libraries: [{requirements: ../../src/more.txt}]",
        "dependencies: ['-r ../../src/more.txt']",
        "dependencies: [./more-1.0-py3-none-any.whl]",
        "libraries: [{glob: {include: ../../src/flow/**}}]",
    ],
)
def test_every_path_that_the_cli_opens_is_there(project: Path, edit: Edit, text: str) -> None:
    edit(JOB, "      tags:", f"      x: {{{text}}}\n      tags:")
    ((_, message),) = found(project, "path")
    assert re.search("expected a (file|folder)$", message)


@pytest.mark.parametrize(
    "text",
    [
        "notebook_path: /Workspace/Shared/flow",
        "dependencies: [pandas==2.2.3, 'a-b[c] >= 1']",
        "dependencies: ['--index-url https://example.com/simple']",
        "libraries: [{whl: /Volumes/a/b/c/x.whl}]",
        "libraries: [{whl: ../../src/*/entry.py}, {file: {path: ../../src/app/entry.py}}]",
        "python_file: ../../src/app/entry.py",
    ],
)
def test_what_is_there_or_in_the_workspace_is_no_finding(
    project: Path, edit: Edit, text: str
) -> None:
    edit(JOB, "      tags:", f"      x: {{{text}}}\n      tags:")
    assert found(project, "path") == []
