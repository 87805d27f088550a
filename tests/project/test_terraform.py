"""The platform as Terraform: it makes what `delivery bootstrap` makes, and none of the bundle's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from delivery.bootstrap import targets
from delivery.bootstrap.imports import imports_of
from delivery.bootstrap.needs import Needs, Principal
from delivery.bootstrap.service import Service, accounts_host
from delivery.bootstrap.thing import Thing
from delivery.config.target import UNKNOWN_RELEASE, read_target
from delivery.forge.github import GitHub
from delivery.forge.gitlab import GitLab
from delivery.resources import KINDS
from harness.baking import Baked, run
from harness.terraform import (
    PLACE,
    REPOSITORIES,
    TFLINT,
    blocks,
    copied,
    outcome_of,
    parse,
    planned,
    problems,
    resources,
    settings,
    started,
    terraform,
)

pytestmark = pytest.mark.slow

HOSTS = {
    "aws": "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com",
    "azure": "https://adb-1234567890123456.7.azuredatabricks.net",
    "gcp": "https://1234567890123456.7.gcp.databricks.com",
}
ACCOUNT, NUMBER = "11111111-2222-4333-8444-555555555555", "1234567890123456"
TARGETS = ("staging", "prod", "preview", "dev")
GROUP = "data-engineers"
STACKS = (*TARGETS, "github", "gitlab")
MODULES = ("catalog", "compute", "environment", "folder", "forge", "git_folder", "github", "gitlab",
           "identities", "names", "warehouse")  # fmt: skip


def of_cloud(bake: Bake, cloud: str) -> Baked:
    hosts = dict.fromkeys(("dev_host", "staging_host", "prod_host"), HOSTS[cloud])
    return bake(cloud=cloud, include_terraform="yes", **hosts)


@pytest.fixture(scope="session")
def platform(bake: Bake) -> Baked:
    """A project with all of it."""
    return of_cloud(bake, "aws")


@pytest.fixture(scope="session", params=HOSTS)
def cloud(request: pytest.FixtureRequest, bake: Bake) -> Baked:
    """The same for each cloud."""
    return of_cloud(bake, request.param)


# --- the files ---


def test_every_file_parses_and_is_formatted(cloud: Baked) -> None:
    files = sorted((cloud.path / PLACE).rglob("*.tf*"))
    assert len(files) > 50
    for file in files:
        if ".lock" not in file.name:
            assert parse(file), file
    result = terraform(cloud.path / PLACE, "fmt", "-check", "-diff", "-recursive")
    assert result.returncode == 0, result.stdout


def test_there_is_what_the_page_names(platform: Baked) -> None:
    for kind, names in (("stacks", STACKS), ("modules", MODULES)):
        assert sorted(p.name for p in (platform.path / PLACE / kind).iterdir()) == sorted(names)
    page = platform.text("docs/how-to/terraform.md")
    named = set(re.findall(r"`(has_\w+|subjects|developers|git_folder|storage_root|is_on)`", page))
    declared = {
        block.labels[0]
        for stack in STACKS
        for block in blocks(platform.path / PLACE / "stacks" / stack, "variable")
    }
    assert named <= declared
    assert {"developers", "git_folder", "has_warehouse"} <= named


def test_variables_are_typed_documented_and_validated(platform: Baked) -> None:
    for folder in sorted((platform.path / PLACE).glob("*/*/")):
        for block in blocks(folder, "variable"):
            where = f"{folder.name}: {block.labels[0]}"
            assert len(block.body["description"]) > 10, where
            assert block.body["type"], where
            if block.body["type"] not in ("bool", "${bool}"):
                rules = block.body["validation"]
                assert all("given" in r["error_message"] or "expected" in r["error_message"]
                           for r in rules), where  # fmt: skip
        for block in blocks(folder, "output"):
            assert block.body["description"], f"{folder.name}: {block.labels[0]}"


def test_modules_are_small(platform: Baked) -> None:
    for file in (platform.path / PLACE).rglob("main.tf"):
        assert len(file.read_text("utf-8").splitlines()) <= 160, file


def test_each_stack_has_a_state_of_its_own_and_an_example_for_each_cloud(platform: Baked) -> None:
    examples = {file.name.partition(".")[0]: parse(file)
                for file in (platform.path / PLACE / "backends").iterdir()}  # fmt: skip
    kinds = {cloud: [*found["terraform"][0]["backend"][0]] for cloud, found in examples.items()}
    assert kinds == {"aws": ["s3"], "azure": ["azurerm"], "gcp": ["gcs"]}
    for found in examples.values():
        (backend,) = found["terraform"][0]["backend"][0].values()
        assert "STACK" in (backend.get("key") or backend["prefix"])
        assert not {"access_key", "secret_key", "sas_token", "credentials"} & backend.keys()
    for name in STACKS:
        (one,) = blocks(platform.path / PLACE / "stacks" / name, "terraform")
        assert "backend" not in one.body  # the copy of an example


def test_no_secret_is_in_a_state(platform: Baked) -> None:
    """Nothing is made that has one, and no variable asks for one."""
    secret = re.compile(r"secret|token|password|credential|private_key|access_key|deploy_key", re.I)
    for folder, kind, _ in resources(platform.path):
        assert not secret.search(kind), f"{folder}: {kind}"
    for place in sorted((platform.path / PLACE).glob("*/*/")):
        for block in blocks(place, "variable"):
            assert not secret.search(block.labels[0]), f"{place.name}: {block.labels[0]}"
    ignored = platform.text(f"{PLACE}/.gitignore").splitlines()
    assert {"*.tfstate", "*.tfstate.*", "*.tfplan", ".terraform/"} <= {*ignored}


def test_what_holds_data_is_not_destroyed(platform: Baked) -> None:
    held = {
        kind
        for _, kind, block in resources(platform.path)
        for lifecycle in block.body.get("lifecycle", [])
        if lifecycle.get("prevent_destroy") is True
    }
    assert held == {"databricks_catalog", "databricks_workspace_binding", "databricks_directory"}


def test_tflint_finds_nothing(cloud: Baked) -> None:
    if not TFLINT:
        pytest.skip("no tflint on the PATH: go install github.com/terraform-linters/tflint@v0.64.0")
    config = cloud.path / PLACE / ".tflint.hcl"
    for folder in sorted((cloud.path / PLACE).glob("*/*/")):
        result = run(TFLINT, f"--config={config}", "--no-color", cwd=folder, **settings())
        assert result.returncode == 0, f"{folder.name}\n{result.stdout}{result.stderr}"


# --- the border ---

# Bundle kinds and the resources of the provider that make the same
# (registry.terraform.io/providers/databricks/databricks/latest/docs/resources).
_RESOURCES = {
    "alerts": ("alert", "alert_v2", "sql_alert"),
    "apps": ("app",),
    "catalogs": ("catalog",),
    "clusters": ("cluster",),
    "dashboards": ("dashboard", "sql_dashboard"),
    "database_catalogs": ("database_database_catalog",),
    "database_instances": ("database_instance",),
    "experiments": ("mlflow_experiment",),
    "external_locations": ("external_location",),
    "instance_pools": ("instance_pool",),
    "jobs": ("job",),
    "model_serving_endpoints": ("model_serving",),
    "models": ("mlflow_model",),
    "pipelines": ("pipeline",),
    "quality_monitors": ("quality_monitor", "lakehouse_monitor"),
    "registered_models": ("registered_model",),
    "schemas": ("schema",),
    "secret_scopes": ("secret_scope", "secret_acl"),
    "sql_warehouses": ("sql_endpoint",),
    "volumes": ("volume",),
}
# What Terraform declares, all of it: a new kind is a decision about the border.
OWNED = {
    "databricks_access_control_rule_set", "databricks_budget_policy", "databricks_catalog",
    "databricks_cluster_policy", "databricks_directory", "databricks_grant",
    "databricks_mws_permission_assignment", "databricks_permissions", "databricks_repo",
    "databricks_service_principal", "databricks_service_principal_federation_policy",
    "databricks_sql_endpoint", "databricks_workspace_binding", "terraform_data",
    "github_actions_environment_variable", "github_actions_repository_permissions",
    "github_actions_variable",
    "github_repository_environment", "github_repository_environment_deployment_policy",
    "github_repository_ruleset", "github_workflow_repository_permissions",
    "gitlab_branch_protection", "gitlab_pipeline_schedule", "gitlab_project_approval_rule",
    "gitlab_project_environment", "gitlab_project_level_mr_approvals",
    "gitlab_project_protected_environment", "gitlab_project_variable",
}  # fmt: skip


def both(root: Path) -> set[str]:
    """The kinds that the bundle and Terraform both declare."""
    declared = {key.partition(".")[0] for target in TARGETS
                for key in read_target(root, target, UNKNOWN_RELEASE).declared}  # fmt: skip
    made = {kind.removeprefix("databricks_") for _, kind, _ in resources(root)}
    return {kind for kind in declared if made & {*_RESOURCES.get(kind, ())}}


def test_nothing_is_declared_in_both(platform: Baked, tmp_path: Path) -> None:
    assert {kind for _, kind, _ in resources(platform.path)} == OWNED
    assert both(platform.path) == set()


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        (f"{PLACE}/modules/catalog/more.tf", 'resource "databricks_schema" "x" {}', {"schemas"}),
        (f"{PLACE}/stacks/prod/more.tf", 'resource "databricks_job" "x" {}', {"jobs"}),
        ("resources/flights/more.yml", "resources: {catalogs: {x: {name: x}}}", {"catalogs"}),
    ],
)
def test_what_is_declared_in_both_is_found(
    file: str, text: str, found: set[str], platform: Baked, tmp_path: Path
) -> None:
    root = tmp_path / "lake"
    shutil.copytree(platform.path, root, ignore=shutil.ignore_patterns(".git"))
    (root / file).write_text(f"{text}\n", encoding="utf-8")
    assert both(root) == found


def test_the_border_knows_every_kind() -> None:
    without = {"genie_spaces", "grants", "job_runs", "permissions"}
    unknown = {kind for kind in KINDS if not kind.startswith(("postgres_", "vector_", "synced_"))}
    assert {*_RESOURCES} - {*KINDS} == set()
    assert unknown - {*_RESOURCES} - without <= {"secrets", "metric_views"}


def test_grants_name_one_principal_each(platform: Baked) -> None:
    """`databricks_grants` has all grants of an object: it would remove those of the bundle."""
    for folder, kind, block in resources(platform.path):
        assert kind != "databricks_grants", folder
        if kind == "databricks_grant":
            assert block.body.keys() & {"schema", "table", "volume"} == set()


# --- the same as `delivery bootstrap` ---


class Known:
    """An API of a forge or a workspace that knows what these tests need."""

    host, account = HOSTS["aws"], ACCOUNT

    def __init__(self, immutable: bool | None = False) -> None:
        self.immutable = immutable

    def get_or_empty(self, path: str) -> Any:
        if path:
            return {} if self.immutable is None else {"use_immutable_subject": self.immutable}
        return {"owner": {"id": 11}, "id": 22}

    def header(self, path: str, name: str) -> str:
        return NUMBER


def needed(
    root: Path, target: str, forge: str, monkeypatch: pytest.MonkeyPatch, **how: Any
) -> Needs:
    """What `delivery bootstrap` would make."""
    address = REPOSITORIES[forge]
    path = address.split("/", 3)[3]
    if forge == "github":
        repository: Any = GitHub("https://api.github.com", path, "token")
        repository.api = Known(**how)
    else:
        repository = GitLab("https://gitlab.com/api/v4", path, "")
    services = (Known(), Service("https://accounts.example.com", "", ACCOUNT))
    monkeypatch.setattr(targets, "current_forge", lambda: None)
    monkeypatch.setattr(targets, "forge_of", lambda project: repository)
    monkeypatch.setattr(targets, "connect_both", lambda host, account: services)
    return targets.connect_needs(root, target, developers=GROUP if target == "dev" else "")


def names_of(root: Path, **values: Any) -> dict[str, Any]:
    """What `modules/names` gives for every target."""
    folder = root / PLACE / "all"
    folder.mkdir()
    modules = {
        target: {"source": "../modules/names", "root": str(root), "target": target, **values,
                 **({"developers": GROUP} if target == "dev" else {})}
        for target in TARGETS
    }  # fmt: skip
    outputs = {target: {"value": f"${{module.{target}}}"} for target in TARGETS}
    text = json.dumps({"module": modules, "output": outputs})
    (folder / "main.tf.json").write_text(text, encoding="utf-8")
    started(folder)
    result = terraform(folder, "apply", "-auto-approve", "-no-color")
    assert result.returncode == 0, result.stderr
    found = json.loads(terraform(folder, "output", "-json").stdout)
    return {target: one["value"] for target, one in found.items()}


def assert_same(names: Mapping[str, Any], needs: Needs) -> None:
    assert names["catalog"] == needs.catalog
    assert names["principals"] == {one.role: one.name for one in needs.principals}
    assert names["users"] == {used.role: user.role for user, used in needs.users}
    grants = {
        what: (one["role"] or one["group"], one["privileges"])
        for what, one in names["grants"].items()
    }
    assert grants == {
        what: (who.role if isinstance(who, Principal) else who, [*privileges])
        for what, who, privileges in needs.grants
    }
    assert (names["folder"] or "") == needs.folder
    assert names["levels"] == {one.role: level for one, level in needs.levels}
    trusts = sorted(
        (one["environment"], one["role"], one["audience"], one["subject"], one["claim"] or "sub")
        for one in names["trusts"].values()
    )
    assert trusts == sorted(
        (one.environment, one.principal.role, one.audience, subject.value, subject.claim)
        for one in needs.trusts
        for subject in one.subjects
    )
    assert {trust.issuer for trust in needs.trusts} <= {names["issuer"]}


@pytest.mark.parametrize("forge", REPOSITORIES)
def test_names_are_those_of_bootstrap_on_each_cloud(
    forge: str, cloud: Baked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(cloud, tmp_path / "lake", forge)
    names = names_of(root)
    assert names.keys() == {*TARGETS}
    for target in TARGETS:
        assert_same(names[target], needed(root, target, forge, monkeypatch))
        merged = read_target(root, target, UNKNOWN_RELEASE)
        assert names[target]["host"] == merged.host
        assert names[target]["accounts_host"] == accounts_host(merged.host)
        assert names[target]["bundle"] == merged.bundle
    bundle = yaml.safe_load((root / "databricks.yml").read_text("utf-8"))["variables"]
    assert names["prod"]["node_type"] == bundle["node_type"]["default"]
    assert names["prod"]["warehouse"] == bundle["warehouse_id"]["lookup"]["warehouse"]


@pytest.mark.parametrize(
    ("subjects", "immutable"), [(["ids"], True), (["names", "ids"], None)], ids=["ids", "both"]
)
def test_subjects_with_ids_are_those_of_bootstrap(
    subjects: list[str], immutable: bool | None, platform: Baked, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    root = copied(platform, tmp_path / "lake")
    names = names_of(root, subjects=subjects, subject_ids={"owner": 11, "repository": 22})
    for target in TARGETS:
        assert_same(names[target], needed(root, target, "github", monkeypatch, immutable=immutable))


def test_a_variable_of_the_target_replaces_the_bundle_s(
    platform: Baked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copied(platform, tmp_path / "lake")
    file = root / "targets/prod.yml"
    document = yaml.safe_load(file.read_text("utf-8"))
    document["targets"]["prod"]["variables"] |= {
        "readers": "analysts", "deploy_root": "/Workspace/Ours/${bundle.name}/${bundle.target}/x",
        "catalog": "lake_of_prod",
    }  # fmt: skip
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    names = names_of(root)
    assert names["prod"]["folder"].startswith("/Workspace/Ours/")
    assert_same(names["prod"], needed(root, "prod", "github", monkeypatch))


# --- with mocked providers ---


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_valid(stack: str, platform: Baked, tmp_path: Path) -> None:
    folder = started(copied(platform, tmp_path / "lake") / PLACE / "stacks" / stack)
    result = terraform(folder, "validate", "-no-color")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("module", MODULES)
def test_a_module_passes_its_own_tests(module: str, platform: Baked, tmp_path: Path) -> None:
    files = [*(platform.path / PLACE / "modules" / module / "tests").glob("*.tftest.hcl")]
    runs = [block for file in files for block in blocks(file.parent, "run", file.name)]
    assert all(block.body.get("assert") or block.body.get("expect_failures") for block in runs)
    assert runs
    folder = started(copied(platform, tmp_path / "lake") / PLACE / "modules" / module)
    code, told = outcome_of(folder)
    assert code == 0, problems(told)
    (summary,) = [one["test_summary"] for one in told if one["type"] == "test_summary"]
    assert summary["passed"] == len(runs)


IDS = {"deployer": 101, "runner": 102, "planner": 103, "previews": 104}


def application_id(role: str) -> str:
    return f"aaaaaaaa-0000-4000-8000-000000000{IDS[role]}"


def _story(target: str, roles: list[str]) -> str:
    """A run with ids of its own for each service principal."""
    given = "".join(
        f"""
  override_resource {{
    target          = module.identities.databricks_service_principal.this["{role}"]
    override_during = plan
    values          = {{ id = "{IDS[role]}", application_id = "{application_id(role)}" }}
  }}"""
        for role in roles
    )
    group = f'\n    developers = "{GROUP}"' if target == "dev" else ""
    return f"""
