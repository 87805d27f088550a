"""What differs between two releases, offline."""

import sys
from pathlib import Path

import pytest
from delivery.cli import app
from delivery.release import Archive
from delivery.release.archive import pack
from delivery.release.diff import diff_releases
from delivery.release.manifest import FileEntry, Manifest, sha256

from tool.conftest import FILES

JOB = "resources/shop/job.yml"


def release(day: int, **changes: str) -> Archive:
    """A release of the small project; underscores stand for what a name may not have."""
    name = f"2026.11.{day}-g{day:08x}"
    files = {file: text.encode() for file, text in {**FILES, **changes}.items()}
    files["release.yml"] = (
        f'{{"variables": {{"release": {{"default": "{name}"}}}},'
        f'"bundle": {{"git": {{"commit": "{day}"}}}}}}'
    ).encode()
    files[f"dist/app-0.1.0+g{day:08x}-py3-none-any.whl"] = name.encode()
    manifest = Manifest(
        release=name, bundle="demo", project="p", version="0.1.0", wheel="w", branch="main",
        commit=f"{day:040x}", tree=f"{day:040x}", time=day,
        files={n: FileEntry(sha256=sha256(c), size=len(c)) for n, c in files.items()},
    )  # fmt: skip
    return pack(manifest, files)


def test_two_releases_of_the_same_content_do_not_differ() -> None:
    assert diff_releases(release(23), release(24)) == []


def test_what_differs_is_named_by_target_and_by_file() -> None:
    changed = FILES[JOB].replace("name: shop_daily", "name: shop_nightly")
    prod = FILES["targets/prod.yml"].replace("catalog: demo_prod", "catalog: other")
    changes = {JOB: changed, "targets/prod.yml": prod, "src/app/new.py": "x = 1\n"}
    found = {
        d.path: (d.first, d.second) for d in diff_releases(release(23), release(24, **changes))
    }
    named = {path: values for path, values in found.items() if not path.startswith("files")}
    assert named["staging.resources.jobs.shop_daily.name"] == ("shop_daily", "shop_nightly")
    assert named["prod.resources.jobs.shop_daily.name"] == ("shop_daily", "shop_nightly")
    assert named["prod.resources.schemas.shop_gold.catalog_name"] == ("demo_prod", "other")
    assert not any("release" in path or "git" in path for path in found)
    files = {path for path in found if path.startswith("files")}
    assert files == {f"files[{name}]" for name in changes}
    assert found["files[src/app/new.py]"][0] is None


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["delivery", "diff", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return int(ended.value.code or 0)


def test_releases_are_named_by_their_id_or_their_file(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project / ".delivery/releases"
    first, second = (release(day).write(folder) for day in (23, 24))
    names = [file.name.removesuffix(".tar.gz") for file in (first, second)]
    assert exit_code(monkeypatch, *names) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert exit_code(monkeypatch, first, names[1]) == 0
    other = release(25, **{JOB: FILES[JOB].replace("shop_daily\n", "shop_nightly\n")})
    assert exit_code(monkeypatch, names[0], other.write(folder)) == 2
    assert exit_code(monkeypatch, "staging", "prod") == 2
    capsys.readouterr()
    for given in (("staging", names[0]), ("2026.01.01-g00000000", names[0]), ("x", "prod")):
        assert exit_code(monkeypatch, *given) == 4
        assert capsys.readouterr().err
