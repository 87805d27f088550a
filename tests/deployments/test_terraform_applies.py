"""The real provider on the emulated workspace: in which order it works, and what it takes over.

The account's half needs an address of Databricks; it is planned with a mocked provider only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_workspace import catalog, wire
from fake_workspace.identities import ORG_ID, Identity
from harness.baking import TEMPLATE
from harness.delivering import Sandbox
from harness.fake_forge import Forge
from harness.terraform import PLACE, started, terraform

from .test_bootstrap import (  # the fixtures
    ROLES,
    bootstrap,
    empty,
    fake_programs,
    forge,
    generated,
    imported,
    principal,
    ready,
    with_stack,
)

if TYPE_CHECKING:
    from fake_workspace import Workspace
    from fake_workspace.wire import Json, Request

pytestmark = pytest.mark.slow
__all__ = ["empty", "fake_programs", "forge", "generated", "ready"]

CATALOGS = "/api/2.1/unity-catalog/catalogs"


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the provider calls beside the tool.

    A new catalog has a schema `default`, which the provider removes; it also lists all catalogs:
    docs.databricks.com/api/workspace/catalogs.
    """

    def create(workspace: Workspace, request: Request) -> Json:
        made = catalog._create_above(workspace, request, "catalogs", request.json)
        name = f"{made['name']}.default"
        owner = {"owner": request.caller.principal}
        catalog.store(workspace, "schemas")[name] = {"full_name": name, **owner}
        workspace.created("schemas", name)
        return made

    def listed(workspace: Workspace, request: Request) -> Json:
        return {
            "catalogs": [{"name": n} for n in workspace.catalogs if catalog._is_bound(workspace, n)]
        }

    monkeypatch.setitem(wire._exact, ("POST", CATALOGS), (create, False))
    monkeypatch.setitem(wire._exact, ("GET", CATALOGS), (listed, False))


def stack(folder: Path, sandbox: Sandbox) -> Path:
    """A stack with the modules of the workspace, under the addresses of a project."""
    modules = f"{TEMPLATE}/{PLACE}/modules"
    environment = folder / "environment"
    environment.mkdir()
    names = {role: f"{sandbox.name}-staging-{role}" for role in ROLES}
    ids = {role: sandbox.workspace.identity(name).application_id for role, name in names.items()}
    levels = dict(zip(ROLES, ("CAN_MANAGE", "CAN_READ", "CAN_READ"), strict=True))
    grants = [f'{role} = {{ principal = "{number}", privileges = ["USE_CATALOG"'
              + (', "CREATE_SCHEMA"' if role == "deployer" else "") + "] }"
              for role, number in ids.items()]  # fmt: skip
    grants.append('readers = { principal = "account users", privileges = ["USE_CATALOG"] }')
    entries = [f'{role} = {{ application_id = "{ids[role]}", level = "{level}" }}'
               for role, level in levels.items()]  # fmt: skip
    lines = "\n    ".join
    (environment / "main.tf").write_text(f"""
variable "is_isolated" {{
  type = bool
}}

module "catalog" {{
  source       = "{modules}/catalog"
  name         = "{sandbox.name.replace("-", "_")}_staging"
  workspace_id = {ORG_ID}
  is_isolated  = var.is_isolated
  grants = {{
    {lines(grants)}
  }}
}}

module "folder" {{
  source = "{modules}/folder"
  count  = 1
  path   = "{sandbox.root("staging")}"
  levels = {{
    {lines(entries)}
  }}
}}
""", encoding="utf-8")  # fmt: skip
    (folder / "main.tf").write_text("""
terraform {
  required_providers {
    databricks = { source = "databricks/databricks" }
  }
}

variable "is_isolated" {
  type    = bool
  default = true
}

module "environment" {
  source      = "./environment"
  is_isolated = var.is_isolated
}
""", encoding="utf-8")  # fmt: skip
    return started(folder)


def run(folder: Path, sandbox: Sandbox, *arguments: str) -> str:
    """Run Terraform as the admin."""
    identity = {
        "DATABRICKS_HOST": sandbox.workspace.url,
        "DATABRICKS_TOKEN": sandbox.workspace.token("owner"),
        "HOME": str(folder),
    }
    result = terraform(folder, *arguments, "-no-color", **identity)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_two_applies_make_what_bootstrap_looks_for(
    empty: Sandbox, provider: None, tmp_path: Path
) -> None:
    for role in ROLES:
        empty.workspace.add_identity(
            Identity(f"{empty.name}-staging-{role}", application_id=f"id-of-{role}")
        )
    (tmp_path / "x").mkdir()
    folder, name = stack(tmp_path / "x", empty), f"{empty.name.replace('-', '_')}_staging"
    run(folder, empty, "apply", "-auto-approve", "-var=is_isolated=false")
    bound = [{"workspace_id": int(ORG_ID), "binding_type": "BINDING_TYPE_READ_WRITE"}]
    assert empty.workspace.bindings[name] == bound
    assert empty.workspace.catalogs[name]["isolation_mode"] == "OPEN"
    run(folder, empty, "apply", "-auto-approve")
    assert empty.workspace.catalogs[name]["isolation_mode"] == "ISOLATED"
    assert empty.workspace.bindings[name] == bound
    assert "No changes." in run(folder, empty, "plan")
    missing = [line for line in bootstrap(empty, code=2).out.splitlines() if line.startswith("✗")]
    here = re.compile(r"✗ (catalog|grant|folder)")
    assert [line for line in missing if here.match(line)] == []


def test_what_bootstrap_made_is_taken_over_and_not_made_again(
    ready: Sandbox, provider: None, forge: Forge, tmp_path: Path
) -> None:
    with_stack(ready)
    (tmp_path / "x").mkdir()
    folder = stack(tmp_path / "x", ready)
    of_workspace = re.compile(r"module\.environment\.module\.(catalog|folder)")
    found = {to: number for to, number in imported(ready).items() if of_workspace.match(to)}
    assert len(found) == 8
    blocks = bootstrap(ready, "--imports", code=0).out.split("\n\n")
    text = "\n\n".join(block for block in blocks if of_workspace.search(block))
    (folder / "imports.tf").write_text(text, encoding="utf-8")
    plan = run(folder, ready, "plan")
    assert re.search(r"^Plan: 8 to import, 0 to add, \d+ to change, 0 to destroy\.$", plan, re.M), (
        plan
    )
    run(folder, ready, "apply", "-auto-approve")
    assert "No changes." in run(folder, ready, "plan")
    text = bootstrap(ready, code=0).out
    assert "nothing to do" in text
    assert principal(ready, "deployer").application_id in text
