"""Changes of a project's files: all of them are made, or none."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from delivery.errors import DeliveryError

Action = Literal["create", "edit", "delete"]
_HOLD = ".delivery"  # what files were is kept here until every change is made; git ignores it


class Change(NamedTuple):
    """One file that is created, edited or deleted.

    Attributes:
        path: relative to the project.
        content: what a created or edited file has afterwards.
        before: what an edited file has now.
    """

    action: Action
    path: str
    content: bytes = b""
    before: bytes = b""


def require_possible(root: Path, changes: Sequence[Change]) -> None:
    """Make sure that every change can be made.

    Raises:
        DeliveryError: some cannot; the message has each of them.
    """
    problems = dict.fromkeys(p for change in changes for p in _problems(root, change))
    if problems:
        raise DeliveryError("\n".join(problems))


def apply(root: Path, changes: Sequence[Change]) -> None:
    """Make all changes, in their order; if one fails, those before it are undone.

    Raises:
        DeliveryError: a change could not be made; the project is as before.
    """
    require_possible(root, changes)
    with contextlib.ExitStack() as undo:
        hold = _Hold(root)
        undo.callback(hold.remove)
        for change in changes:
            try:
                _make(root, change, undo, hold)
            except OSError as error:
                raise DeliveryError(
                    f"{change.path}: cannot be written: {error.strerror or error}\n"
                    "    Nothing was changed. Make sure that there is space and permission, and "
                    "run the command again."
                ) from None
        undo.pop_all()
    hold.remove()
    for change in changes:
        if change.action == "delete":
            _prune(root, (root / change.path).parent)


class _Hold:
    """Where deleted and edited files are as they were, until every change is made.

    To put them back takes no space: the disk may be full.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None

    def take(self, path: Path) -> Path:
        """Move a file here, and return its place."""
        place = self._place_of(path)
        shutil.move(path, place)  # data may be on another disk
        return place

    def keep(self, path: Path) -> Path:
        """Keep a file here that is about to be replaced, and return its place."""
        place = self._place_of(path)
        try:
            place.hardlink_to(path)
        except OSError:  # this disk has no links
            shutil.copy2(path, place)
        return place

    def remove(self) -> None:
        """Delete everything that is here."""
        if self._folder:
            shutil.rmtree(self._folder)
            _prune(self._root, self._root / _HOLD)

    def _place_of(self, path: Path) -> Path:
        if self._folder is None:
            (self._root / _HOLD).mkdir(exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="before-", dir=self._root / _HOLD))
        place = self._folder / path.relative_to(self._root)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def _make(root: Path, change: Change, undo: contextlib.ExitStack, hold: _Hold) -> None:
    path = root / change.path
    if change.action == "create":
        for folder in _missing_folders(root, path):
            folder.mkdir()
            undo.callback(folder.rmdir)
        with path.open("xb") as stream:
            undo.callback(path.unlink)
            stream.write(change.content)
    elif change.action == "edit":
        undo.callback(hold.keep(path).replace, path)
        _replace(path, change.content)
    else:
        undo.callback(shutil.move, hold.take(path), path)


def _replace(path: Path, content: bytes) -> None:
    """Write a file at once, with the permissions that it has."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        shutil.copymode(path, partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _problems(root: Path, change: Change) -> Iterator[str]:
    path = root / change.path
    folder = root
    for part in Path(change.path).parent.parts:
        if not (folder / part).exists() and not (folder / part).is_symlink():
            break
        folder /= part
        name = folder.relative_to(root).as_posix()
        if folder.is_symlink() or not folder.is_dir():
            given = "a symbolic link" if folder.is_symlink() else "a file"
            yield f"{name}: given {given}, expected a folder of the project"
            return
    if not os.access(folder, os.W_OK | os.X_OK):
        name = folder.relative_to(root).as_posix()
        yield f"{name}: cannot be written: ask for permission to write in this folder"
    if change.action == "create":
        if path.exists() or path.is_symlink():
            yield f"{change.path}: exists already, expected no file"
    elif path.is_symlink() or not path.is_file():
        given = "a symbolic link" if path.is_symlink() else "no file"
        yield f"{change.path}: given {given}, expected a file of the project"
    elif change.action == "edit" and path.read_bytes() != change.before:
        yield f"{change.path}: was changed meanwhile; run the command again"


def _missing_folders(root: Path, path: Path) -> list[Path]:
    """The folders above a file that do not exist, from the top."""
    above = [folder for folder in path.parents if folder.is_relative_to(root)]
    return [folder for folder in reversed(above) if not folder.exists()]


def _prune(root: Path, folder: Path) -> None:
    """Remove a folder and those above it, as long as they are empty."""
    while folder != root:
        with contextlib.suppress(OSError):  # it is gone, or not ours
            if any(folder.iterdir()):
                return
            folder.rmdir()
        folder = folder.parent
