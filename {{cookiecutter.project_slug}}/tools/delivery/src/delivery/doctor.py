"""What is missing before a target can be delivered to, and how to mend it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from delivery import bundle_cli
from delivery.errors import DeliveryError, NoAccessError
from delivery.forge import FORGE_TOKEN, Forge, forge, forge_of, kind_of
from delivery.policy import Policy, load_policy
from delivery.rules.released import is_placeholder
from delivery.site import Site, open_site
from delivery.target import read_target


@dataclass(frozen=True)
class Symptom:
    """One thing that was looked at; `hidden` when it cannot be seen."""

    name: str
    well: bool
    told: str
    hidden: bool = False

    def as_json(self) -> dict[str, Any]:
        """The symptom for machines."""
        return asdict(self)


def examine(root: Path, target: str | None) -> Iterator[Symptom]:
    """Look at the project, and at one target's workspace when it is named."""
    policy = load_policy(root)
    yield _tried("CLI", _cli)
    lock = (root / "uv.lock").is_file()
    yield Symptom("lock", lock, "uv.lock is there" if lock else "no uv.lock: type make setup")
    if kind_of(policy.project) == "gitlab":
        yield _tried("images", partial(_images, root))
    for name in [target] if target else policy.released:
        yield from _declared(root, name)
    yield from _forge(policy)
    if target:
        yield from _workspace(root, target)


def _cli() -> str:
    version = bundle_cli.usable_version()
    tried = "" if bundle_cli.is_in_contracts(version) else ", which this tool was not tried with"
    return f"version {version}{tried}"


# An image as a text, or by its name; one with a variable in it is of a test, for many Pythons.
_IMAGE = re.compile(
    r"""^[ ]*image:\s*(?:\{\s*)?(?:name:\s*)?["']?([^\s"',{}#$]+)(?![^\s"',{}#])""", re.M
)


def _images(root: Path) -> str:
    """Jobs of GitLab start from images: what a tag names today may be another one tomorrow.

    Raises:
        DeliveryError: one has no digest.
    """
    files = [root / ".gitlab-ci.yml", *sorted((root / ".gitlab").rglob("*.yml"))]
    for file in (file for file in files if file.is_file()):
        for name in _IMAGE.findall(file.read_text(encoding="utf-8")):
            if "@sha256:" not in name:
                raise DeliveryError(
                    f"{file.relative_to(root)}: {name} can be moved, and runs beside tokens: "
                    f"write its digest: {name}@sha256:…"
                )
    return "none can change"


def _declared(root: Path, name: str) -> Iterator[Symptom]:
    target = read_target(root, name, {"release": "", "wheel": ""})
    for field in ("host", "deployer", "runner", "planner"):
        value = getattr(target, field)
        missing = is_placeholder(value)
        told = f"not set: see targets/{name}.yml" if missing else value
        yield Symptom(f"{name} {field}", not missing, told)


def _forge(policy: Policy) -> Iterator[Symptom]:
    """What the forge lets whom do, and how the jobs of each environment call themselves."""
    here = forge() or forge_of(policy.project)
    if here is None:
        told = "not looked at: set project.url in delivery.yml, the repository's address"
        if policy.project.url:
            told = (
                f"not looked at: nothing says what {policy.project.url} is; set project.forge in "
                "delivery.yml to github or gitlab"
            )
        yield Symptom("forge", True, told)
        return
    yield _tried(
        "preview subject", partial(_subjects, here, "preview", policy.branches.integration)
    )
    for target in policy.released:
        branch = policy.branches.targets[target]
        for environment in (target, f"{target}-plan"):
            subject = partial(_subjects, here, environment, branch)
            yield _tried(f"{environment} subject", subject)
    seen = _tried("forge", partial(_seen, here))
    yield seen
    if seen.well:
        yield from _locks(policy, here)


