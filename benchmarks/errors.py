"""Why a part of the benchmark has no figures."""


class MissingError(Exception):
    """This machine lacks what a part needs; the part is skipped."""


class FailedError(Exception):
    """A measured command ended with an error."""
