"""What surrounds the tool: variables, the SDK, the shared cache, programs that do not end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery import __version__, environment
from delivery.config.target import require_configured_host
from delivery.errors import DeliveryError, Exit
from delivery.files import append, read, write_atomic
from delivery.forge.detect import current_forge
from delivery.target import workdir
from delivery.target.context import TargetContext
from delivery.workspace import bundle_cli
from delivery.workspace.bundle_cli import CliError, _finished
from delivery.workspace.client import HTTP_TIMEOUT_VARIABLE, http_timeout

from tool.test_guard import policy
from tool.test_ledger import target


@pytest.mark.parametrize("value", ["60s", "0", "-1", "1.5", "1e3", "ten", "٣", "0x10", "1_000"])
@pytest.mark.parametrize("name", [HTTP_TIMEOUT_VARIABLE, "DATABRICKS_RATE_LIMIT"])
def test_a_number_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    message = rf"{name}: given '{value}', expected a whole number of at least 1, such as 60"
    with pytest.raises(DeliveryError, match=message) as caught:
        environment.env_number(name, 60)
    assert caught.value.code is Exit.BAD_INPUT


@pytest.mark.parametrize(("value", "seconds"), [("", 60), ("5", 5), (" 7 ", 7), ("007", 7)])
def test_a_number_is_read(monkeypatch: pytest.MonkeyPatch, value: str, seconds: int) -> None:
    monkeypatch.setenv(HTTP_TIMEOUT_VARIABLE, value)
    assert http_timeout() == seconds


@pytest.mark.parametrize(
    "value", ["https://", "ftp://x", "https://x:port", "http:///x", "https://[x"]
)
def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", value)
    with pytest.raises(DeliveryError, match=r"DATABRICKS_HOST: given .*, expected an address such"):
        require_configured_host(target())


@pytest.mark.parametrize(
    "value", ["", "https://example.com", "https://example.com/", "example.com"]
)
def test_an_address_may_leave_out_what_is_usual(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", value)
    assert require_configured_host(target()) == target()


@pytest.mark.parametrize("kind", ["GITHUB_ACTIONS", "GITLAB_CI"])
def test_half_a_pipeline_is_told(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_API_URL", "CI_API_V4_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(kind, "true")
    with pytest.raises(DeliveryError, match=r"_URL: not set, expected GitHub Actions"):
        current_forge()


def test_files_that_people_name_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for call, what in (
        (lambda: write_atomic(tmp_path / "file/plan.json", b""), "written: .*exists"),
        (lambda: append(tmp_path / "none/outputs", ""), "written: No such file"),
        (lambda: read(tmp_path), "read: Is a directory"),
        (lambda: write_atomic(tmp_path / ("x" * 300), b""), "written: File name too long"),
    ):
        with pytest.raises(DeliveryError, match=what) as caught:
            call()
        assert caught.value.code is Exit.BAD_INPUT


# --- the SDK ---

FIRST = """
import sys, threading
import delivery.workspace.sdk
assert "databricks.sdk.service.catalog" not in sys.modules

def ask():
    from databricks.sdk import WorkspaceClient
    got.append(WorkspaceClient)

