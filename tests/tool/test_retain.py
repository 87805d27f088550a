"""Going back keeps what holds data: its state becomes YAML again."""

import json
from pathlib import Path
from typing import Any

import pytest
from delivery.config.bundle import load_bundle
from delivery.config.includes import included_name
from delivery.errors import DeliveryError, Exit
from delivery.plan.retention import retention_overlay, write_overlay

STATE: dict[str, Any] = {
    "volumes.files": {"__id__": "c.s.files", "state": {"name": "files", "volume_type": "MANAGED"}},
    "volumes.files.grants": {
        "state": {"__embed__": [{"principal": "users", "privileges": ["READ_VOLUME"]}]}
    },
    "schemas.raw": {"state": {"name": "raw", "comment": "x"}},
    "dashboards.d": {"state": {"display_name": "d", "etag": "1", "published": True}},
    "dashboards.d.permissions": {
        "state": {"object_id": "/d", "__embed__": [{"level": "CAN_READ", "group_name": "users"}]}
    },
    "pipelines.p": {"state": {"name": "p", "deployment": {"kind": "BUNDLE"}}},
    "registered_models.m": {"state": {"name": "m"}},
    "secret_scopes.s": {"state": {"scope": "s"}},
    "secret_scopes.s.permissions": {
        "state": {
            "scope_name": "s",
            "acls": [
                {"principal": "0b2b6fd2-0d4a-4b0a-9d0e-6f3a7c1f2a33", "permission": "READ"},
                {"principal": "ana@example.com", "permission": "WRITE"},
                {"principal": "users", "permission": "READ"},
            ],
        }
    },
    "mcp_services.a": {"state": {"name": "a"}},
}


def test_what_only_the_state_has_is_left_out_and_rights_come_along() -> None:
    keys = [key for key in STATE if key.count(".") == 1 and key != "mcp_services.a"]
    assert retention_overlay(STATE, keys)["resources"] == {
        "dashboards": {
            "d": {
                "display_name": "d",
                "permissions": [{"level": "CAN_READ", "group_name": "users"}],
            }
        },
        "pipelines": {"p": {"name": "p"}},
        "registered_models": {"m": {"name": "m"}},
        "schemas": {"raw": {"name": "raw", "comment": "x"}},
        "secret_scopes": {
            "s": {
                "name": "s",
                "permissions": [
                    {
                        "level": "READ",
                        "service_principal_name": "0b2b6fd2-0d4a-4b0a-9d0e-6f3a7c1f2a33",
                    },
                    {"level": "WRITE", "user_name": "ana@example.com"},
                    {"level": "READ", "group_name": "users"},
                ],
            }
        },
        "volumes": {
            "files": {
                "name": "files",
                "volume_type": "MANAGED",
                "grants": [{"principal": "users", "privileges": ["READ_VOLUME"]}],
            }
        },
    }


def test_a_kind_that_nobody_tried_stops_going_back() -> None:
    with pytest.raises(DeliveryError, match=r"mcp_services\.a: given a resource of mcp") as caught:
        retention_overlay(STATE, ["mcp_services.a"])
    assert caught.value.code is Exit.REFUSED
    assert "destroy" not in str(caught.value)


@pytest.mark.parametrize(
    ("include", "name"),
    [
        ("targets/*.yml, resources/*/*.yml, release*.yml", "release-retained.yml"),
        ("release*.yml, targets/*.yml, resources/flights/*.yml", "resources/flights/retained.yml"),
        ("release.yml, resources/*/jobs.yml, resources/**/*.yaml",
         "resources/_retained/retained.yaml"),
        ("'*.json', targets/prod.yml", "retained.json"),
    ],
)  # fmt: skip
def test_the_overlay_is_where_the_root_includes_it_and_is_no_file_of_the_release(
    tmp_path: Path, include: str, name: str
) -> None:
    root = tmp_path / "databricks.yml"
    root.write_text(f"include: [{include}]\n", encoding="utf-8")
    (tmp_path / "release.yml").write_text("variables: {}\n", encoding="utf-8")
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/prod.yml").write_text("targets: {prod: {}}\n", encoding="utf-8")
    (tmp_path / "resources/a").mkdir(parents=True)
    (tmp_path / "resources/a/jobs.yml").write_text("resources: {}\n", encoding="utf-8")
    write_overlay(tmp_path, STATE, ["schemas.raw"])
    written = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    assert written["sync"] == {"exclude": [(tmp_path / name).name]}  # relative to its own folder
    assert [*written["resources"]] == ["schemas"]
    assert name in load_bundle(tmp_path).files


def test_no_file_is_overwritten_and_none_is_laid_where_nothing_includes_it(tmp_path: Path) -> None:
    (tmp_path / "release-retained.yml").touch()
    assert included_name(tmp_path, ["release*.yml"]) == "release-retained-2.yml"
    for patterns in ([], ["release.yml"], ["re*/release.yml"], ["re?*.yml"], ["*.txt"]):
        assert included_name(tmp_path, patterns) is None
    (tmp_path / "databricks.yml").write_text("include: [release.yml]\n", encoding="utf-8")
    with pytest.raises(DeliveryError, match="a pattern that can match an additional file"):
        write_overlay(tmp_path, STATE, ["schemas.raw"])


def test_nothing_kept_is_no_overlay(tmp_path: Path) -> None:
    write_overlay(tmp_path, STATE, [])
    assert list(tmp_path.iterdir()) == []
