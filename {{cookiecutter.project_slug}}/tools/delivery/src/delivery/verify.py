"""Whether a delivery works: the job of each domain runs once, and is watched.

A run that never took place, or that somebody canceled, says nothing about a release: it is then
neither verified nor failed, and the same command goes on with the verification later.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from delivery.policy import Verify
from delivery.store import State
from delivery.workspace import Run, Workspace

_INTERVAL = 2.0  # seconds between two looks at the runs
_LONGEST = 60.0  # seconds between two runs that are skipped, at most


@dataclass(frozen=True)
class Verification:
    """What came of it; the release is verified when both are empty.

    Attributes:
        failed: what does not work, each with the name of its domain.
        open: what could not be found out, each with the name of its domain.
    """

    failed: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


def verify(
    workspace: Workspace, policy: Verify, state: State, token: str, say: Callable[[str], None]
) -> Verification:
    """Run the job of each domain, all at once; a job that is busy is waited for.

    Args:
        token: a UUID that names this verification: a second try watches the runs of the first.
    """
    ids = state.ids("jobs")
    missing = [f"{d}: there is no job {key}" for d, key in policy.jobs.items() if key not in ids]
    if missing:
        return Verification(tuple(missing))
    proofs = [_Proof(workspace, d, int(ids[key]), token) for d, key in policy.jobs.items()]
    end, told = time.monotonic() + policy.minutes * 60, ", ".join(policy.jobs)
    say(f"verifying {told}")
    while left := [proof for proof in proofs if not proof.is_over]:
        for proof in left:
            proof.look()
        news = ", ".join(proof.told for proof in left if not proof.is_over)
        if news and news != told:
            say(f"verifying {news}")
        told = news
        if time.monotonic() > end:
            for proof in left:
                proof.end(policy.minutes)
        elif news:
            time.sleep(min(_INTERVAL, max(0.1, end - time.monotonic())))
    return Verification(
        tuple(p.failed for p in proofs if p.failed), tuple(p.open for p in proofs if p.open)
    )


@dataclass
class _Proof:
    """The run that proves one domain.

    Attributes:
        tries: runs of this verification that came to nothing: each has a token of its own.
        run: the run that is watched; None until it has begun.
        busy: the run of somebody else that the job has, or had when we came.
        later: when the next try may begin.
        failed, open: what came of it, as `Verification` has it.
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
    open: str = field(default="", init=False)

    @property
    def told(self) -> str:
        """How far it is."""
        if self.busy and (self.run is None or self.run.cause == "queued"):
            return f"{self.domain} (its job is busy: {self.busy.url})"
        return self.domain

    def look(self) -> None:
        """Start the run as soon as its job is free, and see how it is doing."""
        watched = self.run
        if watched is None and (time.monotonic() < self.later or self._is_busy()):
            return
        number = watched.id if watched else self.workspace.start(self.job, self._key())
        self.run = self.workspace.run(number)
        if self.run.cause == "queued" and self.busy is None:
            self._is_busy()
        if self.run.cause == "skipped" or (self.run.cause == "canceled" and watched is None):
            self.tries, self.run = self.tries + 1, None  # it is of no use, and has its token
            self.later = time.monotonic() + min(_LONGEST, 2.0**self.tries)
        elif self.run.state != "running":
            self._judge(self.run)

    def _is_busy(self) -> bool:
        """Whether others have the job; at first, a run that we started may be of this delivery."""
        active = self.workspace.runs(self.job, active=True, limit=20)
        ours = "" if self.tries else self.workspace.me
        others = [r for r in active if not (self.run and r.id == self.run.id)]
        others = [r for r in others if not r.starter or r.starter != ours]
        self.busy = others[0] if others else self.busy
        return bool(others)

    def _key(self) -> str:
        name = f"{self.domain}-{self.tries}" if self.tries else self.domain
        return str(uuid.uuid5(uuid.UUID(self.token), name))

    def _judge(self, run: Run) -> None:
        self.is_over = True
        if run.cause == "canceled":
            self.open = f"{self.domain}: somebody canceled its run, {run.url}"
        elif run.state == "failed":
            self.failed = f"{self.domain}: {run.message or 'failed'}, {run.url}"

    def end(self, minutes: int) -> None:
        """Its time is over; only a run that had all of it has failed."""
        if self.is_over:
            return
        self.is_over = True
        if self.run and not self.busy and self.run.cause != "queued":
            self.workspace.cancel(self.run.id)
            self.failed = f"{self.domain}: no end after {minutes} minutes, {self.run.url}"
        else:
            what = self.busy.url if self.busy else "what the workspace is busy with"
            self.open = f"{self.domain}: its job had no {minutes} minutes for it beside {what}"
