"""From a release to a plan: open it, hold it to the policy, ask the CLI, judge the answer."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from delivery import guard, retain
from delivery.bundle_cli import CONTRACTS, BundleCli, is_in_contracts, usable_version
from delivery.errors import DeliveryError, Exit
from delivery.forbidden import refuse_forbidden
from delivery.ledger import Event, Ledger, Name, Standing
from delivery.leftovers import Found, Leftovers
from delivery.own_rights import with_rights
from delivery.plan import Change, Plan, Verdict, expiry, normalised
from delivery.policy import Policy, Terms, Verify, load_policy
from delivery.release import Archive, Opened, open_archive
from delivery.run_as import otherwise_in_plan
from delivery.site import UNKNOWN, Site
from delivery.store import State
from delivery.target import Target, own_host, read_target
from delivery.workspace import Job

GATE = "policy"  # what stands for the key in verdicts that are about the release as a whole


@dataclass(frozen=True)
class Wishes:
    """What whoever started the command asked for.

    Attributes:
        named: keys named for destruction, each with the reason.
        receipt: the source target's word that it verified this release.
        back: an earlier release returns.
        release: the one that was named to return; empty for whichever was verified before.
        first: nothing was ever delivered to this target.
        request: only a picture of what a request would change; it is delivered when it is merged.
    """

    named: Mapping[str, str] = field(default_factory=dict)
    receipt: Event | None = None
    reason: str = ""
    approved_by: str = ""
    back: bool = False
    release: str = ""
    first: bool = False
    request: bool = False


@dataclass(frozen=True)
class Prepared:
    """A plan, and all that carrying it out needs.

    Attributes:
        own, policy: the release's own policy, and the stricter of it and that of what runs.
        proof: the jobs that prove the delivery.
        allowed: exceptions of the policy that are used up then.
        adopted: keys that were adopted since, and the key that the release has for each.
        removed: jobs that a delivery of ours made and lost, and that go with this one.
        found: what is there already of what would be created.
    """

    plan: Plan
    raw: Mapping[str, Any]
    archive: Archive
    cli: BundleCli
    cli_version: str
    target: Target
    own: Policy
    policy: Policy
    proof: Verify
    allowed: tuple[str, ...]
    adopted: Mapping[str, str]
    removed: tuple[Job, ...]
    found: tuple[Found, ...]
    state: State
    standing: Standing


@dataclass(frozen=True)
class Preparation:
    """One release to be planned on one target."""

    site: Site
    archive: Archive
    wishes: Wishes

    @cached_property
    def opened(self) -> Opened:
        """The release in a fresh folder: what an older folder knows of the state is not true."""
        folder = self.site.work / self.archive.manifest.release
        leftover = self._leftover
        shutil.rmtree(self.site.work, ignore_errors=True)
        folder.mkdir(parents=True)
        opened = open_archive(self.archive.content, folder, self.archive.name)
        _restore(folder, self.site.target.name, leftover)
        return opened

    @cached_property
    def _leftover(self) -> Mapping[str, bytes]:
        return _rescued(self.site)

    @cached_property
    def target(self) -> Target:
        """The target as the release itself declares it."""
        target = own_host(read_target(self.opened.folder, self.site.target.name))
        mine = self.site.target
        for name in ("host", "root", "project", "bundle"):
            given, expected = getattr(target, name), getattr(mine, name)
            if given != expected:
                raise DeliveryError(
                    f"{self.archive.manifest.release}: {name} of {target.name}: given {given}, "
                    f"expected {expected} as in this checkout",
                    Exit.REFUSED,
                )
        _refuse_elsewhere(target, self.archive.manifest.release)
        if self.site.judged != self.archive.manifest.digest:
            refuse_forbidden(self.opened.folder, target.name)
        return target

    @cached_property
    def own(self) -> Policy:
        """The policy of the release itself."""
        return load_policy(self.opened.folder)

    @cached_property
    def policy(self) -> Policy:
        """The stricter of the policy of what runs and of what comes."""
        return self.own.stricter(self.theirs)

    @cached_property
    def theirs(self) -> Terms:
        """What the policy of what runs demands, or the release's own where nothing runs.

        Raises:
            DeliveryError: a newer tool delivered what runs.
        """
        kept = self.running and self.running.detail.get("policy")
        return Terms.read(kept, self.standing.running) if kept else self.own.terms

    @cached_property
    def proof(self) -> Verify:
        """The jobs that prove the delivery; a release cannot drop one that it still has."""
        theirs = self.theirs.verify.jobs.items()
        kept = {domain: job for domain, job in theirs if f"jobs.{job}" in self.target.declared}
        return self.own.verify.model_copy(update={"jobs": {**kept, **self.own.verify.jobs}})

    @cached_property
    def names(self) -> list[Name]:
        """All events of the target."""
        return self.site.ledger.names()

    @cached_property
    def standing(self) -> Standing:
        """What the ledger says."""
        return self.site.ledger.standing(self.names)

    @cached_property
    def adopted(self) -> Mapping[str, str]:
        """Keys that were adopted since and that the release does not declare.

        Going back, that is since the release was delivered last; otherwise since any was. Each
        comes with the key that the release has for the same thing; empty when it has none.
        """
        release = self.archive.manifest.release
        ends = [n for n in self.names if n.kind in ("deployed", "rolled_back")]
        since = max(
            (n.seq for n in ends if n.release == release or not self.wishes.back), default=0
        )
        told = [detail for seq, detail in self._adoptions if seq > since]
        found = {
            str(t["key"]): str(t.get("from", "")) for t in told if t["key"] in self.state.entries
        }
        declared = self.target.declared
        gone = {key: old if old in declared else "" for key, old in found.items()}
        return {k: v for k, v in gone.items() if k not in declared and (v or self._is_by_hand(k))}

    @cached_property
    def _adoptions(self) -> list[tuple[int, dict[str, Any]]]:
        """What was adopted one by one: what people made, and what got another key."""
        names = [name for name in self.names if name.kind == "adopted"]
        found = [(name.seq, self.site.ledger.read(name).detail) for name in names]
        return [(seq, told) for seq, told in found if "key" in told and not told.get("ours")]

    def _is_by_hand(self, key: str) -> bool:
        """Whether a person made it; a release that renames its own made it itself."""
        made = {str(told["id"]) for _, told in self._adoptions if not told.get("from")}
        return not self.wishes.back or str(self.state.entries[key].get("__id__")) in made

    @cached_property
    def jobs(self) -> list[Job]:
        """All jobs of the workspace, listed once."""
        return list(self.site.workspace.jobs())

    @cached_property
    def orphans(self) -> list[Job]:
        """Jobs with this target's mark that no state knows, not even one that was not saved."""
        told = b"".join(self._leftover.values())
        orphans = self.site.store.orphans(self.state, self.jobs)
        return [job for job in orphans if str(job.id).encode() not in told]

    @cached_property
    def leftovers(self) -> Leftovers:
        """Where to look for what was left in the workspace."""
        adopted = [(str(told["key"]), str(told["id"])) for _, told in self._adoptions]
        return Leftovers(
            workspace=self.site.workspace,
            target=self.target,
            state=self.state,
            jobs=self.jobs,
            orphans=self.orphans,
            under_way=self.site.ledger.under_way(),
            adopted=adopted,
        )

    @cached_property
    def removed(self) -> list[Job]:
        """Orphans of ours that are of no use: doubles, and what going back leaves."""
        doubles = self.site.store.doubles(self.state, self.orphans)
        useless = self.orphans if self.wishes.back else doubles
        if not useless:
            return []
        adopted = {identity for _, identity in self.leftovers.adopted}
        return [job for job in self.site.lost(useless) if str(job.id) not in adopted]

    @cached_property
    def running(self) -> Event | None:
        """The event that delivered what runs."""
        return self.site.running(self.standing)

    @cached_property
    def state(self) -> State:
        """What the CLI's state says; it must fit the ledger."""
        return self.site.state(self.standing)

    def _refuse_other_state(self, raw: Mapping[str, Any]) -> None:
        """A plan made on another state takes everything that exists for new.

        Raises:
            DeliveryError: it was.
        """
        given, expected = raw.get("lineage", ""), self.state.lineage
        if expected and given != expected:
            raise DeliveryError(
                f"plan of {self.target.name}: the CLI saw the state {given or 'of nothing'}, "
                f"expected {expected}\n    Ask for the right to read {self.target.root}/state.",
                Exit.REFUSED,
            )

    @property
    def retained(self) -> list[str]:
        """What a newer release added and what is kept until a release declares or names it."""
        kept = set(self.running.detail.get("retained", [])) if self.running else set()
        if self.wishes.back:
            kept |= {k for k in self.state.entries if k.count(".") == 1 and guard.holds_data(k)}
        kept &= set(self.state.entries)
        freed = {a.key for a in self.policy.allow if self._situation.exception(a.key)}
        return sorted(kept - self.target.declared - {*self.wishes.named} - freed)

    @cached_property
    def _situation(self) -> guard.Situation:
        return guard.Situation(
            target=self.target.name,
            policy=self.policy,
            state=self.state.entries,
            tree=self.target.tree,
            named=self.wishes.named,
            used=frozenset(self.running.detail.get("used", [])) if self.running else frozenset(),
            back=self.wishes.back,
            identities=self.target.identities,
        )

    def plan(self) -> Prepared:
        """Ask the CLI what a deploy would do, and judge it; nothing is changed.

        Raises:
            DeliveryError: the release or the target cannot be what they should be.
        """
        target, retained = self.target, self.retained
        retain.lay_over(self.opened.folder, self.state.entries, retained)
        cli = BundleCli(self.opened.folder, target.name, self.site.workspace)
        cli_version = usable_version()
        raw = cli.plan()
        self._refuse_other_state(raw)
        me, known = self.site.workspace.me, target.identities
        told = normalised(raw, {known.deployer, known.planner, me})
        changes = with_rights(told, raw, target.tree, self.state.entries, known, me)
        situation = replace(self._situation, active=self._active([c.key for c in changes]))
        found = list(self.leftovers.where(changes)) if _creates(changes) else []
        verdicts = [
            *_of_cli(cli_version),
            *self._gates(),
            *self._in_the_way(found),
            *guard.judge(changes, situation),
            *_of_identities(target, raw),
            *self._idle(changes),
        ]
        return Prepared(
            plan=self._plan(raw, changes, verdicts),
            raw=raw,
            archive=self.archive,
            cli=cli,
            cli_version=cli_version,
            target=target,
            own=self.own,
            policy=self.policy,
            proof=self.proof,
            adopted=self.adopted,
            removed=tuple(self.removed),
            found=tuple(found),
            allowed=tuple(sorted({*situation.used, *guard.used_up(verdicts, situation)})),
            state=self.state,
            standing=self.standing,
        )

    def _plan(self, raw: Mapping[str, Any], changes: list[Change], verdicts: list[Verdict]) -> Plan:
        made = datetime.now(UTC)
        return Plan(
            target=self.target.name,
            host=self.target.host,
            project=self.target.project,
            release=self.archive.manifest.release,
            digest_of_release=self.archive.manifest.digest,
            running=self.standing.running,
            back=self.wishes.back,
            lineage=raw.get("lineage", ""),
            serial=raw.get("serial", 0),
            changes=changes,
            leaves=self.standing.behind(self.archive.manifest.release) if self.wishes.back else [],
            retained=self.retained,
            named=sorted(self.wishes.named),
            verdicts=verdicts,
            notes=self._commits(),
            proof=self._proof(made),
            made=made,
            expires=expiry(made, self.policy.plan_hours),
        )

    def _in_the_way(self, found: Sequence[Found]) -> Iterator[Verdict]:
        """What would be created, and is there already."""
        target, rest = self.target.name, "--archive FILE --reason …"
        ours = [one.key for one in found if one.ours]
        if ours:
            yield _refusal(
                f"{', '.join(ours)}: left by a deploy that was cut off; keep all of it: "
                f"delivery adopt {target} --all {rest}"
            )
        for one in found:
            keep = f"keep it: delivery adopt {target} {one.key} --id {one.id} {rest}"
            if one.adopted:
                yield _refusal(
                    f"{one.key} was adopted before and let go since ({one.id}): a deploy would "
                    f"make a second one; {keep}"
                )
            elif not one.ours:
                yield _refusal(
                    f"{one.key} is there already ({one.id}), and nothing shows that a delivery "
                    f"to {target} made it; {keep}"
                )

    def _idle(self, changes: Sequence[Change]) -> Iterator[Verdict]:
        """Keys that are named although nothing happens to them: perhaps they are misspelt."""
        for key in sorted({*self.wishes.named} - {change.key for change in changes}):
            yield Verdict(key=key, verdict="mark", reason="named, but nothing happens to it")

    def _active(self, keys: list[str]) -> frozenset[str]:
        """Jobs among these keys that would be touched while they run."""
        ids = self.state.ids("jobs")
        jobs = {key: ids.get(key.partition(".")[2]) for key in keys if key.startswith("jobs.")}
        workspace = self.site.workspace
        return frozenset(k for k, i in jobs.items() if i and workspace.runs(int(i), active=True))

    def _gates(self) -> Iterator[Verdict]:
        """What policy says to the release as a whole; going back is held to blocks alone."""
        manifest = self.archive.manifest
        if manifest.release in self.standing.blocked:
            why = self.site.ledger.read(self.standing.blocked[manifest.release]).reason
            runs = f"it still runs, go back: delivery rollback {self.target.name} --reason …; "
            yield _refusal(
                f"{manifest.release} is blocked: {why}; "
                f"{runs if manifest.release == self.standing.running else ''}"
                f"once it is mended: delivery unblock {self.target.name} {manifest.release} "
                "--reason …"
            )
        if manifest.release in self.standing.good:
            yield from self._same_bytes()
        if not self.proof.jobs:
            reason = "nothing verifies this release: verify.jobs of delivery.yml is empty"
            yield Verdict(key=GATE, verdict="mark", reason=reason)
        yield from self._of_adopted()
        yield from self._of_orphans()
        if not self.wishes.back:
            seen = {"verdict": "mark"} if self.wishes.request else {}
            yield from (verdict.model_copy(update=seen) for verdict in self._promotion())

    def _same_bytes(self) -> Iterator[Verdict]:
        """A release that was verified here is known by its digest."""
        manifest = self.archive.manifest
        names = [n for n in self.names if (n.kind, n.release) == ("verified", manifest.release)]
        if self.site.ledger.read(names[-1]).digest != manifest.digest:
            yield _refusal(f"{manifest.release} has other bytes than those that were verified here")

    def _of_adopted(self) -> Iterator[Verdict]:
        """What hands made is never deleted for having been adopted."""
        for key in self.adopted:
            if self.wishes.back:
                reason = "was adopted since: it is let go, and stays as it is"
                yield Verdict(key=key, verdict="mark", reason=reason)
            elif key not in self.wishes.named:
                yield _refusal(f"{key} was adopted, expected a release that has it")

    def _of_orphans(self) -> Iterator[Verdict]:
        """Jobs that no state knows: of a delivery that was cut off, or copies."""
        doubles = self.site.store.doubles(self.state, self.orphans)
        adopt = f"delivery adopt {self.target.name}"
        for job in self.orphans:
            told = f"job {job.id} ({job.name})"
            if job in self.removed:
                reason = "was made by a delivery that was cut off or failed: it is removed"
                yield Verdict(key=GATE, verdict="mark", reason=f"{told} {reason}")
            elif job in doubles:
                yield _refusal(
                    f"{told} is a second one of that name with this target's mark, and none of "
                    "its deliveries was under way when it was made; keep it under a key of its "
                    f"own: {adopt} jobs.KEY --id {job.id} --archive FILE --reason …, or remove it "
                    "in the workspace if nobody needs it"
                )
            elif self.leftovers.key_of(job) not in self.target.declared - {*self.state.entries}:
                yield _refusal(
                    f"{told} was made by a deploy that was cut off; keep it, with a release that "
                    f"has it: {adopt} --all --archive FILE --reason …"
                )

    def _promotion(self) -> Iterator[Verdict]:
        manifest, target, policy = self.archive.manifest, self.target.name, self.policy
        if self.running and self._is_older(self.running):
            yield _refusal(
                f"{manifest.release} is older than {self.running.release}, which runs; to go back: "
                f"delivery rollback {target} {manifest.release} --reason …"
            )
        if target not in self.own.released:
            yield _refusal(f"{manifest.release} does not know {target} as a target of releases")
            return
        freeze = policy.frozen(target, datetime.now(UTC))
        exception = self._situation.exception("freeze")
        if freeze and exception:
            yield Verdict(key="freeze", verdict="allow", reason=exception.reason)
        elif freeze:
            yield _refusal(f"{target} is frozen until {freeze.last}: {freeze.reason}")
        branches = [*self.own.branches.targets.values()]
        expected = dict.fromkeys(branches[: self.own.released.index(target) + 1])
        if manifest.branch not in expected:
            yield _refusal(f"built on branch {manifest.branch}, expected {' or '.join(expected)}")
        source, waived = self.own.source(target), self._situation.exception("promotion")
        before = self.theirs.source(target)
        if before and waived and not source:
            yield Verdict(key="promotion", verdict="allow", reason=waived.reason)
        elif source or before:
            yield from self._receipt(str(source or before))

    def _is_older(self, running: Event) -> bool:
        """Whether what runs came later: by git where it knows both, else by the commits' clocks."""
        mine = self.archive.manifest
        for one, other, answer in (
            (running.commit, mine.commit, False),
            (mine.commit, running.commit, True),
        ):
            if one != other and self._git("merge-base", "--is-ancestor", one, other) is not None:
                return answer
        return bool(mine.time < running.detail.get("time", 0))

    def _receipt(self, source: str) -> Iterator[Verdict]:
        """Whether the target before has verified these very bytes."""
        receipt, manifest = self.wishes.receipt, self.archive.manifest
        if receipt is None:
            yield _refusal(
                f"no receipt of {source}; fetch it: delivery fetch {source} --release "
                f"{manifest.release}, then --receipt FILE"
            )
        elif (receipt.kind, receipt.target, receipt.project) != (
            "verified",
            source,
            self.target.project,
        ):
            yield _refusal(
                f"the receipt is of {receipt.kind} on {receipt.target}, expected "
                f"verified on {source}"
            )
        elif (receipt.release, receipt.digest) != (manifest.release, manifest.digest):
            yield _refusal(f"the receipt is for other bytes than these of {manifest.release}")
        else:
            yield from self._asked(source, receipt)

    def _asked(self, source: str, receipt: Event) -> Iterator[Verdict]:
        """What the ledger of the target before says of a receipt, where it can be seen."""
        before = read_target(self.site.root, source, UNKNOWN)
        if before.host != self.target.host:
            return
        ledger = Ledger(self.site.workspace, before)
        try:
            names = ledger.names()
            if not names:
                return  # out of sight: a receipt is an event of it
            known = [ledger.read(n) for n in names if (n.seq, n.kind) == (receipt.seq, "verified")]
        except DeliveryError as error:
            if error.code is Exit.REFUSED:
                yield _refusal(str(error).partition("\n")[0])
            return
        if receipt not in known:
            yield _refusal(f"the receipt is none that the ledger of {source} has; fetch it anew")
        elif receipt.release in ledger.standing(names).blocked:
            yield _refusal(f"{receipt.release} was blocked on {source} after the receipt")

    def _proof(self, now: datetime) -> str:
        """How old the word of the target before is, for whoever decides."""
        receipt = self.wishes.receipt
        if receipt is None:
            return ""
        at = receipt.at.astimezone(UTC)
        hours = max(0, int((now - at).total_seconds() // 3600))
        return f"verified on {receipt.target} {at:%Y-%m-%d %H:%M} UTC, {hours} h before this plan"

    def _commits(self) -> list[str]:
        """The commits between what runs and what comes, where the checkout knows them."""
        before = self.running.commit if self.running else ""
        after = self.archive.manifest.commit
        if not before or before == after:
            return []
        told = self._git("log", "--oneline", "--no-decorate", "-20", f"{before}..{after}")
        return (told or "").splitlines()

    def _git(self, *arguments: str) -> str | None:
        """What git says in the checkout; None where it does not agree, or does not know."""
        command = ["git", *arguments]
        try:
            found = subprocess.run(
                command, cwd=self.site.root, capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        return found.stdout if found.returncode == 0 else None


def _refuse_elsewhere(target: Target, release: str) -> None:
    """A release lives in its own folder of its own target, and the state in that of the target.

    Raises:
        DeliveryError: the release says something else.
    """
    folder, workspace = target.release_folder(release), target.tree.section("workspace")
    places = {
        "file_path": f"{folder}/files",
        "artifact_path": f"{folder}/artifacts",
        "state_path": f"{target.root}/state",
        "resource_path": f"{target.root}/resources",
    }
    for name, expected in places.items():
        given = workspace.get(name, expected)
        if given != expected:
            raise DeliveryError(
                f"{release}: workspace.{name} of {target.name}: given {given}, expected {expected}",
                Exit.REFUSED,
            )


def _of_cli(version: str) -> Iterator[Verdict]:
    """A CLI that this tool was never tried with is named in every plan."""
    if not is_in_contracts(version):
        reason = f"the Databricks CLI is {version}, this tool was tried with {', '.join(CONTRACTS)}"
        yield Verdict(key=GATE, verdict="mark", reason=reason)


def _of_identities(target: Target, raw: Mapping[str, Any]) -> Iterator[Verdict]:
    """References are resolved by two readers: what the guard judged is what the CLI carries out."""
    for key, identity in otherwise_in_plan(target.tree, raw["plan"]):
        reason = (
            f"the CLI lets it run as {identity or 'the deployer'}; write run_as without detours"
        )
        yield Verdict(key=key, verdict="refuse", reason=reason)


def _creates(changes: Sequence[Change]) -> bool:
    return any(change.action == "create" and change.key.count(".") == 1 for change in changes)


def _refusal(reason: str) -> Verdict:
    return Verdict(key=GATE, verdict="refuse", reason=reason)


def _rescued(site: Site) -> dict[str, bytes]:
    """What an interrupted CLI wrote down of its work; the next try on this machine goes on."""
    name = f"*/.databricks/bundle/{site.target.name}/resources.json.wal"
    logs = [log for work in (site.work, *site.abandoned()) for log in work.glob(name)]
    if not logs:
        return {}
    newest = max(logs, key=lambda log: log.stat().st_mtime)
    return {file.name: file.read_bytes() for file in newest.parent.glob("resources.json*")}


def unsaved(site: Site) -> bytes:
    """What the CLI knows on this machine of work that it could not finish, as it wrote it down."""
    return b"".join(_rescued(site).values())


def _restore(folder: Path, target: str, files: Mapping[str, bytes]) -> None:
    """Hand it on; the CLI itself drops what is stale."""
    for name, content in files.items():
        place = folder / ".databricks" / "bundle" / target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
