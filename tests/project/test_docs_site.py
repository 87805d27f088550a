"""The guide as a site: strict, complete, from declarations, and without another host."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

import pytest
import sqlglot
import yaml
from conftest import REAL, Bake
from delivery.checks.registry import all_rules
from delivery.cli.app import build_app
from delivery.config.policy import Approval, Policy
from harness.baking import (
    COMPILING,
    ROOT,
    TEMPLATE,
    Baked,
    environment,
    expect_success,
    git,
    name_of,
    run,
)
from harness.guide_screens import free_port, same, steps
from pydantic import BaseModel
from typer.main import get_command

sys.path.insert(0, str(TEMPLATE / "tools"))

from docs_site import conventions, data
from docs_site.diagram import with_diagrams
from docs_site.lineage import edges

pytestmark = pytest.mark.slow

SETS = [
    {"ci": "github"},
    {"ci": "gitlab", "branching": "environments"},
    {"ci": "github", "branching": "environments", "compute": "classic", "include_terraform": "yes"},
]
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """What a page has.

    Attributes:
        links: where it leads to.
        loaded: what a browser fetches to show it.
        ids: its anchors.
        words: its visible text.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []
        self.drawn: list[str] = []
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {key: value or "" for key, value in attrs}
        self.ids |= {of["id"]} if "id" in of else set()
        self.links += [of["href"]] if tag == "a" and "href" in of else []
        self.loaded += [of[LOADED[tag]]] if LOADED.get(tag) in of else []
        self.drawn += [of["aria-label"]] if tag == "svg" and "aria-label" in of else []
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.words += [] if self._hidden else [data]

    @property
    def text(self) -> str:
        """All of its text, in one line."""
        return " ".join("".join(self.words).split())


def pages_of(project: Baked) -> dict[str, Page]:
    """The pages of a project's site, by their paths."""
    site = project.path / "build/docs/site"
    files = {file.relative_to(site).as_posix(): file for file in site.rglob("*.html")}
    assert "index.html" in files
    return {name: Page(file.read_text("utf-8")) for name, file in files.items()}


