"""Tests the guide: links resolve, commands exist, tables match the pipelines."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from delivery.cli.app import build_app
from pipelines import FORGES, HEADER, table
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
GUIDE = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")), *GUIDE]
TABLES = {name: ROOT / "docs" / name / "pipelines.md" for name in FORGES}
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# --- links ---


def links(page: Path) -> Iterator[str]:
    """The links of a page to files of the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", text(page))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, in the form of GitHub and GitLab."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text(page)), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        numbered = (f"{words}-{number}" for number in range(1, 99))
        found.add(words if words not in found else next(n for n in numbered if n not in found))
    return found


def dead(page: Path) -> Iterator[str]:
    """The broken links of a page."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead(page)) == []


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs/README.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {*GUIDE} - {index} - listed == set()
    assert index in {(ROOT / link).resolve() for link in links(ROOT / "README.md")}


# --- commands ---


def commands(page: Path) -> Iterator[list[str]]:
    """Every `make …` and `delivery …` of a page, split into words."""
    lines = [line for block in FENCE.findall(text(page)) for line in joined(block).splitlines()]
    for line in [*lines, *inline(page)]:
        found = re.match(r"(?:\$ )?(?:\.venv/bin/)?((?:make|delivery)(?: .*)?)$", line.strip())
        if found:
            yield words(found[1])


def inline(page: Path) -> list[str]:
    """The texts between backticks."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", text(page)))]


def joined(block: str) -> str:
    return re.sub(r"\\\n\s*", "", block)


def words(command: str) -> list[str]:
    try:
        return shlex.split(command, comments=True)
    except ValueError:
        return command.split()  # it only looks like a command


def made() -> set[str]:
    """The targets of `make`."""
    makefile = text(ROOT / "Makefile")
    return {*re.findall(r"^([a-z]+):", makefile, re.MULTILINE), ""}


@cache
def tool() -> Any:
    """The command line of the delivery tool, built once: it imports every command."""
    return get_command(build_app())


def unknown(command: list[str]) -> Iterator[str]:
    """The words of a command that do not exist."""
    program, rest = command[0], command[1:]
    if program == "make":
        yield from {word for word in rest[:1] if "=" not in word and word != "…"} - made()
        return
    tree = tool()
    while hasattr(tree, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in tree.commands:
            yield rest[0]
            return
        tree, rest = tree.commands[rest[0]], rest[1:]
    known = {o for p in tree.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "--", "-h"}
    given = {word.partition("=")[0] for word in rest if word.startswith("-")}
    yield from sorted(given - known)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists(page: Path) -> None:
    found = {" ".join(c): wrong for c in commands(page) if (wrong := list(unknown(c)))}
    assert found == {}


def options(tree: Any) -> set[str]:
    """Every option of every command."""
    nested = (options(command) for command in getattr(tree, "commands", {}).values())
    return {o for p in tree.params for o in (*p.opts, *p.secondary_opts)}.union(*nested)


@pytest.mark.parametrize("page", GUIDE, ids=name)
def test_every_option_exists(page: Path) -> None:
    named = {code.split()[0] for code in inline(page) if code.startswith("--")}
    assert named - options(tool()) - {"--help"} == set()


def test_the_page_of_delivery_has_every_command() -> None:
    page = text(ROOT / "docs/delivery.md")
    words = {word for line in re.findall(r"^## (.+)$", page, re.MULTILINE) for word in line.split()}
    assert {*tool().commands} - {word.strip(",") for word in words} == set()


# --- pipelines ---


@pytest.mark.parametrize("forge", [forge for forge, page in TABLES.items() if page.exists()])
def test_the_table_of_pipelines_is_what_they_are(forge: str) -> None:
    lines = text(TABLES[forge]).splitlines()
    start = lines.index(HEADER)
    end = next(n for n in range(start, len(lines)) if not lines[n].startswith("|"))
    expected = table(FORGES[forge](ROOT))
    shown = lines[start:end]
    missing = [line for line in expected if line not in shown]
    wrong = [line for line in shown if line not in expected]
    differences = ["missing:", *missing, "to remove:", *wrong, "the whole table:", *expected]
    assert shown == expected, "\n".join([f"docs/{forge}/pipelines.md", *differences])


def test_each_forge_that_is_used_has_its_pages() -> None:
    used = {"github": ROOT / ".github/workflows", "gitlab": ROOT / ".gitlab-ci.yml"}
    assert {forge for forge, place in used.items() if place.exists()} == {
        forge for forge, page in TABLES.items() if page.exists()
    }
