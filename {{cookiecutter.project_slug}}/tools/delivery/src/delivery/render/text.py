"""Results as text, with the markup of rich."""

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.text import Text

from delivery.plan.model import NEW_TABLE, Plan, ResourceChange, TableChange
from delivery.refusals import entries
from delivery.render.facts import counted, dora_facts, short_line, single_line, status_facts
from delivery.status.drift import Drift
from delivery.status.status import Status
from delivery.target.events import Event

_SIGNS = {"create": "[green]+[/]", "delete": "[red]−[/]", "recreate": "[red]±[/]"}
_EFFECT_SIGNS = {"safe": "[green]~[/]", "rewrite": "[yellow]~[/]", "destructive": "[red]−[/]"}
_MOST_FIELDS = 6
_MOST_STATEMENTS = 6
_MOST_NAMES = 3
_LONGEST = 300  # characters of a value; the suggested YAML contains all of it


def from_markup(text: str) -> Text:
    """Interpret markup line by line, so that no bracket of one line closes one of another."""
    return Text("\n").join(Text.from_markup(line) for line in text.split("\n"))


def plan_as_text(plan: Plan) -> str:
    """What a plan changes and retains, its decisions, and its digest."""
    return "\n".join(_plan_lines(plan))


def _plan_lines(plan: Plan) -> Iterator[str]:
    running = f" (now {plan.running})" if plan.running else ""
    yield f"[bold]{plan.release}[/] on {plan.target}{running}"
    code = [change.key for change in plan.changes if change.is_code]
    if code:
        resources = counted(len(code), "resource")
        yield f"[yellow]~[/] code: {plan.running} → {plan.release} ({resources})"
        yield from (f"    {escape(commit)}" for commit in plan.commits)
    for change in plan.changes:
        if not change.is_code:
            yield from _change_lines(change)
    yield from (f"[cyan]=[/] {escape(key)} is retained" for key in plan.retained)
    yield from _table_lines(plan.tables)
    for decision in plan.decisions:
        yield f"[bold]{decision.action}[/] {escape(f'{decision.key}: {decision.reason}')}"
    if plan.refusals:
        yield f"    See {entries(plan.refusal_names)}"
    if plan.receipt_age:
        yield escape(plan.receipt_age)
    counts = plan.counts()
    yield (
        f"{counts['create']} to create, {counts['update']} to change, "
        f"{counts['delete']} to delete, {counts['retained']} retained"
    )
    yield f"digest {plan.digest}"


def _change_lines(change: ResourceChange) -> Iterator[str]:
    drift = " [magenta](changed outside delivery, will be reverted)[/]" if change.is_drift else ""
    yield f"{_SIGNS.get(change.action, '[yellow]~[/]')} {change.action} {escape(change.key)}{drift}"
    for field in change.fields[:_MOST_FIELDS]:
        before = field.remote if field.is_drift else field.old
        yield f"    {escape(f'{field.path}: {before!r} → {field.new!r}')}"
    if len(change.fields) > _MOST_FIELDS:
        yield f"    and {len(change.fields) - _MOST_FIELDS} more"


def _table_lines(tables: Sequence[TableChange]) -> Iterator[str]:
    """Changed tables with their changes and statements; new ones together on one line."""
    new = [t.table for t in tables if [change.what for change in t.changes] == [NEW_TABLE]]
    for table in tables:
        if table.table in new:
            continue
        source = "bronze" if ".silver." in table.table else "silver"
        rebuilt = f", computed anew from {source} by the next run" if table.rebuilt else ""
        sign = _EFFECT_SIGNS[table.effect]
        yield f"{sign} table {escape(table.table)}: {table.effect}{rebuilt}"
        shown = [c for c in table.changes if c.effect == "destructive"]
        shown += [c for c in table.changes if c not in shown][: max(0, _MOST_FIELDS - len(shown))]
        for change in shown:
            yield f"    {change.effect}: {escape(short_line(change.what))}"
        if len(table.changes) > len(shown):
            yield f"    and {len(table.changes) - len(shown)} more"
        if len(table.statements) <= _MOST_STATEMENTS:
            yield from (f"    {escape(short_line(statement))}" for statement in table.statements)
        else:
            yield f"    {len(table.statements)} statements; --output json shows them"
    if new:
        more = f", and {len(new) - _MOST_NAMES} more" if len(new) > _MOST_NAMES else ""
        names = escape(", ".join(new[:_MOST_NAMES]))
        yield f"[green]+[/] {counted(len(new), 'new table')}: {names}{more}"


def status_as_text(status: Status) -> str:
    """The status of one target."""
    return "\n".join(_status_lines(status))


def _status_lines(status: Status) -> Iterator[str]:
    release = escape(short_line(status.release)) or "no release deployed"
    yield f"[bold]{escape(status.target)}[/]  {release}  {status.health}, {status.sync}"
    facts = {**status_facts(status), **status_lists(status)}
    yield from (f"  {name:24}{escape(single_line(text))}" for name, text in facts.items() if text)
    for job in status.jobs:
        last = f"last run {job.last_run}  {job.run_url or job.url}"
        yield f"  {'job':24}{escape(single_line(f'{job.key}: {last}'))}"
    figures = ", ".join(f"{name} {value}" for name, value in dora_facts(status.dora).items())
    if figures:
        yield f"  {f'last {status.dora.days} days':24}{figures}"


def status_lists(status: Status) -> dict[str, str]:
    """The lists of a status, each on one line."""
    blocked = (f"{release} ({short_line(reason)})" for release, reason in status.blocked.items())
    return {
        "changed outside delivery": ", ".join(status.drifted),
        "retained": ", ".join(status.retained),
        "blocked": ", ".join(blocked),
        "orphans": ", ".join(status.orphans),
    }


def history_as_text(events: Sequence[Event]) -> str:
    """Events, one per line."""
    lines = (
        f"{e.seq:5}  {e.at:%Y-%m-%d %H:%M}  {e.kind:11}  {e.release:22}  {escape(_who_and_why(e))}"
        for e in events
    )
    return "\n".join(map(str.rstrip, lines)) or "no events"


def _who_and_why(event: Event) -> str:
    approved = f", approved by {short_line(event.approved_by)}" if event.approved_by else ""
    return f"{short_line(event.actor)}{approved}  {short_line(event.reason)}"


def drift_as_text(target: str, found: Sequence[Drift]) -> str:
    """Drift, each change with the YAML that would keep it."""
    if not found:
        return f"{target}: no drift"
    following = [drift.patch for drift in found[1:]]
    return "\n".join(
        line for pair in zip(found, [*following, ""], strict=True) for line in _drift_lines(*pair)
    )


def _drift_lines(drift: Drift, following: str) -> Iterator[str]:
    """One entry. A patch that the next entry repeats is shown only there."""
    yield f"[yellow]◆[/] {escape(f'{drift.key}: {drift.path}')}"
    if drift.expected != drift.actual:
        yield f"    expected {_short_repr(drift.expected)}, found {_short_repr(drift.actual)}"
    if drift.hint:
        yield f"    {escape(drift.hint)}"
    if drift.patch and drift.patch != following:
        yield "    to keep it:"
        yield from (f"      {escape(line)}" for line in drift.patch.splitlines())


def _short_repr(value: object) -> str:
    text = repr(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
