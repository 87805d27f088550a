"""The guide: true in every project, and its commands say what it shows."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import fake_cli
import pytest
import yaml
from conftest import Bake
from harness import pictures, warm
from harness.baking import TEMPLATE, Baked, commit, git, name_of, pytest_summary, run
from harness.guide_examples import add_examples
from harness.guide_screens import ANSWERS, PAGES, rehearse, steps, written

pytestmark = pytest.mark.slow

SETS = [
    {**ci, **branching}
    for ci in ({}, {"ci": "github"}, {"ci": "gitlab"})
    for branching in ({}, {"branching": "environments", "include_terraform": "yes"})
]
BRANCHES = "options/branching=environments"


@pytest.fixture(params=SETS, ids=name_of)
def guided(request: pytest.FixtureRequest, bake: Bake) -> Baked:
    """Each kind of project whose guide differs."""
    return bake(**request.param)


def test_links_commands_and_tables_hold_in_every_project(guided: Baked) -> None:
    figures = pytest_summary(guided.pytest("tests/guide"))
    assert figures["passed"] > 20
    assert set(figures) == {"passed"}


def test_a_project_has_pages_for_its_own_forge_alone(guided: Baked) -> None:
    index = guided.text("docs/README.md")
    for forge, other in (("github", "gitlab"), ("gitlab", "github")):
        used = guided.answers.get("ci") != other
        assert (guided.path / "docs" / forge).exists() == used
        assert (f"({forge}/pipelines.md)" in index) == used


@pytest.mark.parametrize("forge", ["github", "gitlab"])
def test_both_strategies_have_one_page_of_pipelines_but_for_its_table(forge: str) -> None:
    pages = [TEMPLATE / place / f"docs/{forge}/pipelines.md" for place in (".", BRANCHES)]
    texts = [re.sub(r"^\|.*\n", "", page.read_text("utf-8"), flags=re.M) for page in pages]
    assert texts[0] == texts[1]


def test_a_new_pipeline_is_told_with_the_row_that_it_needs(bake: Bake, tmp_path: Path) -> None:
    project = Baked(tmp_path / "lake", {})
    shutil.copytree(bake().path, project.path)
    job = {"permissions": {"issues": "write"}, "steps": [{"run": "make late"}], "needs": []}
    (project.path / ".github/workflows/late.yml").write_text(
        yaml.safe_dump({"on": {"schedule": [{"cron": "1 2 * * *"}]}, "jobs": {"late": job}}),
        encoding="utf-8",
    )
    job = {"extends": ".planner", "script": ["make late"], "environment": "prod-plan"}
    rule = {"if": '$CI_PIPELINE_SOURCE == "schedule" && $CI_COMMIT_BRANCH == "main"'}
    file = project.path / ".gitlab/ci/check.yml"
    text = yaml.safe_dump({"late": {**job, "rules": [rule]}})
    file.write_text(f"{file.read_text('utf-8')}\n{text}", encoding="utf-8")
    output = project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/guide").stdout
    for row in (
        "| late / late | every night (`1 2 * * *`) | `make late` | none | — | write issues |",
        "| late | schedule of `main` | `make late` | planner of prod | `prod-plan` | read prod |",
    ):
        assert f"missing:\nE         {row}\nE         to remove:" in output


# --- screens ---


def test_the_commands_of_the_guide_say_what_it_shows(bake: Bake, tmp_path: Path) -> None:
    """One story, so one test: its commands build on each other."""
    heard = list(rehearse(bake(**ANSWERS), tmp_path))
    problems = "\n\n".join(one.problem for one in heard if one.problem)
    assert not problems, f"{problems}\n\nIntended? python tests/harness/guide_screens.py --write"
    texts = {page: (TEMPLATE / page).read_text("utf-8") for page in PAGES}
    assert len(heard) == sum(len(list(steps(page, text))) for page, text in texts.items()) > 40
    for page, text in texts.items():
        assert written(text, [one for one in heard if one.step.page == page]) == text


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_pictures_show_what_the_tool_makes(name: str) -> None:
    made = pictures.PICTURES[name]()
    shown = (pictures.FOLDER / f"{name}.svg").read_text("utf-8")
    assert shown == made, "write it again: python tests/harness/pictures.py --write"
    ElementTree.fromstring(shown)
    assert re.findall(r"(?:src|href)=.(?!https://(?:staging|prod)\.example\.com/?)", shown) == []


# --- the first day ---


def test_what_the_first_day_types_works_and_leaves_nothing_to_warn_of(
    bake: Bake, tmp_path: Path
) -> None:
    project = Baked(tmp_path / "lake", {})
    shutil.copytree(bake().path, project.path)
    lines = blocks("docs/first-day.md", "First day: the workspaces", project.path)
    assert len(lines) == 2
    before, after = (_typed(project, block, tmp_path / "programs") for block in lines)
    assert before["delivery check"].count("warning:") == 12
    assert after["delivery check"] == "check: passed\n"
    assert "✓ prod planner" in after["delivery doctor"]
    assert git(project.path, "branch", "--show-current").strip() == "chore/first-day"
    assert git(project.path, "status", "--porcelain") == ""


def _typed(project: Baked, block: str, programs: Path) -> dict[str, str]:
    """What each line of a block says; the second block finds everything set."""
    fake_cli.install(programs)
    tool = f"PYTHONPATH=tools/delivery/src {warm.program('delivery')}"
    for name, script in {"delivery": tool, "make": "touch uv.lock"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    if (project.path / "uv.lock").exists():
        _set_everything(project)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    names = {f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    off = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.hooksPath",
           "GIT_CONFIG_VALUE_0": os.devnull}  # fmt: skip
    outputs = {}
    for line in block.splitlines():
        command = line.partition(" #")[0].strip()
        done = run("sh", "-c", command, cwd=project.path, PATH=path, **names, **off)
        assert done.returncode in (0, 2), f"{command}: {done.stdout}{done.stderr}"
        outputs[command] = done.stdout
    return outputs


def _set_everything(project: Baked) -> None:
    """What the steps of the first day set."""
    owners = project.path / "CODEOWNERS"
    text = owners.read_text("utf-8").replace("@example/data-team", "@acme/data")
    owners.write_text(text, encoding="utf-8")
    for target in ("staging", "prod"):
        file = project.path / f"targets/{target}.yml"
        text = re.sub(r'host: ".*"', 'host: "https://lake.example.com"', file.read_text("utf-8"))
        file.write_text(text.replace("00000000-0000", "11111111-0000"), encoding="utf-8")
    bundle = project.path / "databricks.yml"
    text = bundle.read_text("utf-8").replace("default: account users", "default: analysts")
    bundle.write_text(text, encoding="utf-8")
    file = project.path / "delivery.yml"
    url = 'url: "https://git.example.com/team/lakehouse"'
    file.write_text(file.read_text("utf-8").replace('url: ""', url), encoding="utf-8")


# --- hotfixes ---


def blocks(page: str, heading: str, root: Path = TEMPLATE) -> list[str]:
    """The commands of a section, block by block."""
    text = (root / page).read_text("utf-8").partition(f"# {heading}\n")[2]
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


class Repository:
    """A repository on a forge, and a clone of it."""

    def __init__(self, folder: Path, *branches: str) -> None:
        self.origin, self.path = folder / "origin.git", folder / "clone"
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
        git(folder, "clone", "--quiet", "origin.git", "clone")
        for name in ("totals", "report"):
            (self.path / name).write_text("one\n", encoding="utf-8")
        commit(self.path, "start")
        for branch in branches:
            git(self.path, "push", "--quiet", "origin", f"HEAD:{branch}")

    def type(self, block: str) -> str:
        """Type a block; what is to be mended is mended where it says so."""
        output = ""
        for line in block.splitlines():
            if line.startswith("#"):
                (self.path / "totals").write_text("mended\n", encoding="utf-8")
            elif line:
                output += git(self.path, *re.findall(r'"[^"]*"|\S+', line.replace("git ", "", 1)))
        return output

    def change(self, branch: str) -> None:
        """Work that reaches a branch: a file more, and one less."""
        git(self.path, "switch", "--quiet", "--detach", f"origin/{branch}")
        (self.path / "waiting").write_text("waits\n", encoding="utf-8")
        (self.path / "report").unlink()
        commit(self.path, "feat: what waits")
        git(self.path, "push", "--quiet", "origin", f"HEAD:{branch}")
        git(self.path, "fetch", "--quiet")

    def merge(self, source: str, target: str) -> None:
        """A request is merged."""
        git(self.path, "fetch", "--quiet")
        git(self.path, "switch", "--quiet", "--detach", f"origin/{target}")
        git(self.path, "merge", "--quiet", "--no-ff", "--no-edit", f"origin/{source}")
        git(self.path, "push", "--quiet", "origin", f"HEAD:{target}")
        git(self.path, "fetch", "--quiet")

    def files(self, branch: str) -> dict[str, str]:
        """What a branch holds."""
        names = git(self.path, "ls-tree", "--name-only", f"origin/{branch}").split()
        return {n: git(self.path, "show", f"origin/{branch}:{n}").strip() for n in names}

    def tree(self, branch: str) -> str:
        """The git tree of a branch."""
        return git(self.path, "rev-parse", f"origin/{branch}^{{tree}}").strip()


PAGE = f"{BRANCHES}/docs/branching.md"
FIX, BOTH = {"report": "one", "totals": "mended"}, {"totals": "mended", "waiting": "waits"}


def test_a_hotfix_past_nothing_unreleased_reaches_prod_as_staging_verified_it(
    tmp_path: Path,
) -> None:
    forge = Repository(tmp_path, "main", "staging", "prod")
    begin = blocks(PAGE, "Hotfix")[0]
    assert "waiting" not in forge.type(begin)
    forge.merge("hotfix/wrong-totals", "staging")
    verified = forge.tree("staging")
    forge.merge("staging", "prod")
    forge.merge("hotfix/wrong-totals", "main")
    assert forge.tree("prod") == verified
    assert forge.files("prod") == forge.files("main") == FIX


def test_a_hotfix_past_unreleased_work_leaves_it_out_and_brings_it_back(tmp_path: Path) -> None:
    forge = Repository(tmp_path, "main", "staging", "prod")
    forge.change("main")
    forge.merge("main", "staging")
    begin, put_back, bring_back = blocks(PAGE, "Hotfix")
    assert "waiting" in forge.type(begin)
    forge.type(put_back)
    forge.merge("hotfix/to-staging", "staging")
    verified = forge.tree("staging")
    forge.merge("hotfix/wrong-totals", "prod")
    assert forge.tree("prod") == verified
    assert forge.files("prod") == FIX
    forge.merge("hotfix/wrong-totals", "main")
    forge.type(bring_back)
    forge.merge("hotfix/waiting-work", "staging")
    assert forge.files("staging") == forge.files("main") == BOTH
    forge.merge("staging", "prod")
    assert forge.files("prod") == BOTH


def test_a_hotfix_on_trunk_may_leave_out_what_waits(tmp_path: Path) -> None:
    forge = Repository(tmp_path, "main")
    forge.change("main")
    begin, leave_out = blocks("docs/branching.md", "Hotfix")
    forge.type(leave_out.replace("COMMIT", "origin/main"))
    forge.merge("hotfix/without-late-arrivals", "main")
    forge.type(begin)
    forge.merge("hotfix/wrong-totals", "main")
    assert forge.files("main") == FIX


@pytest.mark.parametrize("compute", ["serverless", "classic"])
def test_the_examples_of_resources_pass_every_check(
    compute: str, bake: Bake, tmp_path: Path
) -> None:
    project = Baked(shutil.copytree(bake(compute=compute).path, tmp_path / "lake"), {})
    before = project.python("-m", "delivery", "check")
    assert len(add_examples(project.path)) == 4
    after = project.python("-m", "delivery", "check")
    assert (after.returncode, after.stdout) == (0, before.stdout), after.stdout
    done = project.python("-m", "delivery", "run", "flights_weekly", "--skip-unsupported")
    assert done.returncode == 0, done.stderr
    assert "✓ totals" in done.stdout
    assert "– seasons skipped: pipelines run in a workspace" in done.stdout
    assert "– models skipped: dbt needs a SQL warehouse" in done.stdout
