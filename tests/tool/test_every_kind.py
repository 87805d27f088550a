"""Every kind of resource and of task is checked, guarded, retained or refused, run or skipped.

The rest of what a kind goes through, from plan to drift, needs a workspace: see
`tests/deployments/test_kinds.py`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk.service.jobs import Task
from delivery.checks.model import check_resource
from delivery.config.policy import Branches, Policy, ProjectInfo
from delivery.config.yaml import YamlMapping, read_yaml
from delivery.errors import RefusedError
from delivery.local.kinds import NEED_A_WORKSPACE, RUN_HERE, kind_of_task, shown_kind
from delivery.local.problems import CannotRunError
from delivery.plan.guard import GuardInput, evaluate
from delivery.plan.model import ResourceChange
from delivery.plan.retention import retention_overlay
from delivery.resources import KINDS, SUB_RESOURCES, UNTRIED
from harness.baking import TEMPLATE
from harness.kinds_table import SAMPLES, row_of

RESOURCES = sorted({*KINDS, *UNTRIED} - {*SUB_RESOURCES})
TASKS = sorted(name for name in Task.__annotations__ if name.endswith("_task"))
EVERY = pytest.mark.parametrize("kind", RESOURCES)
EVERY_TASK = pytest.mark.parametrize("kind", TASKS)


def mapping(folder: Path, content: Any) -> YamlMapping:
    (folder / "x.yml").write_text(json.dumps({"x": content}), encoding="utf-8")
    return read_yaml(folder, "x.yml").section("x")


# --- the page ---


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_the_page_says_what_is_done_with_a_kind(kind: str) -> None:
    page = (TEMPLATE / "docs/kinds.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{kind}` \| .+ \|$", page.partition("## Which identity")[0], re.M)
    assert tuple(row.strip("| ").split(" | "))[:-1] == row_of(kind)


def test_the_page_names_what_the_cli_lacks() -> None:
    page = (TEMPLATE / "docs/kinds.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"1\.13 of the CLI does not have (.*?);", page, re.DOTALL)
    assert {*re.findall(r"`(\w+)`", named)} == {*UNTRIED} - {"secrets"}
    assert "`secrets` are refused" in page


# --- resources ---


def test_every_kind_has_a_sample() -> None:
    """Which `tests/deployments/test_kinds.py` delivers, adopts, changes and removes."""
    assert {*SAMPLES} == {*KINDS} - {*SUB_RESOURCES}


@EVERY
def test_an_unknown_field_is_found(tmp_path: Path, kind: str) -> None:
    made = mapping(tmp_path, {"nothing_of_that_name": 1})
    found = [f.message for f in check_resource(kind, "x", made, made.marks["nothing_of_that_name"])]
    has_model = bool(UNTRIED.get(kind) or KINDS[kind].model)
    assert any("nothing_of_that_name" in message for message in found) == has_model


@EVERY
def test_what_holds_data_is_deleted_by_no_accident(kind: str) -> None:
    policy = Policy(
        project=ProjectInfo(name="Demo", compute="serverless"),
        branches=Branches(integration="main", targets={"prod": "main"}, prefixes=["feature"]),
    )
    gone = [ResourceChange(key=f"{kind}.x", action="delete")]
    inputs = GuardInput(
        target="prod",
        policy=policy,
        state={},
        tree=YamlMapping(),
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
    refused = [one.key for one in evaluate(gone, inputs) if one.action == "refuse"]
    expects = kind in UNTRIED or KINDS[kind].holds_data or kind == "jobs"  # the last job of all
    assert refused == ([f"{kind}.x"] if expects else [])


@EVERY
def test_a_rollback_retains_it_or_says_why_not(kind: str) -> None:
    state = {f"{kind}.x": {"__id__": "1", "state": {"comment": "y", "etag": "1"}}}
    if kind in KINDS and KINDS[kind].state_only is not None:
        declared = retention_overlay(state, [*state])["resources"][kind]["x"]
        assert declared["comment"] == "y"
    else:
        with pytest.raises(RefusedError, match=f"given a resource of {kind}, expected one that"):
            retention_overlay(state, [*state])


# --- tasks ---


@EVERY_TASK
def test_an_unknown_field_of_a_task_is_found(tmp_path: Path, kind: str) -> None:
    content = {"tasks": [{"task_key": "a", kind: {"nothing_of_that_name": 1}}]}
    job = mapping(tmp_path, content)
    found = [f.message for f in check_resource("jobs", "x", job, job.marks["tasks"])]
    if kind == "dbt_cloud_task":  # an old name, which the CLI takes and the models do not have
        assert found == []
    else:
        assert any(f"{kind}: unknown field nothing_of_that_name" in m for m in found), found


@EVERY_TASK
def test_a_task_runs_here_or_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    assert (kind in RUN_HERE) != (kind in NEED_A_WORKSPACE)
    task = mapping(tmp_path, {"task_key": "a", kind: {}})
    if kind in RUN_HERE:
        assert kind_of_task(task, task.marks[kind]) == kind
    else:
        with pytest.raises(CannotRunError) as caught:
            kind_of_task(task, task.marks[kind])
        assert str(caught.value) == f"{kind} cannot be run on this machine: {caught.value.why}"
    name = RUN_HERE[kind] if kind in RUN_HERE else NEED_A_WORKSPACE[kind][0]
    assert shown_kind(task).startswith(name)
