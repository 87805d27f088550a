"""`delivery new domain` and `delivery remove domain`: names, files, and all or nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from delivery.cli import app
from delivery.cli.remove import unsaved
from delivery.errors import DeliveryError, RefusedError
from delivery.scaffold import changes, edits
from delivery.scaffold.changes import Change, apply
from delivery.scaffold.domain import Kind, new_domain
from delivery.scaffold.names import LONGEST
from delivery.scaffold.parts import Part, new_part
from delivery.scaffold.removal import remove_domain
from harness.baking import TEMPLATE

Run = Callable[..., tuple[int, str, str]]
KINDS = list(Kind)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a project that domains touch, with the sample domain."""
    root = tmp_path_factory.mktemp("sample")
    skipped = shutil.ignore_patterns("__pycache__", "tools", "options", ".git*", ".*_cache")
    shutil.copytree(TEMPLATE, root / "lake", ignore=skipped)
    shutil.copy(TEMPLATE / ".gitignore", root / "lake")
    policy = root / "lake/delivery.yml"
    text = policy.read_text(encoding="utf-8").replace("{{ cookiecutter.compute }}", "serverless")
    policy.write_text(text, encoding="utf-8")
    return root / "lake"


@pytest.fixture
def lake(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own for each test, as the working directory."""
    shutil.copytree(sample, tmp_path / "lake")
    monkeypatch.chdir(tmp_path / "lake")
    return tmp_path / "lake"


@pytest.fixture
def run(lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call `delivery …`: its exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["delivery", *arguments])
        with pytest.raises(SystemExit) as left:
            app.main()
        code = left.value.code or 0
        assert isinstance(code, int)
        out, err = capsys.readouterr()
        return code, out, err

    return call


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Each file with its permissions and content, and each folder."""
    found = sorted(root.rglob("*"))
    return {
        path.relative_to(root).as_posix(): (
            path.lstat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in found
    }


def create(lake: Path, name: str = "orders", kind: Kind = Kind.JOB, owner: str = "") -> None:
    apply(lake, new_domain(lake, name, kind, owner))


def write(lake: Path, name: str, text: str) -> None:
    (lake / name).parent.mkdir(parents=True, exist_ok=True)
    (lake / name).write_text(text, encoding="utf-8")


# --- names ---


@pytest.mark.parametrize(
    "name",
    [
        "", "x", "../x", "/x", "Orders", "a b", "a-b", "1x", "_x", "x_", "x__y", "ö1", "x\n", "x.y",
        "x" * (LONGEST + 1), "${var.x}", "{{ x }}", ".", "..", "--x", "a/b", "a\x00b", "x" * 5000,
    ],
)  # fmt: skip
def test_a_name_of_another_form_is_refused_with_an_example(lake: Path, name: str) -> None:
    before = tree(lake)
    with pytest.raises(DeliveryError, match="such as web_orders") as caught:
        new_domain(lake, name, Kind.JOB)
    assert len(str(caught.value)) < 400
    with pytest.raises(DeliveryError, match="such as web_orders"):
        remove_domain(lake, name)
    assert tree(lake) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("class", "a keyword of Python"),
        ("yield", "a keyword of Python"),
        ("null", "which YAML reads as a value"),
        ("off", "which YAML reads as a value"),
        ("silver", "which is reserved"),
        ("landing", "which is reserved"),
        ("package", "which is reserved"),
        ("contracts", "which is reserved"),
        ("engine", "which is reserved"),
        ("web_ops", "expected another end than _ops"),
        ("web_daily", "expected another end than _daily"),
        ("web_quarantine", "expected another end than _quarantine"),
        ("flights_web", "because flights_… names the resources and tests of flights"),
        ("flights_ops", "because flights_… names the resources and tests of flights"),
        ("flights", "which exists: src/lakehouse/flights, resources/flights, data/flights"),
        ("audit", "which exists: src/lakehouse/audit.py, tests/unit/test_audit.py"),
        ("tables", "which exists: tests/unit/test_tables.py"),
        ("spark", "which exists: tests/unit/test_spark_ingest.py"),
    ],
)
def test_a_name_that_would_break_something_is_refused(lake: Path, name: str, message: str) -> None:
    before = tree(lake)
    with pytest.raises(DeliveryError) as caught:
        new_domain(lake, name, Kind.JOB)
    assert message in str(caught.value)
    assert tree(lake) == before


