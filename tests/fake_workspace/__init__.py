"""An emulated Databricks workspace: the calls that deployments need, over HTTP, in memory."""

from .identities import Identity, service_principal
from .server import Logged, Workspace

__all__ = ["Identity", "Logged", "Workspace", "service_principal"]
