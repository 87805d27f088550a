"""Build a release from a commit, without any file of the working tree."""

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
from typing import Any

from delivery import git
from delivery.checks.branch import current_branch
from delivery.checks.untrusted import refuse_untrusted
from delivery.config.policy import Policy, load_policy, require_tool_version
from delivery.config.target import UNKNOWN_RELEASE, read_target
from delivery.errors import DeliveryError, FailedError, RefusedError
from delivery.refusals import Refusal
from delivery.release.archive import Archive, is_local_state, open_archive, pack
from delivery.release.manifest import MAX_FILE_BYTES, FileEntry, Manifest, sha256
from delivery.workspace.bundle_cli import is_installed

_LOCK = "uv.lock"
_AHEAD = 3600  # seconds that the clock of a committer may be ahead
# The variables that the project's build sees: programs, caches and indexes, but no credentials.
_BUILT_WITH = re.compile(
    r"PATH|HOME|LANG|LC_\w+|TMPDIR|SYSTEMROOT|XDG_\w+|SSL_CERT_\w+|PIP_\w+|UV_(?!PUBLISH)\w+"
    r"|(?:HTTPS?|NO|ALL)_PROXY",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Commit:
    """The commit that a release is built from; its time is in Unix seconds."""

    id: str
    tree: str
    time: int

    @property
    def short(self) -> str:
        """The short id after a `g`: YAML would read an id such as `01234567` as a number."""
        return f"g{self.id[:8]}"

    @property
    def release(self) -> str:
        """The name of the release of this commit."""
        return f"{datetime.fromtimestamp(self.time, UTC):%Y.%m.%d}-{self.short}"


def build(root: Path) -> Archive:
    """Build the release of the commit that is checked out.

    The same commit, branch and uv give the same bytes on any machine.

    Raises:
        DeliveryError: the policy requires another version of this tool, the working tree has
            changes, or see `build_commit`.
    """
    require_tool_version(load_policy(root))
    return build_commit(root, _clean_commit(root), _branch(root))


def build_commit(root: Path, commit: Commit, branch: str) -> Archive:
    """Build the release of any commit, with `branch` as its branch.

    Raises:
        DeliveryError: there is no lock, a file is too large, or a target would refuse the release.
    """
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        policy = _check_out(root, commit, source)
        files = _tracked(source, policy)
        wheel = _build_wheel(source, commit)
        files[f"dist/{wheel.name}"] = wheel.read_bytes()
        files["requirements.txt"] = _requirements(source)
        files["release.yml"] = _release_yaml(commit, branch, wheel.name, policy)
        _refuse_large(files)
        first = read_target(source, policy.released[0], UNKNOWN_RELEASE)
    manifest = Manifest(
        release=commit.release,
        bundle=first.bundle,
        project=first.project,
        version=wheel.name.split("-")[1],
        wheel=wheel.name,
        branch=branch,
        commit=commit.id,
        tree=commit.tree,
        time=commit.time,
        files={p: FileEntry(sha256=sha256(c), size=len(c)) for p, c in sorted(files.items())},
    )
    archive = pack(manifest, files)
    with tempfile.TemporaryDirectory() as name:
        folder = open_archive(archive.content, Path(name), archive.name).folder
        for target in policy.released:
            refuse_untrusted(folder, target, ask_cli=is_installed())
    return archive


def _clean_commit(root: Path) -> Commit:
    """The checked-out commit, if the working tree has no changes."""
    if git.output(root, "status", "--porcelain", "--untracked-files=normal").strip():
        raise RefusedError(
            Refusal.DIRTY_TREE,
            "release: the working tree has changes, expected none: git status\n"
            "    Commit them, or stash them: git stash -u",
        )
    commit = checked_out_commit(root)
    if commit.time > time.time() + _AHEAD:
        raise RefusedError(
            Refusal.FUTURE_COMMIT,
            f"release: the commit is dated {commit.release[:10]}, in the future; every later "
            "release would count as older\n"
            "    Correct the clock, and commit again: git commit --amend --no-edit",
        )
    return commit


def checked_out_commit(root: Path) -> Commit:
    """The checked-out commit."""
    return commit_of(root, "HEAD")


def commit_of(root: Path, revision: str) -> Commit:
    """The commit of a revision, such as `HEAD`.

    Raises:
        DeliveryError: git does not have such a commit.
    """
    line = git.output(root, "log", "-1", "--format=%H %T %ct", "--end-of-options", revision, "--")
    commit, tree, seconds = line.split()
    return Commit(commit, tree, int(seconds))


def tree_of(root: Path, revision: str) -> str:
    """The git tree of a revision, such as `HEAD`, or of the id of a tree."""
    tree = f"{revision}^{{tree}}"
    return git.output(root, "rev-parse", "--verify", "--end-of-options", tree).strip()


def _branch(root: Path) -> str:
    """The current branch; it becomes a value in YAML, where `${` starts a reference."""
    branch = current_branch(root) or "unknown"
    if "${" in branch:
        raise RefusedError(
            Refusal.BRANCH_NAME,
            f"release: given the branch {branch}, expected a name without ${{\n    Rename it: "
            "git branch -m feature/late-arrivals",
        )
    return branch


def _check_out(root: Path, commit: Commit, folder: Path) -> Policy:
    """Extract the commit's files, with their line endings as committed; returns their policy."""
    content = git.output_bytes(
        root, "-c", "core.autocrlf=false", "archive", "--format=tar", commit.id
    )
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        links = [entry.name for entry in tar if entry.issym()]
        # Python 3.11.2 of Debian 12 has no filters; git's archives have names inside the folder.
        known: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(folder, [entry for entry in tar if not _leaves(entry)], **known)  # noqa: S202
    policy = load_policy(folder)
    _refuse_links(links, policy)
    if not (folder / _LOCK).is_file():
        raise RefusedError(
            Refusal.NO_LOCK_FILE,
            f"release: {_LOCK} is not committed, so the release's libraries are not pinned\n"
            f"    Every job start would resolve their versions again. Commit it: git add {_LOCK}",
        )
    return policy


def _refuse_links(links: list[str], policy: Policy) -> None:
    """Refuse symbolic links in a release: they may resolve to other files on each machine."""
    include = policy.release.include
    given = [name for name in links if any(PurePath(name).is_relative_to(p) for p in include)]
    if given:
        raise RefusedError(
            Refusal.LINKS,
            f"release: given {', '.join(given)}, expected files, because a release has no links\n"
            "    Replace each with a copy of the file or folder that it points to.",
        )


def _leaves(entry: tarfile.TarInfo) -> bool:
    """Whether it is a link out of the folder."""
    target = os.path.normpath(os.path.join(os.path.dirname(entry.name), entry.linkname))
    return entry.issym() and (os.path.isabs(target) or PurePath(target).parts[:1] == ("..",))


def _tracked(source: Path, policy: Policy) -> dict[str, bytes]:
    """The files in `release.include`, by path."""
    files: dict[str, bytes] = {}
    for pattern in policy.release.include:
        found = source / pattern
        chosen = sorted(found.rglob("*")) if found.is_dir() else [found]
        if not found.exists() or not found.resolve().is_relative_to(source.resolve()):
            raise DeliveryError(
                f"release.include: given {pattern}, expected a tracked file or folder, such as "
                "`src/`"
            )
        for file in chosen:
            path = file.relative_to(source).as_posix()
            if is_local_state(PurePosixPath(path)):
                raise RefusedError(
                    Refusal.LOCAL_STATE,
                    f"release.include: given {pattern}, which contains {path}: the CLI or git "
                    "would read it\n    Remove it from git: git rm -r --cached .databricks",
                )
            if file.is_file():
                files[path] = file.read_bytes()
    return files


def _build_wheel(source: Path, commit: Commit) -> Path:
    """Build the wheel of the commit's files, with the commit in its version."""
    version = f"{_version(source)}+{commit.short}"
    _uv(source, "version", "--frozen", "--quiet", version)  # uv edits any form of TOML
    _uv(source, "build", "--quiet", "--wheel", "--out-dir", "dist", SOURCE_DATE_EPOCH=commit.time)
    wheel = next((source / "dist").glob("*.whl"), None)
    if not wheel:
        raise RefusedError(
            Refusal.WHEEL,
            "release: the build made no wheel in dist, expected one\n"
            "    Try it: uv build --wheel --out-dir dist",
        )
    if commit.short not in wheel.name.split("-")[1]:
        raise RefusedError(
            Refusal.WHEEL,
            f"release: given the wheel {wheel.name}, expected one of version {version}\n"
            "    Let the build backend read the version from [project] in pyproject.toml.",
        )
    return wheel


def _version(source: Path) -> str:
    """The version in pyproject.toml, without a local part such as `+abc`.

    Raises:
        RefusedError: there is no literal version, which the commit could be appended to.
    """
    try:
        document = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
        project = document.get("project", {})
        if isinstance(project.get("version"), str):
            return str(project["version"].partition("+")[0])
        reason = "dynamic" if "version" in project.get("dynamic", ()) else "none"
    except (OSError, ValueError, AttributeError, TypeError) as error:
        reason = str(error)
    raise RefusedError(
        Refusal.WHEEL,
        f"release: version in pyproject.toml: {reason}, expected a literal version, because the "
        'release appends its commit\n    Set it: [project] version = "0.1.0"',
    )


def _requirements(source: Path) -> bytes:
    """The requirements of the wheel, with the versions of the lock."""
    options = ("--no-dev", "--no-default-groups", "--no-emit-workspace", "--no-annotate")
    exported = _uv(source, "export", "--quiet", "--frozen", *options, "--no-hashes", "--no-header")
    return exported.encode()


def _release_yaml(commit: Commit, branch: str, wheel: str, policy: Policy) -> bytes:
    """The release, wheel and commit for the bundle, as JSON, which is YAML with quoted strings."""
    origin = {"branch": branch, "commit": commit.id, "origin_url": policy.project.url}
    document = {
        "variables": {"release": {"default": commit.release}, "wheel": {"default": wheel}},
        "bundle": {"git": {name: value for name, value in origin.items() if value}},
    }
    return f"{json.dumps(document, indent=2)}\n".encode()


def _refuse_large(files: dict[str, bytes]) -> None:
    large = [f"{name} ({len(c):,} bytes)" for name, c in files.items() if len(c) > MAX_FILE_BYTES]
    if large:
        raise RefusedError(
            Refusal.TOO_LARGE,
            f"release: given {', '.join(large)}, expected files of at most {MAX_FILE_BYTES:,} "
            "bytes\n    Keep data in a volume, not in the repository.",
        )


def build_environment() -> dict[str, str]:
    """The environment of the project's build, whose code must not see credentials."""
    return {name: value for name, value in os.environ.items() if _BUILT_WITH.fullmatch(name)}


def _uv(folder: Path, *arguments: str, **environment: object) -> str:
    """Run the project's uv, or that on the PATH; returns its output."""
    own = Path(sys.prefix).with_name(".venv-uv") / "bin"
    program = shutil.which("uv", path=own) or shutil.which("uv")
    if program is None:
        raise DeliveryError("uv: not found, expected it in .venv-uv\n    Install it: make tool")
    result = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env={**build_environment(), **{name: str(value) for name, value in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise FailedError(f"uv {arguments[0]}: {result.stderr.strip()}")
    return result.stdout
