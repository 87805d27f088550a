"""The parts of `databricks-sdk` that the tool uses, without all the others.

The package imports every service that Databricks has as soon as any part of it is asked for: a
second and a half, at each command. Its parts stand on their own, so the package is put in place
without that; the version is pinned, and what is used here is what the tests of delivery use.
"""

import importlib.util
import sys
from typing import Any

_NAME = "databricks.sdk"


def _prepare() -> None:
    spec = importlib.util.find_spec(_NAME)
    if _NAME not in sys.modules and spec:
        sys.modules[_NAME] = importlib.util.module_from_spec(spec)


_prepare()

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