@pytest.mark.parametrize("name", ["ab", "a1", "web_orders", "a_1", "x" * LONGEST, "match", "email"])
def test_other_names_are_taken(lake: Path, name: str) -> None:
    create(lake, name)
    assert (lake / f"src/lakehouse/{name}/tasks.py").is_file()


def test_a_domain_whose_name_begins_another_is_refused(lake: Path) -> None:
    create(lake, "web_orders")
    with pytest.raises(DeliveryError, match="does not begin as the domain web_orders"):
        new_domain(lake, "web", Kind.JOB)
    create(lake, "webshop")


@pytest.mark.parametrize(
    "place",
    [
        "src/lakehouse/orders/x.py", "src/lakehouse/orders.py", "resources/orders/x.yml",
        "data/orders/x.csv", "docs/domains/orders.md", "tests/unit/test_orders.py",
        "tests/more/test_orders_x.py",
    ],
)  # fmt: skip
def test_a_domain_that_exists_anywhere_is_refused(lake: Path, place: str) -> None:
    write(lake, place, "x")
    with pytest.raises(DeliveryError, match="given orders, which exists: ") as caught:
        new_domain(lake, "orders", Kind.JOB)
    assert place.rpartition("/x")[0] or place in str(caught.value)


def test_a_key_of_another_domain_s_resources_is_taken(lake: Path) -> None:
    write(
        lake, "resources/flights/more.yml", "resources:\n  jobs:\n    orders_daily:\n      x: 1\n"
    )
    with pytest.raises(DeliveryError, match=r"which exists: resources/flights/more\.yml"):
        new_domain(lake, "orders", Kind.JOB)


def test_an_entry_of_the_policy_is_taken(lake: Path) -> None:
    text = (lake / "delivery.yml").read_text(encoding="utf-8")
    write(lake, "delivery.yml", edits.add_job(text, "orders", "other"))
    with pytest.raises(DeliveryError, match=r"verify\.jobs\.orders: given other"):
        new_domain(lake, "orders", Kind.JOB)


@pytest.mark.parametrize(
    "owner", ["sales", "@", "@a b", "@a/", "a@example.com", "@x # y", "@x\n* @y"]
)
def test_an_owner_of_another_form_is_refused(lake: Path, owner: str) -> None:
    with pytest.raises(DeliveryError, match="such as @your-organization/your-team"):
        new_domain(lake, "orders", Kind.JOB, owner)


# --- what is written ---


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compute", ["serverless", "classic"])
def test_what_is_created_is_whole_and_parses(lake: Path, kind: Kind, compute: str) -> None:
    text = (lake / "delivery.yml").read_text(encoding="utf-8")
    write(lake, "delivery.yml", text.replace('compute: "serverless"', f'compute: "{compute}"'))
    planned = new_domain(lake, "orders", kind)
    created = {c.path: c.content.decode() for c in planned if c.action == "create"}
    edited = {c.path for c in planned if c.action == "edit"}
    assert edited == {"delivery.yml", "CODEOWNERS", "docs/README.md"}
    contracts = {name.rpartition("/")[2] for name in created if "/contracts/" in name}
    assert contracts == {"landing.orders.yml", "silver.orders.yml", "gold.daily.yml"}
    for name in ("job.yml", "schemas.yml", "volumes.yml"):
        assert yaml.safe_load(created[f"resources/orders/{name}"])["resources"]
    machines = "job_clusters" in created["resources/orders/job.yml"]
    assert machines == (compute == "classic" and kind is not Kind.PIPELINE)
    pipeline = created.get("resources/orders/pipelines.yml", "")
    assert bool(pipeline) == (kind is Kind.PIPELINE)
    assert ("serverless: true" in pipeline) == (bool(pipeline) and compute == "serverless")
    assert ("src/lakehouse/orders/sql/daily.sql" in created) == (kind is Kind.SQL)
    assert ("src/lakehouse/orders/tasks.py" in created) == (kind is not Kind.PIPELINE)
    for name, content in created.items():
        assert "flights" not in content.lower(), name
        assert "{" + "{" not in content, name
        assert content.endswith("\n"), name
        assert "DOMAIN" not in name
        if name.endswith(".py"):
            compile(content, name, "exec")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["ab", "audits", "en_x", "lane", "rolls", "zz", "x" * LONGEST])
