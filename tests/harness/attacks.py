"""Ways to make the Databricks CLI send a credential away, or run what is not ours.

Each is a place times what is said there. A place is a file that YAML stands in; what is said is
about one target. Everything names one address, at which a test listens, and one program, which
leaves a mark.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

Files = dict[str, bytes]
Place = Callable[[Files, dict[str, Any]], None]


@dataclass(frozen=True)
class Aim:
    """What an attack is after.

    Attributes:
        target: the target it is about.
        host: an address that is nobody's workspace.
        program: a program that must not run.
    """

    target: str
    host: str
    program: str


# --- places ---


def _file(name: str, *patterns: str) -> Place:
    """A file, and the patterns of `include` that reach it."""

    def put(files: Files, values: dict[str, Any]) -> None:
        files[name] = json.dumps(values).encode()  # JSON is YAML
        include(files, *patterns)

    return put


def include(files: Files, *patterns: str) -> None:
    """Add patterns to the root file, the last: what is read last wins."""
    text = files["databricks.yml"].decode()
    lines = "".join(f"  - '{pattern}'\n" for pattern in patterns)
    last = "  - release*.yml\n"
    assert last in text
    files["databricks.yml"] = text.replace(last, last + lines, 1).encode()


HIDDEN: dict[str, Place] = {
    "hidden folder": _file("resources/.x/y.yml"),
    "hidden file": _file("resources/flights/.y.yml"),
    "hidden target": _file("targets/.zz.yml"),
    "hidden release": _file(".release/zz.yml", "*/zz.yml"),
    "negated class": _file("src/b.yml", "src/[^a].yml"),
    "class with !": _file("src/b.yml", "src/[!x].yml", "src/[b!].yml"),
    "escape": _file("src/b.yml", "src/\\b.yml"),
    "second root file": _file("bundle.yml"),
    "hidden JSON": _file("targets/.zz.json", "targets/*.json"),
    "another suffix": _file("targets/zz.txt", "targets/*.txt"),
}
SEEN: dict[str, Place] = {
    "target file": _file("targets/zz.yml"),
    "resource file": _file("resources/flights/zz.yml"),
    "JSON": _file("targets/zz.json", "targets/*.json"),
    "two stars": _file("src/lakehouse/zz.yaml", "src/**/*.yaml"),
}

# --- what is said ---


def _workspace(**values: object) -> Callable[[Aim], dict[str, Any]]:
    def content(aim: Aim) -> dict[str, Any]:
        resolved = {k: aim.host if v == "HOST" else v for k, v in values.items()}
        return {"targets": {aim.target: {"workspace": resolved}}}

    return content


def _target(value: Callable[[Aim], dict[str, Any]]) -> Callable[[Aim], dict[str, Any]]:
    return lambda aim: {"targets": {aim.target: value(aim)}}


def _job(**settings: Any) -> dict[str, Any]:
    return {"resources": {"jobs": {"flights_more": {"name": "flights_more", **settings}}}}


def _task(**task: Any) -> dict[str, Any]:
    return _job(tasks=[{"task_key": "a", **task}])


_WHEEL_TASK = {"python_wheel_task": {"package_name": "x", "entry_point": "x"}}

# Refused wherever they stand.
FOREIGN: dict[str, Callable[[Aim], dict[str, Any]]] = {
    "host": _workspace(host="HOST"),
    "host of variables": _workspace(host="${var.deploy_root}"),
    "profile": _workspace(profile="other"),
    "auth_type": _workspace(auth_type="github-oidc", host="HOST"),
    "metadata_service_url": _workspace(metadata_service_url="HOST"),
    "azure": _workspace(azure_use_msi=True, azure_client_id="x"),
    "account_id": _workspace(account_id="x", experimental_is_unified_host=True),
    "engine": _target(
        lambda aim: {"bundle": {"engine": "terraform", "terraform": {"exec_path": aim.program}}}
    ),
    "engine for all": lambda aim: {
        "bundle": {"engine": "terraform", "terraform": {"exec_path": aim.program}}
    },
    "terraform download": _target(lambda aim: {"bundle": {"engine": "terraform"}}),
    "artifacts": _target(
        lambda aim: {"artifacts": {"x": {"type": "whl", "build": aim.program, "path": "."}}}
    ),
    "artifact files": lambda aim: {"artifacts": {"x": {"files": [{"source": "/etc/hosts"}]}}},
    "experimental.scripts": lambda aim: {
        "experimental": {"scripts": {"preinit": aim.program, "postinit": aim.program}}
    },
    "scripts": lambda aim: {"scripts": {"x": {"content": aim.program}}},
    "python": lambda aim: {"python": {"resources": ["x:y"], "venv_path": aim.program}},
    "experimental.python": lambda aim: {"experimental": {"python": {"mutators": ["x:y"]}}},
    "lock": _target(lambda aim: {"bundle": {"deployment": {"lock": {"enabled": False}}}}),
    "lock by force": lambda aim: {"bundle": {"deployment": {"lock": {"force": True}}}},
    "active runs": lambda aim: {"bundle": {"deployment": {"fail_on_active_runs": True}}},
    "cluster": _target(lambda aim: {"cluster_id": "x", "compute_id": "y"}),
    "presets": _target(lambda aim: {"presets": {"source_linked_deployment": True}}),
    "environments": lambda aim: {"environments": {aim.target: {"workspace": {"host": aim.host}}}},
    "sync.paths": lambda aim: {"sync": {"paths": ["../.."]}},
    "secrets": lambda aim: {"resources": {"secrets": {"x": {"value": "x"}}}},
    "alert": lambda aim: {
        "resources": {"alerts": {"flights_x": {"file_path": "/proc/self/environ"}}}
    },
    "alert with a scheme": lambda aim: {
        "resources": {"alerts": {"flights_x": {"file_path": "x:../../../../../etc/hosts"}}}
    },
    "dashboard": lambda aim: {
        "resources": {"dashboards": {"flights_x": {"file_path": "../../../x.lvdash.json"}}}
    },
    "genie space": lambda aim: {
        "resources": {"genie_spaces": {"flights_x": {"file_path": "a/../../../../x.json"}}}
    },
    "path of variables": lambda aim: {
        "variables": {"up": {"default": ".."}},
        "resources": {"alerts": {"flights_x": {"file_path": "${var.up}/${var.up}/../x.json"}}},
    },
    "path of references": lambda aim: {
        "variables": {"a_x": {"default": "/proc/self/environ"}, "b": {"default": "x"}},
        "resources": {"alerts": {"flights_x": {"file_path": "${var.a_${var.b}}"}}},
    },
    "path of git": lambda aim: {
        "bundle": {"git": {"origin_url": "/proc/self/environ"}},
        "resources": {"alerts": {"flights_x": {"file_path": "${bundle.git.origin_url}"}}},
    },
    "value of a variable": lambda aim: {"variables": {"catalog": {"value": "acme_lakehouse_prod"}}},
    "run of another job": lambda aim: {
        "resources": {"job_runs": {"flights_x": {"job_id": 1}}},
    },
    "run of a job by a variable": lambda aim: {
        "variables": {"x": {"default": "${resources.jobs.flights_daily.id}"}},
        "resources": {"job_runs": {"flights_x": {"job_id": "${var.x}"}}},
    },
    "app": lambda aim: {
        "resources": {"apps": {"flights-x": {"name": "x", "source_code_path": "../../../.."}}}
    },
    "notebook": lambda aim: _task(notebook_task={"notebook_path": "../../../x.py"}),
    "python file": lambda aim: _task(spark_python_task={"python_file": "../../../x.py"}),
    "sql file": lambda aim: _task(sql_task={"warehouse_id": "x", "file": {"path": "../../../x"}}),
    "dbt": lambda aim: _task(dbt_task={"commands": ["x"], "project_directory": "../../../x"}),
    "library": lambda aim: _task(libraries=[{"whl": "../../../../../etc/*.whl"}], **_WHEEL_TASK),
    "library past a scheme": lambda aim: _task(
        libraries=[{"whl": "../../x://../../../../../../../../proc/self/environ"}], **_WHEEL_TASK
    ),
    "library of references": lambda aim: {
        "variables": {"a_x": {"default": "../../../../x.whl"}, "b": {"default": "x"}},
        **_task(libraries=[{"whl": "${var.a_${var.b}}"}], **_WHEEL_TASK),
    },
    "library of nobody knows what": lambda aim: _task(
        libraries=[{"whl": "x/${workspace.current_user.short_name}"}], **_WHEEL_TASK
    ),
    "requirements": lambda aim: _job(
        environments=[{"environment_key": "x", "spec": {"dependencies": ["-r ../../../x.txt"]}}]
    ),
    "editable": lambda aim: _job(
        environments=[{"environment_key": "x", "spec": {"dependencies": ["-e ../../.."]}}]
    ),
    "code source": lambda aim: _task(ai_runtime_task={"code_source_path": "/etc"}),
    "git source": lambda aim: _job(
        git_source={"git_url": aim.host, "git_provider": "gitHub", "git_branch": "main"}
    ),
    "pipeline library": lambda aim: {
        "resources": {
            "pipelines": {"flights_x": {"libraries": [{"glob": {"include": "../../../*"}}]}}
        }
    },
    "pipeline root": lambda aim: {
        "resources": {"pipelines": {"flights_x": {"root_path": "../../.."}}}
    },
}

# What anybody may say where it is seen: hidden, or where only one of two readers finds it, not.
CHANGED: dict[str, Callable[[Aim], dict[str, Any]]] = {
    "run_as": _target(lambda aim: {"run_as": {"service_principal_name": "${var.deployer}"}}),
    "variables": _target(lambda aim: {"variables": {"catalog": "acme_lakehouse_prod"}}),
    "permissions": _target(
        lambda aim: {"permissions": [{"level": "CAN_MANAGE", "group_name": "users"}]}
    ),
    "state": _workspace(state_path="/Workspace/Shared/x"),
    "job": lambda aim: _job(tasks=[{"task_key": "a", "notebook_task": {"notebook_path": "/x"}}]),
}

# --- what an archive, or a folder, has beside its YAML ---


def _beside(name: str, content: str) -> Callable[[Files, Aim], None]:
    def put(files: Files, aim: Aim) -> None:
        text = content.replace("TARGET", aim.target).replace("HOST", aim.host)
        files[name.replace("TARGET", aim.target)] = text.replace("PROGRAM", aim.program).encode()

    return put


def _setup_py(files: Files, aim: Aim) -> None:
    run = f"import subprocess\nsubprocess.run([{aim.program!r}])\n"
    files["setup.py"] = run.encode()
    files["src/x.whl"] = b""
    _file("resources/flights/zz.yml")(
        files, _task(libraries=[{"whl": "../../src/x.whl"}], **_WHEEL_TASK)
    )


def _yaml(name: str, old: str, new: str) -> Callable[[Files, Aim], None]:
    """Another text in a file that is there."""

    def put(files: Files, aim: Aim) -> None:
        file = name.replace("TARGET", aim.target)
        text = files[file].decode()
        assert old in text, f"{file} has no {old!r}"
        files[file] = text.replace(old, new.replace("HOST", aim.host), 1).encode()

    return put


BESIDE: dict[str, Callable[[Files, Aim], None]] = {
    "variable overrides": _beside(
        ".databricks/bundle/TARGET/variable-overrides.json", '{"catalog": "acme_lakehouse_prod"}'
    ),
    "deploy_root overridden": _beside(
        ".databricks/bundle/TARGET/variable-overrides.json", '{"deploy_root": "/Workspace/Shared"}'
    ),
    "local state": _beside(
        ".databricks/bundle/TARGET/resources.json",
        '{"state_version": 2, "lineage": "x", "serial": 99, "state": {}}',
    ),
    "terraform version": _beside(".databricks/bundle/TARGET/terraform/version", "PROGRAM"),
    "saved plan": _beside(".databricks/plan.json", "{}"),
    "git": _beside(".git/config", '[remote "origin"]\n\turl = HOST\n'),
    "git elsewhere": _beside(".git", "gitdir: /etc\n"),
    "setup.py": _setup_py,
}
READINGS: dict[str, Callable[[Files, Aim], None]] = {
    "octal": _yaml("resources/flights/job.yml", "timeout_seconds: 1200", "timeout_seconds: 01200"),
    "underscore": _yaml(
        "resources/flights/job.yml", "timeout_seconds: 1200", "timeout_seconds: 1_200"
    ),
    "binary": _yaml(
        "resources/flights/job.yml", "max_concurrent_runs: 1", "max_concurrent_runs: 0b1"
    ),
    "tag": _yaml("resources/flights/job.yml", "enabled: true", "enabled: !!bool yes"),
    "merged twice": _yaml(
        "targets/TARGET.yml",
        "    workspace:\n",
        "    presets: &p {tags: {x: '1'}}\n    x-2: &w {host: HOST}\n    workspace:\n"
        "      <<: [*w]\n      <<: [*p]\n",
    ),
    "key of an alias": _yaml(
        "targets/TARGET.yml",
        "    workspace:\n",
        "    x-1: &h host\n    workspace:\n      *h : HOST\n",
    ),
    "a second document": _yaml("targets/TARGET.yml", "targets:\n", "---\n---\ntargets:\n"),
    "a key twice": _yaml("targets/TARGET.yml", "      host:", "      host: HOST\n      host:"),
}


def attacks(aim: Aim) -> Iterator[tuple[str, Callable[[Files], None]]]:
    """Every attack on one target, by its name."""
    for place, put in {**HIDDEN, **SEEN}.items():
        values = {**FOREIGN, **(CHANGED if place in HIDDEN else {})}
        whole = put in (HIDDEN["hidden folder"], HIDDEN["negated class"], SEEN["target file"])
        for way, words in values.items():
            if whole or way in _EVERYWHERE:
                yield f"{place}: {way}", partial(_at, put, words, aim)
    for name, change in {**BESIDE, **READINGS}.items():
        yield name, partial(_with, change, aim)


def _at(put: Place, words: Callable[[Aim], dict[str, Any]], aim: Aim, files: Files) -> None:
    put(files, words(aim))


def _with(change: Callable[[Files, Aim], None], aim: Aim, files: Files) -> None:
    change(files, aim)


_EVERYWHERE = ("host", "engine", "artifacts", "run_as", "variables", "job")


def manifest_of(files: Files) -> dict[str, Any]:
    """What a manifest lists of files."""
    return {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in sorted(files.items())
    }
