"""The pictures of the guide and of the README, as the tool makes what they show.

python tests/harness/pictures.py            lists the pictures that differ
python tests/harness/pictures.py --write    writes them

The job is that of the sample; the plan is a screen of the guide, which its own test holds true; the
status page is the tool's, of two targets that are made up here.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.baking import TEMPLATE

sys.path.insert(0, str(TEMPLATE / "tools/delivery/src"))

from delivery.config.bundle import load_bundle
from delivery.config.references import resolve
from delivery.local.graph import nodes_of
from delivery.local.picture import as_svg
from delivery.render.html import status_page
from delivery.status.metrics import Dora
from delivery.status.status import JobStatus, Status

from harness.guide_screens import steps

FOLDER = TEMPLATE / "docs/pictures"
_NOW = datetime(2026, 11, 26, 15, 20, tzinfo=UTC)
_RELEASE, _EARLIER = "2026.11.25-gb1bb877d", "2026.11.24-g52f47a5b"
_XHTML = "http://www.w3.org/1999/xhtml"
_WIDEST, _LETTER, _LINE = 100, 7.3, 18  # characters of a line; the size of one in pixels


def job() -> str:
    """The tasks of the sample's job."""
    jobs = resolve(load_bundle(TEMPLATE), "dev").tree.section("resources").section("jobs")
    return as_svg(nodes_of(jobs.section("flights_daily"), {}))


def plan() -> str:
    """The comment of a request: a plan that would be refused."""
    page = "docs/delivery.md"
    text = (TEMPLATE / page).read_text(encoding="utf-8")
    shown = next(
        s for s in steps(page, text) if s.heading == "Changed tables" and "plan" in s.command
    )
    lines = [line for line in shown.screen if not line.startswith("…")]
    rows = [row for line in lines for row in _wrapped(line)]
    width, height = _WIDEST * _LETTER + 40, (len(rows) + 3) * _LINE + 24
    style = (
        "text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; "
        "white-space: pre; } .title { font: 600 15px system-ui, sans-serif; }"
    )
    texts = [
        f'<text x="20" y="{(number + 3) * _LINE + 12}">{escape(row)}</text>'
        for number, row in enumerate(rows)
    ]
    frame = f'width="{width - 1:.0f}" height="{height - 1:.0f}" rx="6"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}">',
            f"<style>{style}</style>",
            f'<rect x="0.5" y="0.5" {frame} fill="#ffffff" stroke="#d0d7de"/>',
            '<text class="title" x="20" y="34">Plan for staging</text>',
            *texts,
            "</svg>\n",
        ]
    )


def _wrapped(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line, _WIDEST, subsequent_indent=indent, drop_whitespace=True, break_long_words=True
    ) or [""]


def status() -> str:
    """The status page of two targets, within a picture: staging is ahead of prod, and drifted."""
    html = status_page("Lakehouse", [_status("staging"), _status("prod")], _NOW)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    body = re.search(r"<body>(.*?)</body>", html, re.DOTALL)
    assert style
    assert body
    looks = style[1].replace("body {", ".page {").replace(":root {", ".page {")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="1100" height="790" '
        'viewBox="0 0 1100 790">\n'
        f"<style>{looks}.page {{ max-width: none; height: 790px }}</style>\n"
        '<foreignObject width="1100" height="790">'
        f'<div xmlns="{_XHTML}" class="page">{body[1]}</div></foreignObject>\n</svg>\n'
    )


def _status(target: str) -> Status:
    is_prod = target == "prod"
    host, since = f"https://{target}.example.com", _NOW - timedelta(hours=30 if is_prod else 2)
    last = JobStatus(
        key="flights_daily",
        release=_RELEASE,
        url=f"{host}/jobs/11",
        last_run="succeeded",
        run_url=f"{host}/jobs/11/runs/22",
        started=_NOW - timedelta(hours=9),
    )
    return Status(
        target=target,
        host=host,
        release=_EARLIER if is_prod else _RELEASE,
        commit="52f47a5b9c0d" if is_prod else "b1bb877d3e4f",
        branch="main",
        since=since,
        actor="deployer",
        approved_by="ana" if is_prod else "",
        health="verified",
        sync="in sync" if is_prod else "drifted",
        drifted=[] if is_prod else ["jobs.flights_daily: timeout_seconds"],
        jobs=[last],
        rollback_target="2026.11.20-g3f2a9c10" if is_prod else _EARLIER,
        dora=Dora(
            days=90, deployments=41, failed=2, per_week=3.19, failure_rate=0.049,
            lead_hours=20.0 if is_prod else 0.4, restore_hours=0.2, lead_of=39, restore_of=2,
        ),
        at=_NOW,
    )  # fmt: skip


PICTURES: dict[str, Callable[[], str]] = {"job": job, "plan": plan, "status": status}


def main() -> int:
    """List the pictures that differ, or write them."""
    FOLDER.mkdir(exist_ok=True)
    differ = []
    for name, make in PICTURES.items():
        file, text = FOLDER / f"{name}.svg", make()
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            differ.append(name)
            if "--write" in sys.argv:
                file.write_text(text, encoding="utf-8")
    print(f"{len(PICTURES)} pictures, {len(differ)} differ: {', '.join(differ) or '-'}")
    return 1 if differ and "--write" not in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
