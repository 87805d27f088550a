"""Build a release: from the commit alone, never from what lies in the working tree."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath, PurePosixPath

from delivery.bundle_cli import is_installed
from delivery.errors import DeliveryError, Exit
from delivery.forbidden import refuse_forbidden
from delivery.policy import Policy, load_policy
from delivery.release.archive import Archive, is_local_state, open_archive, pack
from delivery.release.manifest import LIMIT, FileEntry, Manifest, sha256
from delivery.rules.branches import current_branch
from delivery.target import read_target

_LOCK = "uv.lock"
_AHEAD = 3600  # seconds that a clock may be ahead
# What the project's own build gets of the environment: programs, caches, indexes, no credential.
_BUILT_WITH = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TMPDIR|SYSTEMROOT|XDG_\w+|SSL_CERT_\w+|PIP_\w+|UV_(?!PUBLISH)\w+"
    r"|(?:HTTPS?|NO|ALL)_PROXY",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Commit:
    """The commit that a release is built from; its time is Unix time in seconds."""

    id: str
    tree: str
    time: int

    @property
    def short(self) -> str:
        """Always eight digits and a letter before: `0123456` alone would be a number."""
        return f"g{self.id[:8]}"

    @property
    def release(self) -> str:
        """What the release of this commit is called."""
        return f"{datetime.fromtimestamp(self.time, UTC):%Y.%m.%d}-{self.short}"


def build(root: Path) -> Archive:
    """Build the release of the commit that is checked out.

    The same commit on the same branch, with the same uv, gives the same bytes on any machine.

    Raises:
        DeliveryError: the tree is dirty, there is no lock, something is too large, or it has what
            no target would take.
    """
    return build_commit(root, _commit(root), _branch(root))


def build_commit(root: Path, commit: Commit, branch: str) -> Archive:
    """Build the release of any commit that git knows, as one of a branch.

    Raises:
        DeliveryError: there is no lock, or something is too large.
    """
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        policy = _check_out(root, commit, source)
        files = _tracked(source, policy)
        wheel = _build_wheel(source, commit)
        files[f"dist/{wheel.name}"] = wheel.read_bytes()
        files["requirements.txt"] = _requirements(source)
        files["release.yml"] = _release_yaml(commit, branch, wheel.name, policy)
        manifest = _manifest(source, commit, branch, wheel.name, files)
    archive = pack(manifest, files)
    with tempfile.TemporaryDirectory() as name:
        folder = open_archive(archive.content, Path(name), archive.name).folder
        for target in policy.released:
            refuse_forbidden(folder, target, ask_cli=is_installed())
    return archive


def _commit(root: Path) -> Commit:
    """The checked-out commit of a clean tree."""
    if _git(root, "status", "--porcelain", "--untracked-files=normal").strip():
        raise DeliveryError(
            "release: the working tree has changes, expected a commit and nothing beside it\n"
            "    git status shows them; commit them, or put them away: git stash -u",
            Exit.REFUSED,
        )
    commit = checked_out(root)
    if commit.time > time.time() + _AHEAD:
        raise DeliveryError(
            f"release: given a commit of {commit.release[:10]}, expected one that is not of the "
            "future: nothing could follow it\n    Set the clock, and make the commit again.",
            Exit.REFUSED,
        )
    return commit


def checked_out(root: Path) -> Commit:
    """The checked-out commit."""
    return commit_of(root, "HEAD")


def commit_of(root: Path, text: str) -> Commit:
    """The commit that a text means.

    Raises:
        DeliveryError: git knows none.
    """
    told = _git(root, "log", "-1", "--format=%H %T %ct", "--end-of-options", text, "--")
    identity, tree, time = told.split()
    return Commit(identity, tree, int(time))


def tree_of(root: Path, text: str) -> str:
    """The git tree that a text means: a commit's, such as that of `HEAD`, or the tree itself."""
    return _git(root, "rev-parse", "--verify", "--end-of-options", f"{text}^{{tree}}").strip()


def _branch(root: Path) -> str:
    """The branch, which stands in YAML, where `${` begins a reference."""
    branch = current_branch(root) or "unknown"
    if "${" in branch:
        raise DeliveryError(
            f"release: given the branch {branch}, expected a name without ${{\n    Rename it: "
            "git branch -m feature/late-arrivals",
            Exit.REFUSED,
        )
    return branch


