"""A release as one file: the same bytes, opened only when it is whole."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from delivery.errors import DeliveryError, Exit
from delivery.release import open_archive, read_archive
from delivery.release.archive import Archive, pack
from delivery.release.manifest import MAX_FILE_BYTES, FileEntry, Manifest, sha256
from hypothesis import given
from hypothesis import strategies as st

FILES = {"databricks.yml": b"bundle: {name: demo}\n", "src/app/x.py": b"x = 1\n"}


def manifest(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        release="2026.11.23-g0a1b2c3d",
        bundle="demo",
        project="p",
        version="0.1.0+g0a1b2c3d",
        wheel="app-0.1.0+g0a1b2c3d-py3-none-any.whl",
        branch="main",
        commit=40 * "a",
        tree=40 * "b",
        time=1_700_000_000,
        files={name: FileEntry(sha256=sha256(c), size=len(c)) for name, c in files.items()},
    )


def archive(files: dict[str, bytes]) -> Archive:
    return pack(manifest(files), files)


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive that somebody else made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content) if entry.isreg() else 0
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


MANIFEST = (entry("manifest.json"), manifest(FILES).content())
WHOLE = [(entry(name), content) for name, content in FILES.items()]


@given(st.permutations(sorted(FILES)))
def test_the_order_of_files_does_not_count(names: list[str]) -> None:
    assert archive({name: FILES[name] for name in names}).content == archive(FILES).content


def test_nothing_of_the_machine_is_in_it() -> None:
    content = archive(FILES).content
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        entries = tar.getmembers()
    assert [e.name for e in entries] == ["databricks.yml", "manifest.json", "src/app/x.py"]
    assert {(e.mtime, e.mode, e.uid, e.gid, e.uname, e.gname) for e in entries} == {
        (1_700_000_000, 0o644, 0, 0, "", "")
    }
    assert int.from_bytes(content[4:8], "little") == 1_700_000_000


def test_what_was_packed_is_opened(tmp_path: Path) -> None:
    made = archive(FILES)
    file = made.write(tmp_path / "out")
    assert [f.name for f in file.parent.iterdir()] == ["2026.11.23-g0a1b2c3d.tar.gz"]
    opened = open_archive(file.read_bytes(), tmp_path / "in", file.name)
    assert opened.manifest == made.manifest
    assert (tmp_path / "in/src/app/x.py").read_bytes() == b"x = 1\n"
    assert not (tmp_path / "in/manifest.json").exists()


HOSTILE = {
    "absolute": entry("/etc/passwd"),
    "upwards": entry("src/../../x"),
    "dots": entry("./databricks.yml"),
    "drive": entry("C:x"),
    "backslash": entry("a\\b"),
    "link": entry("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "hard link": entry("link", type=tarfile.LNKTYPE, linkname="databricks.yml"),
    "device": entry("null", type=tarfile.CHRTYPE),
    "pipe": entry("pipe", type=tarfile.FIFOTYPE),
    "folder": entry("folder", type=tarfile.DIRTYPE),
    "twice": entry("databricks.yml"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_entry_that_is_no_plain_file_is_refused(kind: str, tmp_path: Path) -> None:
    content = packed(MANIFEST, *WHOLE, (HOSTILE[kind], b"x"))
    with pytest.raises(DeliveryError, match="regular files only, without duplicates") as caught:
        open_archive(content, tmp_path, "x.tar.gz")
    assert caught.value.code is Exit.REFUSED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed(MANIFEST, *WHOLE[:1]), r"files and manifest differ: src/app/x\.py"),
        (packed(MANIFEST, *WHOLE, (entry("more"), b"")), "files and manifest differ: more"),
        (packed(MANIFEST, WHOLE[0], (entry("src/app/x.py"), b"x = 2\n")),
         r"src/app/x\.py differs from the file that the manifest lists"),
        (packed(*WHOLE), r"it has no manifest\.json"),
        (packed((entry("manifest.json"), b"{}"), *WHOLE), "manifest: release: Field required"),
        (packed((entry("manifest.json"), b"\x00"), *WHOLE), "manifest: : Invalid JSON"),
        (b"", "empty file"),
        (b"not an archive", "Not a gzipped file"),
        (b"x" * (MAX_FILE_BYTES + 1), "expected at most 10,485,760"),
    ],
)  # fmt: skip
def test_what_is_not_whole_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(DeliveryError, match=reason):
        read_archive(content, "x.tar.gz")


@given(st.data())
def test_no_damaged_archive_is_taken_for_whole(data: st.DataObject) -> None:
    whole = archive(FILES).content
    place = data.draw(st.integers(10, len(whole) - 1))
    damage: dict[str, Callable[[], bytes]] = {
        "cut": lambda: whole[:place],
        "flipped": lambda: whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :],
    }
    content = damage[data.draw(st.sampled_from([*damage]))]()
    try:
        read, files = read_archive(content, "x.tar.gz")
    except DeliveryError:
        return
    # Padding and the checksum of the end may differ; what is read never does.
    assert (read.manifest, files) == (manifest(FILES), FILES)


def test_an_archive_that_grows_beyond_all_measure_is_refused() -> None:
    bomb = packed(MANIFEST, (entry("zeros"), bytes(21 * MAX_FILE_BYTES)))
    assert len(bomb) < MAX_FILE_BYTES
    with pytest.raises(DeliveryError, match="bytes when unpacked"):
        read_archive(bomb, "x.tar.gz")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    files = {"a": b"1", "a/b": b"2"}
    content = packed((entry("manifest.json"), manifest(files).content()),
                     *((entry(name), data) for name, data in files.items()))  # fmt: skip
    with pytest.raises(DeliveryError, match="not a valid release: a/b: "):
        open_archive(content, tmp_path, "x.tar.gz")


def test_a_release_that_is_too_large_names_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.release.archive.MAX_FILE_BYTES", 100)
    with pytest.raises(DeliveryError, match=r"The largest files are databricks\.yml, src/app/x"):
        archive(FILES)


def test_compressed_bytes_are_those_of_the_format() -> None:
    assert gzip.decompress(archive(FILES).content)[:14] == b"databricks.yml"
