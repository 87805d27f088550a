"""`python -m delivery`."""

from delivery.cli.app import main

main()
