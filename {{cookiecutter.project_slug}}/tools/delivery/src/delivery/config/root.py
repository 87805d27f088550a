"""The folder of the project."""

from pathlib import Path

from delivery.errors import DeliveryError


def find_root(start: Path) -> Path:
    """The project around `start`: the nearest folder with a `databricks.yml`.

    Raises:
        DeliveryError: no folder has one.
    """
    for folder in (start, *start.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise DeliveryError(
        f"project: given {start}, expected a folder with a databricks.yml in it or above it"
    )
