"""What people see: text and page, whatever stands in the data."""

import io
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from delivery.plan.model import (
    ContractChange,
    Decision,
    Effect,
    FieldChange,
    Plan,
    ResourceChange,
    TableChange,
)
from delivery.refusals import Refusal
from delivery.render.html import status_page
from delivery.render.text import (
    drift_as_text,
    from_markup,
    history_as_text,
    plan_as_text,
    status_as_text,
)
from delivery.status.drift import Drift
from delivery.status.metrics import Dora
from delivery.status.status import JobStatus, Status
from delivery.target.events import Event
from rich.console import Console

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = "<script>alert('x')</script> [red]x[/] dependabot[bot]"
_REFUSED = Decision(key="schemas.s", action="refuse", reason=HOSTILE, refusal=Refusal.DATA_LOSS)


def shown(text: str) -> str:
    """What a terminal shows."""
    out = io.StringIO()
    Console(file=out, width=300, soft_wrap=True, color_system=None).print(from_markup(text))
    return out.getvalue()


def status(**changes: object) -> Status:
    job = JobStatus(
        key="flights_daily",
        release="r",
        url="https://example.com/jobs/1",
        last_run="failed",
        run_url="https://example.com/runs/1",
        started=NOW,
    )
    values: dict[str, object] = {
        "target": "prod",
        "host": "https://example.com",
        "url": "https://example.com/team/lake",
        "release": "2026.11.23-g00000001",
        "commit": 40 * "a",
        "branch": "main",
        "since": NOW,
        "actor": "ana",
        "health": "verified",
        "sync": "mixed",
        "jobs_on_other_releases": "1 of 2 jobs",
        "jobs": [job],
        "retained": ["volumes.v"],
        "blocked": {"r": HOSTILE},
        "drifted": ["jobs.a"],
        "orphans": ["x (1)"],
        "lock": "ana since",
        "rollback_target": "before",
        "at": NOW,
        "dora": Dora(
            days=90, deployments=4, failed=1, per_week=2, failure_rate=0.25, lead_hours=3, lead_of=4
        ),
    }
    return Status.model_validate({**values, **changes})


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    text = status_page(HOSTILE, [status(actor=HOSTILE, target=HOSTILE, orphans=[HOSTILE])], NOW)
    tags = _Page(text).tags
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in tags)
    assert not any("src" in attributes for _, attributes in tags)
    assert "url(" not in text
    assert "prefers-color-scheme: dark" in text
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in tags


def test_a_state_is_told_by_shape_and_word() -> None:
    text = re.sub(r"<[^>]+>", "", status_page("Demo", [status()], NOW))
    for expected in ("● verified", "▲ mixed", "▲ failed", "1 of 2 jobs", "volumes.v",
                     "25% (1 of 4)", "3 h (median of 4)"):  # fmt: skip
        assert expected in text


def test_an_address_that_is_no_web_address_is_no_link() -> None:
    text = status_page("Demo", [status(run_url="javascript:alert(1)", forge="github")], NOW)
    addresses = [a["href"] for tag, a in _Page(text).tags if tag == "a"]
    assert f"https://example.com/team/lake/commit/{40 * 'a'}" in addresses


def test_a_status_says_everything_that_is_not_as_it_should_be() -> None:
    text = shown(
        status_as_text(status(in_progress="r9", out_of_band_change="serial 4", actor=HOSTILE))
    )
    for expected in ("verified, mixed", "1 of 2 jobs", "r9", "serial 4", HOSTILE, "x (1)",
                     "deployments 4 (2 a week), change failure rate 25% (1 of 4)",
                     "lead time 3 h (median of 4)"):  # fmt: skip
        assert expected in text
    empty = status(release="", commit="", since=None, jobs=[], blocked={}, dora=Dora())
    assert "no release deployed" in shown(status_as_text(empty))


def test_a_plan_shows_code_as_one_line_and_drift_as_such() -> None:
    one, two = "2026.11.23-g00000001", "2026.11.24-g00000002"
    folder = "/x/releases/{}/files"
    code = FieldChange(path="p", old=folder.format(one), new=folder.format(two))
    many = [FieldChange(path=f"f{n}", old=n, new="[red]") for n in range(8)]
    hand = FieldChange(path="timeout", old=1, new=1, remote=9)
    plan = Plan(
        target="prod", host="h", project="p", release=two, release_digest="d", running=one,
        lineage="l", serial=1, created_at=NOW, expires_at=NOW, commits=["abc feat: [x]"],
        retained=["volumes.v"],
        changes=[
            ResourceChange(key="jobs.a", action="update", fields=[code]),
            ResourceChange(key="jobs.b", action="update", fields=many),
            ResourceChange(key="jobs.c", action="update", fields=[hand]),
            ResourceChange(key="schemas.s", action="delete"),
        ],
        decisions=[_REFUSED],
    )  # fmt: skip
    text = shown(plan_as_text(plan))
    for expected in (
        f"code: {one} → {two} (1 resource)",
        "abc feat: [x]",
        "f5: 5 → '[red]'",
        "and 2 more",
        "changed outside delivery, will be reverted",
        "timeout: 9 → 1",
        "− delete schemas.s",
        "volumes.v is retained",
        f"refuse schemas.s: {HOSTILE}",
        "    See docs/refusals.md#data-loss",
        "0 to create, 3 to change, 1 to delete, 1 retained",
        plan.digest,
    ):
        assert expected in text


