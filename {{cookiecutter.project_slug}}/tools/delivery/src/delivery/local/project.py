"""The project, as tasks that run on this machine see it."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from delivery.config.bundle import Bundle
from delivery.config.code import Code
from delivery.config.references import resolve_text
from delivery.config.yaml import Mark, YamlMapping
from delivery.local.problems import CannotRunError, mistake


@dataclass(frozen=True)
class Project:
    """The files and the code of a project, on one target."""

    bundle: Bundle
    target: str
    tree: YamlMapping
    code: Code

    @property
    def root(self) -> Path:
        """The folder of `databricks.yml`."""
        return self.bundle.root

    @property
    def package(self) -> str:
        """The package of the project's code."""
        return str(self.code.project.get("name", "")).replace("-", "_")

    @cached_property
    def _files(self) -> str:
        """The folder in a workspace that the files of the project are deployed to."""
        return resolve_text(self.bundle, self.target, "${workspace.file_path}")

    def file(self, section: YamlMapping, key: str) -> Path:
        """The file that `key` names, relative to the YAML file that names it.

        Raises:
            CannotRunError: the file is not one of the project.
            InvalidFileError: there is no such file.
        """
        mark, text = section.marks[key], str(section[key])
        if text.startswith(f"{self._files}/"):
            named = PurePosixPath(text.removeprefix(f"{self._files}/"))
        elif text.startswith("/") or ":" in text:
            raise CannotRunError(mark, f"{key}: {text}", "it is not a file of this project")
        else:
            named = PurePosixPath(mark.file).parent / text
        path = Path(os.path.normpath(self.root / named))
        if not path.is_relative_to(self.root):
            raise CannotRunError(mark, f"{key}: {text}", "it is not a file of this project")
        if path.is_file():
            return path
        message = f"{key}: given {text}, expected a file: there is no {path.relative_to(self.root)}"
        raise mistake(mark, message, "Name a file, such as ../../src/NAME.py.")

    def require_engine(self, mark: Mark, what: str) -> None:
        """Require the module that has the Spark session of the project.

        Raises:
            CannotRunError: there is none.
        """
        folder = self.root / "src" / self.package
        if not any((folder / name).is_file() for name in ("engine.py", "engine/__init__.py")):
            why = f"there is no src/{self.package}/engine, which has the Spark session"
            raise CannotRunError(mark, what, why)
