"""The status of all targets as one page: no network, light and dark, readable on a phone."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from delivery.status import Dora, JobStatus, Status, commit_url

# A state is told by a shape and a word, never by its colour alone.
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

_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --back: #f6f8fa; --card: #fff; --good: #116329; --wait: #7d4e00; --bad: #a40e26; --link: #0550ae }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --soft: #9aa4af; --line: #30363d;
  --back: #0d1117; --card: #161b22; --good: #56d364; --wait: #e3b341; --bad: #ff7b72;
  --link: #79c0ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: .5rem 0 } h2 { font-size: 1.2rem; margin: 0 }
h3 { font-size: 1rem; margin: 1rem 0 0 }
a { color: var(--link) } .soft { color: var(--soft) } time { white-space: nowrap }
td time { display: block }
main { display: grid; gap: 1rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)) }
section { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: 1rem; min-width: 0; overflow-wrap: anywhere }
.good { color: var(--good) } .wait { color: var(--wait) } .bad { color: var(--bad) }
.state { font-weight: 600; margin-right: 1rem; white-space: nowrap }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: .7rem 0 }
dt { color: var(--soft) } dd { margin: 0 }
table { border-collapse: collapse; width: 100%; margin-top: 1rem }
caption { text-align: left; font-weight: 600 }
td, th { border-top: 1px solid var(--line); padding: .3rem .5rem .3rem 0; text-align: left;
  vertical-align: top; font-weight: normal }
th { width: 40% }
code { font-family: ui-monospace, monospace; font-size: .9em }
ul { margin: .3rem 0; padding-left: 1.2rem }
"""


def page(project: str, statuses: Sequence[Status], now: datetime) -> str:
    """The whole page as HTML."""
    sections = "\n".join(_section(status) for status in statuses)
    name = escape(project)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}: what runs where</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{name}: what runs where</h1>
<p class="soft">{_time(now)}</p>
<main>
{sections}
</main>
</body>
</html>
"""


def _section(status: Status) -> str:
    return f"""<section aria-label="{escape(status.target)}">
<h2>{escape(status.target)}</h2>
<p>{_state(status.health)}{_state(status.sync)}</p>
<dl>{"".join(_facts(status))}</dl>
{"".join(_lists(status))}
{_jobs(status.jobs)}
{_dora(status.dora)}
</section>"""


def _state(word: str) -> str:
    shape, colour = _SHAPES.get(word, ("○", "soft"))
    mark = f'<span aria-hidden="true">{shape}</span>'
    return f'<span class="state {colour}">{mark} {escape(word)}</span>'


def _facts(status: Status) -> Iterator[str]:
    commit = f"<code>{escape(status.commit[:12])}</code>"
    facts = {
        "release": f"<code>{escape(status.release or 'none')}</code>",
        "commit": _link(commit_url(status.url, status.forge, status.commit), commit),
        "since": _time(status.since) if status.since else "",
        "by": _link(status.run_url, escape(status.actor)),
        "approved by": escape(status.approved_by),
        "goes back to": escape(status.previous),
        "mixed": escape(status.mixed),
        "lock": escape(status.lock),
        "unfinished": escape(status.unfinished),
        "unexplained": escape(status.unexplained),
        "workspace": _link(status.host, escape(status.host)),
        "looked at": _time(status.at),
    }
    bare = ("", "<code></code>")
    yield from (
        f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text not in bare
    )


def _lists(status: Status) -> Iterator[str]:
    lists = {
        "Changed by hand": status.drifted,
        "Kept from newer releases": status.retained,
        "Blocked": [f"{release}: {reason}" for release, reason in status.blocked.items()],
        "Orphans": status.orphans,
    }
    for title, entries in lists.items():
        if entries:
            rows = "".join(f"<li>{escape(entry)}</li>" for entry in entries)
            yield f"<h3>{title}</h3><ul>{rows}</ul>"


def _jobs(jobs: Sequence[JobStatus]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_link(job.url, escape(job.key))}</th>'
        f"<td>{_link(job.run_url, _state(job.last_run))} "
        f"{_time(job.started) if job.started else ''}</td></tr>"
        for job in jobs
    )
    return f"<table><caption>Jobs and their last runs</caption>{rows}</table>" if rows else ""


def _dora(dora: Dora) -> str:
    if not dora.days:
        return ""
    rate = "–" if dora.failure_rate is None else f"{dora.failure_rate:.0%}"
    rows = {
        "deployments a week": f"{dora.per_week:g} ({dora.deployments} in {dora.days} days)",
        "from commit to target": _hours(dora.lead_hours, dora.lead_of),
        "failed": f"{rate} ({dora.failed} of {dora.deployments})",
        "until it worked again": _hours(dora.restore_hours, dora.restore_of),
    }
    cells = "".join(f'<tr><th scope="row">{k}</th><td>{v}</td></tr>' for k, v in rows.items())
    return f"<table><caption>Delivery, last {dora.days} days</caption>{cells}</table>"


def _hours(hours: float | None, count: int) -> str:
    return "–" if hours is None else f"{hours:g} h (median of {count})"


def _link(address: str, text: str) -> str:
    """A link, but only to the web: an address from elsewhere may be a script."""
    if not address.startswith(("https://", "http://")):
        return text
    return f'<a href="{escape(address, quote=True)}">{text}</a>'


def _time(time: datetime) -> str:
    return f'<time datetime="{time.isoformat()}">{time:%Y-%m-%d %H:%M} UTC</time>'
