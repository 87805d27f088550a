"""The real Databricks CLI, offline: no complaint, and it reads the bundle as our loader does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from fake_workspace import Workspace
from harness.baking import MAXIMAL, Baked, run
from harness.guide_examples import add_examples

TARGETS = ("dev", "preview", "staging", "prod")
OPTION_SETS = [{}, {"compute": "classic"}, MAXIMAL]
JOB = "resources/flights/job.yml"
VOLUMES = "resources/flights/volumes.yml"
NO_CREDENTIALS = "cannot configure default credentials"
LOADED = """
import json, sys
from pathlib import Path
from delivery.config.bundle import load_bundle
bundle = load_bundle(Path())
print(json.dumps({"files": bundle.files, "tree": bundle.tree_for_target(sys.argv[1])}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_cli,
    pytest.mark.skipif(
        shutil.which("databricks") is None,
        reason="REAL CLI NOT TESTED: databricks is not on the PATH",
    ),
]


@pytest.fixture(params=OPTION_SETS, ids=["default", "classic", "maximal"])
def project(request: pytest.FixtureRequest, bake: Bake, tmp_path: Path) -> Baked:
    return offline(bake(**request.param), tmp_path)


def offline(project: Baked, folder: Path, host: str = "https://nowhere.invalid") -> Baked:
    """A copy whose workspaces are nowhere, or at `host`: no call leaves the machine."""
    copy = Baked(folder / "copy", project.answers)
    shutil.copytree(project.path, copy.path)
    for file in (copy.path / "targets").glob("*.yml"):
        text = re.sub(r'host: "https://[^"]*"', f'host: "{host}"', file.read_text("utf-8"))
        file.write_text(text, encoding="utf-8")
    return copy


def validate(project: Path, target: str, home: Path) -> subprocess.CompletedProcess[str]:
    """What the CLI says without credentials."""
    command = ("databricks", "bundle", "validate", "--target", target, "--output", "json")
    return run(
        *command,
        cwd=project,
        HOME=str(home),
        DATABRICKS_CONFIG_FILE="/dev/null",
        DATABRICKS_CLI_DISABLE_TELEMETRY="1",
    )


@pytest.mark.parametrize("target", TARGETS)
def test_the_cli_has_nothing_to_say_but_that_it_is_offline(
    project: Baked, target: str, tmp_path: Path
) -> None:
    output = validate(project.path, target, tmp_path).stderr
    complaints = [line for line in output.splitlines() if line.startswith(("Warning", "Error"))]
    assert len(complaints) == 1, output
    assert NO_CREDENTIALS in complaints[0]


@pytest.mark.parametrize("target", TARGETS)
def test_our_loader_reads_the_bundle_as_the_cli_does(
    project: Baked, target: str, tmp_path: Path
) -> None:
    theirs: dict[str, Any] = json.loads(validate(project.path, target, tmp_path).stdout)
    result = project.python("-c", LOADED, target)
    assert result.returncode == 0, result.stderr
    ours = json.loads(result.stdout)
    assert ours["files"][1:] == theirs["include"]
    for key in ("resources", "run_as", "permissions"):
        assert ours["tree"].get(key) == theirs.get(key), key
    assert ours["tree"]["sync"]["include"] == theirs["sync"]["include"]
    for key, value in ours["tree"]["workspace"].items():
        assert theirs["workspace"][key] == value


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        (JOB, "                - &tables\n  ", "                &tables\n  ", "map merge requires"),
        (VOLUMES, "    flights_landing:", "    flights_bronze:", "same key"),
        (VOLUMES, "      comment:", "       comment:", "yaml"),
        ("databricks.yml", "  - release*.yml", "  - release.yml", "does not match any files"),
    ],
    ids=["an inline merge", "a key of two kinds", "indentation", "an include of nothing"],
)
def test_what_the_cli_refuses_is_found_before_it(
    name: str, old: str, new: str, expected: str, bake: Bake, tmp_path: Path
) -> None:
    copy = offline(bake(), tmp_path)
    text = copy.text(name)
    assert old in text
    (copy.path / name).write_text(text.replace(old, new), encoding="utf-8")
    ours = copy.python("-m", "delivery", "check", "--only", "include", "--only", "reference")
    theirs = validate(copy.path, "dev", tmp_path)
    assert ours.returncode == 1
    assert NO_CREDENTIALS not in theirs.stderr
    assert expected in theirs.stderr


