"""Releases as files, where the other tests leave room."""

import json
from pathlib import Path

import pytest
from delivery.errors import DeliveryError, Exit
from delivery.release import read_archive
from delivery.release.archive import pack
from delivery.release.manifest import FileEntry, sha256
from hypothesis import given, settings
from hypothesis import strategies as st

from tool.test_archive import FILES, MANIFEST, WHOLE, archive, entry, manifest, packed

NAMES = st.text("abc.-_", min_size=1, max_size=8).filter(lambda name: name.strip("."))


@settings(database=None)
@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=5))
def test_whatever_is_packed_is_read_as_it_was_and_twice_is_the_same_bytes(
    files: dict[str, bytes],
) -> None:
    made = archive(files)
    read, found = read_archive(made.content, "x.tar.gz")
    assert (read.manifest, found) == (manifest(files), files)
    again = pack(read.manifest, dict(reversed(found.items())))
    assert again.content == made.content


def test_a_size_that_lies_is_refused() -> None:
    lying = manifest(FILES).model_copy(
        update={"files": {n: FileEntry(sha256=sha256(c), size=9) for n, c in FILES.items()}}
    )
    content = packed((entry("manifest.json"), lying.content()), *WHOLE)
    with pytest.raises(DeliveryError, match=r"databricks\.yml differs from the file that"):
        read_archive(content, "x.tar.gz")


def test_of_many_odd_files_the_first_five_are_named() -> None:
    more = [(entry(f"m{n}"), b"") for n in range(7)]
    with pytest.raises(DeliveryError) as caught:
        read_archive(packed(MANIFEST, *WHOLE, *more), "x.tar.gz")
    assert str(caught.value) == (
        "x.tar.gz: not a valid release: files and manifest differ: m0, m1, m2, m3, m4\n"
        "    Build it again, or fetch it from the target that runs it: delivery fetch TARGET"
    )
    assert caught.value.code is Exit.REFUSED


@pytest.mark.parametrize(
    ("field", "value"),
    [("release", "2026.11.23-0a1b2c3d"), ("release", "2026.11.23-g0a1b2c3d\n"),
     ("release", "../2026.11.23-g0a1b2c3d"), ("commit", "abc"), ("tree", 40 * "G"),
     ("schema", 0), ("schema", "x")],
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused(field: str, value: object) -> None:
    document = {**manifest(FILES).model_dump(by_alias=True), field: value}
    content = packed((entry("manifest.json"), json.dumps(document).encode()), *WHOLE)
    with pytest.raises(DeliveryError, match=f"not a valid release: manifest: {field}: "):
        read_archive(content, "x.tar.gz")


def test_the_digest_is_of_every_file_and_of_the_commit() -> None:
    base = manifest(FILES)
    assert base.digest == sha256(base.content())
    assert manifest(dict(FILES)).digest == base.digest
    other = {**FILES, "src/app/x.py": b"x = 2\n"}
    assert manifest(other).digest != base.digest
    assert base.model_copy(update={"commit": 40 * "c"}).digest != base.digest


def test_a_half_written_file_has_another_name(tmp_path: Path) -> None:
    made = archive(FILES)
    assert made.name == "2026.11.23-g0a1b2c3d.tar.gz"
    made.write(tmp_path)
    made.write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [made.name]
    assert (tmp_path / made.name).read_bytes() == made.content
