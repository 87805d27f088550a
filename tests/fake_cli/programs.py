"""What the real CLI starts because configuration says so: with it, tests see what got through."""

import os
import subprocess
from pathlib import Path
from typing import Any

from delivery.config.yaml import YamlMapping


def start(root: Path, tree: YamlMapping) -> None:
    """Run scripts, builds and another engine, each with the whole environment."""
    about = tree.section("bundle")
    if about.get("engine") == "terraform" and about.section("terraform").get("exec_path"):
        _run(root, [str(about.section("terraform")["exec_path"]), "version"])
    if "DATABRICKS_BUNDLE_RESTRICTED_CODE_EXECUTION" not in os.environ:
        for script in tree.section("experimental").section("scripts").values():
            _run(root, ["sh", "-c", str(script)])
    for artifact in tree.section("artifacts").values():
        if isinstance(artifact, YamlMapping) and artifact.get("build"):
            _run(root, ["sh", "-c", str(artifact["build"])])
    if "artifacts" not in tree and (root / "setup.py").exists() and _has_local_library(tree):
        _run(root, ["python3", "setup.py", "bdist_wheel"])


def _run(root: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=root, check=False, capture_output=True)


def _has_local_library(tree: YamlMapping) -> bool:
    """Whether a job names a wheel of this folder."""
    return any(
        "whl" in text and text.startswith(".") for text in _string_values(tree.get("resources"))
    )


def _string_values(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for entry in value.values() for text in _string_values(entry)]
    if isinstance(value, list):
        return [text for entry in value for text in _string_values(entry)]
    return [value] if isinstance(value, str) else []
