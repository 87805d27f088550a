"""`artifact`: what the CLI builds or uploads beside the files."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import is_ambiguous, matching_paths
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "artifact"


class Source(NamedTuple):
    """A file of an artifact, or a pattern of files, relative to the project."""

    text: str
    path: str
    mark: Mark


@rule(RULE, scope="target", needs="root")
def check_artifact(context: CheckContext, target: str) -> Iterator[Finding]:
    """Artifacts that are neither built nor there."""
    artifacts = context.targets[target].tree.section("artifacts")
    for name, artifact in artifacts.items():
        mark = artifacts.marks[name]
        if artifact is None:
            yield Finding(*mark, RULE, f"artifacts.{name}: given nothing", "type: whl")
        elif isinstance(artifact, YamlMapping) and not artifact.get("build"):
            sources = list(_sources(artifact, mark))
            if not sources and artifact.get("type") != "whl":
                message = f"artifacts.{name}: given neither build nor files"
                yield Finding(*mark, RULE, message, "build: make wheel")
            for source in sources:
                if is_ambiguous(source.path) or not matching_paths(context.root, source.path):
                    message = f"artifacts.{name}: given {source.text}, expected a file"
                    hint = "Add the file, or say how it is made: build: make wheel"
                    yield Finding(*source.mark, RULE, message, hint)


def files_of(artifacts: YamlMapping) -> Iterator[Source]:
    """The files of all artifacts."""
    for name in artifacts:
        yield from _sources(artifacts.section(name), artifacts.marks[name])


def _sources(artifact: YamlMapping, mark: Mark) -> Iterator[Source]:
    folder = PurePosixPath(mark.file).parent
    for file, place in artifact.items_of("files").sections():
        text = str(file.get("source") or "")
        if text and not any(part in text for part in ("${", "<")):
            yield Source(text, (folder / text).as_posix(), file.marks.get("source", place))
