"""The whole promise, in a few minutes: from one command to a lakehouse that is safe to deliver.

make tour            narrated; on an emulated workspace, with the real CLI when it is on the PATH

python tests/harness/tour.py --write     also writes it into docs/tour.txt, if it says something new
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import fake_cli
import yaml
from fake_workspace import Workspace
from rich.console import Console

from harness.baking import ROOT, Baked, cookiecutter, expect_success, export
from harness.delivering import MORE, CommandResult, Sandbox, furnish, lock_file, prepare
from harness.guide_screens import ADDRESS, RELEASE, normal

RECORDING = ROOT / "docs/tour.txt"
console = Console(highlight=False, soft_wrap=True, record=True)
DOMAIN = "resources/extra/all.yml"
JOB = "resources/flights/job.yml"


@dataclass
class Tour:
    """A guide through one project's life.

    Attributes:
        sandbox: the project and its workspace.
        papers: where plans and receipts are put.
    """

    sandbox: Sandbox
    papers: Path

    def type(self, *arguments: object, who: str = "deployer", code: int = 0) -> CommandResult:
        """Type a command of the tool, and show what it says."""
        shown = " ".join(_short(argument) for argument in arguments)
        console.print(f"  [bold]$ delivery {shown}[/]  [dim]as {who}[/]", markup=True)
        result = self.sandbox.run(*arguments, who=who)
        text = result.out or result.err
        for line in text.rstrip().splitlines()[:24]:
            console.print(f"    {line}", markup=False)
        if result.code != code:
            raise SystemExit(
                f"expected exit {code}, given {result.code}:\n{result.out}\n{result.err}"
            )
        return result

    def run_here(self) -> None:
        """The pipeline runs on this machine."""
        self.type("run", "flights_daily")

    def staging(self) -> None:
        """One release is built, planned by the planner, deployed and verified."""
        self.type("check")
        self.type("release")
        self.type("plan", "staging", "--first", who="planner")
        self.type("deploy", "staging", "--first")

    def prod(self) -> None:
        """The same bytes go to prod: the plan that was approved is the plan that is carried out."""
        self.type("fetch", "staging", "--into", self.papers)
        (receipt,) = self.papers.glob("receipt-staging-*.json")
        (archive,) = self.papers.glob("*.tar.gz")
        options = ("--archive", archive, "--receipt", receipt, "--first")
        self.type("deploy", "prod", *options, code=3)
        plan = self.papers / "plan.json"
        self.type("plan", "prod", *options, "--save", plan, who="planner")
        self.type("deploy", "prod", *options, "--plan", plan, "--approved-by", "ana")

    def bad_release(self) -> None:
        """A release whose jobs fail on staging goes back by itself, and is blocked."""
        self.sandbox.code("a mistake")
        self.sandbox.workspace.on_run("flights_daily", _once(["fail", "succeed"]))
        self.type("deploy", "staging", code=1)
        self.type("deploy", "staging", code=3)
        self.type("history", "staging", "--limit", 4, who="planner")

    def rollback(self) -> None:
        """Going back keeps the volume that the newer release added."""
        self.sandbox.write(DOMAIN, domain())
        self.sandbox.edit(
            "delivery.yml", "flights: flights_daily", "flights: flights_daily\n    extra: extra_job"
        )
        self.sandbox.release("a new domain")
        self.type("deploy", "staging")
        before = set(self.sandbox.workspace.volumes)
        self.type("rollback", "staging", "--reason", "totals are wrong")
        if before != set(self.sandbox.workspace.volumes):
            raise SystemExit("a volume is gone")
        self.type("plan", "staging", "--archive", self._running(), who="planner")

    def drift(self) -> None:
        """A change by hand is found, and made the project's own."""
        shutil.rmtree(self.sandbox.path / "resources/extra")
        self.sandbox.edit("delivery.yml", "\n    extra: extra_job", "")
        self.sandbox.job("staging", "flights_daily")["timeout_seconds"] = 900
        self.type("drift", "staging", who="planner", code=2)
        self.sandbox.edit(JOB, "timeout_seconds: 1200", "timeout_seconds: 900")
        self.sandbox.release("adopt the timeout")
        self.type("deploy", "staging")
        self.type("drift", "staging", who="planner")

    def status(self) -> None:
        """What runs where, on one screen and one page."""
        self.type("status", who="planner")
        page = self.sandbox.path / "status.html"
        self.sandbox.done("status", "--html", page, who="planner")
        console.print(f"\nThe status page is {page}")

    def _running(self) -> Path:
        (status,) = self.sandbox.done("status", "staging", "--output", "json").json
        return self.sandbox.path / ".delivery/releases" / f"{status['release']}.tar.gz"


