"""The archive of a release: equal content gives equal bytes, and opening verifies all of them."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from delivery.errors import DeliveryError, RefusedError
from delivery.files import write_atomic
from delivery.refusals import Refusal
from delivery.release.manifest import MANIFEST_FILE, MAX_FILE_BYTES, Manifest, sha256

_MAX_UNPACKED_BYTES = 20 * MAX_FILE_BYTES  # bytes of an unpacked archive
_STATE_FOLDERS = (".databricks", ".git")


@dataclass(frozen=True)
class Archive:
    """The bytes of a release, and the manifest in them."""

    manifest: Manifest
    content: bytes

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.manifest.release}.tar.gz"

    def require(self, digest: str | None) -> None:
        """Require the archive to have a digest; None accepts any.

        Raises:
            RefusedError: it has another digest.
        """
        if digest is not None and digest != self.manifest.digest:
            raise RefusedError(
                Refusal.OTHER_CONTENT,
                f"{self.manifest.release}: given an archive with the digest "
                f"{self.manifest.digest}, expected {digest}, that of the built release\n"
                "    The archive was edited, or is of another release: build it from its commit.",
            )

    def write(self, folder: Path) -> Path:
        """Write the archive into a folder, completely or not at all."""
        file = folder / self.name
        write_atomic(file, self.content)
        return file


@dataclass(frozen=True)
class OpenedRelease:
    """An unpacked release."""

    manifest: Manifest
    folder: Path


def is_local_state(path: PurePosixPath) -> bool:
    """Whether the CLI or git would read the file as its own state, overrides or programs."""
    return any(part.rstrip(". ").lower() in _STATE_FOLDERS for part in path.parts)


def pack(manifest: Manifest, files: Mapping[str, bytes]) -> Archive:
    """Pack files into an archive.

    Raises:
        RefusedError: it is larger than a workspace accepts.
    """
    content = _packed({MANIFEST_FILE: manifest.content(), **files}, manifest.time)
    if len(content) > MAX_FILE_BYTES:
        large = sorted(files, key=lambda name: -len(files[name]))[:3]
        raise RefusedError(
            Refusal.TOO_LARGE,
            f"release: given {len(content):,} bytes, expected at most {MAX_FILE_BYTES:,}\n"
            f"    The largest files are {', '.join(large)}.",
        )
    return Archive(manifest, content)


def _packed(files: Mapping[str, bytes], time: int) -> bytes:
    """A tar.gz with sorted entries, fixed modes and owners, and one time: equal on any machine."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", filename="", mtime=time) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(files[name]), time, 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def read_archive(content: bytes, name: str) -> tuple[Archive, dict[str, bytes]]:
    """Read an archive and its files, and verify them against its manifest.

    Args:
        name: the name of the archive in messages.

    Raises:
        RefusedError: the archive is damaged, or differs from its manifest.
    """
    if len(content) > MAX_FILE_BYTES:
        raise _refused(name, f"it has {len(content):,} bytes, expected at most {MAX_FILE_BYTES:,}")
    try:
        files = dict(_entries(content, name))
        manifest = Manifest.parse(files.pop(MANIFEST_FILE))
    except (tarfile.TarError, zlib.error, ArithmeticError, OSError, EOFError, ValueError) as error:
        raise _refused(name, _short(error)) from None
    except KeyError:
        raise _refused(name, f"it has no {MANIFEST_FILE}") from None
    _verify(manifest, files, name)
    return Archive(manifest, content), files


def open_archive(content: bytes, folder: Path, name: str) -> OpenedRelease:
    """Verify an archive, and unpack its files into an empty folder.

    Raises:
        RefusedError: the archive is damaged, or differs from its manifest.
    """
    archive, files = read_archive(content, name)
    try:
        for path, data in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    except OSError as error:
        raise _refused(name, f"{path[:80]}: {error.strerror}") from None
    return OpenedRelease(archive.manifest, folder)


def _entries(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(_unpacked(content, name)), mode="r:") as tar:
        for entry in tar:
            if entry.name in seen or not _is_plain(entry):
                raise _refused(
                    name, f"given {entry.name!r}, expected regular files only, without duplicates"
                )
            if is_local_state(PurePosixPath(entry.name)):
                raise _refused(name, f"given {entry.name!r}, which the CLI or git would read")
            seen.add(entry.name)
            file = tar.extractfile(entry)
            yield entry.name, file.read() if file else b""


def _unpacked(content: bytes, name: str) -> bytes:
    """Unpack the whole archive before use, because its checksum is at the end."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
        unpacked = packed.read(_MAX_UNPACKED_BYTES + 1)
    if len(unpacked) > _MAX_UNPACKED_BYTES:
        raise _refused(name, f"it has more than {_MAX_UNPACKED_BYTES:,} bytes when unpacked")
    return unpacked


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """Whether an entry is a file below the folder, and no link, device or path that leaves it."""
    path = PurePosixPath(entry.name)
    parts_ok = ".." not in path.parts and not path.is_absolute() and "\\" not in entry.name
    plain = entry.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not entry.issparse()
    return plain and parts_ok and ":" not in entry.name and str(path) == entry.name


def _verify(manifest: Manifest, files: Mapping[str, bytes], name: str) -> None:
    listed = set(manifest.files)
    if listed != set(files):
        odd = sorted(listed ^ set(files))
        raise _refused(name, f"files and manifest differ: {', '.join(odd[:5])}")
    for path, entry in manifest.files.items():
        if (len(files[path]), sha256(files[path])) != (entry.size, entry.sha256):
            raise _refused(name, f"{path} differs from the file that the manifest lists")


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"manifest: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error) or type(error).__name__


def _refused(name: str, reason: str) -> DeliveryError:
    hint = "Build it again, or fetch it from the target that runs it: delivery fetch TARGET"
    return RefusedError(
        Refusal.INVALID_ARCHIVE, f"{name}: not a valid release: {reason}\n    {hint}"
    )
