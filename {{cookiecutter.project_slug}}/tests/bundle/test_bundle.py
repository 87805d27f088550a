"""The bundle, offline: the content of each target, and the allowed differences between targets."""

import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest
from delivery.checks.registry import CheckContext, all_rules, check
from delivery.config.bundle import load_bundle
from delivery.config.policy import load_policy
from delivery.config.references import resolve
from delivery.config.yaml import YamlMapping

ROOT = Path(__file__).parents[2]
BUNDLE = load_bundle(ROOT)
RELEASED = ("staging", "prod")
ELSEWHERE = {"branch", "cli", "identity", "tool"}  # these are about the checkout and the machine

# Allowed differences between targets; everything else must be equal.
MAY_DIFFER = {"workspace", "variables", "presets", "permissions", "artifacts", "mode"}


def tree(target: str) -> YamlMapping:
    return resolve(BUNDLE, target).tree


def declared(target: str) -> YamlMapping:
    return BUNDLE.target(target)


def resources(target: str) -> list[tuple[str, str, Any]]:
    """Kind, key and content of every resource that the target deploys."""
    kinds = tree(target).section("resources")
    return [(kind, key, kinds[kind][key]) for kind in kinds for key in kinds[kind]]


@pytest.fixture(params=BUNDLE.targets)
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=RELEASED)
def released(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_targets_are_these() -> None:
    assert sorted(BUNDLE.targets) == ["dev", "preview", "prod", "staging"]
    assert [name for name in BUNDLE.targets if declared(name).get("default")] == ["dev"]


@pytest.mark.parametrize("rule", sorted(all_rules().keys() - ELSEWHERE))
def test_the_project_keeps_its_rules(rule: str) -> None:
    assert [f for f in check(CheckContext(ROOT), [rule]) if f.severity == "error"] == []


def test_what_is_deployed_is_the_same_everywhere() -> None:
    """Besides what `may_differ` names, such as a job of prod alone."""
    differ = {p.removeprefix("resources.") for p in load_policy(ROOT).may_differ}
    names = {
        target: {f"{kind}.{key}" for kind, key, _ in resources(target)} - differ
        for target in BUNDLE.targets
    }
    assert len(set(map(frozenset, names.values()))) == 1
    for target in BUNDLE.targets:
        kinds = declared(target).section("resources")
        assert {f"{kind}.{key}" for kind in kinds for key in kinds[kind]} <= differ


def test_targets_differ_only_where_they_may(target: str) -> None:
    assert set(declared(target)) - {"default"} <= MAY_DIFFER


def test_staging_and_prod_differ_only_in_place_identity_and_schedule() -> None:
    staging, prod = (declared(name) for name in RELEASED)
    assert set(staging) == set(prod)
    assert staging["mode"] == prod["mode"]
    paths = ("root_path", "file_path", "artifact_path")
    assert [staging["workspace"][p] for p in paths] == [prod["workspace"][p] for p in paths]


def test_each_target_has_a_catalog_of_its_own() -> None:
    slug = str(BUNDLE.tree["bundle"]["name"]).replace("-", "_")
    catalogs = {name: declared(name)["variables"]["catalog"] for name in BUNDLE.targets}
    assert catalogs == {name: f"{slug}_{name}" for name in BUNDLE.targets}
    for name in BUNDLE.targets:
        keys = ("catalog_name", "dataset_catalog")
        used = {c[key] for _, _, c in resources(name) for key in keys if key in c}
        assert used <= {catalogs[name]}


def test_only_dev_is_in_development_mode() -> None:
    modes = {name: declared(name).get("mode") for name in BUNDLE.targets}
    expected = {
        "dev": "development",
        "preview": None,
        "staging": "production",
        "prod": "production",
    }
    assert modes == expected


def test_only_prod_runs_on_schedule() -> None:
    paused = {n: declared(n)["presets"].get("trigger_pause_status") for n in BUNDLE.targets}
    # Development mode pauses schedules. A job's own status would override the target's.
    assert paused == {"dev": None, "preview": "PAUSED", "staging": "PAUSED", "prod": "UNPAUSED"}
    for kind, key, content in resources("prod"):
        if kind in ("jobs", "alerts"):
            assert "pause_status" not in content.get("schedule", {}), key


def test_a_release_has_a_folder_of_its_own(released: str) -> None:
    workspace = declared(released)["workspace"]
    assert workspace["root_path"] == "${var.deploy_root}"
    release = "${workspace.root_path}/releases/${var.release}"
    assert workspace["file_path"] == f"{release}/files"
    assert workspace["artifact_path"] == f"{release}/artifacts"
    root = tree(released)["workspace"]["root_path"]
    assert root == f"/Workspace/Deployments/{BUNDLE.tree['bundle']['name']}/{released}"


def test_a_release_is_never_built_or_named_by_default(released: str) -> None:
    assert "artifacts" not in declared(released)
    variables = BUNDLE.tree["variables"]
    for name in ("release", "wheel"):
        assert "default" not in variables[name]
        assert name not in declared(released)["variables"]


def test_jobs_run_as_the_runner_and_never_as_the_deployer(released: str) -> None:
    names = ("deployer", "runner", "planner")
    identities = {name: declared(released)["variables"][name] for name in names}
    assert len(set(identities.values())) == len(names)
    assert all(uuid.UUID(value) for value in identities.values())
    assert "run_as" not in tree(released)  # the CLI would refuse apps and serving endpoints
    for kind, key, content in resources(released):
        if kind in ("jobs", "pipelines", "alerts"):
            assert content["run_as"] == {"service_principal_name": identities["runner"]}, key
    assert "permissions" not in tree(released)  # they would replace the permissions of its folder


def test_the_shared_rights_are_these(released: str) -> None:
    variables = declared(released)["variables"]
    runner, planner = variables["runner"], variables["planner"]
    shared = tree(released)["variables"]
    readers = shared["readers"]["default"]
    viewers = shared["job_permissions"]["default"]
    assert {p["level"] for p in viewers} == {"CAN_VIEW"}
    assert [*map(principal, viewers)] == [runner, planner, readers]
    viewers = shared["view_permissions"]["default"]
    assert {p["level"] for p in viewers} == {"CAN_READ"}
    assert [*map(principal, viewers)] == [planner, readers]
    rights = {g["principal"]: set(g["privileges"]) for g in shared["schema_grants"]["default"]}
    written = {"USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"}
    assert rights == {
        runner: written | {"READ_VOLUME", "WRITE_VOLUME"},
        planner: {"USE_SCHEMA", "READ_VOLUME"},
        readers: {"USE_SCHEMA", "SELECT"},
    }


def test_rights_are_given_to_each_job_and_schema(released: str) -> None:
    variables = declared(released)["variables"]
    runner, planner = variables["runner"], variables["planner"]
    readers = tree(released)["variables"]["readers"]["default"]
    for kind, key, content in resources(released):
        if kind == "jobs":
            levels = {principal(p): p["level"] for p in content["permissions"]}
            assert levels.keys() >= {runner, planner, readers}, key
            assert levels[runner] == levels[planner] == levels[readers] == "CAN_VIEW", key
        if kind in ("alerts", "dashboards"):
            levels = {principal(p): p["level"] for p in content["permissions"]}
            assert levels[planner] == levels[readers] == "CAN_READ", key
        if kind == "schemas":
            rights = {g["principal"]: set(g["privileges"]) for g in content["grants"]}
            assert rights[runner] >= {"USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"}, key
            assert rights[planner] >= {"USE_SCHEMA", "READ_VOLUME"}, key
            assert "MODIFY" not in rights[planner] | rights.get(readers, set()), key


def principal(permission: YamlMapping) -> str:
    """The principal of a permission."""
    (name,) = (value for key, value in permission.items() if key != "level")
    return str(name)


def test_nobody_else_has_rights_in_personal_targets() -> None:
    for name in ("dev", "preview"):
        for _, key, content in resources(name):
            assert not [*content.get("permissions", []), *content.get("grants", [])], key


def test_a_preview_is_named_after_its_request() -> None:
    preview = declared("preview")
    assert "${var.request}" in preview["presets"]["name_prefix"]
    assert "${var.request}" in preview["workspace"]["root_path"]
    assert preview["presets"]["tags"]["request"] == "${var.request}"


def test_a_schema_is_named_as_its_key(target: str) -> None:
    assert [
        k for kind, k, content in resources(target) if kind == "schemas" and content["name"] != k
    ] == []


def test_a_job_tells_its_owner_of_failures(target: str) -> None:
    owner = tree(target)["variables"]["owner"]["default"]
    for kind, key, job in resources(target):
        if kind == "jobs" and not job.get("webhook_notifications"):
            assert owner in job["email_notifications"]["on_failure"], key


def test_jobs_run_on_what_they_are_tested_with() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    runtime = next(p for p in groups["connect"] if "3.12" in p).partition("==")[2][:4]
    for kind, key, job in resources("prod"):
        if kind == "jobs":
            for environment in job.get("environments", []):
                assert environment["spec"]["environment_version"] == "4", key  # Python 3.12
            for entry in job.get("job_clusters", []):
                cluster = entry["new_cluster"]
                assert cluster["spark_version"].startswith(f"{runtime}."), key
                assert cluster["data_security_mode"] == "SINGLE_USER", key
                assert "autoscale" in cluster or cluster["num_workers"] >= 1, key


def test_files_land_in_bronze(target: str) -> None:
    for kind, key, content in resources(target):
        if kind == "volumes" and key.endswith("_landing"):
            domain = key.removesuffix("_landing")
            assert content["schema_name"] == f"{domain}_bronze"
            assert (content["name"], content["volume_type"]) == ("landing", "MANAGED")


def test_every_variable_says_what_it_is() -> None:
    assert all(v["description"] for v in BUNDLE.tree["variables"].values())


def test_the_cli_is_of_a_version_that_was_tried() -> None:
    assert BUNDLE.tree["bundle"]["databricks_cli_version"] == ">= 1.13.0, < 2.0.0"


def test_jobs_install_what_was_built_and_locked(target: str) -> None:
    files = tree(target)["workspace"].get("file_path", "<default>")
    for kind, key, job in resources(target):
        wheels = [t for t in job.get("tasks", []) if "python_wheel_task" in t]
        if kind == "jobs" and wheels:
            installed = str(job.get("environments") or [task["libraries"] for task in wheels])
            assert "requirements.txt" in installed, key
            assert f"{files}/dist/" in installed or files == "<default>", key
    assert list(BUNDLE.tree["sync"]["include"]) == ["dist/*.whl", "requirements.txt"]


def test_tags_name_the_environment(target: str) -> None:
    assert declared(target)["presets"]["tags"]["environment"] == target


def test_hosts_are_addresses_and_nothing_more(target: str) -> None:
    workspace = declared(target)["workspace"]
    assert workspace["host"].startswith("https://")
    assert not set(workspace) & {"profile", "token", "client_id", "client_secret", "auth_type"}


def test_delivered_branches_are_protected() -> None:
    branches = load_policy(ROOT).branches
    assert set(branches.targets) == set(RELEASED)
    assert {branches.integration, *branches.targets.values()} == set(branches.protected)


def test_the_project_has_an_identity() -> None:
    assert uuid.UUID(str(BUNDLE.tree["bundle"]["uuid"])).version == 4
