"""Bundles of other repositories, judged by both."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.config.bundle import load_bundle_partial

from agreement.compare import POLICY
from agreement.explained import ALARMS, MISSES, reason
from agreement.judges import Said, ask_check, ask_cli

_HOST = re.compile(r"^(\s+host:).*$", re.MULTILINE)
_PROFILE = re.compile(r"^(\s+)profile:.*$", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What both say of one target of a bundle."""

    name: str
    target: str
    cli: tuple[Said, ...]
    check: tuple[Said, ...]

    @property
    def agrees(self) -> bool:
        """Whether both find something, or neither does."""
        return bool(self.cli) == bool(self.check)

    @property
    def reasons(self) -> list[str]:
        """Why they disagree, for each thing said; empty for what has no explanation."""
        return [
            *(reason(MISSES, one.text) for one in self.cli),
            *(reason(ALARMS, f"{one.text}\n{one.hint}") for one in self.check),
        ]

    @property
    def is_explained(self) -> bool:
        """Whether they disagree for known reasons alone."""
        return not self.agrees and all(self.reasons)

    def __str__(self) -> str:
        who = "false alarm" if self.check else "miss"
        said = "\n    ".join(f"{s.file}:{s.line} {s.text[:200]}" for s in self.check or self.cli)
        return f"{who}: {self.name} ({self.target})\n    {said}"


def bundles(corpus: Path) -> list[Path]:
    """The folders of a corpus that have a bundle."""
    return sorted(file.parent for file in corpus.rglob("databricks.yml"))


def judge(
    source: Path, name: str, folder: Path, program: str, environment: Mapping[str, str]
) -> Iterator[Verdict]:
    """What both say of each target of a bundle, in a copy without its own hosts."""
    shutil.copytree(source, folder, symlinks=True)
    host = environment["DATABRICKS_HOST"]
    for file in folder.rglob("*.yml"):
        if file.is_file() and not file.is_symlink():
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
            text = _HOST.sub(rf"\1 {host}", _PROFILE.sub(r"\1auth_type: pat", text))
            file.write_text(text, encoding="utf-8", errors="surrogateescape")
    if not load_bundle_partial(folder).targets:
        with (folder / "databricks.yml").open("a", encoding="utf-8") as root:
            root.write("\ntargets: {default: {}}\n")
    if not (folder / "pyproject.toml").exists():
        (folder / "pyproject.toml").write_text('[project]\nname = "none"\n', encoding="utf-8")
    everything = ", ".join(f"'{e.name}{'/' * e.is_dir()}'" for e in sorted(folder.iterdir()))
    for target in load_bundle_partial(folder).targets:
        policy = POLICY.replace("only: main", f"{target}: main")
        policy = policy.replace("[resources/]", f"[{everything}]")
        (folder / "delivery.yml").write_text(policy, encoding="utf-8")
        said = ask_cli(folder, target, program, environment)
        found = ask_check(folder, target)
        yield Verdict(name, target, tuple(said), tuple(found))
