"""`delivery doctor`: checks of the set-up, each with a hint if it fails."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from delivery.bootstrap.environments import environments_of
from delivery.bootstrap.forges import kind_of, settings_of
from delivery.bootstrap.service import of_workspace
from delivery.bootstrap.targets import needs_of
from delivery.bootstrap.thing import Step
from delivery.checks.placeholder import is_placeholder
from delivery.config.policy import Policy, load_policy
from delivery.config.target import PREVIEW_TARGET, UNKNOWN_RELEASE, read_target
from delivery.errors import DeliveryError, NotVisibleError
from delivery.forge.base import Forge
from delivery.forge.detect import current_forge, forge_of
from delivery.forge.environment import FORGE_TOKEN, forge_kind
from delivery.target.context import TargetContext, open_target
from delivery.workspace import bundle_cli

# The name of an image, alone or below `name:`. One with a variable is of a test matrix.
_IMAGE = re.compile(
    r"""^[ ]*image:\s*(?:\{\s*)?(?:name:\s*)?["']?([^\s"',{}#$]+)(?![^\s"',{}#])""", re.M
)


@dataclass(frozen=True)
class HealthCheck:
    """The result of one check.

    Attributes:
        is_hidden: this identity may not see what the check needs.
        is_unavailable: the forge's plan does not have it, and something else protects.
    """

    name: str
    ok: bool
    message: str
    is_hidden: bool = False
    is_unavailable: bool = False

    @property
    def sign(self) -> str:
        """How it is shown before its name."""
        return "✗" if not self.ok else "–" if self.is_unavailable else "✓"

    def as_json(self) -> dict[str, Any]:
        """The result for machines."""
        return asdict(self)


def run_checks(root: Path, target: str | None) -> Iterator[HealthCheck]:
    """Check the project and its forge, and the workspace of a target if one is named."""
    policy = load_policy(root)
    yield _checked("CLI", _cli)
    lock = (root / "uv.lock").is_file()
    yield HealthCheck("lock", lock, "uv.lock exists" if lock else "no uv.lock: run make setup")
    if forge_kind(policy.project) == "gitlab":
        yield _checked("images", partial(_images, root))
    for name in [target] if target else policy.released:
        yield from _declared(root, name)
    yield from _forge(root, policy)
    if target:
        yield from _workspace(root, target)


def _checked(name: str, check: Callable[[], str]) -> HealthCheck:
    """Run one check, which returns a message, or raises an error if something is wrong."""
    try:
        return HealthCheck(name, True, check())
    except NotVisibleError as error:
        return HealthCheck(name, False, str(error), is_hidden=True)
    except DeliveryError as error:
        return HealthCheck(name, False, str(error))


# --- the project ---


def _cli() -> str:
    version = bundle_cli.usable_version()
    tested = (
        "" if bundle_cli.is_tested_version(version) else ", which this tool was not tested with"
    )
    return f"version {version}{tested}"


def _images(root: Path) -> str:
    """The images of GitLab's jobs have digests, because a tag is mutable.

    Raises:
        DeliveryError: an image has no digest.
    """
    files = [root / ".gitlab-ci.yml", *sorted((root / ".gitlab").rglob("*.yml"))]
    for file in (file for file in files if file.is_file()):
        for name in _IMAGE.findall(file.read_text(encoding="utf-8")):
            if "@sha256:" not in name:
                raise DeliveryError(
                    f"{file.relative_to(root)}: {name} is a mutable tag, and jobs with tokens "
                    f"run in it; pin it: {name}@sha256:…"
                )
    return "all have digests"


def _declared(root: Path, name: str) -> Iterator[HealthCheck]:
    """The host and the identities of a target are set."""
    target = read_target(root, name, UNKNOWN_RELEASE)
    for field in ("host", "deployer", "runner", "planner"):
        value = getattr(target, field)
        missing = is_placeholder(value)
        message = f"not set: see targets/{name}.yml" if missing else value
        yield HealthCheck(f"{name} {field}", not missing, message)


# --- the forge ---


def _forge(root: Path, policy: Policy) -> Iterator[HealthCheck]:
    """The subjects of the jobs' id tokens, and the settings that protect the targets."""
    forge = current_forge() or forge_of(policy.project)
    if forge is None:
        message = "not checked: set project.url in delivery.yml to the repository's address"
        if policy.project.url:
            message = (
                f"not checked: the forge of {policy.project.url} is unknown; set project.forge in "
                "delivery.yml to github or gitlab"
            )
        yield HealthCheck("forge", True, message)
        return
    branches = {PREVIEW_TARGET: policy.branches.integration}
    for target, branch in policy.branches.targets.items():
        branches |= dict.fromkeys(environments_of(target).values(), branch)
    for environment, branch in branches.items():
        yield _checked(f"{environment} subject", partial(_subjects, forge, environment, branch))
    readable = _checked("forge", partial(_readable, forge))
    yield readable
    if readable.ok:
        yield from _settings(root, policy, forge)


def _settings(root: Path, policy: Policy, forge: Forge) -> Iterator[HealthCheck]:
    """Everything that `delivery bootstrap` sets on the forge, as far as this token may read it."""
    try:
        settings = settings_of(root, policy, forge)
    except DeliveryError as error:
        yield HealthCheck("forge settings", False, str(error))
        return
    for step in settings.steps():
        yield _examined(step, kind_of(forge))


def _readable(forge: Forge) -> str:
    if forge.can_read_settings():
        return "the settings are readable"
    raise DeliveryError(
        f"the settings are not readable: set {FORGE_TOKEN} to a token that may read them"
    )


def _subjects(forge: Forge, environment: str, branch: str) -> str:
    return " or ".join(map(str, forge.oidc_subjects(environment, branch)))


def _examined(step: Step, name: str) -> HealthCheck:
    """One thing that `delivery bootstrap` makes; what is missing names that command."""
    try:
        thing = step.examine()
    except DeliveryError as error:
        return HealthCheck(step.name, False, str(error))
    note = "not checked: " if thing.state == "hidden" else ""
    message = "; ".join([f"{note}{thing.message}", *thing.dangers])
    if thing.state == "missing":
        return HealthCheck(step.name, False, f"{thing.message}: delivery bootstrap {name}")
    return HealthCheck(step.name, True, message, is_unavailable=thing.state == "unavailable")


# --- the workspace ---


def _workspace(root: Path, name: str) -> Iterator[HealthCheck]:
    try:
        context = open_target(root, name)
    except DeliveryError as error:
        yield HealthCheck("workspace", False, str(error))
        return
    checks = {
        "identity": _identity,
        "marker": _marker,
        "ledger": _ledger,
        "lock": _lock,
        "orphans": _orphans,
        "token": _token,
    }
    yield from _platform(context)
    for check, run in checks.items():
        yield _checked(check, partial(run, context))


def _platform(context: TargetContext) -> Iterator[HealthCheck]:
    """The catalog and the folder with their rights, as far as this identity may read them."""
    service, name = of_workspace(context.workspace), context.target.name
    try:
        needs = needs_of(context.root, context.target, service, service)
    except DeliveryError as error:
        yield HealthCheck("catalog", False, str(error))
        return
    for step in needs.workspace_steps():
        yield _examined(step, name)


def _identity(context: TargetContext) -> str:
    me, target = context.workspace.me, context.target
    roles = {target.deployer: "deployer", target.runner: "runner", target.planner: "planner"}
    role = roles.get(me, "none of the target's service principals")
    return f"{me}, {role}"


def _marker(context: TargetContext) -> str:
    context.require_visible()
    return "the target belongs to this project"


def _ledger(context: TargetContext) -> str:
    names = context.ledger.list_events()
    context.ledger.verify(names)
    return f"{len(names)} events, hash chain intact"


def _lock(context: TargetContext) -> str:
    lock, cli = context.ledger.current_lock(), context.store.cli_lock_holder()
    hint = f"if that run has ended: delivery break-lock {context.target.name} --reason …"
    if lock:
        raise DeliveryError(f"held by {lock.describe(datetime.now(UTC))}; {hint}")
    if cli:
        raise DeliveryError(f"CLI lock held by {cli}; {hint}")
    return "free"


def _orphans(context: TargetContext) -> str:
    orphans = context.store.orphans(context.state(context.ledger.history()))
    if orphans:
        known, target = ", ".join(f"{job.name} ({job.id})" for job in orphans), context.target.name
        raise DeliveryError(
            f"{known}; to keep them: delivery adopt {target} --all --archive FILE --reason …"
        )
    return "none"


def _token(context: TargetContext) -> str:
    expires, need = context.workspace.expires, context.policy.delivery_minutes
    if expires is None:
        return "expiry unknown"
    left = (expires - datetime.now(UTC).timestamp()) / 60
    if left < need:
        raise DeliveryError(f"expires in {left:.0f} minutes, but a delivery may take {need}")
    return f"expires in {left:.0f} minutes"
