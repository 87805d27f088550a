"""The screens of the guide: its commands are typed, in their order, and what they say is compared.

python tests/harness/guide_screens.py            lists the screens that differ
python tests/harness/guide_screens.py --write    writes the screens and the pipelines into the pages

It also writes the pictures that show screens: see `pictures`.

A block of the guide that begins with ```console holds commands (`$ …`) and their screens; its info
string may name the exit code of its last command (`exit:3`). All pages tell one story, against an
emulated workspace; `guide_scenes` prepares what a heading tells about.
"""

from __future__ import annotations

import difflib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fake_cli
from fake_workspace import Workspace
from fake_workspace.identities import Identity, service_principal

from harness import warm
from harness.baking import TEMPLATE, Baked, commit, cookiecutter, expect_success, export
from harness.delivering import Sandbox, furnish, lock_file, prepare
from harness.fake_forge import Forge
from harness.guide_scenes import SCENES

PAGES = (
    "docs/delivery.md",
    "docs/github/first-day.md",
    "docs/gitlab/first-day.md",
    "docs/runbooks/rollback.md",
    "docs/runbooks/failed-deploy.md",
    "docs/runbooks/drift.md",
    "docs/runbooks/stuck-lock.md",
    "docs/first-day.md",
)
ANSWERS = {"project_name": "Lakehouse"}
_RUN = re.compile(r"#job/\d+/run/\d+")
LEFT_OUT = "[…]"
ADDRESS = "https://workspace.example.com"
ACCOUNTS = (
    "https://accounts.cloud.databricks.com"  # an emulated account is at its workspace's address
)
ISSUER = "https://token.actions.githubusercontent.com"  # that of an emulated GitHub has its address
FORGES = {"github": "https://api.github.com", "gitlab": "https://gitlab.example.com/api/v4"}
READING = {"plan", "fetch", "status", "history", "drift", "doctor"}
RELEASE = re.compile(r"\b\d{4}\.\d\d\.\d\d-g[0-9a-f]{8}\b")

# What is another each time; a screen is equal when all else is.
_VARYING = (
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?(?:Z| UTC)?"), "TIME"),
    (re.compile(r"(?<=^    )[0-9a-f]{7}(?= )|(?<=  commit {18})[0-9a-f]{12}", re.M), "COMMIT"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:s|min|seconds?|minutes?|h|hours?|days?)\b"), "AGE"),
    (re.compile(r"\b[\d,]+ bytes\b"), "BYTES"),
    (re.compile(r"\bwaited \S+"), "AGE"),
)


@dataclass(frozen=True)
class Step:
    """A command of a page, and what it says.

    Attributes:
        heading: under which it stands.
        lines: where its screen is, as numbers of lines.
    """

    page: str
    heading: str
    command: str
    code: int
    screen: tuple[str, ...]
    lines: tuple[int, int]


