"""The rules that each commit waits for: those of `delivery check`, without its slow start."""

import subprocess
import sys
from pathlib import Path

import pytest
from delivery import commit
from delivery.checks.registry import CheckContext, check
from delivery.config.policy import Branches, load_policy
from delivery.config.policy_file import branch_names
from delivery.errors import DeliveryError, Exit

from tool.conftest import Edit

RULES = ["branch", "include", "reference", "wiring", "secret"]
PLAIN = "branches: {integration: main, targets: {staging: main, prod: main}, prefixes: [feature]}"


def start(project: Path, *rules: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "delivery.commit", *rules]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def imported(project: Path, *rules: str) -> set[str]:
    """The modules that these rules need."""
    code = "import sys; from delivery.commit import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, *rules]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    return {*done.stdout.split()}


def test_a_good_project_passes_without_what_is_slow_to_import(project: Path) -> None:
    done = start(project, *RULES)
    assert (done.returncode, done.stdout) == (0, "check: passed\n"), done.stderr
    assert imported(project, *RULES) & {"typer", "pydantic", "rich", "databricks"} == set()


def test_a_rule_is_imported_alone(project: Path) -> None:
    rules = {m for m in imported(project, "secret") if m.startswith("delivery.checks.")}
    assert rules == {"delivery.checks.registry", "delivery.checks.secret"}


def test_it_finds_what_check_finds(
    project: Path, edit: Edit, capsys: pytest.CaptureFixture[str]
) -> None:
    edit("resources/shop/job.yml", "schema:", "shcema:")
    edit("resources/shop/schema.yml", "${var.catalog}", "${var.x}")
    assert commit.main(RULES) is Exit.FAILED
    told = capsys.readouterr().out
    found = check(CheckContext(project, committing=True), RULES)
    assert len(found) > 1
    assert told == "\n".join(map(str, found)) + "\n"


def test_a_rule_that_does_not_exist_is_bad_input(project: Path) -> None:
    done = start(project, "brunch")
    assert done.returncode == Exit.BAD_INPUT
    assert "rule: given 'brunch', expected one of" in done.stderr


@pytest.mark.parametrize("rule", ["registry", "yaml.x", "", "../branch"])
def test_a_file_that_is_no_rule_is_no_rule(project: Path, rule: str) -> None:
    with pytest.raises(DeliveryError, match="rule: given"):
        check(CheckContext(project), [rule])


def test_two_rules_of_one_file_are_two_names(project: Path) -> None:
    assert check(CheckContext(project), ["duplicate", "yaml"]) == []


def test_no_rules_are_not_all_rules(project: Path) -> None:
    done = start(project)
    assert done.returncode == Exit.BAD_INPUT
    assert "commit: given no rules" in done.stderr


# --- the names of branches, with and without the model ---


def write_branches(project: Path, text: str) -> None:
    (project / "delivery.yml").write_text(
        f"project: {{name: demo, compute: serverless}}\n{text}\n", encoding="utf-8"
    )


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("[feature]", "[]"),
        PLAIN.replace("prod: main", "prod: release"),
        PLAIN.replace("feature", "fix, yes, null_, '017'"),
    ],
)
def test_the_names_are_those_of_the_model(project: Path, text: str) -> None:
    write_branches(project, text)
    names, model = branch_names(project), load_policy(project).branches
    assert isinstance(model, Branches)
    assert names == (tuple(model.prefixes), model.protected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "branches:",
        "branches: [main]",
        PLAIN.replace("integration: main, ", ""),
        PLAIN.replace("integration: main", "integration: 1"),
        PLAIN.replace("{staging: main, prod: main}", "{}"),
        PLAIN.replace("prod: main", "prod: [main]"),
        PLAIN.replace("[feature]", "feature"),
        PLAIN.replace("[feature]", "[feature, 2]"),
        PLAIN.replace("[feature]", "[feature], more: 1"),
    ],
)
def test_a_malformed_section_is_described_by_the_model(
    project: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_branches(project, text)
    assert branch_names(project) is None
    assert commit.main(["branch"]) is Exit.FAILED
    assert capsys.readouterr().out.startswith("delivery.yml:")
