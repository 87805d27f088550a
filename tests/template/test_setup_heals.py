"""A set-up that was moved, damaged, replaced or cut off is made anew; a whole one stays.

Programs that only write a few files stand for Python, uv, pip, go and npm, so a set-up takes
a moment. They make and clear folders as the real ones do, also through links.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Bake
from harness.baking import ROOT, environment

pytestmark = pytest.mark.slow

INNER = "{{cookiecutter.project_slug}}"
NEEDED = (
    "Makefile",
    "pyproject.toml",
    "tools/delivery/pyproject.toml",
    "tools/uv-requirements.txt",
)
PACKAGE = "lib/python3.11/site-packages/yaml"

# One program for all: `$0` says whom it stands for.
STAND_IN = """#!/bin/sh
there={place}
case "$2" in *ensurepip*) exit ;; *flock*) exec {python} -S "$@" ;; esac
echo "${{0##*/}} $*" >> $there/calls
fill() {{
    mkdir -p "$1/{package}/__pycache__"
    touch "$1/{package}/__init__.py" "$1/{package}/late.py"
    for name in uv pre-commit delivery ruff mypy yamllint detect-secrets-hook; do
        ln -sf $there/programs/python3 "$1/bin/$name"
    done
}}
case "$*" in
*venv*--clear*)
    for folder; do :; done
    mkdir -p "$folder/bin"
    find "$folder/" -mindepth 1 -delete
    mkdir -p "$folder/bin"
    ln -s $there/programs/python3 "$folder/bin/python"
    echo "home = $there/programs" > "$folder/pyvenv.cfg" ;;
