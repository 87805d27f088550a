"""Lists of a target are merged with those of the bundle as the CLI merges them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.config.bundle import from_plain, load_bundle

LISTS: dict[str, tuple[str, str, list[Any], list[Any], list[Any]]] = {
    "tasks by their key": (
        "jobs", "tasks", [{"task_key": "a", "max_retries": 1}, {"task_key": "b"}],
        [{"task_key": "a", "timeout_seconds": 9}, {"task_key": "c"}],
        [{"task_key": "a", "max_retries": 1, "timeout_seconds": 9}, {"task_key": "b"},
         {"task_key": "c"}],
    ),
    "parameters by their name": (
        "jobs", "parameters", [{"name": "a", "default": "1"}], [{"name": "a", "default": "2"}],
        [{"name": "a", "default": "2"}],
    ),
    "environments not at all": (
        "jobs", "environments", [{"environment_key": "a"}], [{"environment_key": "a"}],
        [{"environment_key": "a"}, {"environment_key": "a"}],
    ),
    "parameters of alerts not at all": (
        "alerts", "parameters", [{"name": "a"}], [{"name": "a"}], [{"name": "a"}, {"name": "a"}],
    ),
    "clusters of a pipeline by their label": (
        "pipelines", "clusters", [{"num_workers": 1}, {"label": "maintenance", "policy_id": "p"}],
        [{"label": "DEFAULT", "policy_id": "q"}, {"label": "Maintenance", "num_workers": 2}],
        [{"num_workers": 1, "label": "default", "policy_id": "q"},
         {"label": "maintenance", "policy_id": "p", "num_workers": 2}],
    ),
    "resources of an app are replaced": (
        "apps", "resources", [{"name": "a", "description": "x", "job": {"id": "1"}}],
        [{"name": "a", "job": {"id": "2"}}], [{"name": "a", "job": {"id": "2"}}],
    ),
    "grants by their principal": (
        "schemas", "grants", [{"principal": "a", "privileges": ["SELECT"]}],
        [{"principal": "a", "privileges": ["MODIFY", "SELECT"]}, {"principal": "b"}],
        [{"principal": "a", "privileges": ["SELECT", "MODIFY"]}, {"principal": "b"}],
    ),
    "libraries grow": (
        "pipelines", "libraries", [{"file": {"path": "a"}}], [{"file": {"path": "a"}}],
        [{"file": {"path": "a"}}, {"file": {"path": "a"}}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_merged(tmp_path: Path, name: str) -> None:
    kind, field, base, more, expected = LISTS[name]
    tree = {
        "resources": {kind: {"x": {field: base}}},
        "targets": {"dev": {"resources": {kind: {"x": {field: more}}}}, "other": {}},
    }
    (tmp_path / "databricks.yml").write_text(yaml.safe_dump(tree, sort_keys=False))
    bundle = load_bundle(tmp_path)
    found = bundle.tree_for_target("dev").section("resources").section(kind).section("x")
    assert found[field] == expected
    left = bundle.tree_for_target("other").section("resources").section(kind).section("x")
    assert [{**entry, "label": ""} for entry in left[field]] == [{**e, "label": ""} for e in base]
    plain = from_plain({"resources": {kind: {"x": {field: [*base, *more]}}}})
    assert plain.section("resources").section(kind).section("x")[field] == expected


def test_the_mode_of_a_target_is_its_own(tmp_path: Path) -> None:
    tree = {"bundle": {"name": "x"}, "targets": {"prod": {"mode": "production"}, "dev": {}}}
    (tmp_path / "databricks.yml").write_text(yaml.safe_dump(tree, sort_keys=False))
    bundle = load_bundle(tmp_path)
    assert bundle.tree_for_target("prod").section("bundle")["mode"] == "production"
    assert dict(bundle.tree_for_target("dev").section("bundle")) == {"name": "x"}