run "{target}" {{
  command = plan
{given}

  variables {{
    target = "{target}"{group}
  }}
}}
"""


_HEAD = f"""
mock_provider "databricks" {{
  override_during = plan

  mock_resource "databricks_directory" {{
    defaults = {{ object_id = 7 }}
  }}
}}

mock_provider "databricks" {{
  alias           = "account"
  override_during = plan
}}

variables {{
  root                = "../../../.."
  account_id          = "{ACCOUNT}"
  workspace_id        = {NUMBER}
  catalog_is_isolated = false
}}
"""


@pytest.fixture(scope="session")
def plans(platform: Baked, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """What Terraform would make for each target, and from which files."""
    root = copied(platform, tmp_path_factory.mktemp("plans") / "lake")
    folder = root / PLACE / "modules/environment"
    roles = {"preview": ["previews"], "dev": []}
    text = _HEAD + "".join(
        _story(t, roles.get(t, ["deployer", "runner", "planner"])) for t in TARGETS
    )
    shutil.rmtree(folder / "tests")
    (folder / "tests").mkdir()
    (folder / "tests/all.tftest.hcl").write_text(text, encoding="utf-8")
    code, told = outcome_of(started(folder))
    assert code == 0, problems(told)
    return root, planned(told)


def _made(needs: Needs) -> Iterator[tuple[str, Any]]:
    """The parameters of the calls of `delivery bootstrap`, by what they make."""
    for step in needs.steps():
        call = step.blind()
        assert call
        yield step.name, call


def _learned(needs: Needs) -> None:
    for one in needs.principals:
        one.id, one.made = str(IDS[one.role]), application_id(one.role)


@pytest.mark.parametrize("target", TARGETS)
def test_terraform_makes_what_bootstrap_makes(
    target: str, plans: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, planned_runs = plans
    needs = needed(root, target, "github", monkeypatch)
    _learned(needs)
    found = dict(planned_runs[target])
    calls = dict(_made(needs))
    ids, at, folder = (
        "module.identities.databricks",
        "module.catalog.databricks",
        "module.folder[0].databricks",
    )

    def take(address: str) -> Any:
        return found.pop(address)

    for one in needs.principals:
        assert (
            take(f'{ids}_service_principal.this["{one.role}"]')["display_name"]
            == calls[one.role].body["displayName"]
        )
        assigned = take(f'{ids}_mws_permission_assignment.this["{one.role}"]')
        call = calls[f"{one.role} in workspace"]
        assert call.path.endswith(
            f"/workspaces/{assigned['workspace_id']}/permissionassignments/principals/{assigned['principal_id']}"
        )
        assert assigned["permissions"] == call.body["permissions"]
    for user, used in needs.users:
        rules = take(f'{ids}_access_control_rule_set.this["{used.role}"]')
        body = calls[f"{user.role} uses {used.role}"].body
        assert rules["name"] == body["name"]
        assert rules["grant_rules"] == body["rule_set"]["grant_rules"]
    made = take(f"{at}_catalog.this")
    assert made["name"] == calls["catalog"].body["name"]
    bound = take(f"{at}_workspace_binding.this")
    assert calls["catalog binding"].body["add"] == [
        {"workspace_id": bound["workspace_id"], "binding_type": bound["binding_type"]}
    ]
    assert calls["catalog binding"].path.endswith(
        f"/{bound['securable_type']}/{bound['securable_name']}"
    )
    for what, _, _ in needs.grants:
        grant = take(f'{at}_grant.this["{what}"]')
        (change,) = calls[f"grant {what}"].body["changes"]
        assert (grant["principal"], sorted(grant["privileges"])) == (
            change["principal"],
            sorted(change["add"]),
        )
        assert grant["catalog"] == needs.catalog
    if needs.folder:
        assert (
            f"/Workspace{take(f'{folder}_directory.this')['path']}" == calls["folder"].body["path"]
        )
        entries = take(f"{folder}_permissions.this")["access_control"]
        expected = [
            calls[f"folder {one.role}"].body["access_control_list"][0] for one, _ in needs.levels
        ]
        given = [{k: e[k] for k in ("service_principal_name", "permission_level")} for e in entries]
        assert sorted(given, key=str) == sorted(expected, key=str)
    for trust in needs.trusts:
        policy = take(f'{ids}_service_principal_federation_policy.this["{trust.environment}"]')
        call = calls[f"federation {trust.environment}"]
        assert f"/servicePrincipals/{policy['service_principal_id']}/" in call.path
        assert {k: v for k, v in policy["oidc_policy"].items() if v} == call.body["oidc_policy"]
    assert [*found] == ["terraform_data.workspace"], "Terraform makes more than bootstrap"


@pytest.mark.parametrize("target", TARGETS)
def test_imports_take_over_all_that_terraform_makes(
    target: str, plans: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, planned_runs = plans
    needs = needed(root, target, "github", monkeypatch)
    _learned(needs)
    monkeypatch.setattr(Needs, "folder_id", lambda self: "7")
    monkeypatch.setattr(Needs, "policy_id", lambda self, trust, subject: "8")
    things = [Thing(step.name, "present", "") for step in needs.steps()]
    addresses = {one.to.removeprefix("module.environment.") for one in imports_of(needs, things)}
    assert addresses == planned_runs[target].keys() - {"terraform_data.workspace"}


def test_a_number_of_another_workspace_is_refused(bake: Bake, tmp_path: Path) -> None:
    """Bound to another workspace, the catalog would be gone from this one."""
    root = copied(of_cloud(bake, "azure"), tmp_path / "lake")
    folder = root / PLACE / "modules/environment"
    wrong = _HEAD.replace(NUMBER, "99") + _story("dev", [])
    for name, text in (("right", _HEAD + _story("dev", [])), ("wrong", wrong)):
        (folder / f"tests/{name}.tftest.hcl").write_text(text, encoding="utf-8")
    started(folder)
    assert outcome_of(folder, "-filter=tests/right.tftest.hcl")[0] == 0
    code, told = outcome_of(folder, "-filter=tests/wrong.tftest.hcl")
    assert code == 1
    assert f"workspace_id: given 99, expected the number in {HOSTS['azure']}" in problems(told)


def test_without_a_repository_no_pipeline_is_trusted(platform: Baked, tmp_path: Path) -> None:
    root = copied(platform, tmp_path / "lake")
    shutil.copy(platform.path / "delivery.yml", root)
    folder = started(root / PLACE / "modules/names")
    (folder / "tests/unset.tftest.hcl").write_text(
        'run "unset" {\n  command = plan\n\n  variables {\n    root   = "../../../.."\n'
        '    target = "prod"\n  }\n}\n',
        encoding="utf-8",
    )
    code, told = outcome_of(folder, "-filter=tests/unset.tftest.hcl")
    assert code == 1
    assert "set project.url and project.forge in delivery.yml" in problems(told)


def test_an_admin_s_token_is_sent_to_no_other_host(platform: Baked, tmp_path: Path) -> None:
    root = copied(platform, tmp_path / "lake")
    file = root / "targets/prod.yml"
    text = file.read_text("utf-8").replace(HOSTS["aws"], "https://lake.example.com")
    file.write_text(text, encoding="utf-8")
    folder = started(root / PLACE / "modules/names")
    code, told = outcome_of(folder, "-filter=tests/names.tftest.hcl")
    assert code == 1
    assert "an admin's token is sent to no other host" in " ".join(problems(told).split())
