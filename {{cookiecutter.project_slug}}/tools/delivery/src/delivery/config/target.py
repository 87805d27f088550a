"""A target: its workspace, its folder there and its service principals."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.config.bundle import Bundle, load_bundle
from delivery.config.identities import Identities
from delivery.config.references import resolve, value_of
from delivery.config.yaml import YamlMapping
from delivery.environment import env_url
from delivery.errors import DeliveryError, RefusedError
from delivery.refusals import Refusal


@dataclass(frozen=True)
class Target:
    """One target of the bundle, as the YAML declares it.

    Attributes:
        project: the identity of the project (`bundle.uuid`), generated once.
        host: the address of the workspace.
        root: the workspace folder with the state, releases and ledger.
        deployer, runner, planner: the application ids of the service principals.
        tree: the whole configuration, resolved.
    """

    name: str
    bundle: str
    project: str
    host: str
    root: str
    deployer: str
    runner: str
    planner: str
    tree: YamlMapping

    @property
    def identities(self) -> Identities:
        """The three service principals."""
        return Identities(self.deployer, self.runner, self.planner)

    @property
    def files(self) -> str:
        """The workspace folder with the files of the release."""
        return str(self.tree.section("workspace").get("file_path", f"{self.root}/files"))

    def release_folder(self, release: str) -> str:
        """The workspace folder of one release."""
        return f"{self.root}/releases/{release}"

    @property
    def declared(self) -> set[str]:
        """The keys of the declared resources, such as `jobs.flights_daily`."""
        kinds = self.tree.section("resources")
        return {f"{kind}.{key}" for kind in kinds for key in kinds.section(kind)}


def read_target(root: Path, name: str, variables: Mapping[str, str] | None = None) -> Target:
    """Read a target from the bundle at `root`.

    Raises:
        DeliveryError: the target does not exist, or has a reference that cannot be resolved.
    """
    bundle = load_bundle(root)
    resolved = resolve(bundle, name, variables)
    if resolved.errors:
        raise DeliveryError("\n".join(map(str, resolved.errors)))
    tree = resolved.tree
    workspace, settings = tree.section("workspace"), tree.section("bundle")
    return Target(
        name=name,
        bundle=str(settings.get("name")),
        project=str(settings.get("uuid", "")),
        host=str(workspace.get("host", "")).rstrip("/"),
        root=str(workspace.get("root_path", "")),
        tree=tree,
        **identities_of(bundle, name)._asdict(),
    )


def require_configured_host(target: Target) -> Target:
    """The target, if its host is the one in `DATABRICKS_HOST`, or the variable is not set.

    Raises:
        RefusedError: the hosts differ. The CLI prefers the host of the YAML, and would send the
            pipeline's token there.
    """
    expected = env_url("DATABRICKS_HOST")
    if expected and expected != target.host:
        raise RefusedError(
            Refusal.OTHER_HOST,
            f"host of {target.name}: given {target.host}, expected {expected} of DATABRICKS_HOST",
        )
    return target


def identities_of(bundle: Bundle, name: str) -> Identities:
    """The three service principals of a target, from its resolved variables."""
    return Identities(*(value_of(bundle, name, field) for field in Identities._fields))


# Stand-ins for the variables of a release that is not extracted yet; no address uses them.
UNKNOWN_RELEASE = {"release": "", "wheel": ""}
PREVIEW_TARGET = "preview"
