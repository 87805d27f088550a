"""The policy of the project: `delivery.yml`, typed."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from delivery.bundle import read_yaml
from delivery.errors import DeliveryError, Finding, InvalidFileError

FILE = "delivery.yml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Project(_Strict):
    """What the project is called, and what its jobs run on."""

    name: str
    compute: str


class Branches(_Strict):
    """Which branch is for what.

    Attributes:
        integration: where changes come together.
        targets: the branch that each target is delivered from.
        prefixes: what the name of every other branch starts with.
    """

    integration: str
    targets: dict[str, str]
    prefixes: list[str]

    @property
    def protected(self) -> tuple[str, ...]:
        """The branches that changes reach by request only."""
        return tuple(dict.fromkeys([self.integration, *self.targets.values()]))


class Policy(_Strict):
    """All of `delivery.yml`."""

    project: Project
    branches: Branches


def load_policy(root: Path) -> Policy:
    """Read `delivery.yml`.

    Raises:
        DeliveryError: the file does not follow the form; the message names line and field.
    """
    document = read_yaml(root, FILE)
    try:
        return Policy.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        mark = document.marks.get(str(first["loc"][0]))
        line = mark.line if mark else 0
        raise InvalidFileError(Finding(FILE, line, "policy", f"{field}: {first['msg']}")) from None


def find_root(start: Path) -> Path:
    """The project around `start`: the nearest folder with a `databricks.yml`.

    Raises:
        DeliveryError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "databricks.yml").is_file():
            return folder
    raise DeliveryError(
        f"project: given {start}, expected a folder with a databricks.yml in it or above it"
    )
