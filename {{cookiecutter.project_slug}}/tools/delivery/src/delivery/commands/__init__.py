"""The commands of the command line: each reads its options, calls one thing, shows the result."""
