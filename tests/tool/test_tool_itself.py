"""The delivery tool as a guest of a project: its version, and the digest of its files."""

import shutil
from pathlib import Path

import pytest
from delivery import __version__
from delivery.checks.registry import CheckContext, check
from delivery.checks.tool import DIGEST_FILE, digest_of
from delivery.config.policy import load_policy, require_tool_version
from delivery.errors import DeliveryError, Finding
from harness.baking import TEMPLATE

from tool.conftest import Edit

HOME = "tools/delivery"
SOURCE = f"{HOME}/src/delivery/git.py"


@pytest.fixture
def guest(project: Path) -> Path:
    """A project with the tool in it."""
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info")
    shutil.copytree(TEMPLATE / HOME, project / HOME, ignore=ignored)
    return project


def found(project: Path) -> list[Finding]:
    return check(CheckContext(project), ["tool"])


def test_the_digest_is_that_of_the_files(guest: Path) -> None:
    recorded = (guest / HOME / DIGEST_FILE).read_text(encoding="utf-8")
    assert recorded == f"{digest_of(guest / HOME)}\n", "renew it: make digest"
    assert found(guest) == []


@pytest.mark.parametrize("change", ["edited", "added", "removed"])
def test_a_change_of_the_tool_is_a_warning(guest: Path, edit: Edit, change: str) -> None:
    file = guest / SOURCE
    if change == "edited":
        file.write_text(file.read_text("utf-8") + "\n", "utf-8")
    elif change == "added":
        file.with_name("more.py").touch()
    else:
        file.unlink()
    (one,) = found(guest)
    assert (one.file, one.severity) == (f"{HOME}/{DIGEST_FILE}", "warning")
    assert "owned: true" in one.hint
    edit("delivery.yml", "may_differ:", "tool: {owned: true}\nmay_differ:")
    assert found(guest) == []


def test_line_endings_and_caches_are_no_change(guest: Path) -> None:
    file = guest / SOURCE
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__/git.py").touch()
    assert found(guest) == []


@pytest.mark.parametrize("wanted", ["<0.1", ">=99", f"!={__version__}"])
def test_a_version_that_the_policy_does_not_want_delivers_nothing(
    project: Path, edit: Edit, wanted: str
) -> None:
    edit("delivery.yml", "may_differ:", f'tool: {{required_version: "{wanted}"}}\nmay_differ:')
    message = f"given version {__version__} of the delivery tool, expected {wanted}"
    (one,) = found(project)
    assert (one.file, one.severity) == ("delivery.yml", "error")
    assert "required_version" in (project / one.file).read_text("utf-8").splitlines()[one.line - 1]
    assert message in one.message
    with pytest.raises(DeliveryError, match="cruft update") as caught:
        require_tool_version(load_policy(project))
    assert message in str(caught.value)


@pytest.mark.parametrize("wanted", ["", f"=={__version__}", ">=0.2,<1"])
def test_a_version_that_the_policy_wants_does(project: Path, edit: Edit, wanted: str) -> None:
    edit("delivery.yml", "may_differ:", f'tool: {{required_version: "{wanted}"}}\nmay_differ:')
    assert found(project) == []
    require_tool_version(load_policy(project))


def test_a_version_that_is_none_is_told_with_an_example(project: Path, edit: Edit) -> None:
    edit("delivery.yml", "may_differ:", "tool: {required_version: latest}\nmay_differ:")
    (one,) = found(project)
    assert "given latest, expected versions such as >=0.2,<0.3" in one.message
