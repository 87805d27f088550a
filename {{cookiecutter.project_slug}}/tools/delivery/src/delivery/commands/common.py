"""What all commands share: options, and how results and progress are shown."""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from delivery import environment
from delivery.errors import DeliveryError, harmless
from delivery.files import append, read
from delivery.ledger import Event
from delivery.policy import find_root
from delivery.release import ID, Archive, checked_out, read_archive
from delivery.show import rendered
from delivery.site import Site, open_site


class Output(StrEnum):
    """How a result is shown."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option(help="For people, or one JSON document.")]
TargetArgument = Annotated[str, typer.Argument(help="A target that takes releases, such as prod.")]
ReleaseArgument = Annotated[str, typer.Argument(help="Such as 2026.11.23-g3f2a9c10.")]


def _one_line(text: str) -> str:
    """A text that stands in the ledger, and is shown wherever the ledger is."""
    if not text.isprintable() or len(text) > _LONGEST_REASON:
        raise DeliveryError(
            f"--reason: given {text[:40]!r}…, expected one line of at most {_LONGEST_REASON} "
            "characters, such as 'totals are wrong'"
        )
    return text


_LONGEST_REASON = 500
ReasonOption = Annotated[
    str, typer.Option(help="Why; it stands in the ledger.", callback=_one_line)
]
ArchiveOption = Annotated[
    Path | None,
    typer.Option(help="The release's archive; otherwise that of the checked-out commit."),
]


def _digest(text: str | None) -> str | None:
    """A digest that is empty was lost on its way: it must not mean that any release will do."""
    if text is not None and not re.fullmatch(r"[0-9a-f]{64}", text):
        raise DeliveryError(
            f"--digest: given {text[:80]!r}, expected the 64 hex digits that `delivery release` or "
            "`delivery rebuild` printed"
        )
    return text


DigestOption = Annotated[
    str | None,
    typer.Option(
        help="The digest of the release that was built; another is refused.", callback=_digest
    ),
]
PlanDigestOption = Annotated[
    str, typer.Option(help="The digest of the approved plan; another plan is refused.")
]
WaitOption = Annotated[str, typer.Option(help="How long to wait for the lock, such as 30m.")]
BreakOption = Annotated[
    bool, typer.Option("--break-lock", help="Take the lock from a run that is gone for good.")
]

ReportOption = Annotated[
    Path | None, typer.Option(help="Also write it as Markdown, for a request or an issue.")
]
OutputsOption = Annotated[
    Path | None, typer.Option(help="Add NAME=value lines to this file, for the next job.")
]

RELEASES = Path(".delivery", "releases")  # where `delivery release` leaves its archives
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def emit(output: Output, document: Any, text: str) -> None:
    """Show a result: one JSON document, or what people read; a job's summary gets it, too."""
    if output is Output.JSON:
        print(json.dumps(document, indent=2, default=str))
    else:
        plain = text.replace("\x1b", "")  # data must not steer the terminal
        Console(highlight=False, soft_wrap=True).print(rendered(harmless(plain)))
    summary = environment.text("GITHUB_STEP_SUMMARY")
    if summary and text:
        try:
            append(Path(summary), fenced(_shortened(text)))
        except DeliveryError as error:  # what the command did is done all the same
            say(f"GITHUB_STEP_SUMMARY: {error}")


def _shortened(text: str) -> str:
    """What a job's summary takes: GitHub drops a larger one whole. Begin and end stay."""
    if len(text.encode()) <= _LONGEST_SUMMARY:
        return text
    begin = text.encode()[: _LONGEST_SUMMARY - _END].decode(errors="ignore").rpartition("\n")[0]
    end = text[-_END // 4 :].partition("\n")[2]
    left_out = len(text.splitlines()) - len(begin.splitlines()) - len(end.splitlines())
    return f"{begin}\n… {left_out} lines are left out here: the whole is in the job's log\n{end}"


_LONGEST_SUMMARY, _END = 1_000_000, 16_000  # bytes; GitHub takes 1 MiB of a step


def fenced(text: str) -> str:
    """A result as Markdown, in which nothing of it is markup."""
    plain = rendered(text).plain
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain}\n{fence}\n"


def write_outputs(file: Path | None, values: Mapping[str, object]) -> None:
    """Add values for the next job, as GitHub's outputs and GitLab's dotenv reports have them."""
    if file:
        lines = "".join(f"{name}={value}\n" for name, value in values.items())
        append(file, lines)


def say(text: str) -> None:
    """Tell how far a long command is, away from its result."""
    errors.print(f"[dim]…[/] {escape(harmless(text))}", markup=True)


def here() -> Path:
    """The project that the command is called in."""
    return find_root(Path.cwd())


def site(target: str, archive: Archive | None = None) -> Site:
    """The target, seen from the project that the command is called in, for a release or none."""
    return open_site(here(), target, archive)


def find_archive(given: Path | None, digest: str | None = None) -> Archive:
    """The archive that is given, or that `delivery release` built last.

    Raises:
        DeliveryError: there is none, it is not whole, or it has another digest than is expected.
    """
    file = given or here() / RELEASES / f"{checked_out(here()).release}.tar.gz"
    if not file.is_file():
        raise DeliveryError(
            f"archive: given {file}, expected a release\n"
            "    Build it: delivery release. Fetch it: delivery fetch TARGET. Or name its file: "
            "2026.11.23-g3f2a9c10.tar.gz"
        )
    archive = read_archive(read(file), file.name)[0]
    archive.require(digest)
    return archive


def is_release(text: str) -> bool:
    """Whether a text names a release, or the file of one, and no target."""
    return bool(ID.fullmatch(text)) or text.endswith(".tar.gz")


def named_archive(text: str) -> Archive:
    """A release by its name, where `release` and `fetch` leave it, or by its file."""
    return find_archive(here() / RELEASES / f"{text}.tar.gz" if ID.fullmatch(text) else Path(text))


def read_receipt(file: Path) -> Event:
    """The event that another target wrote when it verified a release.

    Raises:
        DeliveryError: the file is none.
    """
    try:
        return Event.parse(file.read_bytes())
    except (OSError, ValueError):
        raise DeliveryError(
            f"receipt: given {file}, expected a file written by: delivery fetch staging"
        ) from None


def seconds(text: str) -> float:
    """A duration such as `90s`, `30m` or `2h`, in seconds.

    Raises:
        DeliveryError: it is none.
    """
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found:
        raise DeliveryError(f"duration: given {text!r}, expected such as 90s, 30m or 2h")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]
