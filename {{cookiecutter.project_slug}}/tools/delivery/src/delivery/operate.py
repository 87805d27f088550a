"""The exceptions: block and unblock releases, remove old ones, adopt what exists."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from delivery import retain
from delivery.bundle_cli import BundleCli, CliError
from delivery.errors import DeliveryError, Exit
from delivery.ledger import NO_RELEASE, Event, Lock
from delivery.leftovers import Found
from delivery.notify import notify
from delivery.plan import Plan
from delivery.prepare import Preparation, Prepared, Wishes
from delivery.release import ID, Archive
from delivery.site import Site


@dataclass(frozen=True)
class Operation:
    """One exception on one target, with its reason.

    Attributes:
        approved_by: who agreed, by the word of the forge.
        wait: how long to wait for the lock, in seconds.
    """

    site: Site
    reason: str
    approved_by: str = ""
    wait: float = 0
    break_lock: bool = False
    say: Callable[[str], None] = field(default=lambda _: None)

    def block(self, release: str) -> Event:
        """Refuse a release from now on."""
        with self._locked(f"block {release}") as lock:
            event = self.site.ledger.append(
                lock, "blocked", _release(release), reason=self.reason, approved_by=self.approved_by
            )
        notify(self.site.policy, self.site.target.name, f"{release} is blocked: {self.reason}")
        return event

    def block_left(self, plan: Plan) -> list[Event]:
        """Refuse here what going back leaves on another target: it may be on its way already.

        Raises:
            DeliveryError: it is no plan of this project for going back.
        """
        target, project = self.site.target.name, self.site.target.project
        if not plan.back or plan.project != project:
            raise DeliveryError(
                f"--left-by: given a plan for {plan.release} on {plan.target}, "
                "expected one of this project for going back: "
                "delivery rollback TARGET --dry-run --save FILE"
            )
        with self._locked(f"block what {plan.target} leaves") as lock:
            known = self.site.ledger.standing().blocked
            told = {"reason": self.reason, "approved_by": self.approved_by}
            left = [release for release in plan.leaves if release not in known]
            events = [self.site.ledger.append(lock, "blocked", one, **told) for one in left]
        for event in events:
            notify(self.site.policy, target, f"{event.release} is blocked: {self.reason}")
        return events

    def unblock(self, release: str) -> Event:
        """Let a blocked release be delivered again.

        Raises:
            DeliveryError: it is not blocked.
        """
        with self._locked(f"unblock {release}") as lock:
            blocked = self.site.ledger.standing().blocked
            if release not in blocked:
                known = ", ".join(blocked) or "none"
                raise DeliveryError(f"release: given {release!r}, expected a blocked one: {known}")
            return self.site.ledger.append(
                lock, "unblocked", release, reason=self.reason, approved_by=self.approved_by
            )

    def free(self) -> Event:
        """Take the locks from a run that is gone for good, and end what it began.

        Raises:
            DeliveryError: nobody has a lock.
        """
        self.site.check_seen()
        self.site.ledger.names()
        held = self.site.ledger.held()
        told = held.told(datetime.now(UTC)) if held else self.site.store.lock_of_cli()
        if not told:
            raise DeliveryError(f"lock of {self.site.target.name}: nobody has it")
        with replace(self, break_lock=True)._locked("break-lock") as lock:
            cut_off = self.site.ledger.standing().unfinished
            release = cut_off.release if cut_off else NO_RELEASE
            detail = {"lock": told}
            return self.site.ledger.append(
                lock,
                "failed",
                release,
                reason=self.reason,
                approved_by=self.approved_by,
                detail=detail,
            )

    def prune(self, keep: int, dry_run: bool) -> list[str]:
        """Remove old releases; what runs and the last good ones stay, and so does the ledger."""
        with self._locked("prune") as lock:
            gone = prunable(self.site, keep)
            for release in [] if dry_run else gone:
                self.say(f"removing {release}")
                self.site.store.remove(release)
            if gone and not dry_run:
                detail = {"releases": gone}
                self.site.ledger.append(
                    lock,
                    "pruned",
                    NO_RELEASE,
                    reason=self.reason,
                    approved_by=self.approved_by,
                    detail=detail,
                )
        return gone

    def adopt(self, archive: Archive, key: str, resource_id: str, instead_of: str) -> Event:
        """Let the bundle own what is there: nothing is made, nothing is deleted.

        Args:
            key: the key in the release, such as `jobs.flights_daily`.
            resource_id: what to own; empty when it is that of another key.
            instead_of: the key that it was known by.
        """
        with self._locked(f"adopt {key}") as lock:
            preparation = Preparation(self.site, archive, Wishes(first=True))
            self._refuse_key(key, preparation.target.declared, instead_of)
            found = resource_id or self._id_of(instead_of)
            self._refuse_foreign(key, found)
            self._refuse_known(key, found, instead_of)
            detail: dict[str, Any] = {"key": key, "id": found, "from": instead_of}
            if not instead_of and preparation.leftovers.is_ours(key, found):
                detail["ours"] = True
            cli = BundleCli(preparation.opened.folder, self.site.target.name, self.site.workspace)
            self.site.store.breaks_lock_of_cli(allowed=False)
            _rebind(cli, key, found, instead_of)
            self.site.forget()
            return self._adopted(lock, archive, detail)

    def adopt_all(self, archive: Archive, dry_run: bool) -> tuple[list[Found], list[Found]]:
        """Let the bundle own all that a delivery of this target made and that no state knows.

        Returns:
            What was bound, and what is there but is not known to be ours: it is left alone.
        """
        if dry_run:
            return _told_apart(Preparation(self.site, archive, Wishes(first=True)).plan())
        with self._locked("adopt --all") as lock:
            self.site.store.breaks_lock_of_cli(allowed=False)
            prepared = Preparation(self.site, archive, Wishes(first=True)).plan()
            ours, others = _told_apart(prepared)
            bound: dict[str, str] = {}
            try:
                for one in ours:
                    self.say(f"adopting {one.key} ({one.id})")
                    prepared.cli.bind(one.key.partition(".")[2], one.id)
                    bound[one.key] = one.id
            finally:
                if bound:
                    self._adopted(lock, archive, {"all": bound, "ours": True})
            self.site.forget()
        return ours, others

    def _adopted(self, lock: Lock, archive: Archive, detail: dict[str, Any]) -> Event:
        given = {"reason": self.reason, "approved_by": self.approved_by, "detail": detail}
        return self.site.ledger.append(lock, "adopted", archive.manifest.release, **given)

    def _refuse_key(self, key: str, declared: set[str], instead_of: str) -> None:
        if key not in declared:
            known = ", ".join(sorted(declared))
            raise DeliveryError(f"key: given {key!r}, expected one of {known}")
        if instead_of and instead_of.partition(".")[0] != key.partition(".")[0]:
            raise DeliveryError(
                f"--from: given {instead_of!r}, expected a key of the kind of {key}"
            )
        if key in self.site.state(self.site.ledger.standing()).entries:
            raise DeliveryError(f"key: {key} owns something on {self.site.target.name} already")

    def _refuse_foreign(self, key: str, resource_id: str) -> None:
        """A job that another target or project deploys is not ours to take."""
        root = self.site.target.root
        for job in self.site.workspace.jobs() if key.startswith("jobs.") else ():
            if str(job.id) == resource_id and not f"{job.deployment}/".startswith(f"{root}/"):
                owner = job.deployment.partition("/state/")[0]
                if owner:
                    raise DeliveryError(
                        f"--id: job {resource_id} ({job.name}) belongs to {owner}", Exit.REFUSED
                    )

    def _refuse_known(self, key: str, resource_id: str, instead_of: str) -> None:
        """One thing has one key: two of them would overwrite, and one day delete, each other's."""
        kind, entries = key.partition(".")[0], self.site.store.state().entries
        for known, entry in entries.items():
            same = known.count(".") == 1 and known.startswith(f"{kind}.")
            if same and str(entry["__id__"]) == resource_id and known not in (key, instead_of):
                raise DeliveryError(
                    f"--id: {resource_id} is owned by {known} already\n    To let {key} own it: "
                    f"--from {known} in place of --id",
                    Exit.REFUSED,
                )

    def _id_of(self, key: str) -> str:
        entries = self.site.store.state().entries
        if key not in entries:
            jobs = ", ".join(k for k in entries if k.count(".") == 1)
            raise DeliveryError(f"--from: given {key!r}, expected a key of the state: {jobs}")
        return str(entries[key]["__id__"])

    @contextlib.contextmanager
    def _locked(self, what: str) -> Iterator[Lock]:
        self.site.check_seen()
        waiting = lambda told: self.say(f"waiting for {told}")  # noqa: E731
        with self.site.ledger.lock(what, self.wait, self.break_lock, waiting) as lock:
            if self.break_lock:  # both locks are of the run that is gone
                self.site.store.remove_lock_of_cli()
            yield lock


