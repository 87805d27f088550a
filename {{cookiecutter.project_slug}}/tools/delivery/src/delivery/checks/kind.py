"""`kind`: what single kinds of resources need besides the fields of their models."""

from collections import Counter
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import resources_of
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "kind"
# Fields whose values come from a file.
_IN_FILE = {
    "alerts": (
        *("custom_description", "custom_summary", "evaluation", "parameters"),
        *("query_text", "run_as", "schedule"),
    ),
    "dashboards": ("serialized_dashboard",),
    "genie_spaces": ("serialized_space",),
}


@rule(RULE, scope="target")
def check_kind(context: CheckContext, target: str) -> Iterator[Finding]:
    """Apps without code, and serving endpoints that list their models twice."""
    tree = context.targets[target].tree
    apps = tree.section("resources").section("apps")
    folders = Counter(str(apps.section(key).get("source_code_path")) for key in apps)
    for kind, key, resource, mark in resources_of(tree):
        name = f"{kind}.{key}"
        if kind == "apps":
            yield from _app(name, resource, mark, folders)
        yield from _known_to_cli(name, kind, resource)
        yield from _grants(name, resource)
        yield from _twice(name, kind, resource)
        if kind == "model_serving_endpoints":
            yield from _endpoint(name, resource.section("config"))


def _known_to_cli(name: str, kind: str, resource: YamlMapping) -> Iterator[Finding]:
    """Fields that the CLI keeps in its state, and refuses in YAML."""
    if kind in ("dashboards", "genie_spaces") and "etag" in resource:
        message = f"{name}: given etag, which the CLI sets by itself"
        yield Finding(*resource.marks["etag"], RULE, message, "Remove it.")


def _grants(name: str, resource: YamlMapping) -> Iterator[Finding]:
    for grant, mark in resource.items_of("grants").sections():
        if not grant.get("principal"):
            message = f"{name}.grants: given no principal, expected a group or an application id"
            yield Finding(*mark, RULE, message, "principal: analysts")


def _twice(name: str, kind: str, resource: YamlMapping) -> Iterator[Finding]:
    """What is in the file at `file_path`, and in the YAML too."""
    if "file_path" not in resource:
        return
    for field in _IN_FILE.get(kind, ()):
        if field in resource:
            message = f"{name}: given {field} beside file_path, whose file has it"
            hint = f"Keep one of them: remove {field}, or file_path."
            yield Finding(*resource.marks[field], RULE, message, hint)


def _app(name: str, app: YamlMapping, mark: Mark, folders: Counter[str]) -> Iterator[Finding]:
    folder = app.get("source_code_path")
    if folder and folders[str(folder)] > 1:
        message = f"{name}: given the code of another app, {folder}, expected a folder of its own"
        hint = "Each app writes its configuration into that folder."
        yield Finding(*app.marks["source_code_path"], RULE, message, hint)
    if not app.get("source_code_path") and not app.get("git_source"):
        message = f"{name}: given no code, expected source_code_path or git_source"
        yield Finding(*mark, RULE, message, "source_code_path: ../../src/NAME")


def _endpoint(name: str, config: YamlMapping) -> Iterator[Finding]:
    if "served_models" not in config:
        return
    mark = config.marks["served_models"]
    if "served_entities" in config:
        message = f"{name}: given served_models and served_entities, expected one of them"
        yield Finding(*mark, RULE, message, "Move all models to served_entities.")
    else:
        message = f"{name}: served_models is deprecated, expected served_entities"
        hint = "Rename it; model_name becomes entity_name, and model_version entity_version."
        yield Finding(*mark, RULE, message, hint, "warning")
