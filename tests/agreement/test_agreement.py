"""`delivery check` says what the CLI would say."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from delivery.checks.registry import CheckContext, check
from delivery.config.bundle import from_plain
from delivery.config.model import _checker, _fits, _Place
from delivery.config.yaml import Mark
from fake_workspace import Workspace

from agreement import corpus, generate
from agreement.cases import API, CASES, FILES, NOTHING, ROOT, Case
from agreement.compare import Case as Generated
from agreement.compare import compare
from agreement.judges import HOUSE_RULES, ask_cli

REAL = shutil.which("databricks")
REASON = "REAL CLI NOT TESTED: databricks is not on the PATH"
real_cli = pytest.mark.skipif(REAL is None, reason=REASON)
BUNDLES = int(os.environ.get("AGREEMENT_BUNDLES", "250"))
AGREEMENT = 0.99
# Disagreements with a reason. By part of what was done to a bundle.
EXPLAINED = {
    "experiments: .name removed": "the models require it; version 1.13 of the CLI does not",
    "source_schema": "the models, which are newer, do not require it any more",
    "source_table": "the models, which are newer, do not require it any more",
}


def write(folder: Path, case: Case, host: str = "https://example.com") -> Path:
    """The bundle of a case."""
    *more, resources = case.text.split("---\n")
    for name, text in {**FILES, "resources/sales.yml": resources}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    tree = yaml.safe_load(ROOT.replace("HOST", host))
    _add(tree, yaml.safe_load("".join(more)) or {})
    root = yaml.safe_dump(tree, sort_keys=False)
    (folder / "databricks.yml").write_text(root, encoding="utf-8")
    return folder


def _add(tree: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _add(tree[key], value)
        elif value is None:
            tree.pop(key)
        else:
            tree[key] = value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_check_says_it(tmp_path: Path, case: Case) -> None:
    findings = check(CheckContext(write(tmp_path, case)))
    found = [(f.rule, f.message) for f in findings if f.rule not in HOUSE_RULES]
    if case.rule == NOTHING:
        assert found == []
    else:
        assert [rule for rule, message in found if case.message in message] == [case.rule], found
        if case.name != "two wrong choices":
            assert len(found) == 1, found
        severities = {f.severity for f in findings if f.rule == case.rule}
        expected = case.severity or ("warning" if case.cli == API else "error")
        assert severities == {expected}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An emulated workspace, and an admin's access to it."""
    with Workspace() as workspace:
        yield {
            "DATABRICKS_HOST": workspace.url,
            "DATABRICKS_TOKEN": workspace.token("admin"),
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "HOME": str(tmp_path_factory.mktemp("home")),
        }


@real_cli
@pytest.mark.real_cli
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cli_says_it(tmp_path: Path, environment: dict[str, str], case: Case) -> None:
    write(tmp_path, case, environment["DATABRICKS_HOST"])
    said = ask_cli(tmp_path, "only", str(REAL), environment)
    assert bool(said) == (case.rule != NOTHING and case.cli is True), said


@pytest.mark.parametrize("kind", generate.kinds())
def test_the_quick_answer_is_the_right_one(kind: str) -> None:
    """A value that is said to fit at once has no mismatch."""
    dice, model = random.Random(kind), generate.model_of(kind)
    assert model
    for _ in range(60):
        resource, _ = generate.changed(generate.resource_of(kind, dice), dice)
        value = from_plain(resource)
        if _fits(model)(value):
            assert not list(_checker(model)(value, _Place("", Mark("x.yml", 1))))


def batched(cases: list[Generated], size: int = 20) -> list[list[Generated]]:
    """Few at a time: the CLI stops at the first error, and then has to read all others again."""
    return [cases[start : start + size] for start in range(0, len(cases), size)]


@real_cli
@pytest.mark.real_cli
def test_generated_bundles_are_judged_alike(tmp_path: Path, environment: dict[str, str]) -> None:
    dice = random.Random(BUNDLES)
    kinds = generate.kinds()
    each = max(2, BUNDLES // len(kinds))
    left = []
    for kind in kinds:
        cases = []
        for number in range(each):
            resource, what = generate.resource_of(kind, dice), "valid"
            if number % 5:
                resource, what = generate.changed(resource, dice)
            if "source_code_path" in resource and resource["source_code_path"] == ".":
                resource["source_code_path"] = f"./c{number}"  # each app has its own
            cases.append(Generated(kind, f"c{number}", resource, what))
        for some in batched(cases):
            found = compare(some, tmp_path, str(REAL), environment)
            unexplained = (one for one in found if not one.is_explained)
            left += [one for one in unexplained if not any(part in str(one) for part in EXPLAINED)]
    listed = "\n".join(map(str, left))
    alarms = sum(bool(one.check) for one in left)
    misses = len(left) - alarms
    print(f"{each * len(kinds)} bundles, {alarms} false alarms, {misses} misses\n{listed}")
    assert len(left) <= (1 - AGREEMENT) * each * len(kinds), listed


@real_cli
@pytest.mark.real_cli
@pytest.mark.skipif("AGREEMENT_CORPUS" not in os.environ, reason="AGREEMENT_CORPUS names no folder")
def test_bundles_of_others_are_judged_alike(tmp_path: Path, environment: dict[str, str]) -> None:
    root = Path(os.environ["AGREEMENT_CORPUS"])
    verdicts: list[corpus.Verdict] = []
    for number, source in enumerate(corpus.bundles(root)):
        folder = tmp_path / str(number)
        name = str(source.relative_to(root))
        verdicts += corpus.judge(source, name, folder, str(REAL), environment)
        shutil.rmtree(folder)
    differ = [one for one in verdicts if not one.agrees and not one.is_explained]
    listed = "\n".join(map(str, differ))
    agree, explained = sum(v.agrees for v in verdicts), sum(v.is_explained for v in verdicts)
    print(f"{len(verdicts)} targets: {agree} agree, {explained} explained, {len(differ)} disagree")
    print(listed)
    assert len(differ) <= (1 - AGREEMENT) * len(verdicts), listed
