"""The version that a release's wheel begins with, in every form that TOML has."""

from pathlib import Path

import pytest
from delivery.errors import DeliveryError, Exit
from delivery.release.build import _version


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nversion = "1.2.3"',
        "[project]\nversion = '1.2.3'",
        '[project]\nversion="1.2.3"',
        '[project]\nversion   =   """1.2.3"""  # now',
        '[tool.x]\nversion = "9"\n[project]\nname = "x"\nversion = "1.2.3"',
        'project = { version = "1.2.3" }',
        'project.version = "1.2.3"',
        '[project]\n"version" = "1.2.3+local"',
    ],
)
def test_a_version_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    assert _version(tmp_path) == "1.2.3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[project]\ndynamic = ["version"]', "dynamic"),
        ('[project]\nname = "x"', "none"),
        ('[tool.uv.workspace]\nmembers = ["a"]', "none"),
        ("[project]\nversion = 1", "none"),
        ("[project", "Expected"),
        ("project = 3", "has no attribute"),
        (None, "No such file"),
    ],
)
def test_where_there_is_none_is_told(tmp_path: Path, text: str | None, reason: str) -> None:
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    with pytest.raises(
        DeliveryError, match=f"version in pyproject.toml: .*{reason}.*, expected a literal version"
    ) as caught:
        _version(tmp_path)
    assert caught.value.code is Exit.REFUSED
    assert '[project] version = "0.1.0"' in str(caught.value)
