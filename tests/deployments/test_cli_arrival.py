"""How the Databricks CLI arrives: from an index or from a release, and never without its hash."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.baking import Baked, expect_success, run

pytestmark = pytest.mark.slow
VERSION = "1.27.0"
LOCK = "tools/cli-requirements.txt"
PROGRAM = f"""#!/bin/sh
case "$*" in
  *--help) echo '--auto-approve --force-lock --plan' ;;
  *) echo 'Databricks CLI v{VERSION}' ;;
esac
"""


@dataclass(frozen=True)
class Shelf:
    """A package index and a folder of releases, both on loopback, both empty at first."""

    folder: Path
    url: str

    @property
    def settings(self) -> dict[str, str]:
        return {
            "UV_DEFAULT_INDEX": f"{self.url}/simple/",
            "UV_NO_CONFIG": "1",
            "UV_NO_CACHE": "1",
            "DATABRICKS_CLI_RELEASES": f"{self.url}/releases",
        }

    def package(self, note: str = "") -> str:
        """Put the package on the index; gives its hash."""
        about = f"databricks-{VERSION}.dist-info"
        script = f"databricks-{VERSION}.data/scripts/databricks"
        files = {
            script: PROGRAM,
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: databricks\nVersion: {VERSION}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{about}/RECORD": note,
        }
        digest = self._put(f"simple/databricks/databricks-{VERSION}-py3-none-any.whl", files)
        name = f"databricks-{VERSION}-py3-none-any.whl"
        link = f'<a href="{name}#sha256={digest}">{name}</a>'
        (self.folder / "simple/databricks/index.html").write_text(link, encoding="utf-8")
        return digest

    def release(self, note: str = "") -> str:
        """Put the archives of all platforms among the releases; gives the hash of Linux'."""
        place, sums = f"releases/v{VERSION}", {}
        for system in ("linux", "darwin", "windows"):
            for machine in ("amd64", "arm64"):
                name = f"databricks_cli_{VERSION}_{system}_{machine}.zip"
                files = {"databricks": PROGRAM, "NOTICE": f"{system} {machine} {note}"}
                sums[name] = self._put(f"{place}/{name}", files)
        checksums = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
        checksums += f"{'0' * 64}  databricks_cli_{VERSION}_linux_amd64.tar.gz\n"
        (self.folder / place / f"databricks_cli_{VERSION}_SHA256SUMS").write_text(
            checksums, "utf-8"
        )
        return sums[f"databricks_cli_{VERSION}_linux_amd64.zip"]

    def _put(self, name: str, files: dict[str, str]) -> str:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for file, text in files.items():
                archive.writestr(zipfile.ZipInfo(file), text)
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content.getvalue())
        return hashlib.sha256(content.getvalue()).hexdigest()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    folder = tmp_path / "shelf"
    (folder / "simple").mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Shelf(folder, f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


@pytest.fixture
def project(made: Baked) -> Iterator[Baked]:
    """A project with uv and the tool; what a test records is forgotten."""
    before = made.text(LOCK)
    yield made
    (made.path / LOCK).write_text(before, encoding="utf-8")
    shutil.rmtree(made.path / ".venv-cli", ignore_errors=True)


def make(project: Baked, shelf: Shelf, **changes: str) -> subprocess.CompletedProcess[str]:
    return run("make", "cli", cwd=project.path, **{**shelf.settings, **changes})


def recorded(project: Baked) -> set[str]:
    return {*re.findall(r"--hash=sha256:(\w+)", project.text(LOCK))}


def record(project: Baked, *digests: str) -> None:
    """What an earlier set-up wrote."""
    hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests)
    (project.path / LOCK).write_text(f"databricks=={VERSION}{hashes}\n", encoding="utf-8")


def assert_there(project: Baked) -> None:
    """The tool finds the CLI that was installed."""
    output = expect_success(project.path / ".venv-cli/bin/databricks", "version", cwd=project.path)
    assert output == f"Databricks CLI v{VERSION}\n"


def assert_refused(
    result: subprocess.CompletedProcess[str], project: Baked, *messages: str
) -> None:
    assert result.returncode != 0
    for part in messages:
        assert part in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert not (project.path / ".venv-cli/stamp").exists()
    assert not (project.path / ".venv-cli/bin/databricks").exists()