def main() -> None:
    """Take the tour from the first to the last stop."""
    folder = Path(tempfile.mkdtemp(prefix="lakehouse-tour."))
    console.print("[bold]cookiecutter[/] … and the lock of its libraries")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = baked(folder)
    path = prepare(project, lock_file(project, folder / "lock"), folder / "work", port)
    with Workspace(port=port) as workspace:
        furnish(workspace, path.name)
        tour = Tour(Sandbox(path, workspace, programs(folder), folder / "home"), folder / "papers")
        started = time.monotonic()
        for number, stop in enumerate(stops(tour), start=1):
            console.print(f"\n[bold cyan]{number}. {stop.__doc__}[/]")
            stop()
        console.print(f"[bold green]The tour took {time.monotonic() - started:.0f} seconds.[/]")


def recorded(text: str) -> list[str]:
    """What the tour says, without what belongs to a machine: folders, ports, ids of runs."""
    text = re.sub(r"/\S*lakehouse-tour\.\w+/(?:work/acme-lakehouse/)?", "", text)
    text = re.sub(r"http://127\.0\.0\.1:\d+", ADDRESS, text)
    text = re.sub(r"#job/\d+/run/\d+", "#job/11/run/22", text)
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if not re.match(r"with the (?:real|fake) CLI", line)]


def same(one: list[str], other: list[str]) -> bool:
    """Whether two recordings differ only in releases, digests, times and sizes."""
    return _comparable(one) == _comparable(other)


def _comparable(lines: list[str]) -> list[str]:
    without = (RELEASE.sub("RELEASE", line) for line in normal(lines))
    return [re.sub(r"\b\d+ files\b|\b[0-9a-f]{12}(?= main)", "…", line) for line in without]


def write(text: str) -> None:
    """Write the recording, if it says something else than the one that is there."""
    lines = recorded(text)
    known = RECORDING.read_text(encoding="utf-8").splitlines() if RECORDING.exists() else []
    if not same(lines, known):
        RECORDING.write_text("\n".join(lines) + "\n", encoding="utf-8")


def stops(tour: Tour) -> list[Callable[[], None]]:
    """What is seen, in its order."""
    return [
        tour.run_here,
        tour.staging,
        tour.prod,
        tour.bad_release,
        tour.rollback,
        tour.drift,
        tour.status,
    ]


def baked(folder: Path) -> Baked:
    """A project with the default answers."""
    result = cookiecutter(export(folder / "template"), folder / "baked")
    if result.returncode:
        raise SystemExit(result.stderr)
    return Baked(folder / "baked/acme-lakehouse", {})


def programs(folder: Path) -> Path:
    """The folder of the real CLI, or of the fake one."""
    real = shutil.which("databricks")
    if real:
        output = expect_success("databricks", "version", cwd=folder).strip()
        console.print(f"with the real CLI: {output}")
        return Path(real).parent
    console.print("with the fake CLI: `databricks` is not on the PATH")
    return fake_cli.install(folder / "programs").parent


def domain() -> str:
    """A domain with data, without secrets: whoever plans those must be able to change them."""
    resources = yaml.safe_load(MORE)["resources"]
    chosen = {kind: resources[kind] for kind in ("schemas", "volumes", "jobs")}
    return yaml.safe_dump({"resources": chosen})


def _once(outcomes: list[str]) -> Callable[[object], str]:
    """What runs come to, one after the other; the last for all that follow."""
    return lambda _: outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]


def _short(argument: object) -> str:
    text = argument.name if isinstance(argument, Path) else str(argument)
    return json.dumps(text) if " " in text else text


if __name__ == "__main__":
    main()
    if "--write" in sys.argv:
        write(console.export_text())
