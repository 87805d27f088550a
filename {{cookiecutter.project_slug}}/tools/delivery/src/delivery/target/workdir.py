"""Folders that releases are opened in, outside of every repository."""

import contextlib
import fcntl
import getpass
import os
import tempfile
import uuid
from pathlib import Path

from delivery import environment
from delivery.errors import DeliveryError

# Containers that share the cache see the locks of each other, but not the process ids.
PROCESS_FOLDER = uuid.uuid4().hex
_HELD: dict[Path, int] = {}  # open until this process ends


def work_folder() -> Path:
    """A folder of this user, outside of every repository: the CLI reads ignore files above it.

    Raises:
        DeliveryError: no folder can be used.
    """
    home = environment.env_text("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    for base in (Path(home), Path(tempfile.gettempdir(), f"cache-{getpass.getuser()}")):
        folder = (base / "lakehouse-delivery").absolute()
        if not any((parent / ".git").exists() for parent in folder.parents):
            with contextlib.suppress(OSError):  # such as a home that cannot be written
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
                    return folder
    raise DeliveryError(
        "work folder: expected a writable one outside of git repositories\n"
        "    Set XDG_CACHE_HOME to one, such as /var/tmp/delivery."
    )


def lock_file_of(work: Path) -> Path:
    """The lock file of a work folder."""
    return work.with_name(f"{work.name}.lock")


def lock_folder(work: Path) -> None:
    """Lock a work folder until this process ends, before the folder is made."""
    if work not in _HELD:
        work.parent.mkdir(parents=True, exist_ok=True)
        _HELD[work] = os.open(lock_file_of(work), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(_HELD[work], fcntl.LOCK_EX)


def is_locked(work: Path) -> bool:
    """Whether the process of a work folder is still running, here or in another container."""
    try:
        with lock_file_of(work).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is no lock
        return False
    return False
