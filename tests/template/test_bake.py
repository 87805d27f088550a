"""What is generated: exactly these files, whole, parsed, and with nothing of the template left."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake
from harness.baking import (
    CHOICES,
    DECLARED,
    MAXIMAL,
    ROOT,
    TEMPLATE,
    Baked,
    cookiecutter,
    expect_success,
    git,
    template_files,
)
from pathvalidate import is_valid_filepath

pytestmark = pytest.mark.slow

# These, and no others, carry answers. Everything else is copied as it stands.
RENDERED = {
    "README.md",
    "databricks.yml",
    "delivery.yml",
    "docs/README.md",
    "docs/environments.md",
    "docs/first-day.md",
    "docs/kinds.md",
    "targets/dev.yml",
    "targets/preview.yml",
    "targets/prod.yml",
    "targets/staging.yml",
}
GITHUB = {
    ".github/actions/setup/action.yml",
    ".github/dependabot.yml",
    ".github/workflows/check.yml",
    ".github/workflows/deliver.yml",
    ".github/workflows/drift.yml",
    ".github/workflows/operate.yml",
    ".github/workflows/plan.yml",
    ".github/workflows/preview.yml",
    ".github/workflows/promote.yml",
    ".github/workflows/rollback.yml",
    ".github/workflows/status.yml",
    ".github/workflows/terraform.yml",
    ".github/zizmor.yml",
    "docs/github/first-day.md",
    "docs/github/pipelines.md",
}
GITLAB = {
    ".gitlab-ci.yml",
    ".gitlab/ci/check.yml",
    ".gitlab/ci/deliver.yml",
    ".gitlab/ci/drift.yml",
    ".gitlab/ci/operate.yml",
    ".gitlab/ci/plan.yml",
    ".gitlab/ci/preview.yml",
    ".gitlab/ci/rollback.yml",
    ".gitlab/ci/runner-for-requests.yml",
    ".gitlab/ci/runner.yml",
    ".gitlab/ci/setup.yml",
    ".gitlab/ci/status.yml",
    ".gitlab/ci/terraform.yml",
    ".gitlab/ci/workflow.yml",
    "renovate.json",
    "docs/gitlab/first-day.md",
    "docs/gitlab/pipelines.md",
}
# In `infra/`, what belongs to one forge is left out with it.
OF_FORGE = {
    forge: {f"infra/terraform/{kind}/{forge}/" for kind in ("modules", "stacks")}
    for forge in ("github", "gitlab")
}
VARIANTS = {
    ("compute", "classic"): {"resources/flights/job.yml"},
    ("include_terraform", "yes"): {".gitlab-ci.yml"},
    ("branching", "environments"): {
        ".github/workflows/check.yml",
        ".github/workflows/deliver.yml",
        ".gitlab/ci/deliver.yml",
        ".gitlab/ci/workflow.yml",
        "docs/branching.md",
        "docs/github/pipelines.md",
        "docs/gitlab/pipelines.md",
    },
}


def source_files() -> set[str]:
    """The files of the un-rendered project, relative to it."""
    prefix = f"{TEMPLATE.name}/"
    return {name.removeprefix(prefix) for name in template_files() if name.startswith(prefix)}


def expected_files(answers: dict[str, str]) -> set[str]:
    files = {name for name in source_files() if not name.startswith("options/")}
    for forge, other, own in (("github", "gitlab", GITHUB), ("gitlab", "github", GITLAB)):
        if answers.get("ci") == other:
            files = {n for n in files - own if not n.startswith(tuple(OF_FORGE[forge]))}
    if answers.get("include_terraform") != "yes":
        files = {n for n in files if not n.startswith("infra/") and "terraform" not in n}
    return files | {"targets/identity.yml"}


def texts(project: Baked, *endings: str) -> Iterator[tuple[str, str]]:
    for name in sorted(project.files()):
        if name.endswith(endings):
            yield name, project.text(name)


def test_exactly_the_expected_files_are_there(project: Baked) -> None:
    assert project.files() == expected_files(dict(project.answers))


def test_rendered_files_are_few_and_listed() -> None:
    patterns = DECLARED["_copy_without_render"]
    verbatim = {n for n in source_files() if any(f"{n}/".startswith(f"{p}/") for p in patterns)}
    assert source_files() - verbatim == RENDERED
    assert all((TEMPLATE / pattern).exists() for pattern in patterns)


def test_inline_conditionals_are_few() -> None:
    found = [
        match
        for name in source_files()
        if not name.endswith(".csv")
        for match in re.findall(
            r"\{%-?\+?\s*(?:if|elif)\b", (TEMPLATE / name).read_text(encoding="utf-8")
        )
    ]
    assert len(found) <= 12


def test_verbatim_files_are_the_template_s_own(project: Baked) -> None:
    changed = set().union(*(VARIANTS.get(answer, set()) for answer in project.answers.items()))
    for name in project.files() & source_files() - RENDERED - changed:
        assert (project.path / name).read_bytes() == (TEMPLATE / name).read_bytes(), name


@pytest.mark.parametrize(
    ("choice", "files"), VARIANTS.items(), ids=lambda v: v[0] if isinstance(v, tuple) else ""
)
def test_a_variant_changes_these_files_and_no_others(
    choice: tuple[str, str], files: set[str], bake: Bake
) -> None:
    default, variant = bake(), bake(**dict([choice]))
    different = {
        name
        for name in default.files() & variant.files() - {"targets/identity.yml"}
        if (default.path / name).read_bytes() != (variant.path / name).read_bytes()
    }
    listed = "docs/README.md" if choice == ("include_terraform", "yes") else "delivery.yml"
    assert different == files | {listed}


@pytest.mark.parametrize(("question", "value"), [(q, v) for q in CHOICES for v in CHOICES[q][1:]])
def test_every_option_has_an_effect(question: str, value: str, bake: Bake) -> None:
    default, other = bake(), bake(**{question: value})
    same = default.files() == other.files() and all(
        (default.path / name).read_bytes() == (other.path / name).read_bytes()
        for name in default.files() - {"targets/identity.yml"}
    )
    assert not same


def test_nothing_is_left_unrendered(project: Baked) -> None:
    for name, text in texts(project, ""):
        assert "cookiecutter" not in name
        if name not in ("pyproject.toml",) and not name.endswith(".csv"):
            tag = "" if name.endswith(".j2") else r"|\{%"  # the tool renders its own pages
            assert not re.search(f"cookiecutter{tag}", text), name


def test_no_word_of_the_template_s_own_name_survives_another(bake: Bake) -> None:
    for name, text in texts(bake(**MAXIMAL), ""):
        if not name.startswith("tests/"):
            assert not re.search(r"acme", text, re.IGNORECASE), name


def test_every_file_parses(project: Baked) -> None:
    parsers: dict[tuple[str, ...], Callable[[str], Any]] = {
        (".yml", ".yaml"): lambda text: list(yaml.safe_load_all(text)),
        (".toml",): tomllib.loads,
        (".json",): json.loads,
        (".py",): ast.parse,
    }
    for endings, parse in parsers.items():
        found = list(texts(project, *endings))
        assert found
        for name, text in found:
            assert parse(text) is not None, name


def test_every_text_ends_with_one_line_end_and_has_no_other_kind(project: Baked) -> None:
    for name in project.files():
        content = (project.path / name).read_bytes()
        assert b"\r" not in content, name
        assert not content or (content.endswith(b"\n") and not content.endswith(b"\n\n")), name


def test_answers_stand_between_double_quotes_in_yaml() -> None:
    for name in RENDERED:
        if name.endswith(".yml"):
            for line in (TEMPLATE / name).read_text(encoding="utf-8").splitlines():
                if "cookiecutter." in line:
                    assert re.search(r'"[^"]*\{\{ cookiecutter\.\w+ \}\}[^"]*"', line), (name, line)


@pytest.mark.parametrize("name", sorted({*template_files()}))
def test_names_are_legal_everywhere(name: str) -> None:
    assert is_valid_filepath(name, platform="universal", max_len=180)


def test_no_two_names_differ_by_case_only(project: Baked) -> None:
    names = [*project.files(), *template_files()]
    assert len({name.lower() for name in names}) == len(set(names))


def test_paths_are_short_enough(project: Baked) -> None:
    assert max(map(len, project.files())) <= 100


# --- what the answers decide ---


def hosts(project: Baked) -> dict[str, str]:
    return {
        t: project.target(t)["workspace"]["host"] for t in ("dev", "preview", "staging", "prod")
    }


@pytest.mark.parametrize(
    ("cloud", "host", "node_type"),
    [
        ("aws", "https://dbc-00000000-0000.cloud.databricks.com", "m6id.xlarge"),
        ("azure", "https://adb-0000000000000000.0.azuredatabricks.net", "Standard_D4ads_v5"),
        ("gcp", "https://0000000000000000.0.gcp.databricks.com", "n2-standard-4"),
    ],
)
def test_a_cloud_decides_addresses_and_machines(
    cloud: str, host: str, node_type: str, bake: Bake
) -> None:
    project = bake(cloud=cloud)
    assert set(hosts(project).values()) == {host}
    assert project.yaml("databricks.yml")["variables"]["node_type"]["default"] == node_type


def test_each_workspace_has_its_own_address(bake: Bake) -> None:
    assert hosts(bake(**MAXIMAL)) == {
        "dev": MAXIMAL["dev_host"],
        "preview": MAXIMAL["dev_host"],
        "staging": MAXIMAL["staging_host"],
        "prod": MAXIMAL["prod_host"],
    }


def test_compute_differs_in_compute_only(bake: Bake) -> None:
    jobs = [
        bake(compute=compute).yaml("resources/flights/job.yml")["resources"]["jobs"][
            "flights_daily"
        ]
        for compute in ("serverless", "classic")
    ]
    assert "environments" in jobs[0]
    assert "job_clusters" in jobs[1]
    for job in jobs:
        for key in ("environments", "job_clusters"):
            job.pop(key, None)
        for task in job["tasks"]:
            for key in ("environment_key", "job_cluster_key", "libraries"):
                task.pop(key, None)
    assert jobs[0] == jobs[1]


def test_a_classic_cluster_is_of_the_project_s_machine(bake: Bake) -> None:
    job = bake(compute="classic").yaml("resources/flights/job.yml")["resources"]["jobs"][
        "flights_daily"
    ]
    (cluster,) = job["job_clusters"]
    assert cluster["new_cluster"]["node_type_id"] == "${var.node_type}"
    assert {task["job_cluster_key"] for task in job["tasks"]} == {cluster["job_cluster_key"]}


@pytest.mark.parametrize(
    ("branching", "staging", "prod"),
    [("trunk", "main", "main"), ("environments", "staging", "prod")],
)
def test_branching_decides_which_branch_delivers(
    branching: str, staging: str, prod: str, bake: Bake
) -> None:
    project = bake(branching=branching)
    policy = project.yaml("delivery.yml")
    assert policy["branches"]["targets"] == {"staging": staging, "prod": prod}
    assert policy["branches"]["integration"] == "main"
    branches = set(git(project.path, "branch", "--format=%(refname:short)").split())
    assert branches == {"main", staging, prod}
    workflow = project.yaml(".github/workflows/deliver.yml")
    assert set(workflow[True]["push"]["branches"]) == {staging, prod}  # YAML 1.1 reads `on` as true
    rules = project.yaml(".gitlab/ci/workflow.yml")["workflow"]["rules"]
    assert set(re.findall(r'CI_COMMIT_BRANCH == "(\w+)"', str(rules))) == branches


def test_the_policy_names_the_compute(bake: Bake) -> None:
    for compute in CHOICES["compute"]:
        assert bake(compute=compute).yaml("delivery.yml")["project"]["compute"] == compute


# --- the hook ---


def test_the_first_commit_holds_everything_and_hooks_are_wired(project: Baked) -> None:
    assert git(project.path, "status", "--porcelain") == ""
    assert git(project.path, "log", "--format=%s").splitlines() == ["feat: start the lakehouse"]
    assert git(project.path, "branch", "--show-current").strip() == "main"
    tracked = set(git(project.path, "ls-files", "-z").split("\0")) - {""}
    assert tracked == project.files()
    for hook in ("pre-commit", "commit-msg", "pre-push"):
        assert os.access(project.path / ".git/hooks" / hook, os.X_OK)


def test_every_project_has_an_identity_of_its_own(bake: Bake) -> None:
    projects = [bake(), bake(compute="classic"), bake(**MAXIMAL)]
    identities = {p.yaml("targets/identity.yml")["bundle"]["uuid"] for p in projects}
    assert len(identities) == len(projects)
    assert all(uuid.UUID(identity).version == 4 for identity in identities)


def test_the_last_words_are_commands_that_exist(tmp_path: Path, template: Path) -> None:
    result = cookiecutter(template, tmp_path)
    assert result.returncode == 0
    commands = [line.strip() for line in result.stdout.splitlines() if line.startswith("  ")]
    assert commands == ["cd acme-lakehouse", "make run", "make test"]
    for command in commands[1:]:
        expect_success(*command.split(), "--dry-run", cwd=tmp_path / "acme-lakehouse")


def test_without_git_the_project_is_whole_and_says_what_to_type(
    tmp_path: Path, template: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(sys.executable)
    result = cookiecutter(template, tmp_path / "out", PATH=str(programs))
    assert result.returncode == 0, result.stderr
    project = Baked(tmp_path / "out/acme-lakehouse", {})
    assert project.files() == expected_files({})
    assert not (project.path / ".git").exists()
    assert "git init -b main && git add -A && git commit" in result.stdout


def test_a_failing_git_does_not_fail_the_project(tmp_path: Path, template: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text("#!/bin/sh\necho 'disk quota' >&2\nexit 128\n", encoding="utf-8")
    (programs / "git").chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    result = cookiecutter(template, tmp_path / "out", PATH=path)
    assert result.returncode == 0
    assert "git failed: disk quota" in result.stdout
    assert Baked(tmp_path / "out/acme-lakehouse", {}).files() == expected_files({})


def test_without_an_identity_the_project_s_own_is_used(tmp_path: Path, template: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = cookiecutter(
        template, tmp_path / "out", HOME=str(home), GIT_CONFIG_NOSYSTEM="1", EMAIL=""
    )
    assert result.returncode == 0
    author = git(tmp_path / "out/acme-lakehouse", "log", "--format=%an <%ae>").strip()
    assert author == "acme-lakehouse <data-team@example.com>"


def test_a_signing_user_is_not_asked_to_sign(tmp_path: Path, template: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\nname = A\nemail = a@example.com\n"
        "[commit]\ngpgsign = true\n[gpg]\nprogram = false\n",
        encoding="utf-8",
    )
    result = cookiecutter(template, tmp_path / "out", HOME=str(home))
    assert result.returncode == 0
    log = git(tmp_path / "out/acme-lakehouse", "log", "--format=%an <%ae>")
    assert log.strip() == "A <a@example.com>"


def test_inside_another_repository_there_is_none_and_it_says_so(
    tmp_path: Path, template: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--template=")
    result = cookiecutter(template, tmp_path / "sub")
    assert result.returncode == 0
    assert "inside another repository" in result.stdout
    assert not (tmp_path / "sub/acme-lakehouse/.git").exists()


def test_variables_of_git_do_not_lead_it_astray(tmp_path: Path, template: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet", "--template=")
    before = sorted(f.name for f in (other / ".git").rglob("*"))
    result = cookiecutter(
        template, tmp_path / "out", GIT_DIR=str(other / ".git"), GIT_INDEX_FILE=str(other / "i")
    )
    assert result.returncode == 0
    assert git(tmp_path / "out/acme-lakehouse", "log", "--format=%s").strip()
    assert sorted(f.name for f in (other / ".git").rglob("*")) == before


def test_it_bakes_from_a_git_address(tmp_path: Path, repository: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = cookiecutter(f"git+file://{repository}", tmp_path / "out", HOME=str(home))
    assert result.returncode == 0, result.stderr
    assert Baked(tmp_path / "out/acme-lakehouse", {}).files() == expected_files({})


def test_it_bakes_for_somebody_without_a_home_to_write_to(tmp_path: Path, template: Path) -> None:
    config = tmp_path / "elsewhere/config.yml"
    config.parent.mkdir()
    folders = {"replay_dir": str(tmp_path / "r"), "cookiecutters_dir": str(tmp_path / "c")}
    config.write_text(yaml.safe_dump(folders), encoding="utf-8")
    result = cookiecutter(
        template, tmp_path / "out", HOME="/proc/nowhere", COOKIECUTTER_CONFIG=str(config)
    )
    assert result.returncode == 0, result.stderr
    assert Baked(tmp_path / "out/acme-lakehouse", {}).files() == expected_files({})


def test_a_second_bake_into_the_same_folder_is_refused_and_harmless(
    tmp_path: Path, template: Path
) -> None:
    assert cookiecutter(template, tmp_path).returncode == 0
    note = tmp_path / "acme-lakehouse/mine.txt"
    note.touch()
    assert cookiecutter(template, tmp_path).returncode == 1
    assert note.exists()


def test_line_ends_survive_a_clone_that_would_change_them(tmp_path: Path, repository: Path) -> None:
    git(tmp_path, "-c", "core.autocrlf=true", "clone", "--quiet", str(repository), "clone")
    eols = git(tmp_path / "clone", "ls-files", "--eol").splitlines()
    assert not [line for line in eols if "w/crlf" in line or "w/mixed" in line]
    result = cookiecutter(tmp_path / "clone", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    project = Baked(tmp_path / "out/acme-lakehouse", {})
    assert not [name for name in project.files() if b"\r" in (project.path / name).read_bytes()]


def test_a_project_keeps_its_line_ends_wherever_it_is_cloned(bake: Bake) -> None:
    attributes = git(bake().path, "check-attr", "text", "eol", "--", "Makefile", "x.py")
    assert attributes.count("eol: lf") == 2
    assert attributes.count("text: auto") == 2


def test_the_hook_is_short_and_takes_answers_as_data() -> None:
    hook = (ROOT / "hooks/post_gen_project.py").read_text(encoding="utf-8")
    assert len(hook.splitlines()) < 80
    assert re.findall(r"\{\{.*?\}\}", hook) == ["{{ cookiecutter | tojson }}"]
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(ast.parse(hook))
        if isinstance(node, ast.Import)
        for name in node.names
    } | {node.module for node in ast.walk(ast.parse(hook)) if isinstance(node, ast.ImportFrom)}
    assert imported <= set(sys.stdlib_module_names)
    assert not imported & {"urllib", "http", "socket"}


def test_options_are_listed_and_whole() -> None:
    options = TEMPLATE / "options"
    for feature in json.loads((options / "features.json").read_text(encoding="utf-8")):
        assert all((TEMPLATE / path).exists() for path in feature["paths"]), feature
        assert all(set(v) < set(CHOICES[q]) for q, v in feature["kept_when"].items()), feature
    for variant in options.glob("*=*"):
        question, _, value = variant.name.partition("=")
        assert value in CHOICES[question]
        for file in (f for f in variant.rglob("*") if f.is_file()):
            assert (TEMPLATE / file.relative_to(variant)).is_file(), file


def test_no_environment_of_the_template_ends_in_a_project(tmp_path: Path, template: Path) -> None:
    copy = tmp_path / "template"
    shutil.copytree(template, copy)
    result = cookiecutter(copy, tmp_path / "out")
    assert result.returncode == 0
    assert not any(
        "__pycache__" in name for name in Baked(tmp_path / "out/acme-lakehouse", {}).files()
    )
