"""Fixtures: each option set is baked once, from an export of the template's files."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_cli
import pytest
from fake_workspace import Workspace
from harness.baking import (
    QUESTIONS,
    TEMPLATE,
    Baked,
    alone,
    cookiecutter,
    expect_success,
    export,
    export_repository,
    name_of,
    option_sets,
)
from harness.delivering import MORE, Sandbox, furnish, hold, lock_file, prepare, restore
from hypothesis import settings

# No bytecode in the template's own folders, also of the programs that tests start.
sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(TEMPLATE.parent / ".venv/bytecode")
sys.path.insert(0, str(TEMPLATE / "tools/delivery/src"))  # tests may use the tool itself

# The same cases in every run, and a busy machine is no fault; HYPOTHESIS=seek looks for new ones.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.register_profile("seek", deadline=None, max_examples=2000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS", "steady"))

Bake = Callable[..., Baked]
REAL = shutil.which("databricks")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """One worker after the other: the first compiles the tests, which takes longest."""
    with alone("collection"):
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest starts first; what is done again elsewhere is left out, unless named."""
    items.sort(key=lambda item: not item.get_closest_marker("longest"))
    if not any("::" in argument for argument in config.args):
        left_out = {"again"} if os.environ.get("CI") else {"again", "in_pipelines"}
        again = [item for item in items if any(map(item.get_closest_marker, left_out))]
        config.hook.pytest_deselected(items=again)
        items[:] = [item for item in items if item not in again]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template's files, away from the checkout."""
    return export(tmp_path_factory.mktemp("template") / "cookiecutter-lakehouse")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a git repository."""
    return export_repository(tmp_path_factory.mktemp("repository") / "cookiecutter-lakehouse")


@pytest.fixture(scope="session")
def bake(cookies_session: Any, template: Path) -> Bake:
    """Bake a project with some answers; the same answers give the same project again."""
    baked: dict[tuple[tuple[str, str], ...], Baked] = {}

    def once(**answers: str) -> Baked:
        unknown = set(answers) - set(QUESTIONS)
        assert not unknown, f"no such questions: {unknown}"  # cookiecutter would ignore them
        key = tuple(sorted(answers.items()))
        if key not in baked:
            result = cookies_session.bake(extra_context=answers, template=str(template))
            assert result.exit_code == 0, f"{answers}: {result.exception}"
            baked[key] = Baked(Path(result.project_path), answers)
        return baked[key]

    return once


@pytest.fixture(params=list(option_sets()), ids=name_of)
def project(request: pytest.FixtureRequest, bake: Bake) -> Baked:
    """Each option set's project. It is shared: tests read it, and change a copy."""
    return bake(**request.param)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Baked:
    """A project with its lock, uv and the tool. It is shared: whoever changes it puts it back."""
    folder = tmp_path_factory.mktemp("made")
    result = cookiecutter(template, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    project = Baked(folder / "acme-lakehouse", {})
    expect_success("make", "tool", cwd=project.path)
    return project


# --- delivery ---


@pytest.fixture(
    scope="session",
    params=[
        "fake",
        pytest.param(
            "real",
            marks=[
                pytest.mark.real_cli,
                pytest.mark.skipif(
                    REAL is None, reason="REAL CLI NOT TESTED: databricks is not on the PATH"
                ),
            ],
        ),
    ],
)
def programs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the CLI: the fake one, and the real one if it is on the PATH."""
    if request.param == "real":
        return Path(REAL or "").parent
    return fake_cli.install(tmp_path_factory.mktemp("programs")).parent


@dataclass(frozen=True)
class Source:
    """A project, where it is delivered to, and its releases.

    Attributes:
        first: what the project is at its start.
        more: adds something of every kind that holds data, and a job.
        after: has no more of that, and new code.
    """

    path: Path
    port: int
    first: Path
    more: Path
    after: Path


@pytest.fixture(scope="session")
def source(bake: Bake, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Built once: tests copy it."""
    folder = tmp_path_factory.mktemp("source")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = prepare(bake(), lock_file(bake(), folder / "lock"), folder, port)
    with Workspace(port=port) as workspace:
        sandbox = Sandbox(path, workspace, folder, folder / "home")
        first = sandbox.release("first")
        sandbox.write("resources/extra/all.yml", MORE)
        sandbox.edit(
            "delivery.yml",
            "    flights: flights_daily",
            "    flights: flights_daily\n    extra: extra_job",
        )
        more = sandbox.release("more")
        shutil.rmtree(path / "resources/extra")
        sandbox.edit("delivery.yml", "\n    extra: extra_job", "")
        return Source(path, port, first, more, sandbox.code("after"))


@pytest.fixture
def workspace(source: Source) -> Iterator[Workspace]:
    """An empty workspace that is furnished for the project; no call may be unknown to it."""
    with Workspace(port=source.port) as one:
        furnish(one, source.path.name)
        yield one
    assert one.unknown == []


@pytest.fixture
def sandbox(
    source: Source,
    workspace: Workspace,
    programs: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Sandbox:
    """A checkout of the project on a fresh machine; nothing is deployed."""
    path = tmp_path / source.path.name
    shutil.copytree(source.path, path, symlinks=True)
    bytecode = tmp_path_factory.getbasetemp() / "bytecode"
    return Sandbox(path, workspace, programs, tmp_path / "home", bytecode=bytecode)


@pytest.fixture(scope="session")
def holdings(
    source: Source, programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What a workspace holds after the first delivery to staging; it is made once."""
    folder = tmp_path_factory.mktemp("holdings")
    path = folder / source.path.name
    shutil.copytree(source.path, path, symlinks=True)
    with Workspace(port=source.port) as one:
        furnish(one, path.name)
        sandbox = Sandbox(path, one, programs, folder / "home")
        sandbox.done("deploy", "staging", "--first", "--archive", source.first)
        return hold(one)


@pytest.fixture
def delivered(sandbox: Sandbox, holdings: dict[str, Any]) -> Sandbox:
    """The project after its first delivery to staging."""
    restore(sandbox.workspace, holdings)
    return sandbox
