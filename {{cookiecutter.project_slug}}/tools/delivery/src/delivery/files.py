"""Files that people name: read and written whole, with a clear answer where that cannot be."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from delivery.errors import DeliveryError


def read(file: Path) -> bytes:
    """What a file holds.

    Raises:
        DeliveryError: it cannot be read.
    """
    with _named(file, "read"):
        return file.read_bytes()


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, with the folders above it.

    Raises:
        DeliveryError: it cannot be written.
    """
    half = file.with_name(f"{file.name}.part")
    with _named(file, "written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        half.replace(file)


def append(file: Path, text: str) -> None:
    """Add to a file, such as one that the next job reads.

    Raises:
        DeliveryError: it cannot be written.
    """
    with _named(file, "written"), file.open("a", encoding="utf-8") as stream:
        stream.write(text)


@contextlib.contextmanager
def _named(file: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # such as a name with a null in it
        reason = getattr(error, "strerror", None) or str(error)
        raise DeliveryError(
            f"{file}: cannot be {what}: {reason}\n    Name another file, or ask for the right."
        ) from None
