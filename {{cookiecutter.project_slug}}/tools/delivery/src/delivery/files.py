"""Files that users name, read and written whole, with a clear error on failure."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from delivery.errors import DeliveryError


def read(file: Path) -> bytes:
    """A file's content.

    Raises:
        DeliveryError: it cannot be read.
    """
    with _explain_errors(file, "read"):
        return file.read_bytes()


def write_atomic(file: Path, content: bytes) -> None:
    """Write a file atomically, and create its parent folders.

    Raises:
        DeliveryError: it cannot be written.
    """
    partial = file.with_name(f"{file.name}.part")
    with _explain_errors(file, "written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(file)


def append(file: Path, text: str) -> None:
    """Append to a file, such as one that passes values to the next job.

    Raises:
        DeliveryError: it cannot be written.
    """
    with _explain_errors(file, "written"), file.open("a", encoding="utf-8") as stream:
        stream.write(text)


@contextlib.contextmanager
def _explain_errors(file: Path, action: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: the name contains a null byte
        reason = getattr(error, "strerror", None) or str(error)
        raise DeliveryError(
            f"{file}: cannot be {action}: {reason}\n"
            "    Name another file, or ask for permission to use this one."
        ) from None