def test_two_stars_reach_one_level_for_both(bake: Bake, tmp_path: Path) -> None:
    copy = offline(bake(), tmp_path)
    text = copy.text("databricks.yml").replace("resources/*/*.yml", "resources/**/*.yml")
    (copy.path / "databricks.yml").write_text(text, encoding="utf-8")
    deep = copy.path / "resources/flights/deep/x.yml"
    deep.parent.mkdir()
    deep.write_text("resources: {}\n", encoding="utf-8")
    theirs = json.loads(validate(copy.path, "dev", tmp_path).stdout)
    assert "resources/flights/job.yml" in theirs["include"]
    assert "resources/flights/deep/x.yml" not in theirs["include"]
    assert copy.python("-m", "delivery", "check", "--only", "include").returncode == 1


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("answers", [{}, MAXIMAL], ids=["default", "maximal"])
def test_strict_validation_in_a_workspace_has_no_warning(
    answers: dict[str, str], target: str, bake: Bake, tmp_path: Path
) -> None:
    with Workspace() as workspace:
        project = offline(bake(**answers), tmp_path, workspace.url)
        add_examples(project.path)
        for made in ("dist/x.whl", "requirements.txt"):  # by `make wheel`, or by a release
            (project.path / made).parent.mkdir(exist_ok=True)
            (project.path / made).touch()
        variables = ("--var", "release=2026.11.23-g01234567", "--var", "wheel=x.whl")
        options = () if target == "dev" else variables
        result = run(
            *("databricks", "bundle", "validate", "--strict", "--target", target, *options),
            cwd=project.path,
            HOME=str(tmp_path),
            DATABRICKS_HOST=workspace.url,
            DATABRICKS_TOKEN=workspace.token("admin"),
            DATABRICKS_CLI_DISABLE_TELEMETRY="1",
        )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Warning" not in result.stdout + result.stderr
    assert "Validation OK!" in result.stdout


def test_a_prefix_of_a_developer_is_in_the_names_of_all(bake: Bake, tmp_path: Path) -> None:
    with Workspace() as workspace:
        project = offline(bake(), tmp_path, workspace.url)
        page = project.text("docs/environments.md")
        (block,) = re.findall(r"```yaml\n(# targets/dev\.yml\n.*?)```", page, re.DOTALL)
        preset = next(line for line in block.splitlines() if "name_prefix" in line)
        file = project.path / "targets/dev.yml"
        text = file.read_text(encoding="utf-8").replace(
            "    presets:\n", f"    presets:\n{preset}\n"
        )
        file.write_text(text, encoding="utf-8")
        assert project.python("-m", "delivery", "check").returncode == 0
        result = run(
            *("databricks", "bundle", "validate", "--output", "json"),
            cwd=project.path,
            HOME=str(tmp_path),
            DATABRICKS_HOST=workspace.url,
            DATABRICKS_TOKEN=workspace.token("admin"),
            DATABRICKS_CLI_DISABLE_TELEMETRY="1",
        )
    assert result.returncode == 0, result.stderr
    tree = json.loads(result.stdout)
    user = tree["workspace"]["current_user"]["short_name"]
    resources = tree["resources"]
    assert resources["jobs"]["flights_daily"]["name"] == f"[{user} late] flights_daily"
    assert resources["alerts"]["flights_late"]["display_name"] == f"[{user} late] flights_late"
    names = {schema["name"] for schema in resources["schemas"].values()}
    assert names == {
        f"{user}_late_flights_{layer}" for layer in ("bronze", "silver", "gold", "ops")
    }
    code = json.dumps([*resources["jobs"].values(), resources["dashboards"], resources["alerts"]])
    assert not re.search(r"\bflights_(bronze|silver|gold|ops)\b(?!\.name)", code)
