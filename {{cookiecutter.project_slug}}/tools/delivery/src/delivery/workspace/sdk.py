"""The parts of `databricks-sdk` that the tool uses, imported without the rest.

A normal import of any part loads every Databricks service, which costs a second and a half in each
command. The parts do not depend on that, so this module registers an empty package and imports
them alone. Any other attribute of the package loads it in full. The version is pinned, and the
tests of delivery exercise every part that is used here.
"""

# mypy: disable-error-code=no-untyped-call
# The SDK's own constructors have no types.

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import Any

_NAME = "databricks.sdk"


def _prepare() -> ModuleType | None:
    """Register the package, empty; None if it is already imported or not installed."""
    spec = importlib.util.find_spec(_NAME)
    if _NAME in sys.modules or spec is None:
        return None
    module = sys.modules[_NAME] = importlib.util.module_from_spec(spec)
    parent, _, name = _NAME.rpartition(".")
    setattr(importlib.import_module(parent), name, module)
    return module


class _Rest:
    """The package's `__getattr__`, which loads the package in full on first use."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.lock = threading.RLock()  # other threads wait while it loads
        self.is_loaded = False

    def __call__(self, name: str) -> Any:
        """An attribute that is missing so far."""
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

if _package:  # only now: the parts above import one another
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
    """The parts of `WorkspaceClient` that the tool uses."""

    def __init__(self, config: Config) -> None:
        self.api_client: Any = ApiClient(config)
        self.current_user: Any = CurrentUserAPI(self.api_client)
        self.jobs: Any = JobsAPI(self.api_client)
        self.workspace: Any = WorkspaceExt(self.api_client)
