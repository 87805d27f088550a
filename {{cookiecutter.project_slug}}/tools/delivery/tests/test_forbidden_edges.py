"""What a release must not contain, where the other tests leave room."""

from pathlib import Path
from typing import Any

import pytest

from conftest import Edit
from delivery.bundle import load
from delivery.errors import DeliveryError, Exit
from delivery.forbidden import _found, forbidden, refuse_forbidden

PROD = "targets/prod.yml"
ALLOWED = ("host", "root_path", "file_path", "artifact_path", "state_path", "resource_path")


class Cli:
    """The CLI, as far as it merges."""

    tree: dict[str, Any]

    def __init__(self, folder: Path, target: str) -> None:
        self.given = (folder, target)

    def merged(self) -> dict[str, Any]:
        return self.tree


def reads(monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any]) -> None:
    monkeypatch.setattr(Cli, "tree", tree, raising=False)
    monkeypatch.setattr("delivery.forbidden.BundleCli", Cli)


def test_a_release_that_has_nothing_of_it_passes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, {"workspace": dict.fromkeys(ALLOWED, "x"), "sync": {"paths": ["."]},
                        "scripts": {}, "resources": {"jobs": {}}})  # fmt: skip
    refuse_forbidden(project, "prod")
    assert [*forbidden(load(project), "prod")] == []


@pytest.mark.parametrize(
    ("tree", "told"),
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
    ],
)
def test_what_only_the_cli_reads_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, tree: dict[str, Any], told: str
) -> None:
    reads(monkeypatch, tree)
    with pytest.raises(DeliveryError) as caught:
        refuse_forbidden(project, "prod")
    assert str(caught.value) == f"refused for prod:\n{told}, as the CLI reads it"
    assert caught.value.code is Exit.REFUSED


def test_the_cli_is_not_asked_once_something_is_found(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads(monkeypatch, {})
    monkeypatch.setattr(Cli, "merged", lambda _: pytest.fail("it would run what is in there"))
    edit(PROD, "    presets:", "    sync: {paths: [..]}\n    presets:")
    with pytest.raises(DeliveryError) as caught:
        refuse_forbidden(project, "prod")
    assert str(caught.value) == (
        "refused for prod:\n"
        f"{PROD}:13: sync.paths is refused for prod: it would run with its identity\n"
        "    Keep it to targets such as dev, in targets/."
    )


@pytest.mark.parametrize("pattern", ["/nowhere/*.yml", "../*.yml", "targets/../../*.yml"])
def test_an_include_stays_inside(
    project: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    reads(monkeypatch, {})
    edit("databricks.yml", "  - targets/*.yml", f"  - targets/*.yml\n  - {pattern}")
    with pytest.raises(DeliveryError) as caught:
        refuse_forbidden(project, "prod")
    assert str(caught.value) == (f"refused for prod:\ninclude {pattern} reaches out of the release")


def test_other_targets_may_have_it(project: Path, edit: Edit) -> None:
    edit("targets/dev.yml", "    default: true", "    default: true\n    artifacts: {x: {}}")
    assert [*forbidden(load(project), "prod")] == []
    (finding,) = forbidden(load(project), "dev")
    assert (finding.file, finding.line) == ("targets/dev.yml", 4)


@pytest.mark.parametrize("tree", [{"resources": [1]}, {"sync": "abc"}, {"workspace": ["x"]}])
def test_what_is_of_another_form_is_left_to_the_cli(tree: dict[str, Any]) -> None:
    assert [*_found(tree)] == []
