"""The one way to the `databricks` CLI: what it is asked for, and in which surroundings."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from delivery import __version__
from delivery.bundle import Bundle
from delivery.environment import number
from delivery.errors import DeliveryError, Exit, Finding
from delivery.workspace import AGENT, Workspace, http_timeout

PROGRAM = "databricks"

# Versions that the contracts of this tool have seen; another one gets a warning.
CONTRACTS = ("1.13",)
# What the tool depends on instead: the form of the CLI's plan, and these options of a deploy.
PLAN_VERSION = 2
_OPTIONS = ("--auto-approve", "--force-lock", "--plan")

_OTHER_CLI = (
    "Install the version that tools/cli-requirements.txt names: make cli. If it is that one, the "
    "delivery tool does not know it yet: update the template, or name an earlier version there."
)
_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
# What every complaint about missing credentials has in it.
_OFFLINE = (" auth: ", "cannot resolve bundle auth configuration")
# A setting that the CLI cannot read: it stops after merging, before it calls any host.
_STOPPED = {"DATABRICKS_RATE_LIMIT": "offline"}
_HOST = re.compile(r"^(\s+host:\s*).*$", re.MULTILINE)
_PLACE = re.compile(r"(?:in |^)([\w./-]+\.ya?ml):(\d+)", re.MULTILINE)
_ANSWER_SECONDS = 60
_PLAN_SECONDS = 15 * 60
_DEPLOY_SECONDS = 60 * 60


class CliError(DeliveryError):
    """The CLI ended with an error; the message is what it said."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(f"databricks {command}: {said}", Exit.FAILED)


