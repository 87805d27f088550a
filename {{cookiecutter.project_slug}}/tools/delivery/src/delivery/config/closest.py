"""Finds the known word that is closest to a misspelt one."""

import difflib
from collections.abc import Iterable
from typing import Any


def closest(given: Any, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The most similar of the known words, whatever its case; empty if none is similar."""
    by_case = {word.lower(): word for word in known}
    found = difflib.get_close_matches(str(given).lower(), by_case, 1, cutoff)
    return by_case[found[0]] if found else ""
