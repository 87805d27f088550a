"""No token leaves and nothing foreign runs, whatever a bundle, an archive or a checkout says."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import Source
from delivery.checks.registry import CheckContext, check
from delivery.errors import DeliveryError
from delivery.operations.preview import open_preview
from delivery.plan.planner import make_plan
from delivery.plan.request import PlanRequest
from delivery.release.archive import Archive, pack, read_archive
from delivery.release.manifest import FileEntry
from delivery.target.context import open_target
from delivery.workspace.bundle_cli import BundleCli
from harness import attacks
from harness.attacks import Aim, Files
from harness.baking import ROOT, commit, environment
from harness.delivering import Sandbox

pytestmark = pytest.mark.slow

# A folder's own leftovers: an archive that has them is refused, a preview goes up without them.
LEFT_BEHIND = tuple(name for name in attacks.BESIDE if name != "setup.py")


@dataclass
class Listener:
    """Somebody else's address, and what it was told."""

    requests: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    host: str = ""

    def hear(self, line: str, headers: Any, body: bytes) -> None:
        """Note a request, and whether a credential is anywhere in it."""
        self.requests.append(line)
        if headers.get("Authorization") or b"token" in body:
            self.tokens.append(line)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """It listens on loopback, and answers nothing of use."""
    one = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            one.hear(self.requestline, self.headers, self.rfile.read(length))
            self.send_response(404)
            self.end_headers()

        do_POST = do_PUT = do_GET  # noqa: N815 - the names are the library's

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        one.host = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield one
        server.shutdown()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that a foreign program leaves; the program is beside it."""
    file = tmp_path / "ran"
    program = tmp_path / "program.sh"
    program.write_text(f"#!/bin/sh\nenv > {file}\n", encoding="utf-8")
    program.chmod(0o755)
    return file


def aim(target: str, listener: Listener, marker: Path) -> Aim:
    return Aim(target, listener.host, str(marker.with_name("program.sh")))


@pytest.fixture
def checkout(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A checkout, with the surroundings of a pipeline in this process, and room for previews."""
    sandbox.workspace.add_catalog(f"{sandbox.name.replace('-', '_')}_preview", creators=["person"])
    previews = f"/Workspace/Deployments/{sandbox.name}/previews"
    sandbox.workspace.grant_folder(previews, "person", "CAN_MANAGE")
    text = sandbox.text("targets/preview.yml")
    sandbox.write(
        "targets/preview.yml", re.sub(r'host: ".*"', f'host: "{sandbox.workspace.url}"', text)
    )
    (sandbox.path / "Makefile").write_text("wheel:\n\t@true\n", encoding="utf-8")
    commit(sandbox.path, "previews are here")
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "BUNDLE_"))]:
        monkeypatch.delenv(name)
    for name, value in sandbox.settings("deployer").items():
        if name.startswith(("DATABRICKS", "PATH", "HOME", "XDG")):
            monkeypatch.setenv(name, value)
    return sandbox


# --- what is tried ---


def planned(sandbox: Sandbox, archive: Archive, wishes: PlanRequest) -> str:
    """Plan a release in this process: why it is refused, or nothing."""
    try:
        site = open_target(sandbox.path, "staging", archive)
        site.ledger.may_be_missing = wishes.first
        make_plan(site, archive, wishes)
    except DeliveryError as error:
        return f"{error.code}: {error}"
    return ""


def packed(archive: Path, files: Files) -> Archive:
    """The archive with other files, and a manifest that lists them."""
    manifest = read_archive(archive.read_bytes(), archive.name)[0].manifest
    entries = {k: FileEntry(**v) for k, v in attacks.manifest_of(files).items()}
    return pack(manifest.model_copy(update={"files": entries}), files)


def contents(archive: Path) -> Files:
    """All files of an archive."""
    files: Files = read_archive(archive.read_bytes(), archive.name)[1]
    return files


def tracked(path: Path) -> Files:
    """The files of a checkout that attacks touch."""
    names = [f for top in ("targets", "resources") for f in (path / top).rglob("*") if f.is_file()]
    return {
        f.relative_to(path).as_posix(): f.read_bytes() for f in [*names, path / "databricks.yml"]
    }


def write(path: Path, files: Files) -> None:
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def remove(path: Path, names: set[str]) -> None:
    """Remove files, and the folders that are empty then."""
    for name in names:
        file = path / name
        file.unlink()
        for folder in file.relative_to(path).parents:
            if folder.name and not any((path / folder).iterdir()):
                (path / folder).rmdir()


def nothing_left(listener: Listener, marker: Path) -> None:
    assert listener.tokens == []
    assert listener.requests == []
    assert not marker.exists()


