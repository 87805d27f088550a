"""`${…}` resolved offline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from delivery.config.bundle import load_bundle
from delivery.config.references import resolve

Edit = Callable[[str, str, str], None]


def resolved(project: Path, edit: Edit, text: str, target: str = "prod") -> Any:
    """What `text` becomes as the name of the schema, and what was found wrong with it."""
    edit(
        "resources/shop/schema.yml", "name: shop_gold", f'comment: "{text}"\n      name: shop_gold'
    )
    result = resolve(load_bundle(project), target)
    assert all((f.file, f.line) == ("resources/shop/schema.yml", 5) for f in result.findings)
    value = result.tree["resources"]["schemas"]["shop_gold"]["comment"]
    return value, [finding.message for finding in result.findings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${var.catalog}", "demo_prod"),
        ("a ${var.catalog} b ${bundle.target}", "a demo_prod b prod"),
        ("${bundle.name}", "demo"),
        ("${var.owner}", "team@example.com"),
        ("${workspace.root_path}", "/Workspace/Deployments/demo/prod"),
        ("${workspace.file_path}", "/Workspace/Deployments/demo/prod/releases/<var.release>/files"),
        ("${resources.schemas.shop_gold.catalog_name}", "demo_prod"),
        ("${resources.jobs.shop_daily.id}", "<resources.jobs.shop_daily.id>"),
        ("${resources.jobs.shop_daily.tasks[1].task_key}", "load"),
        ("${workspace.current_user.short_name}", "<workspace.current_user.short_name>"),
        ("${bundle.git.commit}", "<bundle.git.commit>"),
        ("$HOME ${not a reference}", "$HOME ${not a reference}"),
    ],
)
def test_a_reference_becomes_its_value(project: Path, edit: Edit, text: str, value: str) -> None:
    assert resolved(project, edit, text) == (value, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${var.nope}",
            "${var.nope}: given nope, expected a variable: "
            "catalog, owner, deployer, runner, planner, release",
        ),
        (
            "${resources.schemas.shop_glod.name}",
            "${resources.schemas.shop_glod.name}: expected one of resources.schemas: shop_gold",
        ),
        (
            "${resources.pipelines.x.id}",
            "${resources.pipelines.x.id}: expected one of resources.pipelines: nothing",
        ),
        (
            "${bundle.nmae}",
            "${bundle.nmae}: nmae of bundle.nmae does not exist, expected name, uuid, mode",
        ),
        (
            "${resources.jobs.shop_daily.tasks[9].x} ${bundle.name.x}",
            "${bundle.name.x}: x of bundle.name.x does not exist, expected no keys",
        ),
    ],
)
def test_a_reference_to_nothing_is_found(
    project: Path, edit: Edit, text: str, message: str
) -> None:
    assert resolved(project, edit, text)[1] == [message]


def test_a_circle_is_found(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "team@example.com", "${var.catalog}")
    edit("targets/prod.yml", "demo_prod", "${var.owner}")
    messages = [finding.message for finding in resolve(load_bundle(project), "prod").findings]
    assert any("refers to itself: var.catalog → var.owner → var.catalog" in m for m in messages)


def test_a_whole_reference_keeps_the_type(project: Path, edit: Edit) -> None:
    edit(
        "databricks.yml",
        "  owner:\n",
        "  rights:\n    type: complex\n"
        "    default: [{level: CAN_VIEW, user: '${var.owner}'}]\n  owner:\n",
    )
    value, findings = resolved(project, edit, "${var.rights}")
    assert (value, findings) == ([{"level": "CAN_VIEW", "user": "team@example.com"}], [])
    edit("resources/shop/schema.yml", "${var.rights}", "${var.rights[0].level}")
    schema = resolve(load_bundle(project), "dev").tree["resources"]["schemas"]["shop_gold"]
    assert schema["comment"] == "CAN_VIEW"


def test_a_variable_without_a_value_is_left_for_the_deploy(project: Path, edit: Edit) -> None:
    edit("targets/prod.yml", "      catalog: demo_prod\n", "      owner: x\n")
    assert resolved(project, edit, "${var.catalog}") == ("<var.catalog>", [])


def test_a_target_may_set_a_variable_by_definition(project: Path, edit: Edit) -> None:
    edit("targets/prod.yml", "catalog: demo_prod", "catalog: {default: other}")
    assert resolved(project, edit, "${var.catalog}") == ("other", [])


def test_the_root_path_has_a_default(project: Path, edit: Edit) -> None:
    value, _ = resolved(project, edit, "${workspace.root_path}", "dev")
    assert value == "/Workspace/Users/<workspace.current_user.userName>/.bundle/demo/dev"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${var.a_${bundle.target}}", "found"),
        ("x ${var.a_${var.which}} y", "x found y"),
        ("${var.a_${var.${var.name}}}", "found"),
        ("${var.open}bundle.target}", "prod"),
        ("${bundle.git.branch}", "of-the-files"),
        ("${var.looked}", "<var.looked>"),
        ("${var.whole}", "{'value': 'x'}"),
    ],
)
def test_references_are_followed_as_the_cli_follows_them(
    project: Path, edit: Edit, text: str, value: str
) -> None:
    """Tried with the CLI: what is made of references is read again; a lookup beats a default."""
    declared = (
        "variables:\n  a_prod: {default: found}\n  which: {default: prod}\n"
        "  name: {default: which}\n  open: {default: '${'}\n  whole: {type: complex}\n"
        "  looked: {default: x, lookup: {service_principal: x}}\n"
    )
    edit("databricks.yml", "variables:\n", declared)
    edit("targets/prod.yml", "    variables:\n", "    variables:\n      whole: {value: x}\n")
    edit("databricks.yml", "bundle:\n", "bundle:\n  git: {branch: of-the-files}\n")
    assert resolved(project, edit, f"-{text}") == (f"-{value}", [])


def test_the_bundle_keeps_the_references_that_a_target_resolves(project: Path) -> None:
    bundle = load_bundle(project)
    for target in ("prod", "staging"):
        schema = resolve(bundle, target).tree["resources"]["schemas"]["shop_gold"]
        assert schema["catalog_name"] == f"demo_{target}"
    raw = bundle.tree["resources"]["schemas"]["shop_gold"]
    assert raw["catalog_name"] == "${var.catalog}"
