"""The commands of every day, as multiples of `python -c "import typer"` in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bake import bake
from benchmarks.figures import Figure, Note, ratio
from benchmarks.measure import Command, Run, Side, alternate, progress, run
from benchmarks.workshop import Workshop, clean_environment, need_modules, need_programs

PART = "daily"
_YARDSTICK = 'python -c "import typer"'
_PYTHON_FILE, _MARKDOWN_FILE = "src/notes.py", "docs/notes.md"


@dataclass(frozen=True)
class Desk:
    """A project after its set-up, on a branch for work."""

    folder: Path
    environment: Mapping[str, str]

    def call(self, *arguments: str) -> Run:
        """Run a command in the project."""
        return run(Command(arguments, self.folder, self.environment))

    def commit(self, name: str) -> Run:
        """Commit one line that is added to one file; the staging of it is not measured."""
        file = self.folder / name
        with file.open("a", encoding="utf-8") as text:
            text.write("# One more line.\n")
        self.call("git", "add", name)
        return self.call("git", "commit", "--quiet", "--message=docs: add a line")


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare each command with the import that none of the tool's commands can avoid."""
    need_modules("cookiecutter")
    need_programs("git", "make")
    desk = set_up(workshop)
    yardstick = Side(_YARDSTICK, lambda: desk.call(".venv/bin/python", "-c", "import typer"))
    beside: list[float] = []
    for name, command in commands(desk).items():
        progress(f"  {name}: warming up")
        command()
        runs = list(alternate(Side(name, command), yardstick, pairs))
        ours, theirs = (tuple(pair[side].seconds for pair in runs) for side in (0, 1))
        yield Figure(PART, f"{name}: wall time", "s", ours)
        yield ratio(PART, f"{name} / import typer", ours, theirs)
        beside.extend(theirs)
    yield Figure(PART, _YARDSTICK, "s", tuple(beside))


def commands(desk: Desk) -> dict[str, Callable[[], Run]]:
    """What is measured."""
    return {
        "make check": lambda: desk.call("make", "check"),
        "git commit of a Python file": lambda: desk.commit(_PYTHON_FILE),
        "git commit of a Markdown file": lambda: desk.commit(_MARKDOWN_FILE),
        "delivery --help": lambda: desk.call(".venv/bin/delivery", "--help"),
        "delivery check": lambda: desk.call(".venv/bin/delivery", "check"),
    }


def set_up(workshop: Workshop) -> Desk:
    """A new project with its environment and its hooks, and with committed files to change."""
    target = workshop.new_folder("daily")
    bake(workshop, workshop.template, target)
    desk = Desk(next(target.iterdir()), clean_environment())
    for key, value in (
        ("user.name", "Benchmark"),
        ("user.email", "benchmark@example.com"),
        ("commit.gpgsign", "false"),
    ):
        desk.call("git", "config", key, value)
    desk.call("git", "switch", "--quiet", "--create", "feature/daily")
    progress("  make setup")
    desk.call("make", "setup")
    for name, text in (
        (_PYTHON_FILE, '"""Notes."""\n\n# A line.\n'),
        (_MARKDOWN_FILE, "# Notes\n\n"),
    ):
        (desk.folder / name).write_text(text, encoding="utf-8")
    desk.call("git", "add", "--all")
    desk.call("git", "commit", "--quiet", "--no-verify", "--message=chore: set up")
    return desk
