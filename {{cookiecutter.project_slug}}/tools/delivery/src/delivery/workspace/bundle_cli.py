"""The only interface to the `databricks` CLI: its commands, and the environment they run in."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from delivery import __version__
from delivery.environment import env_number
from delivery.errors import DeliveryError, FailedError, RefusedError
from delivery.refusals import Refusal
from delivery.workspace.client import USER_AGENT, Workspace, http_timeout

PROGRAM = "databricks"

# Versions that the contract tests cover; any other version gets a warning.
TESTED_VERSIONS = ("1.13",)
# The tool requires this form of the CLI's plan, and these options of a deploy.
PLAN_VERSION = 2
_OPTIONS = ("--auto-approve", "--force-lock", "--plan")

_OTHER_CLI = (
    "Install the version in tools/cli-requirements.txt: make cli. If it is installed already, the "
    "delivery tool does not support it yet: update the project from its template: cruft update, or "
    "pin an earlier version in that file."
)
# The only variables that the CLI inherits.
_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
# Every CLI error about missing credentials contains one of these.
_NO_CREDENTIALS = (" auth: ", "cannot resolve bundle auth configuration")
# An invalid setting stops the CLI after it merges the configuration, before it calls any host.
STOP_BEFORE_CALLS = {"DATABRICKS_RATE_LIMIT": "offline"}

_ANSWER_SECONDS = 60  # for `version` and `--help`
_PLAN_SECONDS = 15 * 60
_DEPLOY_SECONDS = 60 * 60


class CliError(FailedError):
    """The Databricks CLI failed; the message contains its output."""

    def __init__(self, command: str, output: str) -> None:
        super().__init__(f"databricks {command}: {output}")


@dataclass(frozen=True)
class BundleCli:
    """The CLI in one bundle's folder, for one target, with one identity.

    Attributes:
        workspace: None for offline commands.
        released: the target accepts releases only, so `destroy` is refused.
        settings: extra environment variables for every call.
    """

    folder: Path
    target: str
    workspace: Workspace | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    released: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)

    def merged_configuration(self) -> dict[str, Any]:
        """The configuration as the CLI merges it, read without credentials and without API calls.

        Raises:
            DeliveryError: the CLI cannot read it.
        """
        offline = replace(self, workspace=None, settings=STOP_BEFORE_CALLS)
        arguments = ("bundle", "validate", "--target", self.target, "--output", "json")
        result = offline._run(*arguments, check=False)
        messages = _warnings_and_errors(result.stderr)
        errors = [message for message in messages if message.startswith("Error")]
        if errors or result.returncode == 0:
            text = " ".join(" ".join(errors).split())
            reason = f"reports: {text}" if text else "did not stop before its first API call"
            raise RefusedError(
                Refusal.CLI_REPORTS, f"refused for {self.target}, because the CLI {reason}"
            )
        return self._parsed("bundle validate", result)

    def warnings(self, seconds: int = _PLAN_SECONDS) -> list[str]:
        """The CLI's warnings and errors about the bundle, apart from missing credentials."""
        arguments = ("bundle", "validate", *self._target, "--output", "json")
        result = self._run(*arguments, check=False, seconds=seconds)
        return _warnings_and_errors(result.stderr)

    def plan(self) -> dict[str, Any]:
        """The CLI's plan for a deploy; this changes nothing."""
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
        """Apply a plan that the guard has already allowed."""
        with tempfile.TemporaryDirectory() as name:  # outside of the uploaded folder
            file = Path(name, "plan.json")
            file.write_text(json.dumps(plan), encoding="utf-8")
            options = ["--plan", str(file), "--auto-approve", *(["--force-lock"] * force_lock)]
            self._run("bundle", "deploy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    def deploy_working_tree(self) -> None:
        """Deploy the folder as it is, to a target that accepts no releases."""
        options = ["--auto-approve", "--force"]
        self._run("bundle", "deploy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    def bind(self, key: str, resource_id: str) -> None:
        """Bind an existing resource to a key of the bundle."""
        options = [*self._target, "--auto-approve"]
        self._run("bundle", "deployment", "bind", key, resource_id, *options)

    def unbind(self, key: str) -> None:
        """Unbind a key of the bundle; its resource does not change."""
        self._run("bundle", "deployment", "unbind", key, *self._target)

    def destroy(self, force_lock: bool = False) -> None:
        """Delete all resources of the bundle on a target that accepts no releases.

        Raises:
            DeliveryError: the target accepts releases.
        """
        if self.released:
            raise DeliveryError(
                f"destroy: given {self.target}, expected a target that accepts no releases"
            )
        options = ["--auto-approve", *(["--force-lock"] * force_lock)]
        self._run("bundle", "destroy", *self._target, *options, seconds=_DEPLOY_SECONDS)

    @property
    def _target(self) -> list[str]:
        given = [part for item in self.variables.items() for part in ("--var", "=".join(item))]
        return ["--target", self.target, *given]

    def _run(
        self, *arguments: str, seconds: int = _PLAN_SECONDS, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the CLI in its own process group, so that a signal to us does not interrupt it."""
        with tempfile.TemporaryDirectory() as home:
            result = _finished(
                [cli_path(), *arguments], self.folder, self._environment(home), seconds
            )
        if check and result.returncode:
            raise CliError(" ".join(arguments[:2]), self._without_token(_reason(result)))
        return result

    def _without_token(self, text: str) -> str:
        token = self.workspace.token if self.workspace else ""
        return text.replace(token, "(token)") if token else text

    def _environment(self, home: str) -> dict[str, str]:
        """The environment of a call: no user profile, no cache, no telemetry."""
        identity = (
            {"DATABRICKS_HOST": self.workspace.host, "DATABRICKS_TOKEN": self.workspace.token}
            if self.workspace
            else {}
        )
        return {
            **_base_environment(home),
            **identity,
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "DATABRICKS_CLI_DISABLE_UPDATE_CHECK": "1",
            "DATABRICKS_CACHE_ENABLED": "false",
            "DATABRICKS_BUNDLE_HTTP_TIMEOUT_SECONDS": str(http_timeout()),
            "DATABRICKS_RATE_LIMIT": str(env_number("DATABRICKS_RATE_LIMIT", 100)),
            "DATABRICKS_CLI_UPSTREAM": USER_AGENT,
            "DATABRICKS_CLI_UPSTREAM_VERSION": __version__,
            "DATABRICKS_BUNDLE_RESTRICTED_CODE_EXECUTION": "1",
            **self.settings,
        }

    def _parsed(self, command: str, result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(result.stdout)
        except ValueError:
            raise CliError(command, self._without_token(_reason(result))) from None
        return document


def _warnings_and_errors(output: str) -> list[str]:
    """The CLI's warnings and errors, apart from missing credentials."""
    output = re.sub(r"^Warn: \[hostmetadata\].*$", "", output, flags=re.MULTILINE)
    return [
        message
        for message in re.split(r"^(?=Warning: |Error: )", output, flags=re.MULTILINE)
        if message.startswith(("Warning", "Error"))
        and not any(part in message for part in _NO_CREDENTIALS)
    ]


def find_cli() -> str | None:
    """The CLI that `make cli` installed beside the tool, else the one on the PATH."""
    own = Path(sys.prefix).with_name(".venv-cli") / "bin"
    return shutil.which(PROGRAM, path=own) or shutil.which(PROGRAM)


def is_installed() -> bool:
    """Whether the CLI is installed."""
    return find_cli() is not None


def cli_path() -> str:
    """The path of the CLI.

    Raises:
        DeliveryError: it is not installed.
    """
    found = find_cli()
    if found is None:
        raise DeliveryError(
            f"{PROGRAM}: not on the PATH, expected the Databricks CLI {TESTED_VERSIONS[0]} or "
            "newer\n    Install it: make cli"
        )
    return found


def usable_version() -> str:
    """The CLI's version, such as `1.13.0`, if the tool can work with it.

    Raises:
        DeliveryError: the CLI prints no version, or lacks an option of a deploy.
    """
    output = _ask("version")
    found = re.search(r"v(\d+\.\d+\.\d+\S*)", output)
    if found is None:
        raise CliError("version", output.strip() or "no output")
    usage = _ask("bundle", "deploy", "--help")
    missing = [option for option in _OPTIONS if not re.search(rf"{option}\b", usage)]
    if missing:
        raise DeliveryError(
            f"databricks {found[1]}: bundle deploy has no {', '.join(missing)}\n    {_OTHER_CLI}"
        )
    return found[1]


def is_tested_version(version: str) -> bool:
    """Whether the contract tests cover a version of the CLI."""
    return ".".join(version.split(".")[:2]) in TESTED_VERSIONS


def _ask(*arguments: str) -> str:
    """Run the CLI without an identity and outside of any bundle, and return its output."""
    with tempfile.TemporaryDirectory() as home:
        environment = _base_environment(home)
        done = _finished([cli_path(), *arguments], Path(home), environment, _ANSWER_SECONDS)
    return done.stdout + done.stderr


def _base_environment(home: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name in _KEPT}
    return {"HOME": home, **inherited, "DATABRICKS_CLI_DISABLE_TELEMETRY": "1"}


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
        raise _kill(process, command, seconds) from None
    except KeyboardInterrupt:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        try:  # let the CLI finish its work before we stop
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise _kill(process, command, seconds) from None
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _kill(process: subprocess.Popen[str], command: list[str], seconds: int) -> CliError:
    """Kill the CLI with its child processes, which would otherwise work on or hold our pipes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return CliError(" ".join(command[1:3]), f"did not finish within {seconds} s")


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    """The CLI's error lines, else the last lines of its error output, else its exit code."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    errors = list(dict.fromkeys(line for line in lines if line.startswith("Error")))
    return "\n".join(errors or lines[-10:]).removeprefix("Error: ") or f"exit {result.returncode}"