got = []
threads = [threading.Thread(target=ask) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(got) == 6 and len(set(got)) == 1, got
"""
WHOLE = """
import databricks.sdk, databricks
import delivery.workspace.sdk
from databricks.sdk import WorkspaceClient, AccountClient
from databricks.sdk.service.catalog import CatalogsAPI
assert databricks.sdk.WorkspaceClient is WorkspaceClient
assert databricks.sdk.service.catalog.CatalogsAPI is CatalogsAPI
assert databricks.sdk.core.Config is delivery.workspace.sdk.Config
assert not hasattr(databricks.sdk, "nonsense")
"""


@pytest.mark.parametrize(
    "code",
    [
        FIRST + WHOLE,
        "from databricks.sdk import WorkspaceClient\n" + WHOLE,
        "import delivery.workspace.sdk\nfrom databricks.sdk import *\nWorkspaceClient" + WHOLE,
    ],
    ids=["after", "before", "all of it"],
)
def test_the_sdk_is_whole_for_everybody_else(code: str) -> None:
    """Whoever imports it first, and however many threads ask for it at once."""
    process = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert process.returncode == 0, process.stderr


# --- programs ---


def ticking(folder: Path) -> tuple[list[str], Path]:
    """A program with a child that goes on by itself, and the file that the child writes to."""
    file = folder / "ticks"
    child = f"while :; do echo >> {file}; sleep 0.05; done"
    return ["sh", "-c", f"({child}) & wait"], file


def test_at_its_end_the_whole_group_of_the_cli_ends(tmp_path: Path) -> None:
    command, file = ticking(tmp_path)
    with pytest.raises(CliError, match="did not finish within 1 s"):
        _finished(command, tmp_path, dict(os.environ), 1)
    size = file.stat().st_size
    assert size
    time.sleep(0.3)
    assert file.stat().st_size == size


def test_a_program_that_never_says_its_version_ends_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shim on the PATH, or a wrapper that waits for a person."""
    (_, _, script), file = ticking(tmp_path)
    program = tmp_path / "bin/databricks"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nowhere/.venv"))  # no CLI of its own
    monkeypatch.setattr(bundle_cli, "_ANSWER_SECONDS", 1)
    with pytest.raises(CliError, match="version: did not finish within 1 s"):
        bundle_cli.usable_version()
    size = file.stat().st_size
    time.sleep(0.3)
    assert file.stat().st_size == size


def test_what_ends_in_time_is_left_alone(tmp_path: Path) -> None:
    result = _finished(["sh", "-c", "echo done; exit 3"], tmp_path, dict(os.environ), 60)
    assert (result.returncode, result.stdout) == (3, "done\n")


def test_the_tool_says_who_calls(tmp_path: Path) -> None:
    variables = bundle_cli.BundleCli(tmp_path, "prod")._environment("/home")
    assert variables["DATABRICKS_CLI_UPSTREAM"] == "lakehouse-delivery"
    assert variables["DATABRICKS_CLI_UPSTREAM_VERSION"] == __version__


def test_the_plan_is_not_among_what_is_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sync.include` may reach any file of the folder, and the CLI's plan has all values."""
    seen: list[Path] = []

    def run(_: object, *arguments: str, **__: object) -> None:
        file = Path(arguments[arguments.index("--plan") + 1])
        assert json.loads(file.read_text(encoding="utf-8")) == {"plan": {}}
        seen.append(file)

    monkeypatch.setattr(bundle_cli.BundleCli, "_run", run)
    bundle_cli.BundleCli(tmp_path, "prod").deploy({"plan": {}})
    assert not seen[0].is_relative_to(tmp_path)
    assert not seen[0].exists()


# --- the shared cache ---

HOLD = """
import json, signal, sys
from pathlib import Path
from delivery.target import workdir
signal.alarm(20)  # it waits for no other process
work = Path(sys.argv[1], workdir.PROCESS_FOLDER)
workdir.lock_folder(work)
work.mkdir()
print(json.dumps(str(work)), flush=True)
signal.alarm(0)
sys.stdin.read()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TargetContext]:
    held: dict[Path, int] = {}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(workdir, "_HELD", held)
    yield TargetContext(tmp_path, target(), policy(), None)  # type: ignore[arg-type]
    for file in held.values():
        os.close(file)


def test_the_work_of_a_process_that_lives_is_left_alone(site: TargetContext) -> None:
    works = site.workdir().parent
    command = [sys.executable, "-c", HOLD, str(works)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        folder = Path(json.loads(other.stdout.readline()))
        (works / str(os.getpid())).mkdir()  # another container has this number, too; it is gone
        assert site.abandoned_workdirs() == [works / str(os.getpid())]
        site.remove_workdirs()
        assert folder.is_dir()
        other.kill()
    assert site.abandoned_workdirs() == [folder]
    site.remove_workdirs()
    assert not folder.exists()


def test_no_two_processes_work_in_one_folder(site: TargetContext) -> None:
    code = "from delivery.target import workdir; print(workdir.PROCESS_FOLDER)"
    names = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    }
    assert len({*names, f"{site.workdir().name}\n"}) == 3
