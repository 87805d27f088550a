"""Verify a deploy: run the verification job of each domain once, and watch it.

A run that did not take place, or that was canceled, proves nothing: the release is then
neither verified nor failed, and the same command continues the verification later.
"""

import time
import uuid
from dataclasses import dataclass, field

from delivery.config.policy import Verify
from delivery.target.context import Progress
from delivery.target.store import State
from delivery.workspace.client import Run, Workspace

_INTERVAL = 2.0  # seconds between two polls of the runs
_LONGEST = 60.0  # seconds between two tries, after runs that were skipped


@dataclass(frozen=True)
class Verification:
    """The result; the release is verified if both are empty.

    Attributes:
        failed: why verification failed, each with the name of its domain.
        unverified: why verification did not take place, each with the name of its domain.
    """

    failed: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def verify(
    workspace: Workspace, policy: Verify, state: State, token: str, progress: Progress
) -> Verification:
    """Run the jobs of all domains at the same time; wait for jobs that are busy.

    Args:
        token: a UUID of this verification: a second try watches the runs of the first.
    """
    ids = state.ids("jobs")
    missing = [f"{d}: no deployed job {key}" for d, key in policy.jobs.items() if key not in ids]
    if missing:
        return Verification(tuple(missing))
    runs = [_VerificationRun(workspace, d, int(ids[key]), token) for d, key in policy.jobs.items()]
    end, shown = time.monotonic() + policy.minutes * 60, ", ".join(policy.jobs)
    progress(f"verifying {shown}")
    while left := [run for run in runs if not run.is_over]:
        for run in left:
            run.update()
        news = ", ".join(run.progress for run in left if not run.is_over)
        if news and news != shown:
            progress(f"verifying {news}")
        shown = news
        if time.monotonic() > end:
            for run in left:
                run.end(policy.minutes)
        elif news:
            time.sleep(min(_INTERVAL, max(0.1, end - time.monotonic())))
    return Verification(
        tuple(p.failed for p in runs if p.failed),
        tuple(p.unverified for p in runs if p.unverified),
    )


@dataclass
class _VerificationRun:
    """The run that verifies one domain.

    Attributes:
        tries: runs of this verification that did not take place; each has its own token.
        run: the watched run; None until it was started.
        busy: another run of the job, active now or when the verification began.
        later: when the next try may start, by the monotonic clock.
        failed, unverified: the result, as in `Verification`.
    """

    workspace: Workspace
    domain: str
    job: int
    token: str
    tries: int = 0
    run: Run | None = None
    busy: Run | None = None
    later: float = 0
    is_over: bool = field(default=False, init=False)
    failed: str = field(default="", init=False)
    unverified: str = field(default="", init=False)

    @property
    def progress(self) -> str:
        """Its progress, for people."""
        if self.busy and (self.run is None or self.run.inconclusive == "queued"):
            return f"{self.domain} (its job is busy: {self.busy.url})"
        return self.domain

    def update(self) -> None:
        """Start the run once its job is free, and poll it."""
        watched = self.run
        if watched is None and (time.monotonic() < self.later or self._is_busy()):
            return
        number = watched.id if watched else self.workspace.run_now(self.job, self._key())
        self.run = self.workspace.run(number)
        if self.run.inconclusive == "queued" and self.busy is None:
            self._is_busy()
        if self.run.inconclusive == "skipped" or (
            self.run.inconclusive == "canceled" and watched is None
        ):
            self.tries, self.run = self.tries + 1, None  # its token is used up
            self.later = time.monotonic() + min(_LONGEST, 2.0**self.tries)
        elif self.run.state != "running":
            self._judge(self.run)

    def _is_busy(self) -> bool:
        """Whether others run the job. On the first try, our runs may belong to this deploy."""
        active = self.workspace.runs(self.job, active=True, limit=20)
        ours = "" if self.tries else self.workspace.me
        others = [r for r in active if not (self.run and r.id == self.run.id)]
        others = [r for r in others if not r.started_by or r.started_by != ours]
        self.busy = others[0] if others else self.busy
        return bool(others)

    def _key(self) -> str:
        name = f"{self.domain}-{self.tries}" if self.tries else self.domain
        return str(uuid.uuid5(uuid.UUID(self.token), name))

    def _judge(self, run: Run) -> None:
        self.is_over = True
        if run.inconclusive == "canceled":
            self.unverified = f"{self.domain}: its run was canceled, {run.url}"
        elif run.state == "failed":
            self.failed = f"{self.domain}: {run.message or 'failed'}, {run.url}"

    def end(self, minutes: int) -> None:
        """At the time limit, only a run that had all of the time counts as failed."""
        if self.is_over:
            return
        self.is_over = True
        if self.run and not self.busy and self.run.inconclusive != "queued":
            self.workspace.cancel(self.run.id)
            self.failed = f"{self.domain}: timed out after {minutes} minutes, {self.run.url}"
        else:
            busy = f"the job was busy: {self.busy.url}" if self.busy else "the workspace was busy"
            self.unverified = (
                f"{self.domain}: the run had less than {minutes} minutes, because {busy}"
            )