@dataclass
class Stage:
    """Where the story is played.

    Attributes:
        forge: what a pipeline may ask.
        words: what the pages call something, and what it is called in this run.
        held: what the workspace held before a scene that is undone.
    """

    sandbox: Sandbox
    forge: Forge
    words: dict[str, str] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)

    def type(self, command: str) -> tuple[int, list[str]]:
        """Type a command, with everything that it says in the order in which people see it."""
        who = self.sandbox.settings(_who(command))
        done = subprocess.run(
            ["sh", "-c", _replaced(command, self.words)],
            cwd=self.sandbox.path,
            env=who,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        text = done.stdout.replace(self.sandbox.workspace.url, ADDRESS)
        text = text.replace(f"{self.forge.url}/github/_services/token", ISSUER)
        for kind, home in FORGES.items():
            text = text.replace(f"{self.forge.url}/{kind}", home)
        text = re.sub(rf"{ADDRESS}(?=/api/2.0/(?:preview/)?accounts/)", ACCOUNTS, text)
        text = _RUN.sub("#job/11/run/22", text.replace(f"{self.sandbox.path}/", ""))
        return done.returncode, [line.rstrip() for line in text.rstrip().splitlines()]

    def learn(self, expected: tuple[str, ...], screen: list[str]) -> list[str]:
        """What was said, in the words of the page: releases are known by where they appear."""
        ours, theirs = (RELEASE.findall("\n".join(lines)) for lines in (expected, screen))
        for page, run in zip(ours, theirs, strict=False):
            if page not in self.words and run not in self.words.values():
                self.words[page] = run
        back = {run: page for page, run in self.words.items()}
        return _replaced("\n".join(screen), back).splitlines()


def _replaced(text: str, words: dict[str, str]) -> str:
    if not words:
        return text
    known = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.sub(rf"(?<!\w)(?:{known})(?![\w])", lambda match: words[match[0]], text)


def _who(command: str) -> str:
    words = shlex.split(command)
    verb = words[1] if len(words) > 1 else ""
    if verb in ("preview", "bootstrap"):
        return "previewer" if verb == "preview" else "owner"
    return "planner" if verb in READING else "deployer"


def steps(page: str, text: str) -> Iterator[Step]:
    """The commands of a page, in their order."""
    heading, block, lines = "", "", text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("```"):
            block = "" if block else line
        elif not block and (found := re.match(r"#{1,4} (.+)", line)):
            heading = found[1]
        elif block.startswith("```console") and line.startswith("$ "):
            yield _step(page, heading, block, lines, number)


def _step(page: str, heading: str, block: str, lines: list[str], number: int) -> Step:
    """The command that begins at a line, and its screen."""
    first = number + 1
    while lines[first - 1].endswith("\\"):
        first += 1
    ends = (n for n in range(first, len(lines)) if re.match(r"\$ |```$", lines[n]))
    end = next(ends)
    code = re.search(r"exit:(\d)", block) if lines[end] == "```" else None
    command = "\n".join(lines[number:first]).removeprefix("$ ")
    screen = tuple(lines[first:end])
    return Step(page, heading, command, int(code[1]) if code else 0, screen, (first, end))


def normal(lines: Iterable[str]) -> list[str]:
    """A screen without what is another each time."""
    text = "\n".join(lines)
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text.splitlines()


def same(page: Iterable[str], screen: Iterable[str]) -> bool:
    """Whether a screen is what was said; a line `[…]` stands for any lines."""
    parts = [r"(?:.*\n)*" if line == LEFT_OUT else re.escape(f"{line}\n") for line in normal(page)]
    return re.fullmatch("".join(parts), "".join(f"{line}\n" for line in normal(screen))) is not None


@dataclass(frozen=True)
class Transcript:
    """The screen of a command in this run, in the words of its page."""

    step: Step
    code: int
    screen: tuple[str, ...]

    @property
    def problem(self) -> str:
        """How it differs from its page; empty when it does not."""
        heading = f"{self.step.page}, {self.step.heading}: $ {self.step.command}"
        if self.code != self.step.code:
            screen = "\n".join(self.screen)
            return f"{heading}\nexpected exit {self.step.code}, given {self.code}\n{screen}"
        if same(self.step.screen, self.screen):
            return ""
        expected, given = normal(self.step.screen), normal(self.screen)
        return "\n".join(
            [heading, *difflib.unified_diff(expected, given, "page", "run", lineterm="")]
        )


def _nothing(stage: Stage) -> None:
    """A scene that needs nothing."""


def play(stage: Stage, project: Path) -> Iterator[Transcript]:
    """Type every command of the guide, scene by scene."""
    for page in PAGES:
        scene, stage.sandbox.extra = "", {}
        for step in steps(page, (project / page).read_text(encoding="utf-8")):
            if step.heading != scene:
                scene = step.heading
                SCENES.get((page, scene), _nothing)(stage)
            code, screen = stage.type(step.command)
            yield Transcript(step, code, tuple(stage.learn(step.screen, screen)))


def written(text: str, heard: Iterable[Transcript]) -> str:
    """A page with the screens of a run; one that says the same stays as it is."""
    lines = text.splitlines()
    for one in sorted(heard, key=lambda h: h.step.lines, reverse=True):
        if not same(one.step.screen, one.screen):
            lines[slice(*one.step.lines)] = _shortened(one.step.screen, one.screen)
    return "\n".join(lines) + "\n"


def _shortened(page: tuple[str, ...], screen: tuple[str, ...]) -> list[str]:
    """What was said, without as many lines as the page leaves out."""
    if LEFT_OUT not in page:
        return [*screen]
    before = page.index(LEFT_OUT)
    after = len(page) - before - 1
    return [*screen[:before], LEFT_OUT, *screen[len(screen) - after :]]


def open_stage(path: Path, workspace: Workspace, forge: Forge, folder: Path) -> Stage:
    """A machine on which somebody types, and a workspace for what the guide needs."""
    programs = fake_cli.install(folder / "programs").parent
    _program(programs / "delivery", warm.program("delivery"))
    built = "mkdir -p dist && touch dist/lakehouse-0.1.0-py3-none-any.whl requirements.txt"
    _program(programs / "make", f'[ "$1" = wheel ] || exec {shutil.which("make")} "$@"\n{built}')
    workspace.add_identity(service_principal("previewer"))
    workspace.allow_run_as("previewer", "previewer")
    workspace.add_catalog(f"{path.name}_preview", creators=["previewer"])
    owner = Identity("owner", user_name="owner@example.com", admin=True, account_admin=True)
    workspace.add_identity(owner)
    previews = f"/Workspace/Deployments/{path.name}/previews"
    workspace.grant_folder(previews, "previewer", "CAN_MANAGE")
    return Stage(Sandbox(path, workspace, programs, folder / "home"), forge)


def _program(file: Path, lines: str) -> None:
    file.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    file.chmod(0o755)


def settle(path: Path, port: int) -> None:
    """What its owners set on the first day, beside the targets: where previews are."""
    file = path / "targets/preview.yml"
    text = re.sub(r'host: ".*"', f'host: "http://127.0.0.1:{port}"', file.read_text("utf-8"))
    file.write_text(text, encoding="utf-8")
    commit(path, "chore: the first day")


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def main(arguments: list[str]) -> int:
    """Play the story of the pages as they are in the checkout."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-guide."))
    given = [f"{key}={value}" for key, value in ANSWERS.items()]
    result = cookiecutter(export(folder / "template"), folder / "baked", *given)
    assert result.returncode == 0, result.stderr
    project = Baked(folder / "baked/lakehouse", ANSWERS)
    heard = []
    for one in rehearse(project, folder):
        heard.append(one)
        print(f"{one.problem}\n" if one.problem else f"{one.step.page}: $ {one.step.command}")
    problems = [one for one in heard if one.problem]
    print(f"{len(heard)} commands, {len(problems)} differ")
    if "--write" in arguments:
        write_tables(folder)
        for page in PAGES:
            file = TEMPLATE / page
            of_page = [one for one in heard if one.step.page == page]
            file.write_text(written(file.read_text("utf-8"), of_page), encoding="utf-8")
        pictures = Path(__file__).with_name("pictures.py")
        expect_success(sys.executable, pictures, "--write", cwd=TEMPLATE)
    return 1 if problems else 0


def write_tables(folder: Path) -> None:
    """Put the tables of pipelines into the pages of both strategies."""
    for branching, place in (("trunk", "."), ("environments", "options/branching=environments")):
        out = folder / branching
        cookiecutter(folder / "template", out, "project_slug=lake", f"branching={branching}")
        output = expect_success(sys.executable, "tests/guide/pipelines.py", cwd=out / "lake")
        for forge, table in zip(("github", "gitlab"), output.strip().split("\n\n"), strict=True):
            file = TEMPLATE / place / f"docs/{forge}/pipelines.md"
            rows = lambda _, text=table: f"{text}\n"  # noqa: E731 (backslashes stay as they are)
            text = re.sub(r"(?:^\|.*\n)+", rows, file.read_text("utf-8"), flags=re.MULTILINE)
            file.write_text(text, encoding="utf-8")


def rehearse(project: Baked, folder: Path) -> Iterator[Transcript]:
    """The story of a project, in a workspace that is made for it."""
    port = free_port()
    path = prepare(project, lock_file(project, folder / "lock"), folder / "work", port)
    settle(path, port)
    with Workspace(port=port) as workspace, Forge() as forge:
        furnish(workspace, path.name)
        yield from play(open_stage(path, workspace, forge, folder), project.path)
        assert (workspace.unknown, forge.unknown) == ([], [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
