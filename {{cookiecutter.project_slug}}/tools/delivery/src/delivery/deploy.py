"""Carry out a plan: lock, plan again, deploy, verify, and go back when it fails."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from delivery.approval import check_approval
from delivery.bundle_cli import CliError
from delivery.errors import DeliveryError, Exit
from delivery.existing import existing
from delivery.fetch import verified
from delivery.guard import DESTROYS
from delivery.ledger import Event, Lock, Name, StateOf
from delivery.notify import notify
from delivery.operate import let_go
from delivery.plan import Plan, moved, normalised
from delivery.policy import Policy
from delivery.prepare import Preparation, Prepared, Wishes, unsaved
from delivery.release import Archive
from delivery.site import Site
from delivery.status import mixed_jobs
from delivery.verify import Verification, verify
from delivery.workspace import Job

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """How a delivery ended.

    Attributes:
        release: what runs now.
        event: the last event that was written; None when there was nothing to do.
    """

    release: str
    event: Event | None
    message: str


@dataclass(frozen=True)
class Delivery:
    """One release on its way to one target.

    Attributes:
        approved: the plan that was approved; None where none is asked for.
        wait: how long to wait for the target's lock, in seconds.
        break_lock: take the lock away from whoever has it.
        say: tells people how far it is.
        began: when it was asked for, by this machine's clock, as Unix time.
        left_by_us: the most that our own calls may have made of the serial of the CLI's state; each
            of them writes it once.
    """

    site: Site
    archive: Archive
    wishes: Wishes
    approved: Plan | None = None
    approved_digest: str = ""
    wait: float = 0
    break_lock: bool = False
    say: Say = field(default=lambda _: None)
    began: float = field(default_factory=time.time)
    left_by_us: list[int] = field(default_factory=list, init=False)

    def dry_run(self) -> Plan:
        """All that comes before the first change.

        Raises:
            DeliveryError: the delivery would be refused.
        """
        self.site.check_seen(may_be_new=self.wishes.first)
        return self._judged().plan

    def carry_out(self) -> Result:
        """Deliver the release.

        Raises:
            DeliveryError: it was refused, or it failed; then what was before is back, if it could.
        """
        if self.wishes.first:
            self.site.store.make_marker()
        self.site.check_seen()
        self.site.ledger.names()  # by now even a new target has a ledger
        self.site.ledger.is_new = self.wishes.first
        what = (
            f"{'going back to' if self.wishes.back else 'deploy'} {self.archive.manifest.release}"
        )
        with self._locked(what) as lock:
            self._refuse_other_way_back()
            self.say("planning once more")
            prepared = self._let_go(self._judged())
            self._refuse_short_token(prepared.own)
            self._remove(prepared.removed)
            if _is_done(prepared):
                if self.wishes.back:
                    self._block(lock, prepared)
                return Result(prepared.plan.release, None, "nothing to do: it runs and is verified")
            result = self._delivered(lock, prepared)
        if self.wishes.back:
            told = f"went back to {result.release}: {self.wishes.reason}"
            notify(self.site.policy, self.site.target.name, told)
        return result

    def _refuse_other_way_back(self) -> None:
        """What to go back to was chosen before we had the lock: it must be the same still."""
        release = self.archive.manifest.release
        if self.wishes.back and crossing(self.site, self.wishes.release) != release:
            raise DeliveryError(
                f"going back to {release}: somebody delivered meanwhile\n    Look at it: delivery "
                f"status {self.site.target.name}, and type it again.",
                Exit.REFUSED,
            )

    def _let_go(self, prepared: Prepared) -> Prepared:
        """Forget what hands made and a later release adopted: going back must not delete it."""
        if not prepared.adopted or not prepared.plan.back:
            return prepared
        for key, earlier in prepared.adopted.items():
            self.say(f"letting go of {key}, which was there before")
            let_go(prepared.cli, key, earlier, str(prepared.state.entries[key]["__id__"]))
        return self._judged()

    def _block(self, lock: Lock, prepared: Prepared) -> None:
        """The releases that a person leaves must not come again by themselves."""
        standing = self.site.ledger.standing()
        for release in standing.behind(prepared.plan.release):
            if release not in standing.blocked:
                self.site.ledger.append(lock, "blocked", release, reason=self.wishes.reason)

    @contextlib.contextmanager
    def _locked(self, what: str) -> Iterator[Lock]:
        waiting = lambda told: self.say(f"waiting for {told}")  # noqa: E731
        with self.site.ledger.lock(what, self.wait, self.break_lock, waiting) as lock:
            if self.break_lock:  # both locks are of the run that is gone
                self.site.store.remove_lock_of_cli()
            yield lock

    def _judged(self) -> Prepared:
        """The plan as it is now.

        Raises:
            DeliveryError: it is refused.
        """
        prepared = Preparation(self.site, self.archive, self.wishes).plan()
        self._refuse(prepared)
        return prepared

    def _refuse_short_token(self, policy: Policy) -> None:
        """A delivery that loses its identity half way cannot go back; waiting uses it up."""
        need = policy.delivery_minutes
        if self._minutes_left(need) < need:
            self.site.workspace.renew()
        left = self._minutes_left(need)
        if left < need:
            raise DeliveryError(
                f"token: given {left:.0f} minutes of life, expected {need}: deploy, verification "
                "and the way back may take so long\n    Start the job again, or lower "
                "verify.minutes in delivery.yml.",
                Exit.REFUSED,
            )

    def _minutes_left(self, otherwise: float) -> float:
        expires = self.site.workspace.expires
        return (expires - time.time()) / 60 if expires else otherwise

    def _refuse(self, prepared: Prepared) -> None:
        plan, target = prepared.plan, self.site.target.name
        if not plan.back:
            given = (self.approved, self.approved_digest, self.wishes.approved_by)
            check_approval(prepared.policy, target, *given)
        if plan.refused:
            told = "\n".join(f"  {v.key}: {v.reason}" for v in plan.refused)
            raise DeliveryError(f"refused on {target}:\n{told}", Exit.REFUSED)
        approved, begun = self.approved, self._is_begun()
        differences = moved(approved, plan, begun) if approved else []
        if differences:
            told = "\n".join(f"  {difference}" for difference in differences)
            raise DeliveryError(
                f"the approved plan is not what it would be now:\n{told}", Exit.REFUSED
            )
        expected = approved.digest if approved and begun else plan.digest
        if self.approved_digest and self.approved_digest != expected:
            raise DeliveryError(
                f"plan digest: given {self.approved_digest}, expected {plan.digest} of the plan as "
                f"it is now\n    See it: delivery plan {target}",
                Exit.REFUSED,
            )

    def _is_begun(self) -> bool:
        """Whether the approved plan was carried out before, and cut off."""
        if self.approved is None:
            return False
        for name in reversed(self.site.ledger.names()):
            event = self.site.ledger.read(name)
            if not (name.kind == "failed" and "lock" in event.detail):  # its lock was broken
                begun = name.kind in ("started", "deployed")
                return begun and event.plan_digest == self.approved.digest
        return False

    def _delivered(self, lock: Lock, prepared: Prepared) -> Result:
        """Deploy and verify; what fails goes back."""
        began = time.monotonic()
        try:
            deployed = self._deployed(lock, prepared, began)
        except CliError as error:
            return self._way_back(lock, prepared, str(error), self.left_by_us[-1])
        seen = self._verified(prepared, deployed)
        if seen.failed:
            return self._way_back(lock, prepared, "; ".join(seen.failed), deployed.state.serial)
        if seen.open:
            self._leave_open(prepared, seen)
        event = self._write(lock, "verified", prepared, began)
        self.site.forget()
        return Result(prepared.plan.release, event, "delivered and verified")

    def _leave_open(self, prepared: Prepared, seen: Verification) -> None:
        """What could not be verified is neither good nor bad; it is verified later.

        Raises:
            DeliveryError: always; the message says how.
        """
        release, target = prepared.plan.release, self.site.target.name
        told = f"{release} runs on {target} and is not verified yet: {'; '.join(seen.open)}"
        told += "\n    It is not blocked. To verify it, type the same command again."
        notify(self.site.policy, target, told)
        raise DeliveryError(told, Exit.FAILED)

    def _deployed(self, lock: Lock, prepared: Prepared, began: float) -> Event:
        """Hand the plan to the CLI, once more after a failure, and write down what came of it."""
        plan, running = prepared.plan, prepared.standing.delivered
        if _is_resumed(prepared) and running:
            return self.site.ledger.read(running)  # cut off before it was verified
        ours = self.site.store.made_lock_of_cli(self.site.workspace.me, self.began)
        broken = self.site.store.breaks_lock_of_cli(self.break_lock or ours)
        self.site.store.put(prepared.archive)
        if plan.back:
            self._block(lock, prepared)
        self._write(lock, "started", prepared, began)
        self.say(f"deploying {plan.release}")
        try:
            self._run_cli(lock, prepared, broken)
        except CliError:
            self._tidy(came_through=False)
            raise
        self._tidy()
        kind = "rolled_back" if plan.back else "deployed"
        event = self._write(lock, kind, prepared, began, detail=_detail(prepared))
        self.site.store.keep_state(Name(event.seq, kind, event.release), self.site.store.state())
        return event

    def _run_cli(self, lock: Lock, prepared: Prepared, broken: bool) -> None:
        """One retry, with a plan of its own: the first try may have done a part."""
        self.left_by_us.append(prepared.state.serial + 1)
        try:
            prepared.cli.deploy(prepared.raw, force_lock=broken)
        except CliError as error:
            ours = self._keeps_lock_of_cli(lock, prepared)
            self.say(f"failed, trying once more: {error}")
            self._own(prepared)
            self.left_by_us.append(self.left_by_us[-1] + 1)
            prepared.cli.deploy(_rest(prepared, error), force_lock=ours)

    def _keeps_lock_of_cli(self, lock: Lock, prepared: Prepared) -> bool:
        """Whether our own try left the CLI's lock.

        Raises:
            DeliveryError: somebody else has it, past this tool; their work is left alone.
        """
        held = self.site.store.lock_of_cli()
        if not held or self.site.store.made_lock_of_cli(self.site.workspace.me, self.began):
            return bool(held)
        told = f"lock of the CLI on {self.site.target.name}: {held} works on it, past this tool"
        self._write(lock, "failed", prepared, time.monotonic(), reason=told)
        raise DeliveryError(f"{told}\n    Wait for it, and start again.", Exit.REFUSED)

    def _own(self, prepared: Prepared) -> None:
        """Bind what the failed try made without knowing it: nothing of it was there before."""
        known = self.site.store.state().entries
        found = existing(self.site.workspace, prepared.target, prepared.plan.changes)
        for key, identity in found.items():
            if key not in known:
                self.say(f"keeping {key}, which was made without an answer")
                self.left_by_us.append(self.left_by_us[-1] + 1)
                prepared.cli.bind(key.partition(".")[2], identity)

    def _tidy(self, came_through: bool = True) -> None:
        """Put away jobs that a delivery of ours made and that no state knows: an answer was lost.

        Nobody has seen a double, nor what a failed deploy made: they go. What else there is may
        not start by itself.
        """
        try:
            state = self.site.store.state()
            orphans = self.site.store.orphans(state)
            if orphans:
                useless = self.site.store.doubles(state, orphans) if came_through else orphans
                kept = unsaved(self.site)
                ours = [j for j in self.site.lost(useless) if str(j.id).encode() not in kept]
                self._remove(ours)
                for job in orphans:
                    if job not in ours:
                        self.site.workspace.pause(job.id)
        except DeliveryError as error:
            if came_through:
                raise
            self.say(f"what the deploy left could not be removed: {error}")

    def _remove(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.say(f"removing job {job.id}, which no state knows: {job.name}")
            self.site.workspace.delete_job(job.id)

    def _verified(self, prepared: Prepared, deployed: Event) -> Verification:
        """What fails; a verification that cannot be carried out has failed, too."""
        try:
            state = self.site.store.state()
            return verify(self.site.workspace, prepared.proof, state, deployed.id, self.say)
        except DeliveryError as error:
            return Verification(failed=(f"verification: {error}",))

    def _way_back(self, lock: Lock, prepared: Prepared, reason: str, serial: int) -> Result:
        """Bring back what was verified before.

        Raises:
            DeliveryError: always; the message says what runs now.
        """
        release, target = prepared.plan.release, self.site.target.name
        self.say(f"failed: {reason}")
        state = self.site.store.state()
        detail = {"back": prepared.plan.back}
        self._write(lock, "failed", prepared, time.monotonic(), reason=reason, detail=detail)
        if prepared.plan.back:
            told = f"going back to {release} failed on {target}: {reason}\n    Try it once more."
            notify(self.site.policy, target, told)
            raise DeliveryError(told, Exit.FAILED)
        self.site.ledger.append(
            lock, "blocked", release, digest=prepared.plan.digest_of_release, reason=reason
        )
        try:
            previous = self._previous(prepared, state.serial <= serial)
            outcome = self._gone_back(lock, previous)
        except DeliveryError as error:
            unpaused = self._pause()
            mixed = mixed_jobs(self.site.store.state(), self.site.ledger.standing())
            paused = f"not all jobs could be paused: {unpaused}" if unpaused else "jobs are paused"
            outcome = f"going back was not possible, {paused}: {error}"
            outcome += f"\n    Mixed: {mixed}." if mixed else ""
        told = f"{release} failed on {target}: {reason}\n    {outcome}\n    {release} is blocked."
        notify(self.site.policy, target, told)
        raise DeliveryError(told, Exit.FAILED)

    def _previous(self, prepared: Prepared, ours: bool) -> str:
        """The release to go back to."""
        if not ours:
            raise DeliveryError("somebody deployed past this tool meanwhile: see delivery status")
        irreversible = prepared.own.data.irreversible
        refuse_irreversible(self.site, irreversible, prepared.plan.release)
        return crossing(self.site, "")

    def _gone_back(self, lock: Lock, release: str) -> str:
        self.say(f"going back to {release}")
        back = replace(
            self,
            archive=verified(self.site, release)[0],
            wishes=Wishes(back=True, reason="the release after it failed"),
            approved=None,
            approved_digest="",
        )
        prepared = back._let_go(back._judged())
        self._remove(prepared.removed)
        began = time.monotonic()
        deployed = back._deployed(lock, prepared, began)
        seen = back._verified(prepared, deployed)
        if seen.failed:
            raise DeliveryError(f"{release} is back, but fails now too: {'; '.join(seen.failed)}")
        if seen.open:
            again = f"verify it: delivery rollback {self.site.target.name} --reason …"
            return f"{release} is back, not verified yet: {'; '.join(seen.open)}; {again}"
        back._write(lock, "verified", prepared, began)
        return f"{release} is back, and verified."

    def _pause(self) -> str:
        """Let no job start by itself; says which could not be paused."""
        unpaused = []
        for job in self.site.store.jobs():
            try:
                self.site.workspace.pause(job.id)
            except DeliveryError as error:
                unpaused.append(f"{job.name} ({error})")
        return ", ".join(unpaused)

    def _write(
        self, lock: Lock, kind: Any, prepared: Prepared, began: float, **fields: Any
    ) -> Event:
        manifest, plan, state = prepared.archive.manifest, prepared.plan, self.site.store.state()
        told: Mapping[str, Any] = {
            "digest": plan.digest_of_release,
            "plan_digest": self.approved.digest if self.approved else plan.digest,
            "commit": manifest.commit,
            "branch": manifest.branch,
            "approved_by": self.wishes.approved_by,
            "reason": self.wishes.reason,
            "cli_version": prepared.cli_version,
            "state": StateOf(lineage=state.lineage, serial=state.serial),
            "changes": plan.counts(),
            "seconds": round(max(0.0, time.monotonic() - began), 1),
        }
        return self.site.ledger.append(lock, kind, plan.release, **{**told, **fields})


def _rest(prepared: Prepared, failure: CliError) -> Mapping[str, Any]:
    """What a failed try left to do, as the CLI plans it.

    Raises:
        CliError: it would destroy what the guard has not seen.
    """
    raw = prepared.cli.plan()
    seen = {change.key for change in prepared.plan.changes if change.action in DESTROYS}
    for change in normalised(raw, frozenset()):
        if change.action in DESTROYS and change.key not in seen:
            raise failure
    return raw


def _is_resumed(prepared: Prepared) -> bool:
    """Whether only the verification is missing; one that failed is made anew, with a new event."""
    plan, standing = prepared.plan, prepared.standing
    return plan.running == plan.release and not plan.changes and not standing.failed


def _is_done(prepared: Prepared) -> bool:
    plan = prepared.plan
    return plan.running == plan.release and not plan.changes and prepared.standing.verified


def _detail(prepared: Prepared) -> dict[str, Any]:
    """What later deliveries need to know of this one."""
    running = prepared.standing
    return {
        "retained": prepared.plan.retained,
        "used": list(prepared.allowed),
        "policy": prepared.own.terms.stored(),
        "irreversible": prepared.own.data.irreversible,
        "time": prepared.archive.manifest.time,
        "before": running.running,
    }


def crossing(site: Site, release: str) -> str:
    """The release to go back to, if nothing in between changed data for good.

    Args:
        release: empty for the newest one that was verified before.

    Raises:
        DeliveryError: there is none, or going back there is refused.
    """
    names = site.ledger.names()
    standing = site.ledger.standing(names)
    chosen = release or standing.back(site.store.kept())
    behind = [*standing.before(standing.running), *({standing.running} & {*standing.good})]
    if chosen not in behind:
        known = ", ".join(behind) or "none"
        given = f"given {chosen}" if chosen else "given none, and nothing good was before what runs"
        raise DeliveryError(
            f"release: {given}; verified here before what runs: {known}\n"
            f"    A later one is delivered again: delivery deploy {site.target.name} --archive FILE"
        )
    for name in reversed([n for n in names if n.kind in ("deployed", "rolled_back")]):
        if name.release == chosen:
            break
        refuse_irreversible(
            site, site.ledger.read(name).detail.get("irreversible", ""), name.release
        )
    return chosen


def refuse_irreversible(site: Site, reason: str, release: str) -> None:
    """Refuse to go back across a release that changed data for good.

    Raises:
        DeliveryError: this is such a release.
    """
    if reason:
        raise DeliveryError(
            f"{release} cannot be gone back across on {site.target.name}: {reason}\n"
            "    Go forward with a mended release.",
            Exit.REFUSED,
        )
