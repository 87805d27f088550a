"""A small project for the delivery tool to work on."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.baking import TEMPLATE

TOOL = TEMPLATE / "tools/delivery/src"

FILES = {
    "databricks.yml": """\
bundle:
  name: demo
include:
  - targets/*.yml
  - resources/*/*.yml
variables:
  catalog:
    description: The catalog.
  owner:
    default: team@example.com
  deployer:
    description: Who deploys.
  runner:
    description: Who the jobs run as.
  planner:
    description: Who may only read.
  release:
    description: The release.
""",
    "targets/dev.yml": """\
targets:
  dev:
    default: true
    variables:
      catalog: demo_dev
      deployer: ""
      runner: ""
      planner: ""
""",
    "targets/staging.yml": """\
targets:
  staging:
    mode: production
    workspace:
      host: https://staging.example.com
      root_path: /Workspace/Deployments/demo/${bundle.target}
      file_path: ${workspace.root_path}/releases/${var.release}/files
    variables:
      catalog: demo_staging
      deployer: deployer-of-staging
      runner: runner-of-staging
      planner: planner-of-staging
    presets:
      trigger_pause_status: PAUSED
""",
    "targets/prod.yml": """\
targets:
  prod:
    mode: production
    workspace:
      host: https://prod.example.com
      root_path: /Workspace/Deployments/demo/${bundle.target}
      file_path: ${workspace.root_path}/releases/${var.release}/files
    variables:
      catalog: demo_prod
      deployer: deployer-of-prod
      runner: runner-of-prod
      planner: planner-of-prod
    presets:
      trigger_pause_status: UNPAUSED
""",
    "targets/identity.yml": """\
bundle:
  uuid: 7d2c1a52-4a3f-4a2e-9f0b-0a4f4c1f7a11
""",
    "resources/shop/schema.yml": """\
resources:
  schemas:
    shop_gold:
      catalog_name: ${var.catalog}
      name: shop_gold
""",
    "resources/shop/job.yml": """\
resources:
  jobs:
    shop_daily:
      name: shop_daily
      environments:
        - environment_key: default
      tasks:
        - task_key: count
          environment_key: default
          depends_on:
            - task_key: load
          python_wheel_task:
            package_name: app
            entry_point: app
            named_parameters:
              task: shop.count
              catalog: ${var.catalog}
        - task_key: load
          environment_key: default
          python_wheel_task:
            package_name: app
            entry_point: app
            named_parameters:
              task: shop.load
              catalog: ${var.catalog}
              schema: ${resources.schemas.shop_gold.name}
      tags: {project: demo, domain: shop}
      email_notifications: {on_failure: ["${var.owner}"]}
      run_as: {service_principal_name: "${var.runner}"}
      timeout_seconds: 1200
""",
    "pyproject.toml": """\
[project]
name = "app"
scripts = { app = "app.entry:main" }
""",
    "src/app/__init__.py": "",
    "src/app/shop/__init__.py": "",
    "src/app/entry.py": """\
import importlib


def run(task: str, catalog: str, **others: str):
    domain, _, name = task.partition(".")
    return getattr(importlib.import_module(f"app.{domain}.tasks"), name)(catalog, **others)
""",
    "src/app/shop/tasks.py": """\
from types import SimpleNamespace as Value


def load(tables, schema: str, *, speed: str = "fast"):
    print("loading", schema)
    change = Value(table="bronze.x", rows=2, inserted=2, updated=0, deleted=0, changed=True)
    return Value(changes=[change], text=f"loaded [into] {tables}.{schema}")


def count(tables):
    change = Value(table="gold.x", rows=2, inserted=0, updated=0, deleted=0, changed=False)
    return Value(changes=[change], text="")


def _helper():
    pass
""",
    "delivery.yml": """\
project:
  name: Demo
  compute: serverless
  url: https://example.com/team/demo
branches:
  integration: main
  targets:
    staging: main
    prod: release
  prefixes: [feature, fix]
verify:
  jobs:
    shop: shop_daily
may_differ: [bundle.target, presets.trigger_pause_status, variables.*, workspace.host]
""",
}

Edit = Callable[[str, str, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tool warns of nothing."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


@pytest.fixture(autouse=True)
def _programs_find_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TOOL))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The small project, in a git repository of its own, as the working directory."""
    root = tmp_path / "demo"
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    for name in ("GITHUB_HEAD_REF", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_BRANCH"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    monkeypatch.syspath_prepend(str(root / "src"))
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "app"]:
        del sys.modules[name]


@pytest.fixture
def edit(project: Path) -> Edit:
    """Replace a text that stands in a file of the project."""

    def replace(name: str, old: str, new: str) -> None:
        text = (project / name).read_text(encoding="utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new), encoding="utf-8")

    return replace


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)
