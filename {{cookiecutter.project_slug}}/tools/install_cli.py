"""Install the Databricks CLI into .venv-cli: one version, and only a file whose hash is recorded.

The version and hashes are in tools/cli-requirements.txt. The first `make cli` records the hashes.
Commit the file: pipelines fail without recorded hashes. The CLI is downloaded from the package
index or, if the index does not have the package, from the vendor's release archives.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

LOCK = Path("tools/cli-requirements.txt")
PLACE = Path(".venv-cli")
RELEASES = "https://github.com/databricks/cli/releases/download"
MIRROR = "DATABRICKS_CLI_RELEASES"  # the address of a mirror, or a folder as file:///…
UV = str(Path(sys.executable).with_name("uv"))
_BINARY = ("--no-deps", "--only-binary", ":all:", "--quiet")
_AGAIN = "Record them on your machine and commit the file: make cli, then git add " + str(LOCK)


class CliError(Exception):
    """The CLI cannot be installed; the message has the given and expected values, and a hint."""


def main() -> int:
    """Install the CLI, and return the exit code."""
    try:
        version, hashes = locked()
        hashes = hashes or record(version)
        missing = from_index(version, hashes)
        if missing:
            from_release(version, hashes, missing)
    except CliError as error:
        sys.stderr.write(f"cli: {error}\n")
        return 4
    return 0


def locked() -> tuple[str, list[str]]:
    """The version, and the hashes that are recorded for it.

    Raises:
        CliError: the lock does not have exactly one version of the CLI.
    """
    text = LOCK.read_text(encoding="utf-8")
    versions = re.findall(r"^databricks==([\w.]+)", text, re.MULTILINE)
    if len(versions) != 1:
        raise CliError(f"{LOCK}: given {versions}, expected one line such as databricks==1.27.0")
    return versions[0], re.findall(r"--hash=sha256:([0-9a-f]{64})", text)


def record(version: str) -> list[str]:
    """Write the hashes of this version, for all platforms, into the lock.

    Raises:
        CliError: this is a pipeline, or neither the index nor the releases have this version.
    """
    if os.environ.get("CI"):
        raise CliError(f"{LOCK} has no hash of databricks=={version}\n    {_AGAIN}")
    hashes = sorted({*hashes_of_index(version), *hashes_of_release(version)})
    if not hashes:
        raise CliError(_nowhere(version, "it does not have this version"))
    comments = [line for line in LOCK.read_text("utf-8").splitlines() if line.startswith("#")]
    lines = [f"databricks=={version}", *(f"    --hash=sha256:{one}" for one in hashes)]
    LOCK.write_text("\n".join([*comments, " \\\n".join(lines), ""]), encoding="utf-8")
    sys.stdout.write(f"cli: recorded {len(hashes)} hashes in {LOCK}; commit it\n")
    return hashes


def hashes_of_index(version: str) -> list[str]:
    """The hashes of all files of the package; empty if the index does not have it."""
    command = [UV, "pip", "compile", "-", "--generate-hashes", "--no-header", *_BINARY]
    asked = f"databricks=={version}\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    return re.findall(r"--hash=sha256:([0-9a-f]{64})", done.stdout)


def hashes_of_release(version: str) -> Iterator[str]:
    """The hashes of the archives of all platforms; empty if the release cannot be downloaded."""
    try:
        sums = download(f"v{version}/databricks_cli_{version}_SHA256SUMS").decode()
    except (OSError, ValueError):
        return
    for line in sums.splitlines():
        found = re.fullmatch(r"([0-9a-f]{64}) [ *]databricks_cli_[\w.]+\.zip", line.strip())
        if found:
            yield found[1]


def from_index(version: str, hashes: list[str]) -> str:
    """Install the package. Returns why the index lacks it; empty if it was installed.

    Raises:
        CliError: the index has a file with a different hash than the recorded one.
    """
    make = [UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(PLACE)]
    subprocess.run(make, check=True)
    into = ["--python", str(PLACE / "bin/python"), "--require-hashes", "--requirement", str(LOCK)]
    command = [UV, "pip", "install", *_BINARY, *into]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.returncode and not (PLACE / "bin/databricks").exists():
        raise CliError(f"databricks=={version} of the package index has no program databricks")
    if "hash mismatch" in done.stderr.lower():
        raise CliError(
            _other_file(f"databricks=={version} of the package index", "another", hashes)
        )
    return " ".join(done.stderr.split()) or "it has no such package" if done.returncode else ""


def from_release(version: str, hashes: list[str], missing: str) -> None:
    """Install the program of the vendor's archive for this machine.

    Raises:
        CliError: there is none, or its hash is not recorded.
    """
    name = f"databricks_cli_{version}_{_system()}_{_machine()}.zip"
    try:
        content = download(f"v{version}/{name}")
    except (OSError, ValueError) as error:
        raise CliError(_nowhere(version, missing, str(error))) from None
    given = hashlib.sha256(content).hexdigest()
    if given not in hashes:
        raise CliError(_other_file(f"{_releases()}/v{version}/{name}", given, hashes))
    program = PLACE / "bin/databricks"
    shutil.rmtree(PLACE)
    program.parent.mkdir(parents=True)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        program.write_bytes(archive.read("databricks"))
    program.chmod(0o755)


def download(name: str) -> bytes:
    """A file of the releases."""
    address = f"{_releases()}/{name}"
    if not address.startswith(("https://", "http://127.0.0.1:", "file://")):
        raise ValueError(f"given {address}, expected an address that begins with https://")
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - checked above
        content: bytes = answer.read()
        return content


def _releases() -> str:
    return (os.environ.get(MIRROR) or RELEASES).rstrip("/")


def _system() -> str:
    return {"darwin": "darwin", "win32": "windows"}.get(sys.platform, "linux")


def _machine() -> str:
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "amd64"


def _nowhere(version: str, index: str, release: str = "it does not have this version") -> str:
    return (
        f"found databricks=={version} neither in the package index nor among the releases\n"
        f"    index: {index}\n    {_releases()}: {release}\n"
        f"    Set UV_DEFAULT_INDEX to an index that has it, or {MIRROR} to a mirror of the\n"
        f"    releases, such as https://files.example.com/databricks-cli"
    )


def _other_file(what: str, given: str, hashes: list[str]) -> str:
    return (
        f"{what}: given {given} sha256, expected one of the {len(hashes)} in {LOCK}\n"
        "    The file was changed, or the hashes belong to another version: delete them.\n"
        f"    {_AGAIN}"
    )


if __name__ == "__main__":
    sys.exit(main())
