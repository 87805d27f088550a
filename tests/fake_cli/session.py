"""One run of a command against a workspace: who, where, and what the bundle says."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from delivery.config.yaml import YamlMapping

from fake_cli.api import Client, Files, Json
from fake_cli.config import Settings, User
from fake_cli.errors import CommandError
from fake_cli.resources import Node, nodes, prepared
from fake_cli.state import State

NO_CREDENTIALS = (
    "failed during request visitor: default auth: cannot configure default credentials, please "
    "check https://docs.databricks.com/en/dev-tools/auth.html"
    "#databricks-client-unified-authentication to configure credentials for your preferred "
    "authentication method."
)

NO_HOST = "failed during request visitor: pat auth: host is required for PAT authentication"


@dataclass
class Session:
    """The bundle of one target, and the workspace."""

    settings: Settings
    client: Client
    user: User
    workspace_id: str = ""

    @property
    def root(self) -> Path:
        """The project."""
        root: Path = self.settings.bundle.root
        return root

    @cached_property
    def tree(self) -> YamlMapping:
        """The resolved tree."""
        return self.settings.resolved(self.user, self._found())

    def _found(self) -> dict[str, str]:
        """The ids of the warehouses that variables name."""
        names = self.settings.warehouses
        if not names:
            return {}
        answer = self.client.call("GET", "/api/2.0/sql/warehouses")
        ids = {one["name"]: str(one["id"]) for one in answer["warehouses"]}
        for name in names.values():
            if name not in ids:
                raise CommandError(
                    f"failed to resolve warehouse: {name}, err: EndpointInfo named '{name}' does "
                    "not exist"
                )
        return {variable: ids[name] for variable, name in names.items()}

    @cached_property
    def resources(self) -> Json:
        """All resources with what the CLI adds."""
        return prepared(self.tree, self.user, self.root)

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The nodes of the plan."""
        return nodes(self.resources)

    @property
    def workspace(self) -> YamlMapping:
        """Where things are in the workspace."""
        return self.tree.section("workspace")

    @property
    def state_path(self) -> str:
        """The folder of the state."""
        return str(self.workspace["state_path"])

    @property
    def locks(self) -> bool:
        """Deploys of mode development take no lock unless told so."""
        about = self.tree.section("bundle")
        enabled = about.section("deployment").section("lock").get("enabled")
        return about.get("mode") != "development" if enabled is None else bool(enabled)

    @cached_property
    def files(self) -> Files:
        """Files of the workspace."""
        return Files(self.client)

    @cached_property
    def state(self) -> State:
        """The state, not pulled yet."""
        folder = self.root / ".databricks"
        folder.mkdir(exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
        return State(folder / "bundle" / self.settings.target)

    def node(self, key: str) -> str:
        """The node of a resource's key, with or without its kind."""
        name = key.removeprefix("resources.").split(".")[-1]
        for kind, entries in self.resources.items():
            if name in entries:
                return f"resources.{kind}.{name}"
        raise CommandError(f"no such resource: {key}")


def connect(settings: Settings) -> Session:
    """Find host and token, and ask the workspace who this is.

    Raises:
        CommandError: there is no host or token, or the workspace refuses them.
    """
    written = settings.tree.section("workspace").get("host")
    host, token = written or os.environ.get("DATABRICKS_HOST"), os.environ.get("DATABRICKS_TOKEN")
    if not (host and token):
        pat = os.environ.get("DATABRICKS_AUTH_TYPE") == "pat"
        raise CommandError(NO_HOST if pat and not host else NO_CREDENTIALS)
    client = Client(host if "://" in host else f"https://{host}", token)
    about = client.call("GET", "/.well-known/databricks-config")
    me = client.call("GET", "/api/2.0/preview/scim/v2/Me")
    user = User(me["userName"], me.get("id", ""))
    return Session(settings, client, user, str(about.get("workspace_id", "")))
