"""Options and arguments that commands share."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from delivery.errors import DeliveryError

_LONGEST_REASON = 500  # characters


class Output(StrEnum):
    """How a result is shown."""

    TABLE = "table"
    JSON = "json"


def parse_duration(text: str) -> float:
    """A duration such as `90s`, `30m` or `2h`, in seconds.

    Raises:
        DeliveryError: the text is not a duration.
    """
    found = re.fullmatch(r"(\d+)([smh]?)", text)
    if not found:
        raise DeliveryError(f"duration: given {text!r}, expected a duration such as 90s, 30m or 2h")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def require_reason(break_lock: bool, reason: str) -> bool:
    """`break_lock`, if it has a reason.

    Raises:
        DeliveryError: there is no reason.
    """
    if break_lock and not reason.strip():
        raise DeliveryError(
            "--break-lock: expected a reason, such as --reason 'the runner crashed'"
        )
    return break_lock


def _one_line(text: str) -> str:
    """A reason without control characters: it is stored, and shown to people."""
    if not text.isprintable() or len(text) > _LONGEST_REASON:
        raise DeliveryError(
            f"--reason: given {text[:40]!r}…, expected one line of at most {_LONGEST_REASON} "
            "characters, such as 'totals are wrong'"
        )
    return text


def _digest(text: str | None) -> str | None:
    """A digest. An empty digest is a pipeline error; it must not match every release."""
    if text is not None and not re.fullmatch(r"[0-9a-f]{64}", text):
        raise DeliveryError(
            f"--digest: given {text[:80]!r}, expected the 64 hex digits that `delivery release` or "
            "`delivery rebuild` printed"
        )
    return text


TargetArgument = Annotated[str, typer.Argument(help="A released target, such as prod.")]
ReleaseArgument = Annotated[str, typer.Argument(help="The release, such as 2026.11.23-g3f2a9c10.")]
OutputOption = Annotated[Output, typer.Option(help="A table, or one JSON document.")]
ReasonOption = Annotated[
    str, typer.Option(help="The reason, stored in the ledger.", callback=_one_line)
]
ArchiveOption = Annotated[
    Path | None,
    typer.Option(help="The release's archive. Default: that of the checked-out commit."),
]
DigestOption = Annotated[
    str | None,
    typer.Option(
        help="The digest of the built release; any other release is refused.", callback=_digest
    ),
]
PlanOption = Annotated[
    Path | None, typer.Option(help="The file of the approved plan; no other plan is applied.")
]
PlanDigestOption = Annotated[
    str, typer.Option(help="The digest of the approved plan; any other plan is refused.")
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option(help="Receipt of the previous target, proving that it verified this release."),
]
DestroyOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Key of a resource, table or column that may be destroyed, such as "
        "volumes.flights_landing. Can be repeated."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Plan and run all checks, but change nothing.")
]
FirstOption = Annotated[
    bool,
    typer.Option(
        "--first", envvar="DELIVERY_FIRST", help="Nothing has been deployed to this target yet."
    ),
]
WaitOption = Annotated[str, typer.Option(help="How long to wait for the lock, such as 30m.")]
BreakOption = Annotated[
    bool, typer.Option("--break-lock", help="Break a stale lock, left by an interrupted run.")
]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Also write the result as Markdown, for a pull request or an issue."),
]
IntoOption = Annotated[Path | None, typer.Option(help="Folder for the archive.")]
OutputsOption = Annotated[
    Path | None, typer.Option(help="Append NAME=value lines to this file, for the next job.")
]
