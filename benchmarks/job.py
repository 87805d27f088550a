"""The parameters of a job's tasks, from its YAML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from benchmarks.errors import FailedError

CATALOG = "benchmark"
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")

Parameters = dict[str, str]


def task_parameters(project: Path, job: str) -> list[Parameters]:
    """The named parameters of each task, in the order of the file, with references resolved.

    Raises:
        FailedError: something that the job needs is not declared.
    """
    tree = _resources(project)
    try:
        tasks = tree["resources"]["jobs"][job]["tasks"]
        wheels = [task["python_wheel_task"]["named_parameters"] for task in tasks]
        return [{name: _resolve(text, tree) for name, text in wheel.items()} for wheel in wheels]
    except KeyError as error:
        raise FailedError(f"job {job}: {error} is not declared") from None


def _resources(project: Path) -> dict[str, Any]:
    """The content of the bundle, with the one variable that tasks refer to."""
    kinds: dict[str, dict[str, Any]] = {}
    for file in sorted(project.glob("resources/*/*.yml")):
        for kind, entries in yaml.safe_load(file.read_text(encoding="utf-8"))["resources"].items():
            kinds.setdefault(kind, {}).update(entries)
    return {"resources": kinds, "var": {"catalog": CATALOG}}


def _resolve(text: str, tree: dict[str, Any]) -> str:
    return _REFERENCE.sub(lambda reference: _look_up(reference[1], tree), text)


def _look_up(path: str, tree: dict[str, Any]) -> str:
    found: Any = tree
    for key in path.split("."):
        found = found[key]
    return str(found)
