"""The status of all targets as one HTML page: no network, light and dark, readable on a phone."""

from collections.abc import Sequence
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from delivery.render.facts import dora_facts, status_facts
from delivery.status.status import Status, commit_url

# A state is shown by a shape and a word, never by its colour alone.
_SHAPES = {
    "verified": ("●", "good"),
    "in sync": ("●", "good"),
    "succeeded": ("●", "good"),
    "not verified": ("◐", "wait"),
    "drifted": ("◆", "wait"),
    "running": ("◐", "wait"),
    "mixed": ("▲", "bad"),
    "failed": ("▲", "bad"),
}


def status_page(project: str, statuses: Sequence[Status], now: datetime) -> str:
    """The whole page. Every text is escaped, and only addresses of the web become links."""
    loader = PackageLoader("delivery.render", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("page.html.j2").render(
        project=project,
        statuses=statuses,
        now=now,
        shapes=_SHAPES,
        facts=status_facts,
        lists=_lists,
        dora=dora_facts,
        commit_url=lambda status: commit_url(status.url, status.forge, status.commit),
    )


def _lists(status: Status) -> dict[str, list[str]]:
    return {
        "Changed outside delivery": status.drifted,
        "Retained from newer releases": status.retained,
        "Blocked": [f"{release}: {reason}" for release, reason in status.blocked.items()],
        "Orphans": status.orphans,
    }