def table(name: str, *found: tuple[Effect, str], **values: Any) -> TableChange:
    changes = [ContractChange(key="tables.x", effect=effect, what=what) for effect, what in found]
    return TableChange(table=name, effect=found[0][0], changes=changes, **values)


def table_lines(*tables: TableChange) -> list[str]:
    """What a plan shows of tables."""
    plan = Plan(
        target="prod", host="h", project="p", release="r", release_digest="d", running="q",
        lineage="l", serial=1, created_at=NOW, expires_at=NOW, changes=[], tables=[*tables],
    )  # fmt: skip
    return shown(plan_as_text(plan)).splitlines()[1:-2]


def test_a_plan_shows_each_table_with_its_changes_and_statements() -> None:
    comment = f"COMMENT ON TABLE x IS 'two\nlines {HOSTILE}'"
    assert table_lines(
        table("a.silver.b", ("rewrite", "rule x changes"), ("safe", HOSTILE), rebuilt=True),
        table("a.gold.c", ("destructive", "key: a → b"), statements=[comment], rebuilt=True),
        table("a.gold.d", ("safe", "tags of x"), statements=["x"] * 6),
        table("a.gold.e", ("safe", "tags of x"), statements=["x"] * 7),
    ) == [
        "~ table a.silver.b: rewrite, computed anew from bronze by the next run",
        "    rewrite: rule x changes",
        f"    safe: {HOSTILE}",
        "− table a.gold.c: destructive, computed anew from silver by the next run",
        "    destructive: key: a → b",
        f"    COMMENT ON TABLE x IS 'two lines {HOSTILE}'",
        "~ table a.gold.d: safe",
        "    safe: tags of x",
        *["    x"] * 6,
        "~ table a.gold.e: safe",
        "    safe: tags of x",
        "    7 statements; --output json shows them",
    ]


def test_many_changes_are_shortened_but_never_those_that_destroy() -> None:
    safe: list[tuple[Effect, str]] = [("safe", f"s{number}") for number in range(9)]
    lost: list[tuple[Effect, str]] = [("destructive", f"d{number}") for number in range(8)]
    lines = table_lines(table("a.gold.b", *safe))
    assert lines[1:] == [*(f"    safe: s{number}" for number in range(6)), "    and 3 more"]
    lines = table_lines(table("a.gold.b", *lost, *safe))
    assert lines[1:] == [*(f"    destructive: d{number}" for number in range(8)), "    and 9 more"]


def test_new_tables_are_one_line() -> None:
    tables = [table(f"a.gold.t{number}", ("safe", "new table")) for number in range(8)]
    assert table_lines(tables[0]) == ["+ 1 new table: a.gold.t0"]
    names = "a.gold.t0, a.gold.t1, a.gold.t2"
    assert table_lines(*tables[:3]) == [f"+ 3 new tables: {names}"]
    assert table_lines(*tables) == [f"+ 8 new tables: {names}, and 5 more"]
    assert table_lines() == []


def test_history_is_one_line_an_event() -> None:
    event = Event(seq=1, previous="x", id="i", at=NOW, kind="blocked", project="p", target="prod",
                  release="r", actor="dependabot[bot]", reason=HOSTILE)  # fmt: skip
    (line,) = shown(history_as_text([event])).splitlines()
    assert line.split()[:4] == ["1", "2026-11-23", "12:00", "blocked"]
    assert line.endswith(f"dependabot[bot]  {HOSTILE}")
    assert history_as_text([]) == "no events"


def test_drift_comes_with_the_yaml_that_adopts_it() -> None:
    drift = Drift(
        key="jobs.a", path="timeout", expected=1, actual=2, patch="resources:\n  x: [1]\n"
    )
    text = shown(drift_as_text("prod", [drift, Drift(key="file", path="x.py was deleted")]))
    assert "jobs.a: timeout" in text
    assert "expected 1, found 2" in text
    assert "        x: [1]" in text
    assert "file: x.py was deleted" in text
    assert drift_as_text("prod", []) == "prod: no drift"
