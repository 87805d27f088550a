"""Whether a delivery works: the job of each domain runs once, and is watched."""

import time
import uuid
from collections.abc import Callable, Iterator

from delivery.policy import Verify
from delivery.store import State
from delivery.workspace import Run, Workspace

_INTERVAL = 2.0  # seconds between two looks at the runs


def verify(
    workspace: Workspace, policy: Verify, state: State, token: str, say: Callable[[str], None]
) -> list[str]:
    """Run the job of each domain, all at once.

    Args:
        token: a UUID that names this verification: a second try watches the runs of the first.

    Returns:
        What failed, each with the name of its domain; nothing when all is well.
    """
    ids = state.ids("jobs")
    missing = [f"{d}: there is no job {key}" for d, key in policy.jobs.items() if key not in ids]
    if missing:
        return missing
    running = {
        domain: workspace.start(int(ids[key]), str(uuid.uuid5(uuid.UUID(token), domain)))
        for domain, key in policy.jobs.items()
    }
    end = time.monotonic() + policy.minutes * 60
    return list(_failures(workspace, running, end, policy.minutes, say))


def _failures(
    workspace: Workspace,
    running: dict[str, int],
    end: float,
    minutes: int,
    say: Callable[[str], None],
) -> Iterator[str]:
    while running:
        say(f"verifying {', '.join(running)}")
        for domain, run in [*running.items()]:
            seen = workspace.run(run)
            if seen.state != "running" or time.monotonic() > end:
                del running[domain]
                if seen.state == "running":
                    workspace.cancel(run)
                yield from _failure(domain, seen, minutes)
        if running:
            time.sleep(min(_INTERVAL, max(0.1, end - time.monotonic())))


def _failure(domain: str, run: Run, minutes: int) -> Iterator[str]:
    if run.state == "running":
        yield f"{domain}: no end after {minutes} minutes, {run.url}"
    elif run.state == "failed":
        yield f"{domain}: {run.message or 'failed'}, {run.url}"
