"""Symbolic links in the repository: no part of a release, and never a traceback."""

import sys
import tarfile
from pathlib import Path

import pytest
from delivery.errors import DeliveryError
from delivery.release.build import build

from tool.conftest import git


@pytest.fixture(autouse=True, params=["3.11.2", "this"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11.2, of Debian 12, has no filters; and the Python that runs here."""
    if request.param == "this":
        return
    extract = tarfile.TarFile.extractall
    monkeypatch.delattr(tarfile, "data_filter")
    monkeypatch.setattr(
        tarfile.TarFile,
        "extractall",
        lambda tar, path, members: extract(tar, path, members, filter="fully_trusted"),
    )


@pytest.fixture
def committed(project: Path) -> Path:
    """The project with a lock, all of it committed by `commit`."""
    (project / "uv.lock").touch()
    return project


def commit(project: Path) -> None:
    git(project, "add", "--all")
    git(project, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet",
        "--no-verify", "--message=x")  # fmt: skip


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../x", "app/entry.py", "app"])
def test_a_link_in_a_release_is_refused_by_name(committed: Path, target: str) -> None:
    (committed / "src/link").symlink_to(target)
    commit(committed)
    with pytest.raises(DeliveryError, match="given src/link, expected files"):
        build(committed)


@pytest.mark.parametrize("target", ["/etc/hostname", "../../x", "uv.lock"])
def test_a_link_beside_a_release_does_not_matter(
    committed: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (committed / "link").symlink_to(target)
    commit(committed)

    def stop(source: Path, *_: object) -> None:
        assert (source / "link").is_symlink() == (target == "uv.lock")
        raise DeliveryError("reached the wheel")

    monkeypatch.setattr(sys.modules[build.__module__], "_build_wheel", stop)
    with pytest.raises(DeliveryError, match="reached the wheel"):
        build(committed)
