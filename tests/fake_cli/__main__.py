"""`python -m fake_cli`."""

import sys

from fake_cli.cli import main

sys.exit(main(sys.argv[1:]))
