"""Generating a project from this template, compared with a minimal template."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Note, ratio
from benchmarks.measure import Command, Run, Side, alternate, progress, run
from benchmarks.workshop import Workshop, clean_environment, need_modules, need_programs

PART = "bake"


def measure(workshop: Workshop, pairs: int) -> Iterator[Figure | Note]:
    """Compare both: the ratio, and the additional seconds of this template."""
    need_modules("cookiecutter")
    need_programs("git")
    ours = _side(workshop, "this template", workshop.template)
    bare = _side(workshop, "barest template", bare_template(workshop))
    runs = list(alternate(ours, bare, pairs))
    mine, theirs = (tuple(pair[side].seconds for pair in runs) for side in (0, 1))
    yield Figure(PART, f"{ours.name}: wall time", "s", mine)
    yield Figure(PART, f"{bare.name}: wall time", "s", theirs)
    yield ratio(PART, f"{ours.name} / {bare.name}: wall time", mine, theirs)
    more = tuple(a - b for a, b in zip(mine, theirs, strict=True))
    yield Figure(PART, f"{ours.name} - {bare.name}: wall time", "s", more)


def bake(workshop: Workshop, template: Path, target: Path) -> Run:
    """Generate a project from `template` in `target` with the default answers."""
    config = workshop.folder / "cookiecutter.yaml"
    if not config.is_file():
        config.write_text(f"replay_dir: {workshop.folder / 'replay'}\n", encoding="utf-8")
    options = ("--no-input", "--config-file", str(config), "--output-dir", str(target))
    command = (sys.executable, "-m", "cookiecutter", *options, str(template))
    return run(Command(command, workshop.folder, clean_environment()))


def bare_template(workshop: Workshop) -> Path:
    """A template with one file and no hook."""
    template = workshop.folder / "bare"
    project = template / "{{cookiecutter.project_slug}}"
    project.mkdir(parents=True)
    (template / "cookiecutter.json").write_text('{"project_slug": "bare"}\n', encoding="utf-8")
    (project / "README.md").write_text("# {{cookiecutter.project_slug}}\n", encoding="utf-8")
    return template


def _side(workshop: Workshop, name: str, template: Path) -> Side:
    progress(f"  {name}: warming up")
    bake(workshop, template, workshop.new_folder("bake"))
    return Side(name, lambda: bake(workshop, template, workshop.new_folder("bake")))