def test_the_first_set_up_records_every_file_and_says_so(project: Baked, shelf: Shelf) -> None:
    package, release = shelf.package(), shelf.release()
    result = make(project, shelf)
    assert result.returncode == 0, result.stderr
    assert f"cli: recorded 7 hashes in {LOCK}; commit it" in result.stdout
    assert {package, release} < recorded(project)
    assert shelf.url not in project.text(LOCK)
    assert project.text(LOCK).startswith("# The Databricks CLI")
    assert_there(project)
    assert "Nothing to be done" in make(project, shelf).stdout
    shutil.rmtree(project.path / ".venv-cli")
    assert make(project, shelf, CI="true").returncode == 0  # as a pipeline, with what was committed
    assert_there(project)


def test_the_tool_uses_the_cli_that_was_installed(project: Baked, shelf: Shelf) -> None:
    shelf.package()
    assert make(project, shelf).returncode == 0
    doctor = (project.path / ".venv-tool/bin/delivery", "doctor", "--output", "json")
    looks = json.loads(run(*doctor, cwd=project.path).stdout)
    (cli,) = [look for look in looks if look["name"] == "CLI"]
    assert f"version {VERSION}" in cli["message"]


@pytest.mark.parametrize("ci", ["", "true"], ids=["here", "pipeline"])
def test_a_release_is_taken_where_the_index_has_no_such_package(
    ci: str, project: Baked, shelf: Shelf
) -> None:
    record(project, shelf.release())
    result = make(project, shelf, CI=ci)
    assert result.returncode == 0, result.stderr
    assert_there(project)


def test_a_folder_can_stand_in_for_the_releases(project: Baked, shelf: Shelf) -> None:
    record(project, shelf.release())
    mirror = (shelf.folder / "releases").as_uri()
    result = make(project, shelf, DATABRICKS_CLI_RELEASES=mirror)
    assert result.returncode == 0, result.stderr
    assert_there(project)


def test_pipelines_install_nothing_without_a_hash(project: Baked, shelf: Shelf) -> None:
    shelf.package()
    shelf.release()
    before = project.text(LOCK)
    result = make(project, shelf, CI="true")
    assert_refused(result, project, f"{LOCK} has no hash of databricks=={VERSION}", "make cli")
    assert project.text(LOCK) == before


def test_another_file_on_the_index_is_refused(project: Baked, shelf: Shelf) -> None:
    """Also where a good release is at hand: somebody should look."""
    record(project, shelf.package(), shelf.release())
    shelf.package("another")
    result = make(project, shelf)
    assert_refused(result, project, f"databricks=={VERSION} of the package index", "sha256")


def test_an_index_that_lies_about_its_file_is_refused(project: Baked, shelf: Shelf) -> None:
    digest = shelf.package()
    shelf.package("another")
    index = shelf.folder / "simple/databricks/index.html"
    index.write_text(re.sub(r"sha256=\w+", f"sha256={digest}", index.read_text("utf-8")), "utf-8")
    record(project, digest)
    assert_refused(make(project, shelf), project, "of the package index", "sha256")


def test_another_archive_is_refused(project: Baked, shelf: Shelf) -> None:
    record(project, shelf.release())
    given = shelf.release("another")
    name = f"databricks_cli_{VERSION}_linux_amd64.zip"
    assert_refused(make(project, shelf), project, name, given, "expected one of the 1", "git add")


def test_a_version_that_nobody_has_is_told_with_what_to_set(project: Baked, shelf: Shelf) -> None:
    expected = ("UV_DEFAULT_INDEX", "DATABRICKS_CLI_RELEASES", "neither in the package index nor")
    assert_refused(make(project, shelf), project, *expected)
    record(project, "0" * 64)
    assert_refused(make(project, shelf), project, *expected, "404")


def test_an_address_without_a_lock_on_the_door_is_refused(project: Baked, shelf: Shelf) -> None:
    record(project, shelf.release())
    result = make(project, shelf, DATABRICKS_CLI_RELEASES="http://files.example.com")
    assert_refused(result, project, "http://files.example.com", "begins with https://")


@pytest.mark.parametrize("text", ["", "databricks==1.1.0\ndatabricks==1.2.0\n", "databricks>=1\n"])
def test_the_lock_has_one_version(text: str, project: Baked, shelf: Shelf) -> None:
    (project.path / LOCK).write_text(text, encoding="utf-8")
    result = make(project, shelf)
    assert_refused(result, project, "expected one line such as databricks==1.27.0")
