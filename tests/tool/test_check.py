"""Rules, branches and policy."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.checks import registry
from delivery.checks.branch import current_branch
from delivery.checks.registry import CheckContext, all_rules, check
from delivery.config.policy import load_policy
from delivery.config.root import find_root
from delivery.errors import DeliveryError, Finding

from tool.conftest import git

Edit = Callable[[str, str, str], None]


def messages(project: Path, *only: str, committing: bool = False) -> list[str]:
    return [finding.message for finding in check(CheckContext(project, committing), only)]


def test_a_good_project_has_no_findings(project: Path) -> None:
    assert check(CheckContext(project)) == []


def test_an_unknown_rule_is_answered_with_the_known_ones(project: Path) -> None:
    with pytest.raises(
        DeliveryError, match="given 'x', expected one of alert, artifact, branch, catalog, "
    ):
        check(CheckContext(project), ["x"])


@pytest.mark.parametrize(
    "file", ["resources/x.yml", "resources/shop/deep/x.yaml", "targets/a/b.yml"]
)
def test_a_file_that_no_include_reaches_is_found(project: Path, file: str) -> None:
    (project / file).parent.mkdir(parents=True, exist_ok=True)
    (project / file).touch()
    found = check(CheckContext(project), ["include"])
    assert [(f.file, f.message) for f in found] == [
        (file, "no include of databricks.yml matches this file")
    ]


@pytest.mark.parametrize("name", ["databricks.yaml", "bundle.yml", "bundle.yaml"])
def test_a_second_root_file_is_refused(project: Path, name: str) -> None:
    (project / name).write_text("bundle: {name: another}\n", encoding="utf-8")
    (message,) = messages(project, "include")
    assert message == f"given {name} beside databricks.yml, expected one root file"


def test_an_included_file_of_another_suffix_is_refused(project: Path, edit: Edit) -> None:
    edit("databricks.yml", "  - targets/*.yml\n", "  - targets/*.yml\n  - targets/*.txt\n")
    (project / "targets/more.txt").write_text("targets: {}\n", encoding="utf-8")
    (message,) = messages(project, "include")
    assert message == "included, expected a file that ends with .yml, .yaml or .json"


def test_a_finding_of_all_targets_is_told_once(project: Path, edit: Edit) -> None:
    edit("resources/shop/schema.yml", "${var.catalog}", "${var.catalgo}")
    assert len(messages(project, "reference")) == 1


def test_a_finding_of_one_target_names_it(project: Path, edit: Edit) -> None:
    edit("targets/prod.yml", "demo_prod", "${var.nope}")
    assert messages(project, "reference")[0].endswith(" (target prod)")


def test_a_file_that_is_no_yaml_is_one_finding(project: Path, edit: Edit) -> None:
    edit("targets/prod.yml", "    mode:", "     mode:")
    assert {(f.file, f.rule) for f in check(CheckContext(project))} == {
        ("targets/prod.yml", "yaml")
    }


@pytest.mark.parametrize("branch", ["main", "release", "feature/late-arrivals", "fix/a.b_C/1"])
def test_a_branch_says_what_it_is_for(project: Path, branch: str) -> None:
    git(project, "checkout", "--quiet", "--orphan", branch) if branch != "main" else None
    assert messages(project, "branch") == []


@pytest.mark.parametrize("branch", ["work", "feat/x", "features/x", "feature-x", "feature/-x"])
def test_another_branch_is_found(project: Path, branch: str) -> None:
    git(project, "checkout", "--quiet", "--orphan", branch)
    assert messages(project, "branch") == [
        f"branch: given {branch}, expected one of feature, fix, a slash and a short name"
    ]


@pytest.mark.parametrize("branch", ["main", "release"])
def test_a_protected_branch_takes_no_commits_once_there_is_a_remote(
    project: Path, branch: str
) -> None:
    git(project, "checkout", "--quiet", "--orphan", branch) if branch != "main" else None
    assert messages(project, "branch", committing=True) == []
    git(project, "remote", "add", "origin", "https://example.com/x.git")
    assert messages(project, "branch") == []
    assert messages(project, "branch", committing=True) == [
        f"branch: {branch} is protected, expected a commit on another branch"
    ]
    git(project, "checkout", "--quiet", "--orphan", "fix/x")
    assert messages(project, "branch", committing=True) == []


def test_a_pipeline_says_which_branch_it_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_COMMIT_BRANCH", "fix/b")
    monkeypatch.setenv("GITHUB_HEAD_REF", "")
    assert current_branch(project) == "fix/b"
    monkeypatch.setenv("GITHUB_HEAD_REF", "fix/a")
    assert current_branch(project) == "fix/a"


def test_without_git_or_branch_nothing_is_judged(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(project, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet",
        "--no-verify", "--allow-empty", "--message=x")  # fmt: skip
    git(project, "checkout", "--quiet", "--detach")
    assert current_branch(project) is None
    assert messages(project, "branch", committing=True) == []
    monkeypatch.setenv("PATH", "/nowhere")
    assert current_branch(project) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  integration: main",
            "  integratoin: main",
            r"delivery\.yml:5: branches\.integration: Field",
        ),
        ("project:", "projects:", r"delivery\.yml: project: Field required"),
        (
            "  name: Demo",
            "  name: Demo\n  nmae: x",
            r"delivery\.yml:3: project\.nmae: unknown key, expected name",
        ),
        ("[feature, fix]", "feature", r"delivery\.yml:10: branches\.prefixes: Input should be"),
    ],
)
def test_a_policy_of_another_form_is_refused(
    project: Path, edit: Edit, old: str, new: str, message: str
) -> None:
    edit("delivery.yml", old, new)
    with pytest.raises(DeliveryError, match=message):
        load_policy(project)


def test_protected_branches_are_those_that_deliver(project: Path) -> None:
    assert load_policy(project).branches.protected == ("main", "release")


def test_the_project_is_found_from_inside(project: Path, tmp_path: Path) -> None:
    assert find_root(project / "src" / "app") == project
    with pytest.raises(DeliveryError, match=r"expected a folder with a databricks\.yml"):
        find_root(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "x: dapi" + 32 * "0",
        "x: [a, dose" + 32 * "a" + "]",
        "password: hunter2",
        "client_secret: ${var.x} and more",
        "api_key: x",
        "{deep: [{my_token: x}]}",
    ],
)
def test_a_secret_in_yaml_is_found(project: Path, edit: Edit, line: str) -> None:
    edit(
        "resources/shop/schema.yml",
        "      name:",
        f"      properties:\n        {line}\n      name:",
    )
    assert [(f.file, f.line) for f in check(CheckContext(project), ["secret"])] == [
        ("resources/shop/schema.yml", 6)
    ]


@pytest.mark.parametrize(
    "line", ["token: '{{secrets/scope/key}}'", "secret: ${var.x}", "password: ''", "tokens: 4"]
)
def test_a_reference_to_a_secret_is_none(project: Path, edit: Edit, line: str) -> None:
    edit("resources/shop/schema.yml", "      name:", f"      {line}\n      name:")
    assert check(CheckContext(project), ["secret"]) == []


def test_a_finding_is_a_line_for_people_and_a_record_for_machines() -> None:
    finding = Finding("a.yml", 3, "rule", "given x, expected y", "Do it.")
    assert str(finding) == "a.yml:3: given x, expected y\n    Do it."
    assert str(Finding("a.yml", 0, "rule", "m", "Do it.")) == "a.yml: m\n    Do it."
    assert finding.as_json() == {
        "file": "a.yml",
        "line": 3,
        "rule": "rule",
        "message": "given x, expected y",
        "hint": "Do it.",
        "severity": "error",
    }


def _names_of_findings() -> set[str]:
    """What findings are called, wherever the tool makes one."""
    names = set()
    for file in (Path(registry.__file__).parents[1]).rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = {
            name.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for name in node.targets
            if isinstance(name, ast.Name)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            made = getattr(call.func, "id", getattr(call.func, "attr", ""))
            if made not in ("Finding", "policy_finding") or len(call.args) < 3:
                continue
            short = isinstance(call.args[0], ast.Starred) or made == "policy_finding"
            rule = call.args[1 if short else 2]
            if isinstance(rule, ast.Constant):
                names.add(str(rule.value))
            elif isinstance(rule, ast.Name) and rule.id in texts:
                names.add(str(texts[rule.id]))
    return names


def test_only_takes_every_name_that_a_finding_has(project: Path) -> None:
    names = _names_of_findings() - {"run"}  # of `delivery run`
    assert {"naming", "untrusted", "yaml", "wiring", "placeholder"} < names
    assert names == {*all_rules()}
    for name in all_rules():
        assert check(CheckContext(project), [name]) == []


def test_only_keeps_findings_of_that_name(project: Path, edit: Edit) -> None:
    edit("resources/shop/job.yml", "tags: {project: demo, domain: shop}", "tags: {project: demo}")
    edit("resources/shop/schema.yml", "    shop_gold:\n", "    gold:\n")
    edit("resources/shop/job.yml", "schemas.shop_gold", "schemas.gold")
    assert {f.rule for f in check(CheckContext(project), ["naming"])} == {"naming"}
    assert {f.rule for f in check(CheckContext(project), ["tags"])} == {"tags"}