@dataclass(frozen=True)
class BundleCli:
    """The CLI, working in the folder of one bundle, for one target, with one identity.

    Attributes:
        workspace: None for what works offline.
        released: the target takes releases only, so `destroy` is refused.
        settings: variables of the environment, beside those that every call gets.
    """

    folder: Path
    target: str
    workspace: Workspace | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    released: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def merged(self) -> dict[str, Any]:
        """The configuration as the CLI merges it, without credentials and without any call.

        Raises:
            DeliveryError: the CLI cannot read it.
        """
        offline = replace(self, workspace=None, settings=_STOPPED)
        arguments = ("bundle", "validate", "--target", self.target, "--output", "json")
        result = offline._run(*arguments, check=False)
        errors = [told for told in _told(result.stderr) if told.startswith("Error")]
        if errors or result.returncode == 0:
            reason = (
                " ".join(" ".join(errors).split()) or "it was not stopped before its first call"
            )
            raise DeliveryError(f"refused for {self.target}: the CLI says: {reason}", Exit.REFUSED)
        return self._parsed("bundle validate", result)

    def complaints(self) -> list[str]:
        """What the CLI warns of, offline, apart from having no credentials."""
        said = self._run(
            "bundle", "validate", *self._target, "--output", "json", check=False
        ).stderr
        return _told(said)

    def plan(self) -> dict[str, Any]:
        """What a deploy would do; this only reads."""
        result = self._run("bundle", "plan", *self._target, "--output", "json")
        document = self._parsed("bundle plan", result)
        given = document.get("plan_version")
        if given != PLAN_VERSION:
            raise DeliveryError(
                f"databricks bundle plan: given plan_version {given}, expected {PLAN_VERSION}\n"
                f"    {_OTHER_CLI}"
            )
        return document

    def deploy(self, plan: Mapping[str, Any], force_lock: bool = False) -> None:
        """Carry out a plan that was made a moment ago; our guard has decided before."""
        with tempfile.TemporaryDirectory() as name:  # away from what is uploaded
            file = Path(name, "plan.json")
            file.write_text(json.dumps(plan), encoding="utf-8")
            options = ["--plan", str(file), "--auto-approve", *(["--force-lock"] * force_lock)]
            self._run("bundle", "deploy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    def deploy_working_tree(self) -> None:
        """Deploy what stands in the folder: for targets that take no releases."""
        options = ["--auto-approve", "--force"]
        self._run("bundle", "deploy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    def bind(self, key: str, resource_id: str) -> None:
        """Let the bundle own what is there already."""
        options = [*self._target, "--auto-approve"]
        self._run("bundle", "deployment", "bind", key, resource_id, *options)

    def unbind(self, key: str) -> None:
        """Let the bundle forget a resource, which stays as it is."""
        self._run("bundle", "deployment", "unbind", key, *self._target)

    def destroy(self, force_lock: bool = False) -> None:
        """Remove everything that the bundle made on a target that takes no releases."""
        if self.released:
            raise DeliveryError(f"destroy: {self.target} takes releases, it is never destroyed")
        options = ["--auto-approve", *(["--force-lock"] * force_lock)]
        self._run("bundle", "destroy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    @property
    def _target(self) -> list[str]:
        given = [part for item in self.variables.items() for part in ("--var", "=".join(item))]
        return ["--target", self.target, *given]

    def _run(
        self, *arguments: str, seconds: int = _PLAN_SECONDS, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a process group of its own: a signal to us must not end it half way."""
        with tempfile.TemporaryDirectory() as home:
            result = _finished(
                [program(), *arguments], self.folder, self._environment(home), seconds
            )
        if check and result.returncode:
            raise CliError(" ".join(arguments[:2]), self._without_token(_reason(result)))
        return result

    def _without_token(self, text: str) -> str:
        token = self.workspace.token if self.workspace else ""
        return text.replace(token, "(token)") if token else text

    def _environment(self, home: str) -> dict[str, str]:
        """Nothing of whoever runs it: no profile, no cache, no telemetry."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        identity = (
            {"DATABRICKS_HOST": self.workspace.host, "DATABRICKS_TOKEN": self.workspace.token}
            if self.workspace
            else {}
        )
        return {
            "HOME": home,
            **kept,
            **identity,
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "DATABRICKS_CLI_DISABLE_TELEMETRY": "1",
            "DATABRICKS_CLI_DISABLE_UPDATE_CHECK": "1",
            "DATABRICKS_CACHE_ENABLED": "false",
            "DATABRICKS_BUNDLE_HTTP_TIMEOUT_SECONDS": str(http_timeout()),
            "DATABRICKS_RATE_LIMIT": str(number("DATABRICKS_RATE_LIMIT", 100)),
            "DATABRICKS_CLI_UPSTREAM": AGENT,
            "DATABRICKS_CLI_UPSTREAM_VERSION": __version__,
            "DATABRICKS_BUNDLE_RESTRICTED_CODE_EXECUTION": "1",
            **self.settings,
        }

    def _parsed(self, what: str, result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(result.stdout)
        except ValueError:
            raise CliError(what, self._without_token(_reason(result))) from None
        return document


def _told(said: str) -> list[str]:
    """The CLI's warnings and errors, apart from that it has no credentials."""
    told = re.split(r"^(?=Warning: |Error: )", said, flags=re.MULTILINE)
    offline = [t for t in told if not any(part in t for part in _OFFLINE)]
    return [t for t in offline if t.startswith(("Warning", "Error"))]


def cli_complaints(bundle: Bundle) -> Iterator[Finding]:
    """What the CLI itself has to say of the files, offline; nothing when it is not there.

    It works on a copy without addresses, so that no call can leave this machine.
    """
    if _found() is None:
        return
    with tempfile.TemporaryDirectory() as name:
        for file in bundle.files:
            copy = Path(name, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = (bundle.root / file).read_text(encoding="utf-8")
            copy.write_text(_HOST.sub(r"\1https://nowhere.invalid", text), encoding="utf-8")
        for target in bundle.targets:
            yield from map(_complaint, BundleCli(Path(name), target).complaints())


def _complaint(text: str) -> Finding:
    """A warning of the CLI, with the place that it names."""
    place = _PLACE.search(text)
    message = " ".join(text.split()).removeprefix("Warning: ").removeprefix("Error: ")
    file, line = (place[1], int(place[2])) if place else ("databricks.yml", 0)
    return Finding(file, line, "cli", message, "The CLI says so: databricks bundle validate")


def _found() -> str | None:
    """Where the CLI is: what `make cli` installed beside the tool, else on the PATH."""
    own = Path(sys.prefix).with_name(".venv-cli") / "bin"
    return shutil.which(PROGRAM, path=own) or shutil.which(PROGRAM)


def is_installed() -> bool:
    """Whether there is a CLI to ask."""
    return _found() is not None


def program() -> str:
    """Where the CLI is.

    Raises:
        DeliveryError: there is none.
    """
    found = _found()
    if found is None:
        raise DeliveryError(
            f"{PROGRAM}: not on the PATH, expected the Databricks CLI {CONTRACTS[0]} or newer\n"
            "    Install it: make cli"
        )
    return found


def usable_version() -> str:
    """The CLI's version, such as `1.13.0`, if it has what the tool depends on.

    Raises:
        DeliveryError: it does not say its version, or an option of a deploy is missing.
    """
    told = _asked("version")
    found = re.search(r"v(\d+\.\d+\.\d+\S*)", told)
    if found is None:
        raise CliError("version", told.strip() or "it says nothing")
    known = _asked("bundle", "deploy", "--help")
    missing = [option for option in _OPTIONS if not re.search(rf"{option}\b", known)]
    if missing:
        raise DeliveryError(
            f"databricks {found[1]}: bundle deploy has no {', '.join(missing)}\n    {_OTHER_CLI}"
        )
    return found[1]


def is_in_contracts(version: str) -> bool:
    """Whether the contracts of this tool have seen a version of the CLI."""
    return ".".join(version.split(".")[:2]) in CONTRACTS


def _asked(*arguments: str) -> str:
    """What the CLI says of itself, without any identity and away from every bundle."""
    with tempfile.TemporaryDirectory() as home:
        kept = {name: value for name, value in os.environ.items() if name in _KEPT}
        settings = {"HOME": home, **kept, "DATABRICKS_CLI_DISABLE_TELEMETRY": "1"}
        done = _finished([program(), *arguments], Path(home), settings, _ANSWER_SECONDS)
    return done.stdout + done.stderr


def _finished(
    command: list[str], folder: Path, environment: dict[str, str], seconds: int
) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise _ended(process, command, seconds) from None
    except KeyboardInterrupt:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        try:  # it ends what it began, and so do we
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise _ended(process, command, seconds) from None
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _ended(process: subprocess.Popen[str], command: list[str], seconds: int) -> CliError:
    """End the CLI with all that it started: what would be left works on, or holds our pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return CliError(" ".join(command[1:3]), f"no end after {seconds} s")


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    """The errors among what the CLI said; all of it when there are none."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    errors = list(dict.fromkeys(line for line in lines if line.startswith("Error")))
    return "\n".join(errors or lines[-10:]).removeprefix("Error: ") or f"exit {result.returncode}"
