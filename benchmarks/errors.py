"""Errors of the benchmark."""


class MissingError(Exception):
    """This machine lacks something that a part needs; the part is skipped."""


class FailedError(Exception):
    """A measured command ended with an error."""