*" install "*|*sync*)
    echo install >> $there/installed
    into=.venv
    case "$*" in sync*) into="${{UV_PROJECT_ENVIRONMENT:-.venv}}" ;; esac
    fill "$into"
    rm -f "$into/{package}/late.py"
    case "$0" in *.venv-uv/*) fill .venv-uv ;; esac
    if test -f $there/slow; then touch $there/begun; sleep "$(cat $there/slow)"; fi
    touch "$into/{package}/late.py" ;;
esac
"""


@dataclass
class Place:
    """A checkout whose programs are stand-ins."""

    kind: str
    path: Path
    beside: Path

    def start(self, *targets: str, **changes: str) -> subprocess.Popen[str]:
        """Start make as a terminal does: in a group of its own, which Ctrl-C reaches."""
        path = f"{self.beside / 'programs'}:{os.defpath}"
        return subprocess.Popen(
            ["make", *targets],
            cwd=self.path,
            env=environment(PATH=path, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def make(self, *targets: str, **changes: str) -> str:
        """What make says, which must succeed."""
        process = self.start(*targets, **changes)
        output = process.communicate(timeout=60)[0]
        assert process.returncode == 0, output
        return output

    def installs(self) -> int:
        """How often something was installed since the last question."""
        file = self.beside / "installed"
        number = len(file.read_text().splitlines()) if file.exists() else 0
        file.unlink(missing_ok=True)
        return number

    @property
    def venv(self) -> Path:
        return self.path / ".venv"

    def assert_whole(self) -> None:
        """The environment is its own and complete, and the next command makes nothing anew."""
        assert self.installs() > 0, "nothing was installed"
        assert not self.venv.is_symlink()
        for name in ("bin/python", f"{PACKAGE}/__init__.py", f"{PACKAGE}/late.py", "stamp"):
            assert (self.venv / name).exists(), name
        assert f"{self.path}\n" in (self.venv / "stamp").read_text()
        self.assert_kept()

    def assert_kept(self, *targets: str) -> None:
        self.make(*(targets or ("setup",)))
        assert self.installs() == 0


@pytest.fixture(params=["template", "project"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path, bake: Bake) -> Place:
    """A checkout of the template, or a project, that nobody has set up."""
    path = tmp_path / "a checkout"
    if request.param == "template":
        source = ROOT
        inner = [f"{INNER}/{name}" for name in NEEDED]
        names = ["Makefile", "pyproject.toml", "tests/constraints.txt", *inner]
    else:
        source, names = bake().path, [*NEEDED]
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, path / name)
    if request.param == "project":
        (path / "uv.lock").touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    text = STAND_IN.format(place=tmp_path, python=sys.executable, package=PACKAGE)
    (programs / "python3").write_text(text, encoding="utf-8")
    (programs / "python3").chmod(0o755)
    for name in ("go", "npm"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    return Place(request.param, path, tmp_path)


@pytest.fixture
def ready(fresh: Place) -> Place:
    """The same after its first set-up."""
    fresh.make("setup")
    assert fresh.installs() > 0
    return fresh


# Commands that need an environment, and no files that a checkout of stand-ins does not have.
COMMANDS = {"template": ("digest", "tour"), "project": ("check", "run")}


def test_a_whole_environment_is_kept(ready: Place) -> None:
    ready.assert_kept()
    (ready.venv / PACKAGE / "added_by_hand.py").touch()
    shutil.rmtree(ready.venv / PACKAGE / "__pycache__")
    ready.assert_kept()
    ready.assert_kept(*COMMANDS[ready.kind])
    ready.make("help")
    assert ready.installs() == 0


def _without(name: str) -> Callable[[Place], None]:
    def remove(place: Place) -> None:
        file = place.venv / name
        shutil.rmtree(file) if file.is_dir() else file.unlink()

    return remove


def _moved(place: Place) -> None:
    place.path = place.path.rename(place.beside / f"{place.path.name}, moved")


def _dangling(place: Place) -> None:
    (place.venv / "bin/python").unlink()
    (place.venv / "bin/python").symlink_to(place.beside / "no-such-python")


def _another_python(place: Place) -> None:
    """As an upgrade does that leaves the name and changes what it leads to."""
    other = shutil.copy2(place.beside / "programs/python3", place.beside / "programs/python3.99")
    (place.venv / "bin/python").unlink()
    (place.venv / "bin/python").symlink_to(other)


def _made_over(place: Place) -> None:
    """As `python3.12 -m venv .venv` does, which keeps what is there."""
    (place.venv / "pyvenv.cfg").write_text("home = /opt/another/bin\nversion = 3.99\n")


def _foreign(place: Place) -> None:
    shutil.rmtree(place.venv)
    arguments = ["-m", "venv", "--without-pip", str(place.venv)]
    subprocess.run([sys.executable, *arguments], check=True)


def _copied(place: Place) -> None:
    """From another checkout, with its stamp."""
    other = place.beside / "other"
    shutil.copytree(place.path, other, symlinks=True)
    Place(place.kind, other, place.beside).make("setup")
    place.installs()
    shutil.rmtree(place.venv)
    shutil.copytree(other / ".venv", place.venv, symlinks=True)


def _file(place: Place) -> None:
    shutil.rmtree(place.venv)
    place.venv.touch()


def _dangling_folder(place: Place) -> None:
    shutil.rmtree(place.venv)
    place.venv.symlink_to(place.beside / "no-such-folder")


def _empty_stamp(place: Place) -> None:
    (place.venv / PACKAGE / "__init__.py").unlink()
    (place.venv / "stamp").write_text("")


def _stamp_of_before(place: Place) -> None:
    """Stamps once listed the folder and whole packages, in another order."""
    (place.venv / PACKAGE / "__init__.py").unlink()
    (place.venv / "stamp").write_text(f"{place.path}\n.venv/bin/uv\n.venv/{PACKAGE}\n")


DAMAGE: dict[str, Callable[[Place], None]] = {
    "moved": _moved,
    "no folder": _without("."),
    "no programs": _without("bin"),
    "no packages": _without("lib"),
    "one package less": _without(PACKAGE),
    "one file less": _without(f"{PACKAGE}/__init__.py"),
    "no python": _without("bin/python"),
    "python leads nowhere": _dangling,
    "another python": _another_python,
    "made over": _made_over,
    "made by somebody": _foreign,
    "copied": _copied,
    "a file": _file,
    "a link that leads nowhere": _dangling_folder,
    "no stamp": _without("stamp"),
    "an empty stamp": _empty_stamp,
    "a stamp of before": _stamp_of_before,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_made_anew(damage: str, ready: Place) -> None:
    DAMAGE[damage](ready)
    output = ready.make("setup")
    assert "No such file" not in output
    ready.assert_whole()


@pytest.mark.parametrize("damage", ["moved", "one file less"])
def test_every_command_looks_first(damage: str, ready: Place) -> None:
    for command in COMMANDS[ready.kind]:
        DAMAGE[damage](ready)
        ready.make(command)
        ready.assert_whole()


def test_help_changes_nothing(ready: Place) -> None:
    _moved(ready)
    before = (ready.venv / "stamp").read_text()
    ready.make("help")
    assert (ready.venv / "stamp").read_text() == before


def test_a_link_goes_and_what_it_leads_to_stays(ready: Place) -> None:
    other = ready.beside / "other"
    shutil.copytree(ready.path, other, symlinks=True)
    owner = Place(ready.kind, other, ready.beside)
    owner.make("setup")
    ready.installs()
    shutil.rmtree(ready.venv)
    ready.venv.symlink_to(other / ".venv")
    ready.make("setup")
    ready.assert_whole()
    owner.assert_kept()


def test_a_setting_of_another_project_leads_nowhere_else(fresh: Place) -> None:
    other = fresh.beside / "theirs"
    fresh.make("setup", VIRTUAL_ENV=str(other), UV_PROJECT_ENVIRONMENT=str(other))
    fresh.assert_whole()
    assert not other.exists()


@pytest.mark.parametrize("damage", ["", "moved", "one file less", "made by somebody"])
def test_of_two_set_ups_at_once_one_installs(damage: str, ready: Place) -> None:
    DAMAGE[damage or "no folder"](ready)
    (ready.beside / "slow").write_text("0.3")
    both = [ready.start("setup") for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    (ready.beside / "slow").unlink()
    once = (
        1 if ready.kind == "project" and damage != "moved" else 2
    )  # uv's own environment is whole
    assert len((ready.beside / "installed").read_text().splitlines()) == once
    ready.assert_whole()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
@pytest.mark.parametrize("state", ["fresh", "moved", "newer"])
def test_a_set_up_that_was_cut_off_is_begun_again(
    state: str, how: signal.Signals, fresh: Place
) -> None:
    if state != "fresh":
        fresh.make("setup")
    if state == "moved":
        _moved(fresh)
    elif state == "newer":
        os.utime(fresh.venv / "stamp", (1, 1))
    fresh.installs()
    (fresh.beside / "slow").write_text("60")
    process = fresh.start("setup")
    deadline = time.monotonic() + 30
    while not (fresh.beside / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    while process.poll() is None:  # what is just being started may miss the first one
        assert time.monotonic() < deadline
        os.killpg(process.pid, how)
        time.sleep(0.2)
    process.communicate()
    assert process.returncode != 0
    (fresh.beside / "slow").unlink()
    fresh.installs()
    fresh.make("setup")
    fresh.assert_whole()
    assert not [*fresh.path.rglob("*.part")]
