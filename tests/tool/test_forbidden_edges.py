"""What a release must not contain, where the other tests leave room."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from delivery.checks.untrusted import refuse_untrusted, refused_keys, untrusted_content
from delivery.config.bundle import load_bundle
from delivery.config.cli_view import _as_the_cli
from delivery.errors import DeliveryError, Exit

from tool.conftest import Edit

PROD = "targets/prod.yml"


class Cli:
    """The CLI, as far as it merges: what our loader reads, with some of it laid over."""

    over: dict[str, Any]

    def __init__(self, folder: Path, target: str) -> None:
        self.given = (folder, target)

    def merged_configuration(self) -> dict[str, Any]:
        tree = json.loads(json.dumps(_as_the_cli(load_bundle(self.given[0]), self.given[1])))
        merged: dict[str, Any] = laid(tree, self.over)
        return merged


def laid(tree: Any, over: Any) -> Any:
    """A tree with another one laid over it."""
    if isinstance(tree, dict) and isinstance(over, dict):
        return {key: laid(tree.get(key), over.get(key)) for key in {**tree, **over}}
    return tree if over is None else over


def reads(monkeypatch: pytest.MonkeyPatch, over: dict[str, Any]) -> None:
    monkeypatch.setattr(Cli, "over", copy.deepcopy(over), raising=False)
    monkeypatch.setattr("delivery.checks.untrusted.BundleCli", Cli)


def assert_accepted(project: Path) -> None:
    try:
        refuse_untrusted(project, "prod")
    except DeliveryError as error:
        pytest.fail(str(error))


def test_a_release_that_has_nothing_of_it_passes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, {"sync": {"paths": ["."]}, "scripts": {}, "permissions": []})
    assert_accepted(project)
    assert [*untrusted_content(load_bundle(project), "prod")] == []


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"scripts": {"x": {}}}, "scripts"),
        ({"python": {"x": {}}}, "python"),
        ({"artifacts": {"x": {}}}, "artifacts"),
        ({"experimental": {"x": {}}}, "experimental"),
        ({"resources": {"secrets": {"x": {}}}}, "resources.secrets"),
        ({"sync": {"paths": [".."]}}, "sync.paths"),
        ({"sync": {"paths": [".", "../x"]}}, "sync.paths"),
        ({"workspace": {"profile": "x"}}, "workspace.profile"),
        ({"workspace": {"auth_type": "pat"}}, "workspace.auth_type"),
        ({"workspace": {"client_id": "x"}}, "workspace.client_id"),
        ({"workspace": {"host": "https://${var.x}"}}, "workspace.host"),
        ({"bundle": {"engine": "terraform"}}, "bundle.engine"),
        ({"bundle": {"terraform": {"exec_path": "x"}}}, "bundle.terraform"),
        ({"bundle": {"deployment": {"lock": {"enabled": False}}}}, "bundle.deployment"),
        ({"bundle": {"of_next_year": 1}}, "bundle.of_next_year"),
        ({"presets": {"source_linked_deployment": True}}, "presets.source_linked_deployment"),
        ({"of_next_year": {"x": 1}}, "of_next_year"),
        ({"variables": {"catalog": {"value": "demo"}}}, "variables.catalog.value"),
    ],
)
def test_what_only_the_cli_reads_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any], expected: str
) -> None:
    reads(monkeypatch, tree)
    with pytest.raises(DeliveryError) as caught:
        refuse_untrusted(project, "prod")
    assert str(caught.value) == f"refused for prod:\n{expected}, as the CLI reads it"
    assert caught.value.code is Exit.REFUSED


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"workspace": {"host": "https://x"}}, "workspace.host: given 'https://prod.example.com'"),
        ({"workspace": {"state_path": "/x"}}, "workspace.state_path: given nothing"),
        ({"run_as": {"service_principal_name": "x"}}, "run_as: given nothing, but the CLI"),
        ({"permissions": [{"level": "CAN_MANAGE"}]}, "permissions: given nothing"),
        ({"variables": {"catalog": {"default": "demo"}}}, "variables.catalog.default: given 'de"),
        ({"variables": {"more": {"default": "x"}}}, "variables.more: given nothing"),
        ({"include": ["x.yml"]}, "include[0]: given 'targets/dev.yml', but the CLI reads 'x.yml'"),
        ({"bundle": {"uuid": "x"}}, "bundle.uuid: given '7d2c1a52"),
        ({"bundle": {"target": "dev"}}, "bundle.target: given 'prod', but the CLI reads 'dev'"),
        ({"sync": {"exclude": ["src"]}}, "sync: given nothing"),
        ({"resources": {"jobs": {"x": {"name": "x"}}}}, "resources.jobs.x: given nothing"),
        ({"resources": {"apps": {"x": {"name": "x"}}}}, "resources.apps: given nothing"),
        (
            {"resources": {"jobs": {"shop_daily": {"run_as": {"user_name": "x"}}}}},
            "resources.jobs.shop_daily.run_as.user_name: given nothing",
        ),
        (
            {"resources": {"jobs": {"shop_daily": {"tags": {"api_token": "abc"}}}}},
            "resources.jobs.shop_daily.tags.api_token: given nothing, but the CLI reads (hidden)",
        ),
    ],
)
def test_where_the_cli_reads_something_else_nothing_starts(
    project: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any], expected: str
) -> None:
    reads(monkeypatch, tree)
    with pytest.raises(DeliveryError) as caught:
        refuse_untrusted(project, "prod")
    assert expected in str(caught.value).splitlines()[1]
    assert caught.value.code is Exit.REFUSED


@pytest.mark.parametrize(
    ("ours", "cli"),
    [(5, "5"), ("5", 5), (1.50, "1.5"), (True, "true"), ("True", True), (1e3, "1000"), ([], None)],
)
def test_a_field_s_own_form_of_a_value_is_no_difference(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, ours: Any, cli: Any
) -> None:
    text = json.dumps(ours)
    edit("resources/shop/schema.yml", "      name:", f"      comment: {text}\n      name:")
    reads(monkeypatch, {"resources": {"schemas": {"shop_gold": {"comment": cli}}}})
    assert_accepted(project)


def test_the_cli_is_not_asked_once_something_is_found(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, {})
    monkeypatch.setattr(
        Cli, "merged_configuration", lambda _: pytest.fail("it would run what is in there")
    )
    edit(PROD, "    presets:", "    sync: {paths: [..]}\n    presets:")
    with pytest.raises(DeliveryError) as caught:
        refuse_untrusted(project, "prod")
    assert str(caught.value) == (
        "refused for prod:\n"
        f"{PROD}:13: sync.paths is refused for prod: it would run with the deployer's identity\n"
        "    Move it to a target that takes no releases, such as dev, in targets/."
    )


@pytest.mark.parametrize("pattern", ["/nowhere/*.yml", "../*.yml", "targets/../../*.yml"])
def test_an_include_stays_inside(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    reads(monkeypatch, {})
    edit("databricks.yml", "  - targets/*.yml", f"  - targets/*.yml\n  - {pattern}")
    with pytest.raises(DeliveryError) as caught:
        refuse_untrusted(project, "prod")
    assert f"include {pattern} leaves the release" in str(caught.value)


def test_other_targets_may_have_it(project: Path, edit: Edit) -> None:
    edit("targets/dev.yml", "    default: true", "    default: true\n    artifacts: {x: {}}")
    assert [*untrusted_content(load_bundle(project), "prod")] == []
    (finding,) = untrusted_content(load_bundle(project), "dev")
    assert (finding.file, finding.line) == ("targets/dev.yml", 4)


@pytest.mark.parametrize("tree", [{"resources": [1]}, {"sync": "abc"}, {"workspace": ["x"]}])
def test_what_is_of_another_form_is_left_to_the_cli(tree: dict[str, Any]) -> None:
    assert [*refused_keys(tree)] == []
