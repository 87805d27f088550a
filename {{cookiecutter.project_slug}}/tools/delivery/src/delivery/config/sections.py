"""The fields of a bundle besides its resources.

Source: https://docs.databricks.com/aws/en/dev-tools/bundles/settings and
https://docs.databricks.com/aws/en/dev-tools/bundles/reference
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class VariableType(Enum):
    """The type of a variable that is not a scalar."""

    COMPLEX = "complex"


class Engine(Enum):
    """What deploys resources."""

    TERRAFORM = "terraform"
    DIRECT = "direct"


class Level(Enum):
    """A permission on every resource of the bundle."""

    CAN_MANAGE = "CAN_MANAGE"
    CAN_VIEW = "CAN_VIEW"
    CAN_RUN = "CAN_RUN"


@dataclass
class Lookup:
    """Finds an id by a name; exactly one field is set."""

    alert: str = ""
    cluster: str = ""
    cluster_policy: str = ""
    dashboard: str = ""
    instance_pool: str = ""
    job: str = ""
    metastore: str = ""
    notification_destination: str = ""
    pipeline: str = ""
    query: str = ""
    service_principal: str = ""
    warehouse: str = ""


@dataclass
class Variable:
    """The declaration of a variable."""

    default: Any = None
    description: str = ""
    lookup: Lookup | None = None
    type: VariableType | None = None
    value: Any = None


@dataclass
class Lock:
    """The CLI's own lock."""

    enabled: bool = True
    force: bool = False


@dataclass
class Deployment:
    """How the CLI deploys."""

    fail_on_active_runs: bool = False
    lock: Lock | None = None


@dataclass
class Git:
    """Where the code comes from."""

    branch: str = ""
    origin_url: str = ""


@dataclass
class BundleSection:
    """`bundle`."""

    name: str = ""
    cluster_id: str = ""
    compute_id: str = ""
    databricks_cli_version: str = ""
    deployment: Deployment | None = None
    engine: Engine | None = None
    git: Git | None = None
    uuid: str = ""


@dataclass
class Workspace:
    """`workspace`."""

    account_id: str = ""
    artifact_path: str = ""
    auth_type: str = ""
    azure_client_id: str = ""
    azure_environment: str = ""
    azure_login_app_id: str = ""
    azure_tenant_id: str = ""
    azure_use_msi: bool = False
    azure_workspace_resource_id: str = ""
    client_id: str = ""
    experimental_is_unified_host: bool = False
    file_path: str = ""
    google_service_account: str = ""
    host: str = ""
    profile: str = ""
    resource_path: str = ""
    root_path: str = ""
    state_path: str = ""
    workspace_id: str = ""


@dataclass
class Presets:
    """`presets`."""

    artifacts_dynamic_version: bool = False
    jobs_max_concurrent_runs: int = 0
    name_prefix: str = ""
    pipelines_development: bool = False
    source_linked_deployment: bool = False
    tags: dict[str, str] | None = None
    trigger_pause_status: str = ""


@dataclass
class Sync:
    """`sync`."""

    exclude: list[str] | None = None
    include: list[str] | None = None
    paths: list[str] | None = None


@dataclass
class RunAs:
    """`run_as`."""

    group_name: str = ""
    service_principal_name: str = ""
    user_name: str = ""


@dataclass
class Permission:
    """An entry of `permissions`."""

    level: Level
    group_name: str = ""
    service_principal_name: str = ""
    user_name: str = ""


@dataclass
class ArtifactFile:
    """A file of an artifact."""

    source: str


class Executable(Enum):
    """The shell that builds an artifact."""

    BASH = "bash"
    SH = "sh"
    CMD = "cmd"


@dataclass
class Artifact:
    """What the CLI builds and uploads."""

    build: str = ""
    dynamic_version: bool = False
    executable: Executable | None = None
    files: list[ArtifactFile] | None = None
    path: str = ""
    type: str = ""


@dataclass
class PythonSection:
    """`python`."""

    mutators: list[str] | None = None
    resources: list[str] | None = None
    venv_path: str = ""


@dataclass
class PyDabs:
    """The former `python`."""

    enabled: bool = False


@dataclass
class Experimental:
    """`experimental`."""

    immutable_folder: bool = False
    pydabs: PyDabs | None = None
    python: PythonSection | None = None
    python_wheel_wrapper: bool = False
    record_deployment_history: bool = False
    scripts: dict[str, str] | None = None
    skip_artifact_cleanup: bool = False
    skip_name_prefix_for_schema: bool = False
    use_legacy_run_as: bool = False


@dataclass
class Script:
    """An entry of `scripts`."""

    content: str = ""
    env: dict[str, str] | None = None


@dataclass
class Target:
    """An entry of `targets`. Its resources are compared after they are merged."""

    artifacts: dict[str, Artifact] | None = None
    bundle: BundleSection | None = None
    cluster_id: str = ""
    compute_id: str = ""
    default: bool = False
    git: Git | None = None
    mode: str = ""
    permissions: list[Permission] | None = None
    presets: Presets | None = None
    resources: dict[str, Any] | None = None
    run_as: RunAs | None = None
    sync: Sync | None = None
    variables: dict[str, Any] | None = None
    workspace: Workspace | None = None


@dataclass
class Root:
    """A file of the bundle."""

    artifacts: dict[str, Artifact] | None = None
    bundle: BundleSection | None = None
    definitions: Any = None
    environments: dict[str, Target] | None = None
    experimental: Experimental | None = None
    include: list[str] | None = None
    permissions: list[Permission] | None = None
    presets: Presets | None = None
    python: PythonSection | None = None
    resources: dict[str, Any] | None = None
    run_as: RunAs | None = None
    scripts: dict[str, Script] | None = None
    sync: Sync | None = None
    targets: dict[str, Target] | None = None
    variables: dict[str, Variable] | None = None
    workspace: Workspace | None = None
