"""Includes, merging, targets."""

from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.config.bundle import load_bundle
from delivery.errors import DeliveryError, InvalidFileError

Edit = Callable[[str, str, str], None]


def test_files_are_included_in_order(project: Path) -> None:
    assert load_bundle(project).files == (
        "databricks.yml",
        "targets/dev.yml",
        "targets/identity.yml",
        "targets/prod.yml",
        "targets/staging.yml",
        "resources/shop/job.yml",
        "resources/shop/schema.yml",
    )


def test_two_stars_reach_one_level_only(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "resources/*/*.yml", "resources/**/*.yml")
    deep = project / "resources/shop/deep/x.yml"
    deep.parent.mkdir()
    deep.write_text("resources: {}\n", encoding="utf-8")
    assert "resources/shop/deep/x.yml" not in load_bundle(project).files


def test_an_include_without_a_star_must_exist(edit: Edit, project: Path) -> None:
    edit("databricks.yml", "  - targets/*.yml", "  - targets/*.yml\n  - release.yml")
    with pytest.raises(InvalidFileError, match=r"databricks\.yml:5: include: given release\.yml"):
        load_bundle(project)


def test_an_include_with_a_star_may_find_nothing(edit: Edit, project: Path) -> None:
    edit("databricks.yml", "  - targets/*.yml", "  - targets/*.yml\n  - release*.yml")
    assert len(load_bundle(project).files) == 7


def test_a_key_is_one_resource_whatever_its_kind(project: Path, edit: Edit) -> None:
    edit("resources/shop/schema.yml", "    shop_gold:", "    shop_daily:")
    message = r"schema\.yml:3: resource shop_daily: already declared in resources/shop/job\.yml:3"
    with pytest.raises(InvalidFileError, match=message):
        load_bundle(project)


def test_an_unknown_target_is_answered_with_the_known_ones(project: Path) -> None:
    with pytest.raises(DeliveryError, match="target: given 'qa', expected one of dev, prod"):
        load_bundle(project).target("qa")


def test_a_target_overrides_and_adds(project: Path, edit: Edit) -> None:
    edit(
        "targets/prod.yml",
        "    mode: production\n",
        """    mode: production
    resources:
      jobs:
        shop_daily:
          name: other
          tasks:
            - task_key: load
              max_retries: 2
            - task_key: more
          tags:
            x: y
""",
    )
    bundle = load_bundle(project)
    job = bundle.tree_for_target("prod")["resources"]["jobs"]["shop_daily"]
    assert job["name"] == "other"
    assert [task["task_key"] for task in job["tasks"]] == ["count", "load", "more"]
    assert job["tasks"][1]["max_retries"] == 2
    assert "python_wheel_task" in job["tasks"][1]
    assert job["tags"] == {"project": "demo", "domain": "shop", "x": "y"}
    untouched = bundle.tree_for_target("dev")["resources"]["jobs"]["shop_daily"]
    assert (untouched["name"], len(untouched["tasks"])) == ("shop_daily", 2)
    assert "mode" not in bundle.tree_for_target("prod")


def test_other_lists_grow(project: Path, edit: Edit) -> None:
    edit("targets/prod.yml", "    mode: production\n", "    sync: {include: [b]}\n")
    edit("databricks.yml", "include:", "sync: {include: [a]}\ninclude:")
    assert load_bundle(project).tree_for_target("prod")["sync"]["include"] == ["a", "b"]


def reached_in(project: Path, *files: str) -> list[str]:
    for name in files:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("{}\n", encoding="utf-8")
    return [file for file in load_bundle(project).files if file in files]


def test_stars_reach_hidden_files_and_folders(project: Path) -> None:
    files = ["targets/.x.yml", "resources/.x/y.yml", "resources/shop/.y.yml"]
    assert reached_in(project, *files) == files


@pytest.mark.parametrize("pattern", ["x/[^a].yml", "x/[!a].yml", "x/\\b.yml", "x/[b].yml", ""])
def test_patterns_of_two_meanings_are_followed_by_nobody(
    project: Path, edit: Edit, pattern: str
) -> None:
    edit("databricks.yml", "  - targets/*.yml", f"  - targets/*.yml\n  - '{pattern}'")
    assert reached_in(project, "x/b.yml") == []


@pytest.mark.parametrize("pattern", ["./x/b.yml", "x//?.yml", "x/{b}.yml", "*/b.yml", "x/***.yml"])
def test_patterns_are_go_s(project: Path, edit: Edit, pattern: str) -> None:
    edit("databricks.yml", "  - targets/*.yml", f"  - targets/*.yml\n  - '{pattern}'")
    name = "x/{b}.yml" if "{" in pattern else "x/b.yml"
    assert reached_in(project, name) == [name]


def test_other_root_files_are_no_includes(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "  - targets/*.yml", "  - targets/*.yml\n  - '*.yml'")
    assert reached_in(project, "bundle.yml", "more.yml") == ["more.yml"]


def test_one_identity_takes_the_place_of_another(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "include:", "run_as: {user_name: ana}\ninclude:")
    edit("targets/prod.yml", "    presets:", "    run_as: {group_name: b}\n    presets:")
    assert load_bundle(project).tree_for_target("prod")["run_as"] == {"group_name": "b"}
