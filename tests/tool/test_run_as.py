"""Whom things run as: each names the runner, and a change of it is a right."""

from pathlib import Path
from typing import Any

import pytest
from delivery.checks.registry import CheckContext, check
from delivery.config.bundle import load_bundle
from delivery.config.identities import Identities, run_as_in_cli_plan
from delivery.config.references import resolve
from delivery.config.target import identities_of
from delivery.config.yaml import YamlMapping
from delivery.plan.model import ResourceChange

from tool.conftest import Edit
from tool.test_guard import field, policy, tree, verdicts
from tool.test_rules import JOB, STAGING

OWN = 'run_as: {service_principal_name: "${var.runner}"}'
LAST = "timeout_seconds: 1200"
KNOWN = Identities("deployer", "runner", "planner")
STRICT = policy(rights={"prod": "refuse"})
PIPELINE = "\n  pipelines:\n    shop_pipe: {name: shop_pipe}\n"
ALERT = "\n  alerts:\n    shop_alert: {run_as: {user_name: ana}, display_name: x}\n"


def messages(project: Path) -> list[str]:
    return [f"{f.file}:{f.line} {f.message}" for f in check(CheckContext(project), ["run_as"])]


@pytest.mark.parametrize(
    ("new", "line", "expected"),
    [
        ("", 3, "has no run_as, so it would run as the deployer"),
        ('run_as: {service_principal_name: "${var.deployer}"}', 29, "runs as the deployer"),
        ('run_as: {service_principal_name: "${var.planner}"}', 29, "runs as the planner"),
        ("run_as: {user_name: ana@example.com}", 29, "given {'user_name': 'ana@example.com'}"),
        ('run_as: {user_name: "${var.runner}"}', 29, "given {'user_name': 'runner-of-staging'}"),
        ("run_as: {service_principal_name: somebody}", 29, "given {'service_principal_name'"),
        (OWN.replace('}"}', '}", user_name: x}'), 29, "'user_name': 'x'"),
    ],
    ids=["nobody", "deployer", "planner", "a user", "the runner as user", "another", "two"],
)
def test_each_job_names_the_runner(
    project: Path, edit: Edit, new: str, line: int, expected: str
) -> None:
    assert messages(project) == []
    edit(JOB, OWN, new)
    first, second = messages(project)
    assert first.startswith(f"{JOB}:{line} prod: jobs.shop_daily: ")
    assert second.startswith(f"{JOB}:{line} staging: jobs.shop_daily: ")
    assert expected in second
    assert "expected the runner runner-of-staging as service_principal_name" in second
    assert all("run_as: ${var.run_as}" in f.hint for f in check(CheckContext(project), ["run_as"]))


@pytest.mark.parametrize(("text", "key"), [(PIPELINE, "pipelines.shop_pipe"),
                                           (ALERT, "alerts.shop_alert")])  # fmt: skip
def test_so_does_whatever_else_runs(project: Path, edit: Edit, text: str, key: str) -> None:
    edit(JOB, LAST, f"{LAST}{text}")
    assert [t.split(": ")[1] for t in messages(project)] == [key, key]


@pytest.mark.parametrize("file", [STAGING, "databricks.yml"])
def test_targets_name_nobody(project: Path, edit: Edit, file: str) -> None:
    place = "    variables:" if file == STAGING else "variables:"
    run_as = "run_as: {service_principal_name: x}"
    edit(file, place, f"{'    ' if file == STAGING else ''}{run_as}\n{place}")
    first = messages(project)[0]
    assert first.startswith(f"{file}:")
    assert "run_as: expected none, because with it the CLI refuses apps" in first
    assert "Remove it" in check(CheckContext(project), ["run_as"])[0].hint


def test_other_targets_are_free(project: Path, edit: Edit) -> None:
    edit("targets/dev.yml", "    variables:", "    run_as: {user_name: ana}\n    variables:")
    edit("targets/dev.yml", 'runner: ""', "runner: nobody")
    assert messages(project) == []


# --- the guard ---


def change(old: Any, new: Any, remote: Any = None) -> ResourceChange:
    path = "run_as.service_principal_name"
    return ResourceChange(key="jobs.x", action="update", fields=field(path, old, new, remote))


def job(folder: Path, name: str, **common: str) -> YamlMapping:
    found = tree(folder, {"x": {"run_as": {"service_principal_name": name}} if name else {}})
    if common:
        found.put("run_as", tree_of(common), found.marks["resources"])
    return found


def tree_of(values: dict[str, str]) -> YamlMapping:
    section = YamlMapping()
    section.update(values)
    return section


@pytest.mark.parametrize(("identity", "expected"), [
    ("deployer", "runs as the deployer"),
    ("planner", "runs as the planner"),
    ("", "has no run_as, so it would run as the deployer"),
])  # fmt: skip
@pytest.mark.parametrize("back", [False, True])
def test_nothing_ever_runs_as_the_deployer_or_the_planner(
    tmp_path: Path, identity: str, expected: str, back: bool
) -> None:
    known = {"tree": job(tmp_path, identity), "identities": KNOWN, "is_rollback": back}
    ((verdict, reason),) = verdicts(ResourceChange(key="schemas.y", action="update"), **known)
    assert verdict == "refuse"
    assert reason.startswith(expected)
    assert "run_as: {service_principal_name: runner}" in reason