# --- archives ---


def test_no_release_sends_a_token_or_starts_a_program(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path
) -> None:
    before = checkout.workspace.snapshot()
    tried, passed = 0, []
    for name, attack in attacks.attacks(aim("staging", listener, marker)):
        files = contents(source.first)
        attack(files)
        tried += 1
        wishes = PlanRequest(first=True, preview_only=tried % 2 == 0)
        why = planned(checkout, packed(source.first, files), wishes)
        if not why.startswith(("3:", "4:")):
            passed.append(f"{name}: {why or 'planned'}")
    assert passed == []
    assert tried >= 40
    nothing_left(listener, marker)
    assert checkout.workspace.snapshot() == before
    whole = packed(source.first, contents(source.first))  # what is not attacked is planned
    assert planned(checkout, whole, PlanRequest(first=True)) == ""


def test_an_archive_has_no_member_that_is_no_plain_file(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path
) -> None:
    for name, kind, link in (
        ("targets/zz.yml", tarfile.SYMTYPE, "/etc/hosts"),
        ("targets/zz.yml", tarfile.LNKTYPE, "databricks.yml"),
        ("/targets/zz.yml", tarfile.REGTYPE, ""),
        ("../zz.yml", tarfile.REGTYPE, ""),
        ("src/.databricks", tarfile.REGTYPE, ""),
        (".DATABRICKS/bundle/staging/x", tarfile.REGTYPE, ""),
    ):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, content in contents(source.first).items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            tar.addfile(entry)
        whole = read_archive(source.first.read_bytes(), "x")[0]
        why = planned(checkout, Archive(whole.manifest, buffer.getvalue()), PlanRequest(first=True))
        assert why.startswith("3:"), (name, why)
    nothing_left(listener, marker)


def test_a_release_of_the_store_is_judged_too(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path
) -> None:
    files = contents(source.first)
    dict(attacks.attacks(aim("staging", listener, marker)))["target file: engine"](files)
    site = open_target(checkout.path, "staging")  # as a rollback does, whose archive is in there
    with pytest.raises(DeliveryError, match=r"bundle\.engine is refused for staging"):
        make_plan(site, packed(source.first, files), PlanRequest(is_rollback=True))
    nothing_left(listener, marker)


