"""Fixtures: each option set is baked once, from an export of the template's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from baking import QUESTIONS, Baked, export, export_repository, name_of, option_sets

Bake = Callable[..., Baked]


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