@pytest.mark.parametrize(
    ("identity", "known", "expected"),
    [
        ("<workspace.current_user.userName>", KNOWN, "unresolved value <workspace.current"),
        ("<var.who>", KNOWN, "unresolved value <var.who>"),
        ("${var.a_${var.b}}", KNOWN, "unresolved value ${var.a_"),
        (
            "runner",
            Identities("<var.deployer>", "runner", "planner"),
            "unresolved value <var.deployer>",
        ),
        (
            "runner",
            Identities("deployer", "runner", "<var.planner>"),
            "unresolved value <var.planner>",
        ),
        (" DEPLOYER", KNOWN, "runs as the deployer"),
        ("deployer", Identities("Deployer", "deployer", "planner"), "runs as the deployer"),
    ],
)
def test_who_may_be_the_deployer_is_taken_for_it(
    tmp_path: Path, identity: str, known: Identities, expected: str
) -> None:
    given = {"tree": job(tmp_path, identity), "identities": known}
    ((verdict, reason),) = verdicts(ResourceChange(key="schemas.y", action="update"), **given)
    assert verdict == "refuse"
    assert expected in reason


@pytest.mark.parametrize(("old", "new"), [
    ("deployer: ", "deployer:\n        default: "),
    ("deployer: ", "deployer: {default: \"${var.me}\", description: x}\n      me: "),
    ("deployer: ", "deployer: ${var.me}\n      me: "),
])  # fmt: skip
def test_identities_are_what_variables_come_out_as(
    project: Path, edit: Edit, old: str, new: str
) -> None:
    edit("databricks.yml", "variables:\n", "variables:\n  me: {default: nobody}\n")
    before = identities_of(load_bundle(project), "staging")
    edit(STAGING, old, new)
    assert identities_of(load_bundle(project), "staging") == before


def test_three_identities_are_three_however_they_are_written(project: Path, edit: Edit) -> None:
    edit(STAGING, "runner: runner-of-staging", "runner: ${var.deployer}")
    (found,) = check(CheckContext(project), ["released"])
    assert "deployer, runner and planner: expected three different identities" in found.message


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({}, []),
        ({"run_as": {"service_principal_name": "runner-of-staging"}}, []),
        ({"run_as": {"service_principal_name": "deployer"}}, [("jobs.shop_daily", "deployer")]),
        ({"run_as": {"user_name": "ana"}}, [("jobs.shop_daily", "ana")]),
        ({"run_as": {}}, [("jobs.shop_daily", "")]),
        ({"name": "shop_daily"}, [("jobs.shop_daily", "")]),
    ],
)
def test_what_the_cli_would_let_run_as_another_is_seen(
    project: Path, made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    tree = resolve(load_bundle(project), "staging").tree
    plan = {"resources.jobs.shop_daily": {"action": "create", "new_state": {"value": made}}}
    assert [*run_as_in_cli_plan(tree, plan)] == expected
    assert [*run_as_in_cli_plan(tree, {"resources.jobs.shop_daily": {"action": "skip"}})] == []


def test_what_an_older_release_says_for_the_whole_target_counts(tmp_path: Path) -> None:
    other = ResourceChange(key="schemas.y", action="update")
    good = job(tmp_path, "", service_principal_name="runner")
    assert verdicts(other, tree=good, identities=KNOWN) == []
    bad = job(tmp_path, "", service_principal_name="deployer")
    ((verdict, _),) = verdicts(other, tree=bad, identities=KNOWN)
    assert verdict == "refuse"


def test_another_identity_is_a_right(tmp_path: Path) -> None:
    known = {"tree": job(tmp_path, "runner"), "identities": KNOWN}
    told_of = "run_as.service_principal_name: given old, will be runner"
    assert verdicts(change("old", "runner"), **known) == [("warn", told_of)]
    assert verdicts(change("old", "runner"), given=STRICT, **known) == [("refuse", told_of)]
    assert verdicts(change("runner", "runner", "by hand"), given=STRICT, **known) == []
    named = {"given": STRICT, "allow_destroy": {"jobs.x": "the runner was renewed"}}
    assert verdicts(change("old", "runner"), **named, **known) == [("allow", told_of)]
    assert (
        verdicts(change("old", "runner"), given=STRICT, is_rollback=True, **known)[0][0] == "warn"
    )


def test_what_is_new_and_runs_as_another_is_seen(tmp_path: Path) -> None:
    made = ResourceChange(key="jobs.x", action="create")
    assert verdicts(made, tree=job(tmp_path, "runner"), identities=KNOWN) == []
    known = {"tree": job(tmp_path, "ana"), "identities": KNOWN, "given": STRICT}
    assert verdicts(made, **known) == [("refuse", "runs as ana, expected the runner")]


@pytest.mark.parametrize(("kind", "path"), [
    ("apps", "resources[0].job"), ("apps", "user_api_scopes"), ("clusters", "single_user_name"),
    ("dashboards", "embed_credentials"), ("registered_models", "owner"),
])  # fmt: skip
def test_rights_that_a_resource_lends_are_rights(kind: str, path: str) -> None:
    lent = ResourceChange(key=f"{kind}.x", action="update", fields=field(path, None, "more"))
    ((verdict, reason),) = verdicts(lent, given=STRICT)
    assert (verdict, bool(reason)) == ("refuse", True)
    taken = ResourceChange(key=f"{kind}.x", action="update", fields=field(path, "more", None))
    assert verdicts(taken, given=STRICT) == []


def test_a_new_dashboard_with_the_deployers_credentials_is_seen() -> None:
    resources, kind, one = YamlMapping(), YamlMapping(), YamlMapping()
    one["embed_credentials"] = True
    kind["x"], resources["dashboards"] = one, kind
    whole = tree_of({})
    whole["resources"] = resources
    made = ResourceChange(key="dashboards.x", action="create")
    ((verdict, reason),) = verdicts(made, tree=whole)
    assert (verdict, reason) == ("warn", "anyone who can open it reads with the deployer's rights")
