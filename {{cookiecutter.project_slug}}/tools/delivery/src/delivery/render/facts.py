"""The facts of a status, under the same names in the text and on the page."""

from delivery.status.metrics import Dora
from delivery.status.status import Status

_LONGEST = 300  # characters of an external text


def status_facts(status: Status) -> dict[str, str]:
    """The facts of a status by name; those that are not known are empty."""
    return {
        "commit": f"{status.commit[:12]} {status.branch}".strip(),
        "since": f"{status.since:%Y-%m-%d %H:%M} UTC" if status.since else "",
        "deployed by": status.actor,
        "approved by": status.approved_by,
        "run": status.run_url,
        "rollback target": status.rollback_target,
        "jobs on other releases": status.jobs_on_other_releases,
        "lock": status.lock,
        "in progress": status.in_progress,
        "out-of-band change": status.out_of_band_change,
    }


def dora_facts(dora: Dora) -> dict[str, str]:
    """The DORA figures by name; empty if there are none."""
    if not dora.days:
        return {}
    facts = {"deployments": f"{dora.deployments} ({dora.per_week:g} a week)"}
    if dora.failure_rate is not None:
        rate = f"{dora.failure_rate:.0%}"
        facts["change failure rate"] = f"{rate} ({dora.failed} of {dora.deployments})"
    if dora.lead_hours is not None:
        facts["lead time"] = f"{dora.lead_hours:g} h (median of {dora.lead_of})"
    if dora.restore_hours is not None:
        facts["time to restore"] = f"{dora.restore_hours:g} h (median of {dora.restore_of})"
    return facts


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as `1 resource` or `2 resources`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def single_line(text: str) -> str:
    """A text without line ends, and without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def short_line(text: str) -> str:
    """An external text as a part of a line, shortened."""
    plain = single_line(text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
