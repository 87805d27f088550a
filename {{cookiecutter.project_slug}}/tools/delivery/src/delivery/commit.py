"""`python -P -m delivery.commit RULE…`: some rules of `delivery check`, for a commit.

It takes no options: the option parser, with pydantic, takes longer than the rules that commits wait
for. `delivery check --committing --only RULE` runs the same rules.
"""

import sys
from pathlib import Path

from delivery.checks.registry import CheckContext, check
from delivery.config.root import find_root
from delivery.errors import DeliveryError, Exit
from delivery.render.findings import Format, exit_code, formatted


def main(rules: list[str]) -> Exit:
    """Run the rules on the project of the current folder, and print their findings."""
    if not rules:
        raise DeliveryError("commit: given no rules, expected their names, such as branch")
    findings = check(CheckContext(find_root(Path.cwd()), committing=True), rules)
    print(formatted(findings, Format.TABLE))
    return exit_code(findings)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DeliveryError as error:
        print(error, file=sys.stderr)
        sys.exit(error.code)