def _locks(policy: Policy, here: Forge) -> Iterator[Symptom]:
    """What keeps the code of requests away from the targets."""
    for branch in policy.branches.protected:
        yield _tried(f"{branch} review", partial(_closed, partial(here.unreviewed, branch)))
    for target, branch in policy.branches.targets.items():
        locked = partial(_locked_to, here, target, [branch])
        yield _tried(f"{target} branches", locked)
        if policy.approval_of(target) == "environment":
            yield _tried(f"{target} reviewers", partial(_asks, here, target))
            yield _tried(f"{target} bypass", partial(_closed, partial(here.unapproved, target)))
    known = ["preview/*", *(name for t in policy.released for name in (t, f"{t}-plan"))]
    asking = [t for t in policy.released if policy.approval_of(t) == "environment"]
    yield _tried("shared variables", partial(_closed, partial(here.shared, known, asking)))
    plans = f"{policy.released[-1]}-plan"
    yield _tried(f"{plans} branches", partial(_locked_to, here, plans, policy.branches.protected))


def _seen(here: Forge) -> str:
    if here.is_seen():
        return "it shows its settings"
    raise DeliveryError(
        f"it shows nothing: set {FORGE_TOKEN} to a token that may read the repository's settings"
    )


def _subjects(here: Forge, environment: str, branch: str) -> str:
    return " or ".join(here.subjects(environment, branch))


def _locked_to(here: Forge, environment: str, branches: Sequence[str]) -> str:
    names = ", ".join(branches)
    if here.is_locked(environment, branches):
        return f"none but {names}, and protected"
    raise DeliveryError(
        f"other branches reach {environment}: protect {names}; on GitHub let the environment admit "
        "them alone, as selected branches"
    )


def _closed(look: Callable[[], Iterator[str]]) -> str:
    found = list(look())
    if found:
        raise DeliveryError("; ".join(found))
    return "nothing is open"


def _asks(here: Forge, target: str) -> str:
    if here.asks(target):
        return "asked before a job starts"
    raise DeliveryError(f"{target} asks nobody: {here.mend(target)}")


def _workspace(root: Path, name: str) -> Iterator[Symptom]:
    try:
        site = open_site(root, name)
    except DeliveryError as error:
        yield Symptom("workspace", False, str(error))
        return
    yield _tried("identity", lambda: _who(site))
    yield _tried("marker", lambda: _marker(site))
    yield _tried("ledger", lambda: _chain(site))
    yield _tried("lock", lambda: _lock(site))
    yield _tried("orphans", lambda: _orphans(site))
    yield _tried("token", lambda: _life(site, site.policy))


def _tried(name: str, look: Callable[[], str]) -> Symptom:
    try:
        return Symptom(name, True, look())
    except NoAccessError as error:
        return Symptom(name, False, str(error), hidden=True)
    except DeliveryError as error:
        return Symptom(name, False, str(error))


def _marker(site: Site) -> str:
    site.check_seen()
    return "the target is ours"


def _who(site: Site) -> str:
    me, target = site.workspace.me, site.target
    roles = {target.deployer: "deployer", target.runner: "runner", target.planner: "planner"}
    return f"{me}, {roles.get(me, 'none of the three of this target')}"


def _chain(site: Site) -> str:
    names = site.ledger.names()
    site.ledger.verify(names)
    return f"{len(names)} events, each chained to the one before"


def _lock(site: Site) -> str:
    held, cli = site.ledger.held(), site.store.lock_of_cli()
    gone = f"if it is gone: delivery break-lock {site.target.name} --reason …"
    if held:
        raise DeliveryError(f"{held.told(datetime.now(UTC))}; {gone}")
    if cli:
        raise DeliveryError(f"the CLI's own lock: {cli}; {gone}")
    return "free"


def _orphans(site: Site) -> str:
    orphans = site.store.orphans(site.state(site.ledger.standing()))
    if orphans:
        known = ", ".join(f"{job.name} ({job.id})" for job in orphans)
        raise DeliveryError(
            f"{known}; keep them: delivery adopt {site.target.name} --all --archive FILE --reason …"
        )
    return "none"


def _life(site: Site, policy: Policy) -> str:
    expires = site.workspace.expires
    if expires is None:
        return "does not say when it ends"
    left = (expires - datetime.now(UTC).timestamp()) / 60
    need = policy.delivery_minutes
    if left < need:
        raise DeliveryError(f"{left:.0f} minutes left, a delivery may take {need}")
    return f"{left:.0f} minutes left"
