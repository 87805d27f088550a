"""Scalars of YAML as texts."""

from decimal import Decimal
from typing import Any


def as_text(value: Any) -> str:
    """A scalar as the Databricks CLI writes it into a text: `true`, `10`, `1000` for 1e3."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        digits = format(Decimal(repr(value)), "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return value if isinstance(value, str) else repr(value)
