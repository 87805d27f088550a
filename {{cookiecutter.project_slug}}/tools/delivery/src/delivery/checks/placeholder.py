"""`placeholder`: values to set before the first deploy. All findings are warnings."""

from collections.abc import Iterator

from delivery.checks.identity import origin_of
from delivery.checks.registry import CheckContext, rule
from delivery.config.code_owners import NO_OWNER, OWNERS_FILE, code_owners
from delivery.config.identities import EVERYONE, Identities
from delivery.errors import Finding

RULE = "placeholder"
_PLACEHOLDERS = (
    "dbc-00000000-0000.",
    "adb-0000000000000000.",
    "//0000000000000000.",
    "00000000-0000-0000",
)


def is_placeholder(value: str) -> bool:
    """Whether a host or an id is empty or a placeholder."""
    return not value or any(part in value for part in _PLACEHOLDERS)


@rule(RULE)
def check_placeholder(context: CheckContext) -> Iterator[Finding]:
    """Hosts, identities, readers, code owners and the repository's address that are not set."""
    for target in context.released:
        yield from _unset(context, target)
        yield from _readers(context, target)
    yield from _url(context)
    yield from _owners(context)


def _unset(context: CheckContext, name: str) -> Iterator[Finding]:
    bundle = context.bundle
    target, default = bundle.target(name), bundle.tree.section("targets").marks[name]
    workspace, variables = target.section("workspace"), target.section("variables")
    for section, key in ((workspace, "host"), *((variables, v) for v in Identities._fields)):
        mark = section.marks.get(key) or (default if key == "host" else None)
        if mark and is_placeholder(str(section.get(key, ""))):
            message = f"{name}: {key} is not set yet"
            hint = "Set it before the first deploy to this target."
            yield Finding(mark.file, mark.line, RULE, message, hint, "warning")


def _readers(context: CheckContext, name: str) -> Iterator[Finding]:
    """Readers that are everyone in the account."""
    bundle = context.bundle
    own, common = bundle.target(name).section("variables"), bundle.tree.section("variables")
    section, key = (own, "readers") if "readers" in own else (common.section("readers"), "default")
    if section.get(key) in EVERYONE:
        mark = section.marks[key]
        message = f"{name}: readers: given {section[key]}, a group that includes everyone"
        hint = "Name a group, here or in the variables of the target."
        yield Finding(mark.file, mark.line, RULE, message, hint, "warning")


def _url(context: CheckContext) -> Iterator[Finding]:
    """A missing address of the repository; the rule `identity` needs it."""
    if not context.policy.project.url:
        address = "/".join(origin_of(context.root) or ("example.com", "team/lakehouse"))
        hint = f'Set it, for links and to detect forks: url: "https://{address}"'
        message = "project.url: not set yet"
        yield context.policy_finding("project.url", RULE, message, hint, "warning")


def _owners(context: CheckContext) -> Iterator[Finding]:
    """Code owners that are placeholders or email addresses, few of which belong to an account.

    Each is told once: new domains have the owner of all files.
    """
    hint = "Name a team with write access, such as @your-organization/your-team."
    for owner, line in code_owners(context.root):
        if owner.startswith(NO_OWNER):
            message = f"code owner: {owner} is not set yet, so no review is requested"
            yield Finding(OWNERS_FILE, line, RULE, message, hint, "warning")
        elif "@" in owner[1:]:
            message = (
                f"code owner: given {owner}, expected a team, because a mailing list gets no "
                "review requests"
            )
            yield Finding(OWNERS_FILE, line, RULE, message, hint, "warning")