def test_no_credential_is_used_before_the_judgement(
    checkout: Sandbox,
    source: Source,
    listener: Listener,
    marker: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = contents(source.first)
    dict(attacks.attacks(aim("staging", listener, marker)))["target file: engine"](files)
    monkeypatch.setattr(
        "delivery.target.context.connect", lambda _: pytest.fail("a credential was used")
    )
    with pytest.raises(DeliveryError, match="refused for staging"):
        open_target(checkout.path, "staging", packed(source.first, files))
    monkeypatch.setattr(
        "delivery.operations.preview.connect", lambda _: pytest.fail("a credential was used")
    )
    files = tracked(checkout.path)
    dict(attacks.attacks(aim("preview", listener, marker)))["target file: engine"](files)
    write(checkout.path, files)
    with (
        pytest.raises(DeliveryError, match="refused for preview"),
        open_preview(checkout.path, "x"),
    ):
        pass


JOB = "resources/flights/job.yml"
RUN_AS = "run_as: ${var.run_as}"
DETOURS: dict[str, tuple[str, str, str]] = {
    "whoever deploys": (
        JOB, RUN_AS, 'run_as: {service_principal_name: "${workspace.current_user.userName}"}'
    ),
    "the deployer by a definition": (
        JOB, RUN_AS, 'run_as: {service_principal_name: "${var.deployer}"}'
    ),
    "of references": (JOB, RUN_AS, 'run_as: {service_principal_name: "${var.${var.which}}"}'),
    "of git": (JOB, RUN_AS, 'run_as: {service_principal_name: "${bundle.git.origin_url}"}'),
    "a runner that is the deployer": ("targets/staging.yml", "runner: ", "runner: ME # "),
}  # fmt: skip


def test_no_detour_leads_to_the_deployer(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path
) -> None:
    """A job with the deployer's rights could forge releases and the ledger."""
    me = checkout.workspace.identities.all["deployer"].principal
    passed = []
    for name, (file, old, new) in DETOURS.items():
        files = contents(source.first)
        change = _yaml_of(files)
        change("targets/staging.yml", "      deployer: ", "      deployer:\n        default: ")
        change(file, old, new.replace("ME", me))
        files["targets/zz.yml"] = (
            f"variables: {{which: {{default: deployer}}}}\nbundle: {{git: {{origin_url: {me}}}}}\n"
        ).encode()
        archive = packed(source.first, files)
        try:
            site = open_target(checkout.path, "staging", archive)
            site.ledger.may_be_missing = True
            verdicts = make_plan(site, archive, PlanRequest(first=True)).plan.decisions
        except DeliveryError as error:
            passed.append(f"{name}: {error}")
            continue
        if ("jobs.flights_daily", "refuse") not in {(v.key, v.action) for v in verdicts}:
            passed.append(name)
    assert passed == []


def _yaml_of(files: Files) -> Callable[[str, str, str], None]:
    def change(file: str, old: str, new: str) -> None:
        text = files[file].decode()
        assert old in text
        files[file] = text.replace(old, new, 1).encode()

    return change


# --- checkouts ---


def test_a_preview_goes_up_without_what_a_folder_remembers(
    checkout: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", checkout.workspace.token("person"))
    overrides = ".databricks/bundle/preview/variable-overrides.json"
    checkout.write(overrides, '{"catalog": "acme_lakehouse_prod"}')
    subprocess.run(["git", "add", "--force", overrides], cwd=checkout.path, check=True)
    with open_preview(checkout.path, "pr42") as preview:
        assert (preview.folder / "databricks.yml").exists()
        assert not (preview.folder / ".databricks").exists()
        assert not (preview.folder / ".git").exists()
    (checkout.path / "resources/flights/zz.yml").symlink_to(checkout.path / "databricks.yml")
    with pytest.raises(DeliveryError, match="links are not copied"):
        open_preview(checkout.path, "pr42").__enter__()


def test_no_preview_sends_a_token_or_starts_a_program(
    checkout: Sandbox, listener: Listener, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_TOKEN", checkout.workspace.token("person"))
    before, clean = tracked(checkout.path), {*tracked(checkout.path)}
    passed = []
    for name, attack in attacks.attacks(aim("preview", listener, marker)):
        if name.startswith("git"):
            continue  # it would be no checkout any more
        files = dict(before)
        attack(files)
        write(checkout.path, files)
        why = ""
        try:
            with open_preview(checkout.path, "pr42") as preview:
                preview.up()
        except DeliveryError as error:
            why = f"{error.code}: {error}"
        if not why.startswith(("3:", "4:")) and name not in LEFT_BEHIND:
            passed.append(f"{name}: {why or 'up'}")
        remove(checkout.path, {*files} - clean)
        write(checkout.path, before)
    assert passed == []
    nothing_left(listener, marker)
    assert not [name for name in checkout.workspace.schemas if "prod" in name]


def test_check_is_red_for_what_no_command_takes(
    checkout: Sandbox, listener: Listener, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.workspace.bundle_cli.find_cli", lambda: None)
    before, clean = tracked(checkout.path), {*tracked(checkout.path)}
    assert [f for f in check(CheckContext(checkout.path)) if f.severity == "error"] == []
    green = []
    for name, attack in attacks.attacks(aim("staging", listener, marker)):
        # An archive's or a folder's leftovers are no files of the project; a host that is seen is
        # held to the pipeline's own when it is used.
        place, _, way = name.partition(": ")
        if name in LEFT_BEHIND or (way == "host" and place in attacks.SEEN):
            continue
        files = dict(before)
        attack(files)
        write(checkout.path, files)
        if not [f for f in check(CheckContext(checkout.path)) if f.severity == "error"]:
            green.append(name)
        remove(checkout.path, {*files} - clean)
        write(checkout.path, before)
    assert green == []


# --- whole commands ---

SAMPLED = (
    "negated class: host",
    "hidden folder: engine",
    "variable overrides",
    "hidden folder: run_as",
)


@pytest.mark.parametrize("name", SAMPLED)
def test_whole_commands_refuse(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path, tmp_path: Path, name: str
) -> None:
    chosen = dict(attacks.attacks(aim("staging", listener, marker)))[name]
    files = contents(source.first)
    chosen(files)
    archive = packed(source.first, files).write(tmp_path / "attacked")
    options = ("--first", "--archive", archive)
    for command in (
        ("plan", "staging", *options),
        ("plan", "staging", *options, "--request"),
        ("deploy", "staging", *options),
        ("adopt", "staging", "jobs.flights_daily", "--id", "1", "--reason", "x", *options[1:]),
    ):
        result = checkout.run(*command)
        assert result.code == 3, (command, result)
    nothing_left(listener, marker)
    if name not in LEFT_BEHIND:
        before = tracked(checkout.path)
        change = dict(attacks.attacks(aim("preview", listener, marker)))[name]
        files = dict(before)
        change(files)
        write(checkout.path, files)
        for verb in ("up", "down"):
            assert checkout.run("preview", verb, "pr42", who="person").code == 3
        nothing_left(listener, marker)


def test_a_release_is_not_built_of_it(checkout: Sandbox, listener: Listener, marker: Path) -> None:
    attack = dict(attacks.attacks(aim("staging", listener, marker)))["hidden folder: engine"]
    files = tracked(checkout.path)
    attack(files)
    write(checkout.path, files)
    commit(checkout.path, "an attack")
    result = checkout.run("release")
    assert result.code == 3
    assert "resources/.x/y.yml" in result.err
    nothing_left(listener, marker)


def test_local_state_is_in_no_release(checkout: Sandbox) -> None:
    checkout.edit(
        "delivery.yml", "release:\n", "release:\n  include: [databricks.yml, .databricks/]\n"
    )
    checkout.write(".databricks/bundle/staging/variable-overrides.json", "{}")
    subprocess.run(["git", "add", "--force", ".databricks"], cwd=checkout.path, check=True)
    commit(checkout.path, "an attack")
    assert "the CLI or git would read it" in checkout.refused("release")


# --- that the tests can fail ---


@pytest.mark.parametrize("name", ["hidden folder: host", "negated class: host", "JSON: host"])
def test_the_cli_alone_would_send_a_token(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path, tmp_path: Path, name: str
) -> None:
    files = contents(source.first)
    dict(attacks.attacks(aim("staging", listener, marker)))[name](files)
    write(tmp_path / "alone", files)
    _plan_alone(checkout, tmp_path / "alone")
    assert listener.tokens


@pytest.mark.parametrize("name", ["artifacts", "engine"])
def test_the_cli_alone_would_start_a_program(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path, tmp_path: Path, name: str
) -> None:
    files = contents(source.first)
    dict(attacks.attacks(aim("staging", listener, marker)))[f"target file: {name}"](files)
    write(tmp_path / "alone", files)
    _plan_alone(checkout, tmp_path / "alone")
    assert "DATABRICKS_TOKEN=" in marker.read_text(encoding="utf-8")


def test_the_cli_alone_would_obey_overrides(
    checkout: Sandbox, source: Source, listener: Listener, marker: Path, tmp_path: Path
) -> None:
    files = contents(source.first)
    dict(attacks.attacks(aim("staging", listener, marker)))["variable overrides"](files)
    write(tmp_path / "alone", files)
    assert "acme_lakehouse_prod" in _plan_alone(checkout, tmp_path / "alone")


def _plan_alone(sandbox: Sandbox, folder: Path) -> str:
    """What the CLI says when nobody looks at what it is given."""
    settings = sandbox.settings("deployer")
    given = {k: v for k, v in settings.items() if k.startswith(("DATABRICKS", "PATH", "HOME"))}
    command = ["databricks", "bundle", "plan", "--target", "staging", "--output", "json"]
    program = shutil.which(command[0], path=settings["PATH"])
    result = subprocess.run(
        [str(program), *command[1:]],
        cwd=folder,
        env=environment(**given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return result.stdout


# --- the table of what the CLI does ---

KNOWN = {
    *(name for values in (attacks.FOREIGN, attacks.CHANGED) for name in values),
    *attacks.HIDDEN,
    *attacks.BESIDE,
    *attacks.READINGS,
}


def rows() -> list[list[str]]:
    """The attacks of each row of the table in the design decisions."""
    text = (ROOT / "docs/design-decisions.md").read_text(encoding="utf-8")
    table = text.partition("| What the CLI does |")[2].partition("\n\n")[0].splitlines()[2:]
    return [re.findall(r"`([^`]+)`", line.rstrip(" |").rpartition("|")[2]) for line in table]


VARIABLES = [n.removeprefix("env: ") for row in rows() for n in row if n.startswith("env: ")]


def test_every_row_of_the_table_is_tried() -> None:
    found = rows()
    assert len(found) >= 25
    assert all(found), "a row without an attack"
    named = {name for row in found for name in row if not name.startswith("env: ")}
    assert named == KNOWN
    tried = " ".join(name for name, _ in attacks.attacks(Aim("staging", "h", "p")))
    assert [name for name in KNOWN if name not in tried] == []


@pytest.mark.parametrize("name", [*VARIABLES, "HTTPS_PROXY_USER", "DATABRICKS_OF_NEXT_YEAR"])
def test_a_variable_of_the_environment_does_not_reach_the_cli(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "of-somebody")
    monkeypatch.setenv("DATABRICKS_TOKEN", "secret-of-the-pipeline")
    given = BundleCli(tmp_path, "staging")._environment("/nowhere")
    assert "of-somebody" not in given.values()
    assert "secret-of-the-pipeline" not in given.values()
    assert given["HOME"] == "/nowhere"
