"""What ends a command."""

import sys


class CommandError(Exception):
    """The command fails with this message and exit code 1."""

    reported = False

    def tell(self) -> None:
        """Say it, once."""
        if not self.reported:
            self.reported = True
            say(f"Error: {self}\n")


def say(text: str) -> None:
    """Tell people; stdout is for results."""
    print(text, file=sys.stderr, flush=True)
