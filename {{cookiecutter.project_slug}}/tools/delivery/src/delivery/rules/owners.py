"""Who is asked to review: forges ignore an owner that they do not know, without a word."""

from collections.abc import Iterator
from pathlib import Path

from delivery.errors import Finding

FILE = "CODEOWNERS"
_PLACEHOLDER = "@example/"


def check_owners(root: Path) -> Iterator[Finding]:
    """Owners that nobody set, and addresses, which are rarely those of an account."""
    file = root / FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    mend = "Name a team of the forge that may write here, such as @your-organization/your-team."
    for number, line in enumerate(lines, start=1):
        for owner in line.partition("#")[0].split()[1:]:
            if owner.startswith(_PLACEHOLDER):
                message = f"code owner: {owner} is not set yet, so nobody is asked to review"
                yield Finding(FILE, number, "placeholder", message, mend, "warning")
            elif "@" in owner[1:]:
                message = f"code owner: given {owner}, an address: a mailing list is never asked"
                yield Finding(FILE, number, "placeholder", message, mend, "warning")
