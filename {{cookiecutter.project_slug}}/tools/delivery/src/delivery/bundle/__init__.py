"""The bundle as its YAML says it, read offline: files, includes, targets, variables, references."""

from delivery.bundle.document import Items, Mark, Section, read_yaml
from delivery.bundle.load import Bundle, load, survey
from delivery.bundle.references import Resolved, resolve

__all__ = [
    "Bundle",
    "Items",
    "Mark",
    "Resolved",
    "Section",
    "load",
    "read_yaml",
    "resolve",
    "survey",
]
