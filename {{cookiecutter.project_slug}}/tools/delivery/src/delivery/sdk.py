"""The parts of `databricks-sdk` that the tool uses, without all the others.

The package imports every service that Databricks has as soon as any part of it is asked for: a
second and a half, at each command. Its parts stand on their own, so the package is put in place
without that; whoever in this process asks it for anything else gets all of it, as it is. The
version is pinned, and what is used here is what the tests of delivery use.
"""

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_NAME = "databricks.sdk"


def _prepare() -> ModuleType | None:
    """Put the package in place, empty; nothing where it is there already."""
    spec = importlib.util.find_spec(_NAME)
    if _NAME in sys.modules or spec is None:
        return None
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    parent, _, name = _NAME.rpartition(".")
    setattr(importlib.import_module(parent), name, module)
    return module


class _Rest:
    """All that the package has beside the parts that are used here, as its `__getattr__`."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.lock = threading.RLock()  # while it loads, other threads wait
        self.is_loaded = False

    def __call__(self, name: str) -> Any:
        """An attribute that is not there yet: the package is loaded, once, as it always is."""
        spec = self.module.__spec__
        with self.lock:
            if not self.is_loaded and spec and spec.loader:
                self.is_loaded = True
                spec.loader.exec_module(self.module)
            if name in vars(self.module):
                return vars(self.module)[name]
        raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")


_package = _prepare()

from databricks.sdk.config import Config  # noqa: E402
from databricks.sdk.core import ApiClient, DatabricksError  # noqa: E402
from databricks.sdk.errors import (  # noqa: E402
    BadRequest,
    InternalError,
    NotFound,
    PermissionDenied,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.mixins.workspace import WorkspaceExt  # noqa: E402
from databricks.sdk.service.iam import CurrentUserAPI  # noqa: E402
from databricks.sdk.service.jobs import JobsAPI  # noqa: E402
from databricks.sdk.service.workspace import ImportFormat  # noqa: E402

if _package:  # not before: the parts above ask for one another
    vars(_package)["__getattr__"] = _Rest(_package)

__all__ = [
    "BadRequest",
    "Client",
    "Config",
    "DatabricksError",
    "ImportFormat",
    "InternalError",
    "NotFound",
    "PermissionDenied",
    "ResourceConflict",
    "Unauthenticated",
]


class Client:
    """What `WorkspaceClient` offers, as far as it is used."""

    def __init__(self, config: Config) -> None:
        self.api_client: Any = ApiClient(config)
        self.current_user: Any = CurrentUserAPI(self.api_client)
        self.jobs: Any = JobsAPI(self.api_client)
        self.workspace: Any = WorkspaceExt(self.api_client)
