"""Texts from elsewhere in the tables: they end no line, and steer no terminal."""

from datetime import UTC, datetime

import pytest
from delivery.render.text import from_markup, history_as_text, status_as_text
from delivery.status.status import JobStatus, Status, commit_url
from delivery.target.events import Event

NOW = datetime(2026, 11, 23, tzinfo=UTC)
ODD = [
    "a\nb",
    "a\r\nb",
    "a\tb",
    "a\x1b[2Jb",
    "a\u2028b",
    "a\x00b",
    "a\x85b",
    "a\u202eb",
    "x" * 5000,
]


@pytest.mark.parametrize("text", ODD)
def test_a_status_has_one_line_for_each_fact(text: str) -> None:
    status = Status(
        target="prod",
        host="https://x.example.com",
        release="r",
        branch=text,
        since=NOW,
        actor=text,
        approved_by=text,
        jobs_on_other_releases=text,
        drifted=[text, "b"],
        retained=[text],
        jobs=[JobStatus(key=text, release="", url=text)],
        blocked={"r1": text, "r2": "y"},
        orphans=[text],
        lock=text,
        in_progress=text,
        out_of_band_change=text,
        rollback_target=text,
        at=NOW,
    )
    shown = from_markup(status_as_text(status)).plain
    lines = shown.split("\n")
    assert len(lines) == 15
    assert all(line.isprintable() for line in lines)
    (blocked,) = [line for line in lines if line.startswith("  blocked")]
    assert "r2 (y)" in blocked
    assert len(blocked) < 400


@pytest.mark.parametrize("text", ODD)
def test_a_history_has_one_line_for_each_event(text: str) -> None:
    event = Event(
        seq=1,
        previous="",
        id="1",
        at=NOW,
        kind="failed",
        project="p",
        target="t",
        release="r",
        actor=text,
        approved_by=text,
        reason=text,
    )
    shown = from_markup(history_as_text([event, event])).plain
    assert len(shown.split("\n")) == 2
    assert all(line.isprintable() for line in shown.split("\n"))


def test_a_history_tells_who_approved() -> None:
    event = Event(
        seq=7, previous="", id="1", at=NOW, kind="deployed", project="p", target="t", release="r",
        actor="ana", approved_by="bo, cy", reason="because",
    )  # fmt: skip
    assert "  ana, approved by bo, cy  because" in history_as_text([event])


@pytest.mark.parametrize(
    ("forge", "url"),
    [
        ("github", "https://code.acme.example.com/a/b/commit/abc"),
        ("gitlab", "https://code.acme.example.com/a/b/-/commit/abc"),
        ("", ""),
    ],
)
def test_a_commit_is_linked_where_the_forge_is_known(forge: str, url: str) -> None:
    assert commit_url("https://code.acme.example.com/a/b/", forge, "abc") == url
    assert commit_url("", forge, "abc") == commit_url("https://x.example.com/a", forge, "") == ""
