"""`target`: what the CLI asks of a target: of its name, its mode and its folders."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "target"
_MODES = ("development", "production")
_FOLDERS = ("root_path", "file_path", "resource_path", "artifact_path", "state_path")
_OWN = "${workspace.current_user.short_name}"


@rule(RULE, scope="target", needs="root")
def check_target(context: CheckContext, target: str) -> Iterator[Finding]:
    """Targets whose folders do not suit their mode, or that everybody may write to."""
    settings, tree = context.bundle.target(target), context.targets[target].tree
    yield from _bundle(settings.section("bundle"), context.bundle.tree.section("bundle"))
    mode = tree.section("bundle").get("mode") if "mode" in settings else None
    if mode == "development":
        yield from _development(tree)
    elif mode == "production":
        yield from _production(settings, tree)
    elif mode:
        message = f"mode: given {mode}, expected {' or '.join(_MODES)}"
        yield Finding(*settings.marks["mode"], RULE, message, "mode: production")
    yield from _shared(tree)


def _bundle(settings: YamlMapping, shared: YamlMapping) -> Iterator[Finding]:
    """A name that changes with a variable, and the former engine."""
    named = settings if "name" in settings else shared
    if "${" in str(named.get("name", "")):
        message = f"bundle.name: given {named['name']}, expected a name without references"
        hint = "The folder of the state has it: with another value, the CLI deploys all anew."
        yield Finding(*named.marks["name"], RULE, message, hint)
    driven = settings if "engine" in settings else shared
    if driven.get("engine") == "terraform":
        message = "bundle.engine: terraform is deprecated, expected direct"
        hint = "See https://docs.databricks.com/aws/en/dev-tools/bundles/direct"
        yield Finding(*driven.marks["engine"], RULE, message, hint, "warning")


def _development(tree: YamlMapping) -> Iterator[Finding]:
    """Each developer has an own copy, in which nothing is scheduled."""
    presets, workspace = tree.section("presets"), tree.section("workspace")
    if presets.get("trigger_pause_status") == "UNPAUSED":
        message = "trigger_pause_status: given UNPAUSED, expected PAUSED in development"
        hint = "Set it for single jobs instead, or use mode: production."
        yield Finding(*presets.marks["trigger_pause_status"], RULE, message, hint)
    prefix = str(presets.get("name_prefix") or "")
    if prefix and not _may_be_own(prefix):
        message = f"name_prefix: given {prefix}, expected the developer's name in it"
        yield Finding(*presets.marks["name_prefix"], RULE, message, f'name_prefix: "[dev {_OWN}] "')
    for key in _FOLDERS:
        folder = str(workspace.get(key) or "")
        if folder and not folder.startswith("~") and not _may_be_own(folder):
            message = f"workspace.{key}: given {folder}, expected a folder of the developer"
            hint = f"{key}: ~/.bundle/${{bundle.name}}/${{bundle.target}}"
            yield Finding(*workspace.marks[key], RULE, message, hint)
            return


def _may_be_own(text: str) -> bool:
    """Whether a text has the name of the user, or what may be the name or is not known yet."""
    return "<" in text or "/Users/" in text


def _production(settings: YamlMapping, tree: YamlMapping) -> Iterator[Finding]:
    """There is one copy, whoever deploys it."""
    resources = tree.section("resources")
    pipelines, jobs = resources.section("pipelines"), resources.section("jobs")
    for key in pipelines:
        pipeline = pipelines.section(key)
        if pipeline.get("development") is True:
            message = f"pipelines.{key}: given development: true, expected false in production"
            yield Finding(*pipeline.marks["development"], RULE, message, "development: false")
    runs_as = "run_as" in tree or all("run_as" in jobs.section(key) for key in jobs)
    if not settings.section("workspace").get("root_path") and not runs_as:
        message = "workspace.root_path: given none in the target, expected one in production"
        hint = "root_path: /Workspace/Deployments/x; with the default, each deployer has a copy"
        yield Finding(*settings.marks["mode"], RULE, message, hint)


def _shared(tree: YamlMapping) -> Iterator[Finding]:
    """A folder that all users may change, unless the bundle says so."""
    workspace = tree.section("workspace")
    folder = str(workspace.get("root_path") or "")
    meant = any(
        one.get("group_name") == "users" and one.get("level") == "CAN_MANAGE"
        for one, _ in tree.items_of("permissions").sections()
    )
    if folder.startswith(("/Workspace/Shared/", "/Shared/")) and not meant:
        message = f"workspace.root_path: all users may change {folder}"
        hint = "Name another folder, or: permissions: [{group_name: users, level: CAN_MANAGE}]"
        mark = workspace.marks.get("root_path", Mark("databricks.yml", 0))
        yield Finding(*mark, RULE, message, hint, "warning")
