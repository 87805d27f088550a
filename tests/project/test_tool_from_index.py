"""The tool's page tells how a team takes the tool from an index of its own; here it is followed."""

from __future__ import annotations

import re
import shutil
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Bake
from harness.baking import TEMPLATE, Baked, expect_success, run

pytestmark = pytest.mark.slow

NAME, FOLDER = "lakehouse-delivery", "tools/delivery"
PAGE = (TEMPLATE / FOLDER / "README.md").read_text(encoding="utf-8")
STEPS = PAGE.partition("**From an index instead.**")[2]
VERSION = tomllib.loads((TEMPLATE / FOLDER / "pyproject.toml").read_text("utf-8"))["project"][
    "version"
]
URL = "https://packages.example.com/simple"


def instructions() -> str:
    """What the page gives for pyproject.toml."""
    found = re.search(r"```toml\n(.*?)```", STEPS, re.DOTALL)
    assert found
    return re.sub(r"^   ", "", found[1], flags=re.MULTILINE)


def followed(text: str) -> str:
    """A project's pyproject.toml after the page: a table goes, keys are replaced, others added."""
    assert "the table `[tool.uv.workspace]`" in STEPS
    text = re.sub(r"^\[tool\.uv\.workspace\]\n(?:.+\n)*\n?", "", text, flags=re.MULTILINE)
    for header, body in re.findall(r"^(\[.+\])\n((?:(?!\[).+\n)+)", instructions(), re.MULTILINE):
        table = re.search(rf"^{re.escape(header)}\n(?:(?!\[\w).*\n)*", text, re.MULTILINE)
        if not table:
            text += f"\n{header}\n{body}"
            continue
        changed = table[0]
        for line in body.splitlines():
            key = line.partition(" = ")[0]
            assert re.search(rf"^{key} = ", changed, re.MULTILINE), f"{header} has no {key}"
            changed = re.sub(rf"^{key} = .*$", line, changed, flags=re.MULTILINE)
        text = text.replace(table[0], changed)
    return text


def wheel(folder: Path) -> Path:
    """The tool as far as an installer looks at it, without what it needs."""
    stem = f"{NAME.replace('-', '_')}-{VERSION}"
    about = f"{stem}.dist-info"
    file = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("delivery/__init__.py", "")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return file


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """An index that has the tool alone, with the hash of its file."""
    page = tmp_path / "index" / NAME / "index.html"
    page.parent.mkdir(parents=True)
    file = wheel(page.parent)
    digest = sha256(file.read_bytes()).hexdigest()
    page.write_text(f'<a href="{file.name}#sha256={digest}">{file.name}</a>', encoding="utf-8")
    handler = partial(Quiet, directory=str(tmp_path / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def project(bake: Bake, index: str, tmp_path: Path) -> Baked:
    """A project that followed the page; for a fast test it needs nothing but the tool."""
    path = tmp_path / "project"
    shutil.copytree(bake().path, path)
    shutil.rmtree(path / FOLDER)
    text = followed((path / "pyproject.toml").read_text(encoding="utf-8"))
    assert URL in text
    for group in ("local", "connect", "docs", "dev"):
        text = re.sub(rf"^{group} = \[\n.*?^\]", f"{group} = []", text, flags=re.M | re.S)
    text = re.sub(r"^dependencies = \[\n.*?^\]", "dependencies = []", text, flags=re.M | re.S)
    (path / "pyproject.toml").write_text(text.replace(URL, index), encoding="utf-8")
    return Baked(path, {})


def installed(project: Baked, cache: Path, folder: Path) -> tuple[int, str]:
    """What the project's Makefile does for a pipeline, with the options that stand there."""
    settings = {"UV_CACHE_DIR": str(cache), "UV_DEFAULT_INDEX": "http://127.0.0.1:1/"}
    expect_success("uv", "lock", "--quiet", cwd=project.path, **settings)
    makefile = project.text("Makefile").replace("\\\n", " ")
    export = re.search(r"\$\(UV\) export --quiet \$\(LOCKED\) (.*?) --output-file", makefile)
    install = re.search(r"--python \.venv-tool/bin/python (--require-hashes .*?)\s-r", makefile)
    assert export
    assert install
    options = ("--locked", *export[1].split(), "--output-file", "tool.txt")
    expect_success("uv", "export", "--quiet", *options, cwd=project.path, **settings)
    assert re.search(rf"^{NAME}=={VERSION} .*\n +--hash=", project.text("tool.txt"), re.MULTILINE)
    options = (*install[1].split(), "-r", "tool.txt", "--target", str(folder))
    done = run("uv", "pip", "install", "--quiet", *options, cwd=project.path, **settings)
    return done.returncode, done.stderr


def test_a_project_that_follows_the_page_gets_the_tool_with_its_hash(
    project: Baked, tmp_path: Path
) -> None:
    assert installed(project, tmp_path / "cache", tmp_path / "there") == (0, "")
    assert (tmp_path / "there/delivery/__init__.py").exists()
    lock = project.toml("uv.lock")["package"]
    (tool,) = [package for package in lock if package["name"] == NAME]
    assert "registry" in tool["source"]


def test_an_explicit_index_would_not_do_as_the_page_says(project: Baked, tmp_path: Path) -> None:
    assert "Do not mark\n   the index `explicit`" in STEPS
    file = project.path / "pyproject.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('name = "own"\n', 'name = "own"\nexplicit = true\n'), "utf-8")
    code, output = installed(project, tmp_path / "cache", tmp_path / "there")
    assert code != 0, output


def test_the_page_changes_what_it_says_and_nothing_else(bake: Bake) -> None:
    before = bake().toml("pyproject.toml")
    after = tomllib.loads(followed(bake().text("pyproject.toml")))
    assert after["dependency-groups"].pop("delivery") == [f"{NAME}=={VERSION}"]
    assert before["dependency-groups"].pop("delivery") == [NAME]
    for document in (before, after):
        for table in ("workspace", "sources", "index"):
            document["tool"]["uv"].pop(table, None)
    kept = before["tool"]["cruft"].pop("skip")
    assert after["tool"]["cruft"].pop("skip") == [*kept, FOLDER]
    assert after == before


def test_what_names_the_folder_is_told(bake: Bake) -> None:
    first, *others = bake().text("delivery.yml").splitlines()
    assert "Remove the first line of `delivery.yml`" in STEPS
    assert f"{FOLDER}/" in first
    assert not [line for line in others if FOLDER in line]
