"""Terraform configuration: parsed, and run where Terraform and its providers are here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
import pytest

from harness.baking import Baked, run

PLACE = "infra/terraform"
TERRAFORM, TFLINT = shutil.which("terraform"), shutil.which("tflint")
PROVIDERS = {"databricks": "databricks/databricks", "github": "integrations/github",
             "gitlab": "gitlabhq/gitlab"}  # fmt: skip
REPOSITORIES = {
    "github": "https://github.com/team/lakehouse",
    "gitlab": "https://gitlab.com/team/sub/lakehouse",
}
_RUN_HERE = "no Terraform 1.11 or newer on the PATH"
_CLI_CONFIG = "TF_CLI_CONFIG_FILE"  # names a mirror of providers on this machine


# --- parsed ---


@dataclass(frozen=True)
class Block:
    """A block: its kind, its labels and its content."""

    kind: str
    labels: tuple[str, ...]
    body: Mapping[str, Any]


def plain(value: Any) -> Any:
    """What the parser gives, without the quotes and the notes that it keeps."""
    if isinstance(value, dict):
        return {_bare(k): plain(v) for k, v in value.items() if not k.startswith("__")}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return _bare(value) if isinstance(value, str) else value


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def parse(file: Path) -> dict[str, Any]:
    """A file of HCL.

    Raises:
        AssertionError: it does not parse.
    """
    try:
        found: dict[str, Any] = plain(hcl2.loads(file.read_text(encoding="utf-8")))
    except Exception as error:
        raise AssertionError(f"{file}: {error}") from error
    return found


_LABELS = {"resource": 2, "data": 2, "variable": 1, "output": 1, "module": 1, "provider": 1,
           "mock_provider": 1, "run": 1}  # fmt: skip


def blocks(folder: Path, kind: str, pattern: str = "*.tf") -> Iterator[Block]:
    """The blocks of a kind in the files of a folder."""
    for file in sorted(folder.glob(pattern)):
        for found in parse(file).get(kind, []):
            labels: list[str] = []
            for _ in range(_LABELS.get(kind, 0)):
                ((label, found),) = found.items()
                labels.append(label)
            yield Block(kind, tuple(labels), found)


def resources(root: Path) -> Iterator[tuple[str, str, Block]]:
    """The module, the type and the block of every resource."""
    for folder in sorted((root / PLACE).glob("*/*/")):
        for block in blocks(folder, "resource"):
            yield folder.name, block.labels[0], block


def copied(project: Baked, folder: Path, forge: str = "github") -> Path:
    """The files that Terraform reads, as a team has them after the first day."""
    for name in ("databricks.yml", "delivery.yml", "targets", PLACE):
        source, copy = project.path / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    policy = (folder / "delivery.yml").read_text("utf-8")
    policy = policy.replace('url: ""', f'url: "{REPOSITORIES[forge]}"', 1)
    (folder / "delivery.yml").write_text(policy, encoding="utf-8")
    return folder


# --- run ---


def settings() -> dict[str, str]:
    """The environment of Terraform: no look for updates, and the mirror that this machine has."""
    given = os.environ.get(_CLI_CONFIG, "")
    mirror = {_CLI_CONFIG: given if Path(given).is_file() else os.devnull}
    return {
        **mirror,
        "CHECKPOINT_DISABLE": "1",
        "TF_INPUT": "0",
        "TFLINT_DISABLE_VERSION_CHECK": "1",
    }


def terraform(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder; skips where it is not there."""
    if not TERRAFORM:
        pytest.skip(_RUN_HERE)
    return run(TERRAFORM, *arguments, cwd=folder, **{**settings(), **changes})


def started(folder: Path) -> Path:
    """A folder after `init`; skips where a provider cannot be had."""
    result = terraform(folder, "init", "-backend=false", "-no-color")
    missing = re.search(r"query available provider packages|for\s+provider\s+(\S+)", result.stderr)
    if result.returncode and missing:
        used = [name for name in PROVIDERS if PROVIDERS[name] in result.stderr]
        pytest.skip(
            f"no provider {', '.join(used)} on this machine: name a mirror in {_CLI_CONFIG}"
        )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def outcome_of(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run `terraform test`; gives its exit code and what it tells."""
    result = terraform(folder, "test", "-json", "-verbose", *arguments)
    told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.returncode, told


def problems(told: list[dict[str, Any]]) -> str:
    """What failed, in words."""
    lines = [one["diagnostic"] for one in told if one["type"] == "diagnostic"]
    return "\n".join(f"{one['summary']}: {one.get('detail', '')}" for one in lines)


def planned(told: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The values of each planned resource, by run and address."""
    return {
        one["@testrun"]: {
            change["address"]: change["change"]["after"]
            for change in one["test_plan"].get("resource_changes", [])
        }
        for one in told
        if one["type"] == "test_plan"
    }
