"""Bundles from the models of every kind: valid ones, and ones with a single changed node."""

from __future__ import annotations

import copy
import functools
import importlib
import random
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from delivery.config.model import without_variable
from delivery.resources import KINDS

_DEPTH = 4
# Fields with a form of their own: files, times, ids.
_TEXTS = {
    "quartz_cron_expression": "0 0 6 * * ?",
    "quartz_cron_schedule": "0 0 6 * * ?",
    "timezone_id": "UTC",
    "url": "https://example.com/x",
}
_LEFT_OUT = {
    # Files, which other cases have.
    "file_path", "source_code_path", "notebook_path", "python_file", "path", "project_directory",
    "command_path", "code_source_path", "requirements", "jar", "whl", "egg", "main_python_file",
    "root_path", "notebook", "file", "glob", "libraries", "dependencies", "workspace_path",
    "include", "workspace",
    # What the CLI sets, or knows by itself.
    "deployment", "etag", "lifecycle", "deployment_id", "version_id", "triggers",
    "idempotency_token", "serialized_dashboard", "serialized_space",
    # They refer to something else in the bundle.
    "job_cluster_key", "environment_key", "depends_on", "for_each_task", "git_source",
    "run_as", "permissions", "grants", "experiment",
}  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 7, 1.5, "", "text", "7", "true", "yes", "1.5", [], ["a"], [1, {}],
    {}, {"a": "b"}, "${var.known}", "${HOME}", "{{job.id}}",
)  # fmt: skip


def model_of(kind: str) -> type | None:
    """The class of a kind in `databricks-bundles`."""
    if not KINDS[kind].model:
        return None
    module = importlib.import_module(f"databricks.bundles.{kind}")
    found: type = getattr(module, KINDS[kind].model)
    return found


@functools.cache
def known_names() -> frozenset[str]:
    """The fields and the choices of all models."""
    found: set[str] = set()
    for kind in kinds():
        models = importlib.import_module(f"databricks.bundles.{kind}")
        for model in vars(models).values():
            if is_dataclass(model):
                found |= {field.name for field in fields(model)}
            elif isinstance(model, type) and issubclass(model, Enum):
                found |= {str(member.value) for member in model}
    return frozenset(found)


def kinds() -> list[str]:
    """The kinds that have a model."""
    return [kind for kind in KINDS if model_of(kind)]


def value_of(type_: Any, dice: random.Random, name: str = "", depth: int = 0) -> Any:
    """A valid value of a type."""
    type_ = without_variable(type_)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is list:
        return [value_of(arguments[0], dice, name, depth + 1)]
    if origin is dict:
        return {"key": value_of(arguments[1], dice, name, depth + 1)}
    if is_dataclass(type_):
        return fields_of(type_, dice, depth + 1)  # type: ignore[arg-type]
    if isinstance(type_, type) and issubclass(type_, Enum):
        return str(dice.choice(list(type_)).value)
    values = {
        bool: dice.random() < 0.5,
        int: dice.randrange(1, 100),
        float: dice.randrange(100) / 4,
    }
    return values.get(type_, _TEXTS.get(name, f"text_{dice.randrange(1000)}"))


def fields_of(model: type, dice: random.Random, depth: int = 0) -> dict[str, Any]:
    """The required fields of a model, and some of the others."""
    hints = get_type_hints(model)
    chosen = {}
    for field in fields(model):
        required = field.default is MISSING and field.default_factory is MISSING
        some = depth < _DEPTH and dice.random() < (0.5 if depth < 2 else 0.25)
        if required or (some and field.name not in _LEFT_OUT):
            chosen[field.name] = value_of(hints[field.name], dice, field.name, depth)
    return chosen


def resource_of(kind: str, dice: random.Random) -> dict[str, Any]:
    """A valid resource of a kind."""
    model = model_of(kind)
    assert model
    made = fields_of(model, dice)
    if kind == "jobs":
        made["tasks"] = [task_of(dice, "one"), task_of(dice, "two")]
        made["tasks"][1]["depends_on"] = [{"task_key": "one"}]
        spec = {"environment_version": "4"}
        made["environments"] = [{"environment_key": "default", "spec": spec}]
    if kind == "apps":
        made["source_code_path"] = "."
    if kind == "dashboards":
        made["file_path"] = "./chart.lvdash.json"
    return made


def task_of(dice: random.Random, key: str, *, inner: bool = False) -> dict[str, Any]:
    """A valid task of a random kind."""
    work: dict[str, Any] = copy.deepcopy(dice.choice(_WORK))
    if not inner and dice.random() < 0.2:
        task = task_of(dice, f"{key}_each", inner=True)
        return {"task_key": key, "for_each_task": {"inputs": "[1, 2]", "task": task}}
    needs_compute = not {*work} & {"sql_task", "pipeline_task", "run_job_task", "condition_task"}
    if needs_compute:
        work["environment_key"] = "default"
    others = {"description": "text", "timeout_seconds": 60, "max_retries": 1, "disabled": False}
    chosen = {name: value for name, value in others.items() if dice.random() < 0.3}
    return {"task_key": key, **chosen, **work}


_WORK: tuple[dict[str, Any], ...] = (
    {"notebook_task": {"notebook_path": "/Workspace/one", "base_parameters": {"a": "b"}}},
    {"python_wheel_task": {"package_name": "other", "entry_point": "main", "parameters": ["x"]}},
    {"spark_python_task": {"python_file": "/Workspace/one.py", "parameters": ["x"]}},
    {"spark_jar_task": {"main_class_name": "com.example.Main", "parameters": ["x"]}},
    {"sql_task": {"query": {"query_id": "1"}, "warehouse_id": "w", "parameters": {"a": "b"}}},
    {"pipeline_task": {"pipeline_id": "1", "full_refresh": False}},
    {"run_job_task": {"job_id": 1, "job_parameters": {"a": "b"}}},
    {"condition_task": {"op": "EQUAL_TO", "left": "1", "right": "2"}},
    {"dbt_task": {"project_directory": "/Workspace/dbt", "commands": ["dbt run"]}},
)


def changed(resource: dict[str, Any], dice: random.Random) -> tuple[dict[str, Any], str]:
    """The resource with one node changed, and what was done to it."""
    made = copy.deepcopy(resource)
    nodes = list(_nodes(made))
    if not nodes:
        return {"nothing_of_that_name": "x"}, "a field of nothing"
    holder, key, path = dice.choice(nodes)
    what = dice.choice(("odd", "odd", "odd", "odd", "remove", "unknown", "misspell"))
    if what == "odd" or not isinstance(holder, dict):
        value = dice.choice(ODD_VALUES)
        holder[key] = copy.deepcopy(value)
        return made, f"{path} = {value!r}"
    if what == "remove":
        del holder[key]
        return made, f"{path} removed"
    if what == "unknown":
        holder["nothing_of_that_name"] = "x"
        return made, f"a field beside {path}"
    holder[f"{key}s"] = holder.pop(key)
    return made, f"{path} misspelt"


def _nodes(value: Any, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(entries):
        below = f"{path}.{key}"
        yield value, key, below
        if isinstance(entry, dict | list):
            yield from _nodes(entry, below)
