"""Results as people read them."""

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.text import Text

from delivery.drift import Drift
from delivery.ledger import Event
from delivery.plan import Change, Plan
from delivery.status import Dora, Status

_SIGNS = {"create": "[green]+[/]", "delete": "[red]−[/]", "recreate": "[red]±[/]"}
_MOST_FIELDS = 6
_LONGEST = 300  # characters of a value; the YAML that adopts it has it whole


def rendered(text: str) -> Text:
    """A result without its markup, line by line: no bracket of one line is closed by another."""
    return Text("\n").join(Text.from_markup(line) for line in text.split("\n"))


def plan_as_text(plan: Plan) -> str:
    """A plan: what changes, what the guard says, what is kept, and how it is named."""
    return "\n".join(_plan_lines(plan))


def _plan_lines(plan: Plan) -> Iterator[str]:
    came = f" (now {plan.running})" if plan.running else ""
    yield f"[bold]{plan.release}[/] on {plan.target}{came}"
    code = [change.key for change in plan.changes if change.is_code]
    if code:
        count = _count(len(code), "resource")
        yield f"[yellow]~[/] code: {plan.running} → {plan.release} ({count})"
        yield from (f"    {escape(note)}" for note in plan.notes)
    for change in plan.changes:
        if not change.is_code:
            yield from _change_lines(change)
    yield from (f"[cyan]=[/] {escape(key)} is kept" for key in plan.retained)
    yield from (f"[bold]{v.verdict}[/] {escape(f'{v.key}: {v.reason}')}" for v in plan.verdicts)
    if plan.proof:
        yield escape(plan.proof)
    counts = plan.counts()
    yield (
        f"{counts['create']} to create, {counts['update']} to change, "
        f"{counts['delete']} to delete, {counts['retained']} kept"
    )
    yield f"digest {plan.digest}"


def _change_lines(change: Change) -> Iterator[str]:
    drift = " [magenta](changed by hand, put back)[/]" if change.is_drift else ""
    yield f"{_SIGNS.get(change.action, '[yellow]~[/]')} {change.action} {escape(change.key)}{drift}"
    for changed in change.fields[:_MOST_FIELDS]:
        before = changed.remote if changed.is_drift else changed.old
        yield f"    {escape(f'{changed.path}: {before!r} → {changed.new!r}')}"
    if len(change.fields) > _MOST_FIELDS:
        yield f"    and {len(change.fields) - _MOST_FIELDS} more"


def _flat(text: str) -> str:
    """A text in which nothing ends the line or steers a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def one_line(text: str) -> str:
    """A text of any length from elsewhere, as a part of a line."""
    plain = _flat(text)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def status_as_text(status: Status) -> str:
    """One target, as it stands."""
    return "\n".join(_status_lines(status))


def _status_lines(status: Status) -> Iterator[str]:
    release = escape(one_line(status.release)) or "nothing delivered"
    yield f"[bold]{escape(status.target)}[/]  {release}  {status.health}, {status.sync}"
    facts = {
        "commit": f"{status.commit[:12]} {status.branch}".strip(),
        "since": f"{status.since:%Y-%m-%d %H:%M} UTC by {status.actor}" if status.since else "",
        "approved by": status.approved_by,
        "run": status.run_url,
        "goes back to": status.previous,
        "mixed": status.mixed,
        "changed by hand": ", ".join(status.drifted),
        "kept": ", ".join(status.retained),
        "blocked": ", ".join(f"{r} ({one_line(reason)})" for r, reason in status.blocked.items()),
        "orphans": ", ".join(status.orphans),
        "lock": status.lock,
        "unfinished": status.unfinished,
        "unexplained": status.unexplained,
    }
    yield from (f"  {name:16}{escape(_flat(text))}" for name, text in facts.items() if text)
    for job in status.jobs:
        last = f"last run {job.last_run}  {job.run_url or job.url}"
        yield f"  {'job':16}{escape(_flat(f'{job.key}: {last}'))}"
    if status.dora.days:
        yield f"  {f'last {status.dora.days} days':16}{_dora(status.dora)}"


def _dora(dora: Dora) -> str:
    hours = {
        "to target": (dora.lead_hours, dora.lead_of),
        "to mend": (dora.restore_hours, dora.restore_of),
    }
    told = [f"{name} {h:g} h (of {n})" for name, (h, n) in hours.items() if h is not None]
    deployments = _count(dora.deployments, "deployment")
    counts = f"{deployments} ({dora.per_week:g} a week), {dora.failed} failed"
    return ", ".join([counts, *told])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def history_as_text(events: Sequence[Event]) -> str:
    """Events, one a line."""
    lines = (
        f"{e.seq:5}  {e.at:%Y-%m-%d %H:%M}  {e.kind:11}  {e.release:22}  {escape(_who_and_why(e))}"
        for e in events
    )
    return "\n".join(map(str.rstrip, lines)) or "nothing happened yet"


def _who_and_why(event: Event) -> str:
    approved = f", approved by {one_line(event.approved_by)}" if event.approved_by else ""
    return f"{one_line(event.actor)}{approved}  {one_line(event.reason)}"


def drift_as_text(target: str, found: Sequence[Drift]) -> str:
    """What hands changed, each with the YAML that adopts it."""
    if not found:
        return f"{target}: as it was delivered"
    rest = [one.adopt for one in found[1:]]
    return "\n".join(
        line for one in zip(found, [*rest, ""], strict=True) for line in _drift_lines(*one)
    )


def _drift_lines(drift: Drift, following: str) -> Iterator[str]:
    """What is proposed once more for the entry that follows is shown there."""
    yield f"[yellow]◆[/] {escape(f'{drift.key}: {drift.what}')}"
    if drift.delivered != drift.found:
        yield f"    delivered {_brief(drift.delivered)}, found {_brief(drift.found)}"
    if drift.note:
        yield f"    {escape(drift.note)}"
    if drift.adopt and drift.adopt != following:
        yield "    to adopt it:"
        yield from (f"      {escape(line)}" for line in drift.adopt.splitlines())


def _brief(value: object) -> str:
    text = repr(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
