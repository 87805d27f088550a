"""Check, run and deliver the lakehouse. The command line is `delivery --help`."""
