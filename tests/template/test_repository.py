"""The template's repository: its promises, its words, and its mutants."""

from __future__ import annotations

import gzip
import re
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
from harness.baking import (
    CHOICES,
    DECLARED,
    QUESTIONS,
    ROOT,
    TEMPLATE,
    expect_success,
    mypy,
    template_files,
)
from mutants.__main__ import is_caught
from mutants.everything import FAULTS
from mutants.faults import Fault

THIS = "tests/template/test_repository.py"
SELF = "test_the_licence_is_apache_2"
TEXTS = [
    name
    for name in template_files()
    if not name.endswith(".csv") and name != "tests/template/test_repository.py"
]


def text_of(name: str) -> str:
    if name.endswith(".gz"):  # an archive: what is in it counts
        return gzip.decompress((ROOT / name).read_bytes()).decode(errors="replace")
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_readme_lists_every_question_with_its_choices() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text_of("README.md"), re.MULTILINE))
    assert list(table) == QUESTIONS
    for name, choices in CHOICES.items():
        assert re.findall(r"`(\w+)`", table[name]) == choices


def test_the_docs_name_no_option_that_does_not_exist() -> None:
    for name in TEXTS:
        if name.endswith(".md"):
            for option, value in re.findall(r"(?:^|\s)(\w+)=(\w+)(?:\s|$)", text_of(name)):
                if option in DECLARED:
                    assert option in QUESTIONS
                    assert value in CHOICES.get(option, [value])
                else:
                    assert option.isupper(), f"{name}: {option}"


def test_the_readme_names_every_target_of_make() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", text_of("Makefile"), re.MULTILINE)
    assert phony
    helped = {line.split()[1] for line in expect_success("make", cwd=ROOT).splitlines()}
    assert helped == set(phony[1].split())
    named = set(re.findall(r"`make ([\w-]+)", text_of("README.md")))
    of_project = {"run", "late", "docs"}
    assert {"demo", "test", "check", "mutants", "benchmark"} <= named <= helped | of_project


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".md")])
def test_links_lead_somewhere(name: str) -> None:
    place = ROOT / re.sub(r"options/[^/]+/", "", name)  # where a variant is laid over the project
    for link in re.findall(r"\]\(([^)#]+)", text_of(name)):
        if not link.startswith("https://"):
            assert place.parent.joinpath(unquote(link)).exists(), link


FORBIDDEN = {
    "the host of a package index": (
        r"pypi\.org|pythonhosted|proxy\.golang|registry\.npmjs|repo1?\.maven"
    ),
    "a machine's path": r"(?<![\w.$}/-])/(?:root|home|work)/\w",
    "somebody's address": (
        r"@(?!(?:data\.)?example\.com|x-1\.example|example\.\.com)[\w-]+\.(?:com|org|net|io)\b"
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_committed_names(what: str) -> None:
    for name in TEXTS:
        assert not re.search(FORBIDDEN[what], text_of(name)), name


def test_no_lock_is_committed() -> None:
    assert not [n for n in template_files() if Path(n).name in ("uv.lock", "pylock.toml")]


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in text_of("LICENSE")
    assert "Version 2.0, January 2004" in text_of("LICENSE")


def test_the_changelog_has_what_is_unreleased() -> None:
    assert re.search(r"^## Unreleased$", text_of("CHANGELOG.md"), re.MULTILINE)


def requirements() -> list[str]:
    """What the template, the project and its tool ask for."""
    found: list[str] = []
    for folder in (ROOT, TEMPLATE, TEMPLATE / "tools/delivery"):
        document = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        found += document["project"].get("dependencies", [])
        for group in document.get("dependency-groups", {}).values():
            found += [entry for entry in group if isinstance(entry, str)]  # others include a group
        ours = document.get("tool", {}).get("uv", {}).get("sources", {})  # members of the workspace
        found = [requirement for requirement in found if requirement not in ours]
    return found


@pytest.mark.parametrize("requirement", requirements())
def test_versions_below_one_are_pinned_exactly_and_others_bounded(requirement: str) -> None:
    assert re.search(r"==|<", requirement)
    if re.search(r"[=>]=0\.", requirement):
        assert "==" in requirement


def test_the_template_and_the_project_use_the_same_actions() -> None:
    pins: dict[str, set[str]] = {}
    for name in TEXTS:
        if name.endswith(".yml") and ".github" in name:
            for action, pin in re.findall(r"uses: ([\w./-]+)@(\w+)", text_of(name)):
                pins.setdefault(action, set()).add(pin)
    assert pins
    assert all(len(found) == 1 for found in pins.values()), pins


def test_every_fault_can_be_applied() -> None:
    for fault in FAULTS:
        assert fault.old in text_of(fault.file), fault.name
        assert fault.old != fault.new, fault.name
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 40


def test_every_fault_names_a_test_that_exists() -> None:
    for test in sorted({fault.test for fault in FAULTS}):
        file, _, name = test.partition("::")
        whole = (ROOT / file).is_dir() or not name
        assert whole or f"def {name.partition('[')[0]}(" in text_of(file), test
        assert (ROOT / file).exists(), test


def test_every_fault_names_a_case_that_exists() -> None:
    cases = sorted({fault.test for fault in FAULTS if "[" in fault.test})
    options = ("--collect-only", "-q", "-p", "no:cacheprovider")
    expect_success(sys.executable, "-m", "pytest", *options, *cases, cwd=ROOT)


@pytest.mark.slow
def test_a_fault_that_no_test_sees_survives() -> None:
    harmless = Fault("harmless", "README.md", "# cookiecutter", "# Cookiecutter", f"{THIS}::{SELF}")
    assert not is_caught(harmless)
    harmful = harmless._replace(file="LICENSE", old="Apache License", new="Another License")
    assert is_caught(harmful)


@pytest.mark.slow
def test_the_template_s_own_code_passes_its_checks(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    cache = ("--cache-dir", tmp_path)
    expect_success(programs / "ruff", "format", "--check", *cache, ".", cwd=ROOT)
    expect_success(programs / "ruff", "check", *cache, ".", cwd=ROOT)
    mypy(ROOT, "")
    typed = mypy(TEMPLATE, "", "--package", "delivery", MYPYPATH="tools/delivery/src")
    assert int(re.findall(r"in (\d+) source files", typed)[0]) > 100
    style = ("--config", "pyproject.toml", *cache, "tools/delivery")
    expect_success(programs / "ruff", "format", "--check", *style, cwd=TEMPLATE)
    expect_success(programs / "ruff", "check", *style, cwd=TEMPLATE)
