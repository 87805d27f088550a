"""`tool`: the delivery tool has the version that the policy requires, and is unedited."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from delivery.checks.registry import CheckContext, rule
from delivery.config.policy import version_problem
from delivery.config.policy_file import POLICY_FILE
from delivery.errors import Finding

RULE = "tool"
TOOL_FOLDER = Path("tools", "delivery")
DIGEST_FILE = "DIGEST"  # the file with the digest of all others
_SUFFIXES = (".py", ".j2", ".json", ".md", ".toml")


@rule(RULE)
def check_tool(context: CheckContext) -> Iterator[Finding]:
    """A version outside `tool.required_version`, and files that differ from their digest."""
    policy = context.policy.tool
    problem = version_problem(policy)
    if problem:
        hint = "Update the project from its template: cruft update"
        yield context.policy_finding("tool.required_version", RULE, problem, hint)
    home = context.root / TOOL_FOLDER
    recorded = home / DIGEST_FILE
    if policy.owned or not recorded.is_file():
        return  # the team maintains it, or installs it from an index
    if recorded.read_text(encoding="utf-8").strip() != digest_of(home):
        message = f"{TOOL_FOLDER.as_posix()}: its files differ from the template's"
        hint = (
            f"Restore them: git checkout COMMIT -- {TOOL_FOLDER.as_posix()}. If your team "
            f"maintains the tool from now on, say so in {POLICY_FILE}: tool: {{owned: true}}"
        )
        yield Finding((TOOL_FOLDER / DIGEST_FILE).as_posix(), 0, RULE, message, hint, "warning")


def digest_of(home: Path) -> str:
    """The sha256 of the tool's files: the same on every system, whatever its line endings are."""
    total = sha256()
    for file in sorted(home.rglob("*")):
        path = file.relative_to(home)
        hidden = any(part.startswith((".", "__pycache__")) for part in path.parts)
        if file.suffix in _SUFFIXES and not hidden:
            content = file.read_bytes().replace(b"\r\n", b"\n")
            total.update(f"{path.as_posix()}\0{sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()