def test_what_is_created_passes_the_linter_with_every_name(
    lake: Path, kind: Kind, name: str
) -> None:
    create(lake, name, kind)
    ruff = Path(sys.executable).with_name("ruff")
    for command in (("check",), ("format", "--check")):
        done = subprocess.run(
            [ruff, *command, "--no-cache", "src", "tests"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    lint = [str(ruff.with_name("yamllint")), "--strict", "-c", str(TEMPLATE / ".yamllint.yaml")]
    folders = (f"resources/{name}", f"src/lakehouse/{name}")
    done = subprocess.run([*lint, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_project_of_another_compute_is_told(lake: Path) -> None:
    text = (lake / "delivery.yml").read_text(encoding="utf-8")
    write(lake, "delivery.yml", text.replace('compute: "serverless"', "compute: gpu"))
    with pytest.raises(DeliveryError, match="given 'gpu', expected serverless or classic"):
        new_domain(lake, "orders", Kind.JOB)


@pytest.mark.parametrize(
    ("owner", "line"),
    [("@acme/sales", "orders/ @acme/sales"), ("", "orders/ @example/data-team")],
)
def test_the_owner_is_the_last_line(lake: Path, owner: str, line: str) -> None:
    create(lake, "orders", owner=owner)
    assert (lake / "CODEOWNERS").read_text(encoding="utf-8").splitlines()[-1] == line


# --- shared files ---


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  jobs:\n    a: a_daily\n", "  jobs:\n    a: a_daily\n    orders: orders_daily\n"),
        (
            "  jobs:  # each\n\n    # first\n    a: a_daily  # one\n  minutes: 20\n",
            "  jobs:  # each\n\n    # first\n    a: a_daily  # one\n    orders: orders_daily\n"
            "  minutes: 20\n",
        ),
        ("  jobs: {}\n", "  jobs:\n    orders: orders_daily\n"),
        ("  jobs: {}  # none\n", "  jobs:  # none\n    orders: orders_daily\n"),
        ("  jobs: {a: a_daily}\n", "  jobs: {a: a_daily, orders: orders_daily}\n"),
        ("  jobs: { a: a_daily }  # x\n", "  jobs: { a: a_daily , orders: orders_daily}  # x\n"),
        ("    jobs:\n      a: a_daily", "    jobs:\n      a: a_daily\n      orders: orders_daily"),
    ],
)
def test_the_job_is_added_in_place_and_goes_again(before: str, after: str) -> None:
    start, end = "# policy\nproject:\n  jobs: no\nverify:\n", "\nrelease: {keep: 1}  # end\n"
    added = edits.add_job(f"{start}{before}{end}", "orders", "orders_daily")
    assert added.replace(" }", "}") == f"{start}{after}{end}".replace(" }", "}")
    assert edits.remove_job(added, "orders") == f"{start}{before}{end}"


@pytest.mark.parametrize(
    "text",
    [
        "verify: {jobs: {a: b}}\n",
        "project: {}\n",
        "verify:\n  jobs: {a: b,\n    c: d}\n",
        "verify: [\n",
    ],
)
def test_a_policy_of_another_form_is_told_what_to_write(text: str) -> None:
    with pytest.raises(DeliveryError, match="orders: orders_daily"):
        edits.add_job(text, "orders", "orders_daily")


def test_line_ends_are_kept() -> None:
    text = "verify:\r\n  jobs:\r\n    a: b\r\n"
    added = edits.add_job(text, "orders", "orders_daily")
    assert added == "verify:\r\n  jobs:\r\n    a: b\r\n    orders: orders_daily\r\n"
    assert edits.remove_job(added, "orders") == text
    for text in ("* @a", "* @a\n", "* @a\n\n", ""):
        added = edits.add_owner(text, "orders", "@b")
        assert added.splitlines()[-1] == "orders/ @b"
        assert edits.remove_owner(added, "orders") == text or text == ""


def test_only_lines_of_the_domain_leave_the_owners() -> None:
    gone = ("orders/ @b", "/orders/** @b", "/src/lakehouse/orders/ @b", "**/resources/orders @b")
    kept = ("* @a", "orders_x/ @b", "/tests/orders.py @b", "# orders/ are gone", "")
    lines = [line for pair in zip(kept, (*gone, ""), strict=True) for line in pair]
    assert edits.remove_owner("\n".join(lines), "orders").split("\n") == [*kept, ""]


def test_pages_stand_together_below_the_contracts(lake: Path) -> None:
    for name in ("orders", "shops"):
        create(lake, name)
    rows = (lake / "docs/README.md").read_text(encoding="utf-8").splitlines()
    at = next(n for n, row in enumerate(rows) if "](contracts.md)" in row)
    assert [row.partition("(")[2].partition(")")[0] for row in rows[at + 1 : at + 4]] == [
        "domains/orders.md", "domains/shops.md", "glossary.md",
    ]  # fmt: skip


# --- all or nothing ---


@pytest.mark.parametrize("kind", KINDS)
def test_new_and_remove_leave_every_byte_as_it_was(lake: Path, kind: Kind) -> None:
    create(lake, "shops")
    (lake / "CODEOWNERS").chmod(0o640)
    before = tree(lake)
    create(lake, "orders", kind, "@acme/sales")
    assert tree(lake) != before
    apply(lake, remove_domain(lake, "orders").changes)
    assert tree(lake) == before


@pytest.mark.parametrize("number", range(18))
def test_a_write_that_fails_midway_leaves_nothing(
    lake: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(lake)
    planned = new_domain(lake, "orders", Kind.SQL)
    assert len(planned) >= 17
    fail_at(monkeypatch, min(number, len(planned) - 1))
    with pytest.raises(DeliveryError, match="No space left on device\n    Nothing was changed"):
        apply(lake, planned)
    assert tree(lake) == before


@pytest.mark.parametrize("number", [0, 3, 5, 20, 60])
def test_a_removal_that_fails_midway_removes_nothing(
    lake: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(lake)
    planned = remove_domain(lake, "flights").changes
    fail_at(monkeypatch, min(number, len(planned) - 1))
    with pytest.raises(DeliveryError, match="Nothing was changed"):
        apply(lake, planned)
    assert tree(lake) == before


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The change with this number is made by half, and then the disk is full."""
    make, left = changes._make, iter(range(1000))

    def failing(root: Path, change: Change, *others: object) -> None:
        make(root, change, *others)  # type: ignore[arg-type]
        if next(left) == number:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(changes, "_make", failing)


def test_a_disk_that_stays_full_leaves_nothing(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, replace, full = tree(lake), changes._replace, list[str]()

    def filling(path: Path, content: bytes) -> None:
        if full or path.name == "README.md":
            full.append(path.name)
            raise OSError(28, "No space left on device")
        replace(path, content)

    planned = new_domain(lake, "orders", Kind.JOB)
    monkeypatch.setattr(changes, "_replace", filling)
    with pytest.raises(DeliveryError, match=r"docs/README\.md: cannot be written: No space left"):
        apply(lake, planned)
    assert tree(lake) == before


@pytest.mark.parametrize("fails", [False, True])
def test_data_on_another_disk_leaves_or_stays_whole(
    lake: Path, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = tree(lake), os.rename

    def across(source: Path, target: Path, **options: int) -> None:
        if "data" in Path(source).parts + Path(target).parts:
            raise OSError(18, "Invalid cross-device link")
        rename(source, target, **options)

    planned = remove_domain(lake, "flights").changes
    monkeypatch.setattr(os, "rename", across)
    if fails:
        fail_at(monkeypatch, len(planned) - 1)
        with pytest.raises(DeliveryError, match="Nothing was changed"):
            apply(lake, planned)
        assert tree(lake) == before
    else:
        apply(lake, planned)
        assert not (lake / "data").exists()


@pytest.mark.parametrize("command", ["new", "remove"])
def test_a_disk_without_links_is_no_reason_to_fail(
    lake: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    planned = (
        new_domain(lake, "orders", Kind.JOB)
        if command == "new"
        else remove_domain(lake, "flights").changes
    )
    apply(lake, planned)
    assert not (lake / ".delivery").exists()
    assert (lake / "src/lakehouse/orders").exists() == (command == "new")


def test_an_interrupt_leaves_nothing(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, replace = tree(lake), changes._replace

    def interrupted(path: Path, content: bytes) -> None:
        if path.name == "CODEOWNERS" and b"orders" in content:
            raise KeyboardInterrupt
        replace(path, content)

    monkeypatch.setattr(changes, "_replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        create(lake)
    assert tree(lake) == before


@pytest.mark.parametrize("place", ["src/lakehouse", "resources", "docs/domains", "tests/unit"])
def test_links_are_not_followed(lake: Path, tmp_path: Path, place: str) -> None:
    if (lake / place).exists():
        shutil.move(lake / place, tmp_path / "elsewhere")
    else:
        (tmp_path / "elsewhere").mkdir()
    (lake / place).symlink_to(tmp_path / "elsewhere")
    before = tree(lake), tree(tmp_path / "elsewhere")
    with pytest.raises(DeliveryError, match=f"{place}: given a symbolic link"):
        new_domain(lake, "orders", Kind.JOB)
    assert (tree(lake), tree(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("place", ["delivery.yml", "CODEOWNERS"])
def test_a_shared_file_that_is_a_link_is_not_written(
    lake: Path, tmp_path: Path, place: str
) -> None:
    shutil.move(lake / place, tmp_path / "elsewhere")
    (lake / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeliveryError, match=f"{place}: given a symbolic link"):
        new_domain(lake, "orders", Kind.JOB)


def test_a_link_to_nothing_takes_the_name(lake: Path) -> None:
    (lake / "data/orders").symlink_to("nowhere")
    with pytest.raises(DeliveryError, match="given orders, which exists: data/orders"):
        new_domain(lake, "orders", Kind.JOB)


def test_every_folder_without_permission_is_named_at_once(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = {lake / "resources", lake / "data"}
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) not in closed)
    with pytest.raises(DeliveryError) as caught:
        new_domain(lake, "orders", Kind.JOB)
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["data", "resources"]
    assert not (lake / "src/lakehouse/orders").exists()


def test_a_file_in_the_place_of_a_folder_is_named(lake: Path) -> None:
    write(lake, "docs/domains", "x")
    with pytest.raises(DeliveryError, match="docs/domains: given a file, expected a folder"):
        new_domain(lake, "orders", Kind.JOB)


def test_a_file_that_appears_meanwhile_is_kept(lake: Path) -> None:
    planned = new_domain(lake, "orders", Kind.JOB)
    write(lake, "resources/orders/job.yml", "mine")
    with pytest.raises(DeliveryError, match=r"resources/orders/job\.yml: exists already"):
        apply(lake, planned)
    assert (lake / "resources/orders/job.yml").read_text(encoding="utf-8") == "mine"
    assert not (lake / "src/lakehouse/orders").exists()


def test_a_shared_file_that_changes_meanwhile_is_kept(lake: Path) -> None:
    planned = new_domain(lake, "orders", Kind.JOB)
    write(lake, "CODEOWNERS", "* @mine\n")
    with pytest.raises(DeliveryError, match="CODEOWNERS: was changed meanwhile"):
        apply(lake, planned)
    assert not (lake / "src/lakehouse/orders").exists()


# --- remove ---


def test_flights_leaves_with_its_lines_and_data_last(lake: Path) -> None:
    removal = remove_domain(lake, "flights")
    deleted = [change.path for change in removal.changes if change.action == "delete"]
    first = next(n for n, path in enumerate(deleted) if path.startswith("data/"))
    assert first > 20
    assert all(path.startswith("data/flights/") for path in deleted[first:])
    assert "tests/unit/test_flights_rules.py" in deleted
    apply(lake, removal.changes)
    names = {path for path in tree(lake) if "flights" in path}
    assert names == set()
    assert "jobs: {}" in (lake / "delivery.yml").read_text(encoding="utf-8")
    assert "flights" not in (lake / ".gitignore").read_text(encoding="utf-8")
    assert removal.mentions["README.md"] > 0
    assert not any("flights" in path for path in removal.mentions)
    assert "delivery.yml" in removal.mentions  # an example in a comment


def test_tests_of_a_longer_name_stay(lake: Path) -> None:
    create(lake, "orders")
    write(lake, "resources/orders_web/job.yml", "resources: {}\n")
    write(lake, "tests/unit/test_orders_web_rules.py", "")
    deleted = {change.path for change in remove_domain(lake, "orders").changes}
    assert "tests/unit/test_orders_transform.py" in deleted
    assert "tests/unit/test_orders_web_rules.py" not in deleted


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("src/lakehouse/shops/more.py", "from lakehouse.orders import transform"),
        ("src/lakehouse/shops/more.py", "from lakehouse import audit, orders"),
        ("src/lakehouse/shops/more.py", 'rows = tables.of("orders").read("silver.orders")'),
        ("src/lakehouse/shops/sql/more.sql", "SELECT * FROM orders_gold.daily"),
        ("src/lakehouse/more.py", "import lakehouse.orders.tasks"),
        ("resources/shops/more.yml", "name: ${resources.schemas.orders_gold.name}"),
        ("resources/shops/more.yml", "job_id: ${resources.jobs.orders_daily.id}"),
        ("resources/shops/more.yml", "task: orders.silver"),
        ("targets/prod.yml", "schema: orders_silver"),
        ("databricks.yml", "schema: orders_silver"),
    ],
)
def test_a_domain_that_others_need_is_not_removed(lake: Path, place: str, line: str) -> None:
    create(lake, "shops")
    create(lake, "orders")
    write(lake, place, f"# first\n{line}\n")
    before = tree(lake)
    with pytest.raises(RefusedError) as caught:
        remove_domain(lake, "orders")
    assert f"{place}:2: {line}" in str(caught.value)
    assert tree(lake) == before


@pytest.mark.parametrize(
    "line",
    [
        "# from lakehouse.orders import x",
        "borders_gold: x",
        "preorders.silver: x",
        "x: silver.orders",
    ],
)
def test_what_only_looks_like_the_domain_keeps_nobody(lake: Path, line: str) -> None:
    create(lake, "shops")
    create(lake, "orders")
    write(lake, "resources/shops/more.yml", f"{line}\n")
    assert remove_domain(lake, "orders").changes


def test_an_unknown_domain_is_told_which_there_are(lake: Path) -> None:
    with pytest.raises(DeliveryError, match="given engine, expected one of flights"):
        remove_domain(lake, "engine")
    apply(lake, remove_domain(lake, "flights").changes)
    with pytest.raises(DeliveryError, match="expected one of none: the project has no domain"):
        remove_domain(lake, "flights")


def test_a_domain_behind_a_link_is_not_removed(lake: Path, tmp_path: Path) -> None:
    create(lake, "orders")
    shutil.move(lake / "data/orders", tmp_path / "elsewhere")
    (lake / "data/orders").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeliveryError, match="data/orders: given a symbolic link"):
        remove_domain(lake, "orders")
    assert list((tmp_path / "elsewhere").rglob("*.csv"))


# --- the commands ---


@pytest.mark.parametrize("output", ["table", "json"])
def test_a_dry_run_prints_what_the_run_does_and_writes_nothing(
    run: Run, lake: Path, output: str
) -> None:
    before = tree(lake)
    arguments = ("new", "domain", "orders", "--output", output)
    code, dry, err = run(*arguments, "--dry-run")
    assert (code, tree(lake)) == (0, before)
    assert "nothing is written" in err
    code, real, _ = run(*arguments)
    assert code == 0
    assert real == dry.replace('"dry_run": true', '"dry_run": false')
    after = tree(lake)
    written = {p for p in after if p not in before or after[p] != before[p]}
    files = {p for p in written if (lake / p).is_file()}
    shown = set(real.splitlines()[:-1])
    if output == "json":
        shown = {
            f"{'+' if f['action'] == 'create' else '~'} {f['path']}"
            for f in json.loads(real)["files"]
        }
    assert shown == {f"{'~' if name in before else '+'} {name}" for name in files}


def test_new_ends_with_the_next_step(run: Run) -> None:
    _, out, _ = run("new", "domain", "orders")
    assert out.splitlines()[-1].startswith("Next: make run DOMAIN=orders, then make test")


@pytest.mark.parametrize("name", ["../x", "Orders", "flights", "class"])
def test_a_bad_name_ends_with_4(run: Run, lake: Path, name: str) -> None:
    before = tree(lake)
    code, out, err = run("new", "domain", name)
    assert (code, out) == (4, "")
    assert err.startswith("domain: given ")
    assert tree(lake) == before


def test_nothing_is_removed_without_a_terminal(run: Run, lake: Path) -> None:
    before = tree(lake)
    code, out, err = run("remove", "domain", "flights")
    assert (code, out, tree(lake)) == (3, "", before)
    assert "delivery remove domain flights --yes" in err


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 3)])
def test_nothing_is_removed_without_a_yes(
    run: Run, lake: Path, answer: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(lake, "orders")
    before, asked = tree(lake), list[str]()

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", confirm)
    assert run("remove", "domain", "orders")[0] == code
    assert asked[0].startswith("Remove the domain orders: ")
    assert (tree(lake) == before) == (code == 3)


def test_a_dry_run_of_a_removal_shows_files_and_mentions(run: Run, lake: Path) -> None:
    before = tree(lake)
    code, out, _ = run("remove", "domain", "flights", "--dry-run")
    assert (code, tree(lake)) == (0, before)
    assert "− src/lakehouse/flights/tasks.py" in out
    assert "~ delivery.yml" in out
    assert "Still named in: " in out
    assert "README.md (" in out
    assert run("remove", "domain", "flights", "--yes")[1] == out


def test_a_needed_domain_ends_with_3(run: Run, lake: Path) -> None:
    write(lake, "src/lakehouse/shops/contracts/x", "")
    write(lake, "src/lakehouse/shops/tasks.py", "from lakehouse.flights import transform\n")
    code, out, err = run("remove", "domain", "flights", "--yes")
    assert (code, out) == (3, "")
    assert "src/lakehouse/shops/tasks.py:1: from lakehouse.flights import transform" in err


# --- parts of a domain ---

FILES = {
    Part.JOB: {"resources/orders/export.yml", "tests/pipeline/test_orders_export.py"},
    Part.NOTEBOOK: {
        "resources/orders/export.yml",
        "src/lakehouse/orders/notebooks/export.py",
    },
    Part.SQL: {"resources/orders/export.yml", "src/lakehouse/orders/sql/export.sql"},
    Part.DASHBOARD: {
        "resources/orders/export.yml",
        "src/lakehouse/orders/dashboards/export.lvdash.json",
    },
}


def edited(part: Part) -> set[str]:
    """The files that a new part changes."""
    return {"src/lakehouse/orders/tasks.py"} if part is Part.JOB else set()


@pytest.mark.parametrize("compute", ["serverless", "classic"])
@pytest.mark.parametrize("part", list(Part))
def test_a_part_is_whole_and_leaves_with_its_domain(lake: Path, part: Part, compute: str) -> None:
    text = (lake / "delivery.yml").read_text(encoding="utf-8")
    write(lake, "delivery.yml", text.replace('compute: "serverless"', f'compute: "{compute}"'))
    before = tree(lake)
    create(lake)
    planned = new_part(lake, part, "export", "orders")
    assert {c.path for c in planned if c.action == "create"} == FILES[part]
    assert {c.path for c in planned if c.action == "edit"} == edited(part)
    apply(lake, planned)
    text = (lake / "resources/orders/export.yml").read_text(encoding="utf-8")
    (kind,) = yaml.safe_load(text)["resources"].values()
    resource = kind["orders_export"]
    assert ("job_clusters" in resource) == (
        compute == "classic" and part in (Part.JOB, Part.NOTEBOOK)
    )
    if part is Part.DASHBOARD:
        board = lake / "src/lakehouse/orders/dashboards/export.lvdash.json"
        assert json.loads(board.read_text(encoding="utf-8"))["pages"]
    apply(lake, remove_domain(lake, "orders").changes)
    assert tree(lake) == before


@pytest.mark.parametrize("part", list(Part))
@pytest.mark.parametrize("name", ["ab", "x" * LONGEST])
def test_a_part_passes_the_linter_with_every_name(lake: Path, part: Part, name: str) -> None:
    create(lake, "z" * LONGEST)
    apply(lake, new_part(lake, part, name, "z" * LONGEST))
    ruff = Path(sys.executable).with_name("ruff")
    lint = [str(ruff.with_name("yamllint")), "--strict", "-c", str(TEMPLATE / ".yamllint.yaml")]
    for command in (
        [str(ruff), "check", "--no-cache", "src", "tests"],
        [str(ruff), "format", "--check", "--no-cache", "src", "tests"],
        [*lint, "resources"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "domain", "message"),
    [
        ("../x", "orders", "job: given '../x', expected 2 to 31"),
        ("export", "shops", "domain: given shops, expected one of flights, orders"),
        ("daily", "orders", "means something else in resources/orders/job.yml"),
        ("silver", "orders", "means something else in src/lakehouse/orders/tasks.py"),
        ("prove", "orders", "means something else in src/lakehouse/orders/tasks.py"),
        ("print", "orders", "means something else in Python"),
        ("class", "orders", "means something else in Python"),
        ("transform", "orders", "tests/unit/test_orders_transform.py"),
    ],
)
def test_a_part_that_would_break_something_is_refused(
    lake: Path, name: str, domain: str, message: str
) -> None:
    create(lake)
    before = tree(lake)
    with pytest.raises(DeliveryError) as caught:
        new_part(lake, Part.JOB, name, domain)
    assert message in str(caught.value)
    assert tree(lake) == before


def test_a_domain_without_what_a_task_needs_is_told(lake: Path) -> None:
    write(lake, "resources/shops/job.yml", "resources: {}\n")
    with pytest.raises(DeliveryError, match=r"such as src/lakehouse/shops/contracts/silver\.shops"):
        new_part(lake, Part.JOB, "export", "shops")
    write(lake, "src/lakehouse/shops/contracts/silver.shops.yml", "")
    with pytest.raises(DeliveryError, match=r"from lakehouse\.engine import Report, Tables"):
        new_part(lake, Part.JOB, "export", "shops")


@pytest.mark.parametrize("part", list(Part))
def test_the_command_of_a_part_shows_its_files(run: Run, lake: Path, part: Part) -> None:
    create(lake)
    before = tree(lake)
    arguments = ("new", str(part), "export", "--domain", "orders")
    code, dry, _ = run(*arguments, "--dry-run")
    assert (code, tree(lake)) == (0, before)
    code, out, _ = run(*arguments)
    assert (code, out) == (0, dry)
    assert {line[2:] for line in out.splitlines()[:-1]} == FILES[part] | edited(part)
    assert out.splitlines()[-1].startswith("Next: ")
    assert run(*arguments)[0] == 4


# --- what git cannot bring back ---


def test_files_that_git_cannot_bring_back_are_counted(lake: Path) -> None:
    create(lake)
    planned = remove_domain(lake, "orders").changes
    deleted = [change.path for change in planned if change.action == "delete"]
    assert unsaved(lake, planned) == deleted  # there is no repository
    for command in (("init", "-q", "--template="), ("add", "--all"), ("commit", "-qm", "start")):
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=0")
        subprocess.run(["git", *identity, *command], check=True, capture_output=True)
    assert unsaved(lake, planned) == []
    write(lake, "src/lakehouse/orders/transform.py", "")
    write(lake, "data/orders/landing/orders/more.csv", "")
    planned = remove_domain(lake, "orders").changes
    assert unsaved(lake, planned) == [
        "src/lakehouse/orders/transform.py",
        "data/orders/landing/orders/more.csv",
    ]
