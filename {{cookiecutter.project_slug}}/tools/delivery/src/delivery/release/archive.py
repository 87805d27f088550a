"""A release as one file: the same bytes for the same content, opened only when it is whole."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from delivery.errors import DeliveryError, Exit
from delivery.files import write_whole
from delivery.release.manifest import FILE, LIMIT, Manifest, sha256

_MOST = 20 * LIMIT  # bytes of an opened archive


@dataclass(frozen=True)
class Archive:
    """A release's bytes, and the manifest that is in them."""

    manifest: Manifest
    content: bytes

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.manifest.release}.tar.gz"

    def require(self, digest: str | None) -> None:
        """Make sure that these are the bytes that somebody means; None: nobody said which.

        Raises:
            DeliveryError: they are others.
        """
        if digest is not None and digest != self.manifest.digest:
            raise DeliveryError(
                f"{self.manifest.release}: given an archive with the digest "
                f"{self.manifest.digest}, expected {digest} as it was built\n    Somebody changed "
                "the archive, or it is another release: build it again from its commit.",
                Exit.REFUSED,
            )

    def write(self, folder: Path) -> Path:
        """Write it whole or not at all."""
        file = folder / self.name
        write_whole(file, self.content)
        return file


@dataclass(frozen=True)
class Opened:
    """A release in a folder of its own."""

    manifest: Manifest
    folder: Path


def is_local_state(path: PurePosixPath) -> bool:
    """Whether it is what the CLI or git reads by itself: state, overrides, programs, branches."""
    return any(part.rstrip(". ").lower() in _BY_ITSELF for part in path.parts)


_BY_ITSELF = (".databricks", ".git")


def pack(manifest: Manifest, files: Mapping[str, bytes]) -> Archive:
    """Put files into an archive.

    Raises:
        DeliveryError: it is larger than a workspace takes.
    """
    content = _packed({FILE: manifest.content(), **files}, manifest.time)
    if len(content) > LIMIT:
        large = sorted(files, key=lambda name: -len(files[name]))[:3]
        raise DeliveryError(
            f"release: given {len(content):,} bytes, expected at most {LIMIT:,}\n"
            f"    The largest files are {', '.join(large)}.",
            Exit.REFUSED,
        )
    return Archive(manifest, content)


def _packed(files: Mapping[str, bytes], time: int) -> bytes:
    """Sorted entries, fixed modes and owners, one time: nothing of the machine."""
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
    """Read an archive, and everything in it, if it is exactly what its manifest says.

    Args:
        name: what the archive is called in messages.

    Raises:
        DeliveryError: it is not.
    """
    if len(content) > LIMIT:
        raise _refused(name, f"it has {len(content):,} bytes, expected at most {LIMIT:,}")
    try:
        files = dict(_entries(content, name))
        manifest = Manifest.parse(files.pop(FILE))
    except (tarfile.TarError, zlib.error, ArithmeticError, OSError, EOFError, ValueError) as error:
        raise _refused(name, _short(error)) from None
    except KeyError:
        raise _refused(name, f"it has no {FILE}") from None
    _verify(manifest, files, name)
    return Archive(manifest, content), files


def open_archive(content: bytes, folder: Path, name: str) -> Opened:
    """Write the files of a whole archive into an empty folder.

    Raises:
        DeliveryError: the archive is not what its manifest says.
    """
    archive, files = read_archive(content, name)
    try:
        for path, data in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    except OSError as error:
        raise _refused(name, f"{path[:80]}: {error.strerror}") from None
    return Opened(archive.manifest, folder)


def _entries(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(_unpacked(content, name)), mode="r:") as tar:
        for entry in tar:
            if entry.name in seen or not _is_plain(entry):
                raise _refused(name, f"given {entry.name!r}, expected plain files, each once")
            if is_local_state(PurePosixPath(entry.name)):
                raise _refused(name, f"given {entry.name!r}, which the CLI would obey")
            seen.add(entry.name)
            file = tar.extractfile(entry)
            yield entry.name, file.read() if file else b""


def _unpacked(content: bytes, name: str) -> bytes:
    """All of it at once: only its end says whether what came before is whole."""
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
        unpacked = packed.read(_MOST + 1)
    if len(unpacked) > _MOST:
        raise _refused(name, "it grows beyond all measure when it is opened")
    return unpacked


def _is_plain(entry: tarfile.TarInfo) -> bool:
    """A file below the folder; a link or a device, `/` or `..` could reach out of it."""
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
            raise _refused(name, f"{path} is not the file that the manifest lists")


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"manifest: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error) or type(error).__name__


def _refused(name: str, reason: str) -> DeliveryError:
    mend = "Build it again, or fetch it from the target that runs it: delivery fetch TARGET"
    return DeliveryError(f"{name}: not a whole release: {reason}\n    {mend}", Exit.REFUSED)