@pytest.fixture(scope="module")
def built(made: Baked, tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """The default project after `make docs`. It is shared: nobody changes it."""
    path = tmp_path_factory.mktemp("docs") / "project"
    shutil.copytree(made.path, path, symlinks=True, ignore=shutil.ignore_patterns(".venv-tool"))
    project = Baked(path, {})
    before = git(path, "status", "--porcelain")
    assert re.search(r"docs: \d+ pages", expect_success("make", "docs", cwd=path))
    assert git(path, "status", "--porcelain") == before
    return project


Build = Callable[[Baked], "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def build(built: Baked) -> Build:
    """Build the site of another project, with the environment of the built one."""

    def build(project: Baked) -> subprocess.CompletedProcess[str]:
        python = built.path / ".venv-docs/bin/python"
        return run(python, "-m", "docs_site", cwd=project.path, PYTHONPATH="tools")

    return build


def copy(project: Baked, folder: Path) -> Baked:
    shutil.copytree(project.path, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv*"))
    return Baked(folder, project.answers)


# --- every page ---


@pytest.fixture(scope="module", params=[{}, *SETS], ids=name_of)
def site(
    request: pytest.FixtureRequest,
    built: Baked,
    build: Build,
    bake: Bake,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Baked, dict[str, Page]]:
    """The site of each kind of project whose guide differs."""
    if not request.param:
        return built, pages_of(built)
    project = copy(bake(**request.param), tmp_path_factory.mktemp("site") / "project")
    result = build(project)
    assert result.returncode == 0, result.stdout + result.stderr
    return project, pages_of(project)


Site = tuple[Baked, dict[str, Page]]


def test_every_link_and_anchor_leads_somewhere(site: Site) -> None:
    project, pages = site
    folder = project.path / "build/docs/site"
    broken = []
    for name, page in pages.items():
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc or name == "404.html":
                continue
            path = os.path.normpath(Path(name).parent / unquote(to.path)) if to.path else name
            anchors = pages[path].ids if path in pages else set()
            if not (folder / path).exists() or (to.fragment and to.fragment not in anchors):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_no_page_loads_anything_from_another_host(site: Site) -> None:
    project, pages = site
    loaded = {link for page in pages.values() for link in page.loaded}
    assert {link for link in loaded if urlsplit(link).netloc or urlsplit(link).scheme} == set()
    styles = (project.path / "build/docs/site").rglob("*.css")
    calls = [call for s in styles for call in re.findall(r"(?:url\(|@import)[^;)]*", s.read_text())]
    assert [call for call in calls if re.search(r"\b\w+://|[(\"' ]//", call)] == []


def test_every_page_of_the_guide_is_in_the_site_and_its_navigation(site: Site) -> None:
    project, pages = site
    written = {file.relative_to(project.path) for file in (project.path / "docs").rglob("*.md")}
    names = {
        p.with_suffix(".html").as_posix().replace("README.html", "index.html") for p in written
    }
    assert names - pages.keys() == set()
    assert {os.path.normpath(link.partition("#")[0]) for link in pages["index.html"].links} >= names


def test_every_flowchart_is_drawn(site: Site) -> None:
    _, pages = site
    assert any("the same bytes" in page.text for page in pages.values())
    drawn = pages["docs/branching.html"].drawn
    assert len(drawn) == 1
    assert drawn[0].startswith("feature/…, fix/… to main; main to ")
    assert not any(re.search("flowchart (LR|TD)", page.text) for page in pages.values())


# --- made from declarations ---


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command, with its name."""
    nested = getattr(command, "commands", {})
    for word, inner in nested.items():
        yield from commands(inner, f"{name} {word}")
    yield name, command


def test_every_command_has_its_entry_with_every_option(built: Baked) -> None:
    page = pages_of(built)["docs/reference/commands.html"]
    names = [(n, c) for n, c in commands(get_command(build_app()), "delivery") if n != "delivery"]
    assert len(names) > 25
    for name, command in names:
        assert name.replace(" ", "-") in page.ids
        assert " ".join(command.help.replace("`", "").split()) in page.text
        entry = page.text.partition(f" {name}¶ ")[2].partition("¶")[0]
        for param in getattr(command, "params", []):
            wanted = param.opts if param.opts[0].startswith("-") else [param.name.upper()]
            meaning = " ".join((param.help or "").replace("`", "").split())
            assert all(word in entry for word in [*wanted, meaning]), (name, wanted)


def settings(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting of a model, with what it is."""
    for name, field in model.model_fields.items():
        found = re.findall(r"delivery\.config\.policy\.(\w+)", repr(field.annotation))
        inner = getattr(sys.modules[Policy.__module__], found[0]) if found else None
        if inner:
            many = "[]" if "list[" in repr(field.annotation) else ""
            yield from settings(inner, f"{path}{name}{many}.")
        else:
            yield f"{path}{name}", field.description or ""


def test_every_setting_has_its_entry(built: Baked) -> None:
    text = pages_of(built)["docs/reference/settings.html"].text
    found = dict(settings(Policy))
    assert len(found) > 35
    assert {"guard.rights", "freezes[].until", "plan_hours"} - found.keys() == {"freezes[].until"}
    for name, meaning in found.items():
        assert re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", text), name
        assert " ".join(meaning.replace("`", "").split()) in text, name


def test_every_rule_has_its_entry(built: Baked) -> None:
    page = pages_of(built)["docs/reference/rules.html"]
    rules = all_rules()
    assert len(rules) > 25
    for name, rule in rules.items():
        assert name in page.ids
        assert rule.summary.replace("`", "") in page.text


def test_the_conventions_are_those_of_the_policy(built: Baked) -> None:
    text = pages_of(built)["docs/reference/conventions.html"].text
    policy = built.yaml("delivery.yml")
    for name in policy["branches"]["prefixes"]:
        assert f"{name}/…" in text
    rows = {
        "staging": "staging main nobody shown in the plan",
        "prod": "prod main reviewers of the environment on GitHub or GitLab refused without",
    }
    for row in rows.values():
        assert row in " ".join(text.split())
    for path in [*policy["may_differ"], *policy["verify"]["jobs"].values()]:
        assert path in text
    for wish in (
        "a time limit",
        "a queue",
        "at most 1 of its runs",
        "time zone UTC",
        "1 more tries",
    ):
        assert wish in text


def test_a_convention_that_is_dropped_is_not_on_its_page(bake: Bake, tmp_path: Path) -> None:
    project = copy(bake(), tmp_path / "project")
    write(project, "delivery.yml", re.sub("(?m)^  queue: .*\n", "", project.text("delivery.yml")))
    ((_, text),) = conventions.pages(project.path).values()
    assert "a time limit" in text
    assert "a queue" not in text


def contracts_of(project: Baked, domain: str) -> dict[str, dict[str, Any]]:
    files = (project.path / f"src/lakehouse/{domain}/contracts").glob("*.yml")
    return {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in files}


def assert_documented(project: Baked, page: Page, domain: str) -> None:
    """Every table, column and rule of a domain's contracts has its entry."""
    contracts = contracts_of(project, domain)
    assert contracts
    for name, contract in contracts.items():
        assert name.replace(".", "") in page.ids
        entry = page.text.partition(f"{name}¶")[2].partition("¶")[0]
        table = contract["schema"][0]
        texts = [contract["description"]["purpose"], contract["version"]]
        texts += [p[key] for p in table["properties"] for key in ("name", "description")]
        texts += [r[k] for r in table.get("quality", []) for k in ("name", "implementation")]
        for text in texts:
            assert " ".join(text.split()) in entry, (name, text)


def test_every_contract_is_documented_with_its_lineage_and_jobs(built: Baked) -> None:
    page = pages_of(built)["docs/data/flights.html"]
    assert_documented(built, page, "flights")
    lineage, job = page.drawn
    assert {*lineage.split("; ")} == {
        *(f"landing.{t} to silver.{t}" for t in ("airlines", "airports", "flights", "weather")),
        "silver.airports to silver.flights",
        *(f"silver.flights to gold.{t}" for t in ("punctuality", "routes", "weather_delay")),
        "silver.airlines to gold.punctuality",
        "silver.airports to gold.routes",
        "silver.weather to gold.weather_delay",
    }
    assert job == "bronze to silver; silver to gold"
    assert "Its schedule, in prod: 0 0 6 * * ?, UTC." in page.text


@pytest.mark.parametrize("kind", ["job", "sql", "pipeline"])
def test_a_new_domain_appears_and_a_removed_one_does_not(
    kind: str, bake: Bake, build: Build, tmp_path: Path
) -> None:
    project = copy(bake(), tmp_path / "project")
    for words in (("new", "domain", "orders", "--kind", kind), ("remove", "domain", "flights")):
        options = ["--yes"] if words[0] == "remove" else []
        result = project.python("-m", "delivery", *words, *options)
        assert result.returncode == 0, result.stderr
    result = build(project)
    assert result.returncode == 0, result.stdout + result.stderr
    pages = pages_of(project)
    assert_documented(project, pages["docs/data/orders.html"], "orders")
    lineage = pages["docs/data/orders.html"].drawn[0]
    assert {*lineage.split("; ")} == {
        "landing.orders to silver.orders",
        "silver.orders to gold.daily",
    }
    dashed = "A run on this machine leaves out dashed tasks." in pages["docs/data/orders.html"].text
    assert dashed == (kind == "pipeline")
    assert "./docs/domains/orders.html" in pages["index.html"].links
    assert not any("flights" in name for name in pages)


def test_each_job_is_on_the_page_of_its_own_domain(
    bake: Bake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy(bake(), tmp_path / "project")
    assert project.python("-m", "delivery", "new", "domain", "orders").returncode == 0
    monkeypatch.chdir(project.path)
    jobs = {
        path: re.findall("^## Job (.*)$", text, re.MULTILINE)
        for path, (_, text) in data.pages(project.path).items()
    }
    assert jobs == {
        "docs/data/flights.md": ["flights_daily"],
        "docs/data/orders.md": ["orders_daily"],
    }


# --- what is wrong ---


@pytest.mark.parametrize(
    ("link", "told"),
    [("no-such-page.md", "page"), ("delivery.md#no-such-part", "anchor")],
    ids=["page", "anchor"],
)
def test_a_broken_link_is_an_error(
    link: str, told: str, bake: Bake, build: Build, tmp_path: Path
) -> None:
    project = copy(bake(), tmp_path / "project")
    page = project.path / "docs/branching.md"
    page.write_text(f"{page.read_text('utf-8')}\nSee [there]({link}).\n", encoding="utf-8")
    result = build(project)
    assert result.returncode == 1
    line = page.read_text("utf-8").count("\n")
    assert result.stderr == f"docs/branching.md:{line}: {told} does not exist\n"


def test_a_bundle_that_cannot_be_read_is_told_without_a_traceback(
    bake: Bake, build: Build, tmp_path: Path
) -> None:
    project = copy(bake(), tmp_path / "project")
    (project.path / "resources/flights/job.yml").write_text("resources: [", encoding="utf-8")
    result = build(project)
    assert result.returncode == 1
    assert result.stderr.startswith("resources/flights/job.yml:2: not valid YAML")
    assert "Traceback" not in result.stderr


# --- diagrams and lineage ---


def drawn(*lines: str) -> str:
    return with_diagrams("\n".join(["before", "```mermaid", *lines, "```", "after", ""]))


def test_a_flowchart_keeps_labels_conditions_and_what_is_left_out() -> None:
    svg = drawn(
        "flowchart TD",
        '    a["<b>load</b><br/>sql: #quot;x#quot; #lt;1#gt;"]',
        "    b[(lake)]",
        "    a -->|#quot;true#quot;| b",
        "    b -- then, slowly --> c{choice}",
        "    classDef elsewhere stroke-dasharray: 4",
        "    class b elsewhere",
    )
    texts = re.findall(r"<text[^>]*>(.*?)</text>", svg)
    assert {*texts} == {
        *("load", "sql: &quot;x&quot; &lt;1&gt;", "lake", "choice"),
        *("&quot;true&quot;", "then, slowly"),
    }
    assert re.findall(r'<g class="elsewhere">.*?<text[^>]*>(.*?)</text>', svg) == ["lake"]
    assert 'aria-label="load to lake; lake to choice"' in svg
    assert svg.startswith("before\n<div")
    assert svg.partition("</div>")[2] == "\n" * 9 + "after\n", "as many lines as before"


def test_an_arrow_past_a_layer_goes_around_its_boxes() -> None:
    svg = drawn("flowchart TD", "  a --> b", "  b --> c", "  a --> c")
    curves = [path.count("C") for path in re.findall(r'<path d="(.*?)"', svg)]
    assert curves == [1, 1, 2]


@pytest.mark.parametrize(
    "lines",
    [
        ("sequenceDiagram", "  A->>B: hello"),
        ("flowchart LR", "  a --> b", "  subgraph inner", "  end"),
        ("flowchart LR", "  a -.-> b"),
        ("flowchart LR",),
    ],
    ids=["another kind", "a part that is not drawn", "another arrow", "nothing"],
)
def test_what_cannot_be_drawn_stays_as_text(lines: tuple[str, ...]) -> None:
    assert drawn(*lines) == "\n".join(["before", "```text", *lines, "```", "after", ""])


def test_tasks_in_a_circle_are_drawn_too() -> None:
    assert drawn("flowchart TD", "  a --> b", "  b --> a").count("<rect") == 2


def test_lineage_knows_constants_and_does_not_guess(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        'SOURCE = "silver.x"\nLOOKED_UP = {"y": [SOURCE]}\n'
        'FACTS = [Gold("gold.a", SOURCE, f, follows=["silver.y", "gold.unknown"])]\n'
        'print("silver.y", "read")\n',
        encoding="utf-8",
    )
    tables = ["landing.x", "silver.x", "silver.y", "gold.a", "gold.b"]
    assert {*edges(tmp_path, tables)} == {
        ("landing.x", "silver.x"),
        ("silver.x", "silver.y"),
        ("silver.x", "gold.a"),
        ("silver.y", "gold.a"),
    }


# --- served ---


def test_the_site_is_served_here(built: Baked) -> None:
    port = free_port()
    command = ["make", "docs", "SERVE=1", f"PORT={port}"]
    server = subprocess.Popen(
        command,
        cwd=built.path,
        env=environment(**COMPILING),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while server.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/docs/index.html") as answer:
                    assert b"The guide of Acme Lakehouse" in answer.read()
                    break
            except URLError:
                time.sleep(0.2)
        assert server.poll() is None
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


# --- the pages themselves ---


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in a language, without their indentation."""
    text = (TEMPLATE / page).read_text("utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def write(project: Baked, name: str, text: str) -> None:
    (project.path / name).parent.mkdir(parents=True, exist_ok=True)
    (project.path / name).write_text(text, encoding="utf-8")


def test_the_first_story_is_what_happens(bake: Bake, tmp_path: Path) -> None:
    project = copy(bake(), tmp_path / "project")
    page = "docs/first-story.md"
    contract = "src/lakehouse/orders/contracts/silver.orders.yml"
    (landed,), (rule,) = blocks(page, "csv"), blocks(page, "yaml")

    def scene(heading: str) -> None:
        if heading.startswith("3"):
            write(project, "data/orders/landing/orders/2024-01-02.csv", landed)
        if heading.startswith("4"):
            write(project, contract, project.text(contract) + rule)
        if heading.startswith("5"):
            write(project, contract, project.text(contract).replace("amount <=", "amuont <="))
        if heading.startswith("6"):
            write(project, contract, project.text(contract).replace("amuont", "amount"))

    played = 0
    for step in steps(page, (TEMPLATE / page).read_text("utf-8")):
        scene(step.heading)
        result = project.python("-m", *step.command.split())
        screen = [line.rstrip() for line in (result.stdout + result.stderr).rstrip().splitlines()]
        assert result.returncode == step.code, screen
        assert same(step.screen, screen), (step.command, screen)
        played += 1
    assert played == 7
    assert git(project.path, "status", "--porcelain") == ""


def test_what_the_how_tos_say_to_write_passes_check(bake: Bake, tmp_path: Path) -> None:
    project = copy(bake(), tmp_path / "project")
    write(project, "resources/flights/secrets.yml", blocks("docs/how-to/passwords.md", "yaml")[0])
    for file in project.path.glob("targets/*.yml"):
        host = 'host: "https://lake.example.com"'  # one workspace for all
        file.write_text(re.sub(r'host: ".*"', host, file.read_text("utf-8")), encoding="utf-8")
    page = "docs/how-to/sample-for-staging.md"
    (create, check), (statement,), (_, differs) = (blocks(page, n) for n in ("sh", "sql", "yaml"))
    project.python("-m", *create.split())
    write(project, "src/lakehouse/flights/sql/sample.sql", statement)
    job = yaml.safe_load(project.text("resources/flights/sample.yml"))
    text = yaml.safe_dump({"targets": {"prod": job}}).replace("flights_gold", "flights_silver")
    write(project, "resources/flights/sample.yml", text)
    policy = project.text("delivery.yml")
    assert differs.startswith("may_differ:\n")
    write(project, "delivery.yml", policy.replace("may_differ:\n", differs))
    create = blocks("docs/how-to/second-team.md", "sh")[0].partition("#")[0]
    assert project.python("-m", *create.split()).returncode == 0
    result = project.python("-m", *check.split())
    assert result.returncode == 0, result.stdout
    assert "host is not set" not in result.stdout
    assert project.text("CODEOWNERS").endswith("sales/ @example/sales\n")


def test_code_in_how_tos_is_code(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("docs/how-to/passwords.md", "python")
    names: dict[str, Any] = {}
    exec(compile(code, "passwords.md", "exec"), names)
    monkeypatch.setenv("FEED_TOKEN", "x1")
    assert names["feed_token"]("scope") == "x1"
    for page in ("costs", "sample-for-staging"):
        (statement,) = blocks(f"docs/how-to/{page}.md", "sql")
        assert len(sqlglot.parse(statement, read="databricks")) == 1
    contract = yaml.safe_load(
        (TEMPLATE / "src/lakehouse/flights/contracts/silver.flights.yml").read_text("utf-8")
    )
    columns = {column["name"] for column in contract["schema"][0]["properties"]}
    assert {"tailnum", "time_hour"} <= columns
    (exception,) = blocks("docs/how-to/change-a-table.md", "yaml")
    assert yaml.safe_load(exception)["allow"][0].keys() == {"key", "reason", "until"}


def test_the_bold_shape_is_that_of_the_default_answers() -> None:
    page = (TEMPLATE / "docs/choosing.md").read_text("utf-8")
    bold = re.findall(r"^\| \*\*(.+?)\*\*", page, re.MULTILINE)
    questions = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))
    assert len(bold) == len(re.findall(r"^\| answer", page, re.MULTILINE)) == 5
    assert [questions[name][0] for name in ("branching", "compute")] == bold[2:4]
    for mode in get_args(Approval):
        assert f"`approval: {mode}`" in page
    ours = yaml.safe_load((TEMPLATE / "delivery.yml").read_text("utf-8"))["approval"]["prod"]
    assert f"**{bold[4]}** | `approval: {ours}`" in page


@pytest.mark.real_cli
@pytest.mark.skipif(REAL is None, reason="no databricks on the PATH")
def test_the_cli_has_the_commands_of_those_who_come_from_elsewhere() -> None:
    page = (TEMPLATE / "docs/coming-from.md").read_text("utf-8")
    found = re.findall(
        r"databricks (bundle [a-z ]+?)(?=`|\n| --)((?: --[a-z-]+(?: [\w/]+)?)*)", page
    )
    assert len(found) >= 3
    for command, options in found:
        told = expect_success("databricks", *command.split(), "--help", cwd=TEMPLATE)
        assert f"databricks {command}" in told
        for option in re.findall(r"--[a-z-]+", options):
            assert option in told
