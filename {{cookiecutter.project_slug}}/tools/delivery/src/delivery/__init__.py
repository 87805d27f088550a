"""Check, run and deliver the lakehouse. The command line is `delivery --help`."""

__version__ = "0.2.0"