def _told_apart(prepared: Prepared) -> tuple[list[Found], list[Found]]:
    """What is there of what a release would create: ours, and what somebody made."""
    return [f for f in prepared.found if f.ours], [f for f in prepared.found if not f.ours]


def _rebind(cli: BundleCli, key: str, resource_id: str, instead_of: str) -> None:
    """Bind a key, in place of another one or not; what was bound stays when it fails."""
    name = key.partition(".")[2]
    if not instead_of:
        cli.bind(name, resource_id)
        return
    with _declared(cli, instead_of) as old:
        cli.unbind(old)
    try:
        cli.bind(name, resource_id)
    except CliError:
        with _declared(cli, instead_of) as old:
            cli.bind(old, resource_id)
        raise


def let_go(cli: BundleCli, key: str, earlier: str, resource_id: str) -> None:
    """Give a resource back to the key that it had before, or to nobody; it stays as it is."""
    if earlier:
        _rebind(cli, earlier, resource_id, key)
        return
    with _declared(cli, key) as name:
        cli.unbind(name)
    if cli.workspace and key.startswith("jobs."):
        cli.workspace.unmark(int(resource_id))


@contextlib.contextmanager
def _declared(cli: BundleCli, key: str) -> Iterator[str]:
    """Declare a key that the release has no more: the CLI wants it so."""
    kind, _, name = key.partition(".")
    file = retain.include(cli.folder, {"resources": {kind: {name: {"name": name}}}})
    try:
        yield name
    finally:
        file.unlink()


def prunable(site: Site, keep: int) -> list[str]:
    """The releases that a target keeps and that nobody needs any more, the oldest first."""
    standing = site.ledger.standing()
    # After a delivery that was cut off the state refers to more than one release.
    in_use = site.state(standing).content.decode(errors="replace")
    good = [release for release in standing.good if release not in standing.blocked]
    needed = {standing.running, *good[-keep:]}
    return [r for r in site.store.kept() if r not in needed and r not in in_use]


def _release(text: str) -> str:
    if not ID.fullmatch(text):
        raise DeliveryError(
            f"release: given {text!r}, expected such as 2026.11.23-g3f2a9c10", Exit.BAD_INPUT
        )
    return text
