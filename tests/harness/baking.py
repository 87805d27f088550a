"""Bake projects, and look into them: what all tests of the template share."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import warm

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
DECLARED: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
QUESTIONS = [name for name in DECLARED if not name.startswith("_")]
CHOICES: dict[str, list[str]] = {
    k: v for k, v in DECLARED.items() if isinstance(v, list) and k in QUESTIONS
}

# Tests decide what a command sees: nothing of whoever runs them.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME", "SSL_CERT_FILE", "UV_CACHE_DIR",
              "TF_CLI_CONFIG_FILE")  # fmt: skip

# What `make` sets up keeps its bytecode, as on a user's machine; else every command compiles all
# of its packages again.
COMPILING = {"PYTHONDONTWRITEBYTECODE": ""}


def environment(**changes: str) -> dict[str, str]:
    """The environment of a command: a few inherited variables, package settings, `changes`."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key in _INHERITED or key.startswith(("PIP_", "UV_", "GO"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **changes}


def run(*command: str | Path, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command; the caller looks at its exit code."""
    if command[0] == "make" and cwd != ROOT:
        changes = {**COMPILING, **changes}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=900,
    )


def expect_success(*command: str | Path, cwd: Path, **changes: str) -> str:
    """Run a command that must end with 0, and return its stdout."""
    result = run(*command, cwd=cwd, **changes)
    assert result.returncode == 0, f"{command}\n{result.stdout[-6000:]}\n{result.stderr[-6000:]}"
    return result.stdout


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Do something in one process of this checkout at a time."""
    (ROOT / ".pytest_cache").mkdir(exist_ok=True)
    with (ROOT / ".pytest_cache" / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def mypy(folder: Path, cache: str, *arguments: str, **changes: str) -> str:
    """Check the types of a folder, which must be right; gives what mypy says.

    Args:
        cache: a folder in that of `make check`, which is kept. The same source takes a moment
            then, wherever it lies.
    """
    command = (sys.executable, "-m", "mypy", "--cache-dir", ROOT / ".mypy_cache" / cache)
    with alone("mypy"):
        return expect_success(*command, *arguments, cwd=folder, **changes)


def template_files() -> list[str]:
    """The files that the template consists of, relative to its folder."""
    listed = expect_success(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    )
    files = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    return sorted(files)


def export(folder: Path) -> Path:
    """Copy the template's files, and nothing that lies beside them, to `folder`."""
    for name in template_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def export_repository(folder: Path) -> Path:
    """The template as a git repository, as users address it."""
    export(folder)
    git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    commit(folder, "start")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git with an identity of its own."""
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return expect_success("git", *identity, "-c", "commit.gpgsign=false", *arguments, cwd=folder)


def commit(folder: Path, message: str) -> None:
    """Commit everything, past all hooks."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", f"--message={message}")


def cookiecutter(
    template: Path | str, folder: Path, *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    folder.mkdir(parents=True, exist_ok=True)
    program = Path(sys.executable).with_name("cookiecutter")
    return run(program, template, "--no-input", *arguments, cwd=folder, **changes)


@dataclass(frozen=True)
class Baked:
    """A generated project."""

    path: Path
    answers: Mapping[str, str]

    def files(self) -> set[str]:
        """All files but git's."""
        found = (f.relative_to(self.path) for f in self.path.rglob("*") if f.is_file())
        return {f.as_posix() for f in found if f.parts[0] != ".git"}

    def text(self, name: str) -> str:
        """A file's content."""
        return (self.path / name).read_text(encoding="utf-8")

    def yaml(self, name: str) -> Any:
        """A parsed YAML file."""
        return yaml.safe_load(self.text(name))

    def toml(self, name: str) -> dict[str, Any]:
        """A parsed TOML file."""
        return tomllib.loads(self.text(name))

    def target(self, name: str) -> dict[str, Any]:
        """One target of the bundle."""
        found: dict[str, Any] = self.yaml(f"targets/{name}.yml")["targets"][name]
        return found

    @property
    def sources(self) -> str:
        """What makes the project's packages importable."""
        return os.pathsep.join(str(self.path / s) for s in ("src", "tools/delivery/src"))

    def python(self, *arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project with the template's own environment: no set-up needed."""
        changes = {"PYTHONPATH": self.sources, **changes}
        if arguments[:2] == ("-m", "delivery"):
            typed = [str(part) for part in arguments[2:]]
            started = warm.Started("delivery", typed, str(self.path), environment(**changes))
            out, err = started.communicate(timeout=900)
            return subprocess.CompletedProcess(typed, started.wait(), out, err)
        return run(sys.executable, *arguments, cwd=self.path, **changes)

    def assert_typed(self) -> None:
        """The type checker has nothing to complain of."""
        mypy(self.path, "projects", PYTHONPATH=self.sources)

    def pytest(self, *arguments: str, **changes: str) -> str:
        """Run some of the project's tests with the template's own environment."""
        options = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")
        result = self.python("-m", "pytest", *options, *arguments, **changes)
        assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-3000:]
        return result.stdout


def option_sets() -> Iterator[dict[str, str]]:
    """All values of each option alone, and all pairs of those that meet in the same files."""
    yield {}
    for name, values in CHOICES.items():
        yield from ({name: value} for value in values[1:])
    for ci in CHOICES["ci"][1:]:
        yield {"ci": ci, "branching": "environments", "include_terraform": "yes"}
    for cloud in CHOICES["cloud"][1:]:
        yield {"cloud": cloud, "compute": "classic"}
    yield MAXIMAL


MINIMAL = {
    "ci": "github",
    "compute": "serverless",
    "branching": "trunk",
    "include_terraform": "no",
}
MAXIMAL = {
    "project_name": "Größte Daten & Söhne, L'Été",
    "project_slug": "groesste",
    "owner_email": "owners+data@data.example.com",
    "cloud": "azure",
    "compute": "classic",
    "ci": "both",
    "branching": "environments",
    "include_terraform": "yes",
    "dev_host": "https://adb-1111111111111111.1.azuredatabricks.net",
    "staging_host": "https://adb-2222222222222222.2.azuredatabricks.net",
    "prod_host": "https://adb-3333333333333333.3.azuredatabricks.net",
}


def name_of(options: Mapping[str, str]) -> str:
    """An option set as a test's id."""
    if options == MAXIMAL:
        return "maximal"
    return ",".join(f"{key}={value}" for key, value in options.items()) or "default"


def pytest_summary(output: str) -> dict[str, int]:
    """The figures of pytest's closing line."""
    line = output.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", line)}
