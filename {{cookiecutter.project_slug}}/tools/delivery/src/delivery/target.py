"""Where a target is, and whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from delivery.bundle import Bundle, Section, load, resolve
from delivery.bundle.references import value_of
from delivery.environment import address
from delivery.errors import DeliveryError, Exit
from delivery.run_as import Identities


@dataclass(frozen=True)
class Target:
    """One environment of the bundle, as the YAML addresses it.

    Attributes:
        project: the project's identity, made once at its generation (`bundle.uuid`).
        host: the workspace's address.
        root: the folder in the workspace that state, releases and ledger live in.
        deployer, runner, planner: application ids of the three service principals.
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
    tree: Section

    @property
    def identities(self) -> Identities:
        """Its three service principals."""
        return Identities(self.deployer, self.runner, self.planner)

    @property
    def files(self) -> str:
        """The folder of the release's files in the workspace."""
        return str(self.tree.section("workspace").get("file_path", f"{self.root}/files"))

    def release_folder(self, release: str) -> str:
        """The folder in the workspace that one release lives in."""
        return f"{self.root}/releases/{release}"

    @property
    def declared(self) -> set[str]:
        """The keys of all declared resources, such as `jobs.flights_daily`."""
        kinds = self.tree.section("resources")
        return {f"{kind}.{key}" for kind in kinds for key in kinds.section(kind)}


def read_target(root: Path, name: str, variables: Mapping[str, str] | None = None) -> Target:
    """Read a target from the bundle at `root`.

    Raises:
        DeliveryError: there is no such target, or a reference in it points at nothing.
    """
    bundle = load(root)
    resolved = resolve(bundle, name, variables)
    if resolved.findings:
        raise DeliveryError("\n".join(map(str, resolved.findings)))
    tree = resolved.tree
    workspace, given = tree.section("workspace"), {**tree.section("bundle")}
    return Target(
        name=name,
        bundle=str(given.get("name")),
        project=str(given.get("uuid", "")),
        host=str(workspace.get("host", "")).rstrip("/"),
        root=str(workspace.get("root_path", "")),
        tree=tree,
        **identities_of(bundle, name)._asdict(),
    )


def own_host(target: Target) -> Target:
    """The target, if it is in the workspace that this process is meant for.

    Raises:
        DeliveryError: the YAML names another workspace than `DATABRICKS_HOST`: the host of the
            YAML wins over the variable, and would be given the pipeline's token.
    """
    meant = address("DATABRICKS_HOST")
    if meant and meant != target.host:
        raise DeliveryError(
            f"host of {target.name}: given {target.host}, expected {meant} of DATABRICKS_HOST",
            Exit.REFUSED,
        )
    return target


def identities_of(bundle: Bundle, name: str) -> Identities:
    """The three service principals of a target, as its variables come out."""
    return Identities(*(value_of(bundle, name, field) for field in Identities._fields))
