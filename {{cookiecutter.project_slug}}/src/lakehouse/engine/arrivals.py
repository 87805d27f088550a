"""Files that have arrived in a landing folder."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(1970, 1, 1, tzinfo=UTC)
_COPYING = "._COPYING_"  # the end of a file's name while Hadoop's tools write it


@dataclass(frozen=True)
class Arrival:
    """A file in a landing folder: its path inside and outside, size and modification time."""

    name: str
    path: str
    bytes: int
    modified_at: datetime


def moment(microseconds: int) -> datetime:
    """The time that many microseconds after 1970 in UTC, exactly."""
    return START + timedelta(microseconds=microseconds)


def is_hidden(name: str) -> bool:
    """Whether a file is not to be read: it, or a folder that it is in, begins with `.` or `_`.

    Spark leaves these files out, too; its own exceptions, such as `_a=b`, are not made here.
    """
    return name.endswith(_COPYING) or any(part[:1] in {".", "_"} for part in name.split("/"))


def relative(path: str, folder: str) -> str:
    """The path inside `folder`; Spark's paths have a scheme in front, such as `file:`."""
    return path.partition(f"{folder.rstrip('/')}/")[2]


def list_folder(root: Path) -> list[Arrival]:
    """The files of a landing folder and its sub-folders, by name; not hidden ones.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"landing folder: given {root}, expected a folder of files")
    files = {file.relative_to(root).as_posix(): file for file in root.rglob("*") if file.is_file()}
    return [_arrival(name, files[name]) for name in sorted(files) if not is_hidden(name)]


def _arrival(name: str, file: Path) -> Arrival:
    status = file.stat()
    milliseconds = status.st_mtime_ns // 1_000_000  # as Spark, which knows no smaller units
    return Arrival(name, str(file), status.st_size, moment(milliseconds * 1000))