def _check_out(root: Path, commit: Commit, folder: Path) -> Policy:
    """The files of the commit, as git keeps them: no line ending of this machine; its policy."""
    archive = subprocess.run(
        ["git", "-c", "core.autocrlf=false", "archive", "--format=tar", commit.id],
        cwd=root,
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        links = [entry.name for entry in tar if entry.issym()]
        tar.extractall(folder, filter=_inside)  # noqa: S202 - it is tarfile's own, but for links
    policy = load_policy(folder)
    _refuse_links(links, policy)
    if not (folder / _LOCK).is_file():
        raise DeliveryError(
            f"release: {_LOCK} is not committed, expected the lock that the release is built with\n"
            f"    Without it libraries resolve again when a job starts: git add {_LOCK}",
            Exit.REFUSED,
        )
    return policy


def _refuse_links(links: list[str], policy: Policy) -> None:
    """A release has plain files only: what a link means is another matter on each machine."""
    include = policy.release.include
    given = [name for name in links if any(PurePath(name).is_relative_to(p) for p in include)]
    if given:
        raise DeliveryError(
            f"release: given {', '.join(given)}, expected files: links do not travel\n"
            "    Replace each by a copy, or by the folder that it points at.",
            Exit.REFUSED,
        )


def _inside(entry: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """What of the commit is put into a folder: no link that leaves it."""
    try:
        return tarfile.data_filter(entry, folder)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return None


def _tracked(source: Path, policy: Policy) -> dict[str, bytes]:
    """The files that `release.include` names."""
    files: dict[str, bytes] = {}
    for pattern in policy.release.include:
        found = source / pattern
        chosen = sorted(found.rglob("*")) if found.is_dir() else [found]
        if not found.exists() or not found.resolve().is_relative_to(source.resolve()):
            example = "such as `src/`"
            raise DeliveryError(
                f"release.include: given {pattern}, expected a tracked file or folder, {example}"
            )
        for file in chosen:
            if is_local_state(PurePosixPath(file.relative_to(source).as_posix())):
                raise DeliveryError(
                    f"release.include: given {pattern}, which brings {file.relative_to(source)}: "
                    "the CLI obeys it, no release has it\n    git rm -r --cached .databricks",
                    Exit.REFUSED,
                )
            if file.is_file():
                files[file.relative_to(source).as_posix()] = file.read_bytes()
    return files


def _build_wheel(source: Path, commit: Commit) -> Path:
    """The wheel, with the commit in its version; built in a folder that has the commit alone."""
    version = f"{_version(source)}+{commit.short}"
    _uv(source, "version", "--frozen", "--quiet", version)  # it knows TOML, in any form
    _uv(source, "build", "--quiet", "--wheel", "--out-dir", "dist", SOURCE_DATE_EPOCH=commit.time)
    wheel = next((source / "dist").glob("*.whl"))
    if commit.short not in wheel.name.split("-")[1]:
        raise DeliveryError(
            f"release: given the wheel {wheel.name}, expected one of version {version}\n"
            "    Let the build backend take the version from [project] of pyproject.toml.",
            Exit.REFUSED,
        )
    return wheel


def _version(source: Path) -> str:
    """The version that the project gives itself, without what stands behind a plus.

    Raises:
        DeliveryError: it gives itself none that the commit could be added to.
    """
    reason = ""
    try:
        document = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
        project = document.get("project", {})
        if isinstance(project.get("version"), str):
            return str(project["version"].partition("+")[0])
        reason = "dynamic" if "version" in project.get("dynamic", ()) else "none"
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = str(error)
    raise DeliveryError(
        f"release: version of pyproject.toml: {reason}, expected it in the file, for the release "
        'adds its commit to it\n    Write it there: [project] version = "0.1.0"',
        Exit.REFUSED,
    )


def _requirements(source: Path) -> bytes:
    """What the wheel needs when it runs, as the lock has it."""
    options = ("--no-dev", "--no-default-groups", "--no-emit-workspace", "--no-annotate")
    exported = _uv(source, "export", "--quiet", "--frozen", *options, "--no-hashes", "--no-header")
    return exported.encode()


def _release_yaml(commit: Commit, branch: str, wheel: str, policy: Policy) -> bytes:
    """What the bundle gets to know about its release; JSON is YAML with every text quoted."""
    git = {"branch": branch, "commit": commit.id, "origin_url": policy.project.url}
    document = {
        "variables": {"release": {"default": commit.release}, "wheel": {"default": wheel}},
        "bundle": {"git": {name: value for name, value in git.items() if value}},
    }
    return f"{json.dumps(document, indent=2)}\n".encode()


def _manifest(
    source: Path, commit: Commit, branch: str, wheel: str, files: dict[str, bytes]
) -> Manifest:
    large = [
        f"{name} ({len(content):,} bytes)"
        for name, content in files.items()
        if len(content) > LIMIT
    ]
    if large:
        raise DeliveryError(
            f"release: given {', '.join(large)}, expected files of at most {LIMIT:,} bytes\n"
            "    Keep data in a volume, not in the repository.",
            Exit.REFUSED,
        )
    target = read_target(
        source, next(iter(load_policy(source).released)), {"release": "", "wheel": ""}
    )
    entries = {name: FileEntry(sha256=sha256(c), size=len(c)) for name, c in sorted(files.items())}
    return Manifest(
        release=commit.release,
        bundle=target.bundle,
        project=target.project,
        version=wheel.split("-")[1],
        wheel=wheel,
        branch=branch,
        commit=commit.id,
        tree=commit.tree,
        time=commit.time,
        files=entries,
    )


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    try:
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DeliveryError(f"git: {error.strerror}, expected it on the PATH") from None
    if result.returncode:
        raise DeliveryError(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


def surroundings() -> dict[str, str]:
    """The environment of the project's build, whose code must see no credential."""
    return {name: value for name, value in os.environ.items() if _BUILT_WITH.fullmatch(name)}


def _uv(folder: Path, *arguments: str, **environment: object) -> str:
    """Run the project's own uv."""
    own = Path(sys.prefix).with_name(".venv-uv") / "bin"
    program = shutil.which("uv", path=own) or shutil.which("uv")
    if program is None:
        raise DeliveryError("uv: not found, expected it in .venv-uv: type make tool")
    result = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**surroundings(), **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise DeliveryError(f"uv {arguments[0]}: {result.stderr.strip()}", Exit.FAILED)
    return result.stdout
