"""`kind`: what single kinds of resources need besides the fields of their models."""

import re
from collections import Counter
from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.bundle import Bundle, resources_of
from delivery.config.references import partly_resolved
from delivery.config.yaml import Mark, YamlMapping, string_values
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
_PRINCIPALS = ("group_name", "service_principal_name", "user_name")
# Kinds that get the bundle's permissions, and those of them that know CAN_RUN.
_RUNNABLE = ("alerts", "clusters", "jobs", "model_serving_endpoints", "pipelines", "sql_warehouses")
_SHARED = (
    *("apps", "dashboards", "database_instances", "experiments", "genie_spaces"),
    *("instance_pools", "models", "postgres_projects", "secret_scopes", "vector_search_endpoints"),
)
_RESOURCE = re.compile(r"\$\{resources\.(\w+)\.([^.]+)\.\w+\}")


@rule(RULE, scope="target")
def check_kind(context: CheckContext, target: str) -> Iterator[Finding]:
    """Apps without code, and serving endpoints that list their models twice."""
    tree = context.targets[target].tree
    yield from _secrets(context.bundle, target, tree.section("resources"))
    yield from _rights_of_apps(context.bundle, target, tree)
    apps = tree.section("resources").section("apps")
    folders = Counter(str(apps.section(key).get("source_code_path")) for key in apps)
    for kind, key, resource, mark in resources_of(tree):
        name = f"{kind}.{key}"
        if kind == "apps":
            yield from _app(name, resource, mark, folders)
        yield from _known_to_cli(name, kind, resource)
        yield from _grants(name, resource)
        yield from _permissions(name, kind, resource, tree)
        yield from _twice(name, kind, resource)
        if kind == "model_serving_endpoints":
            yield from _endpoint(name, resource.section("config"))


def _known_to_cli(name: str, kind: str, resource: YamlMapping) -> Iterator[Finding]:
    """Fields that the CLI keeps in its state, and refuses in YAML."""
    if kind in ("dashboards", "genie_spaces") and "etag" in resource:
        message = f"{name}: given etag, which the CLI sets by itself"
        yield Finding(*resource.marks["etag"], RULE, message, "Remove it.")
    if kind == "volumes" and resource.get("volume_path"):
        message = f"{name}: given volume_path, which the CLI computes"
        yield Finding(*resource.marks["volume_path"], RULE, message, "Remove it.")


def _grants(name: str, resource: YamlMapping) -> Iterator[Finding]:
    for grant, mark in resource.items_of("grants").sections():
        if not grant.get("principal"):
            message = f"{name}.grants: given no principal, expected a group or an application id"
            yield Finding(*mark, RULE, message, "principal: analysts")


def _permissions(
    name: str, kind: str, resource: YamlMapping, tree: YamlMapping
) -> Iterator[Finding]:
    """Rights that the bundle gives to the same principal; those of the resource win."""
    shared = _shared_by_bundle(kind, tree)
    for one, mark in resource.items_of("permissions").sections():
        for field in _PRINCIPALS:
            if one.get(field) and one[field] in [other.get(field) for other in shared]:
                message = f"{name}.permissions: {one[field]} has a permission of the bundle, too"
                hint = "Keep one of the two. That of the resource wins."
                yield Finding(*mark, RULE, message, hint, "warning")


def _shared_by_bundle(kind: str, tree: YamlMapping) -> list[YamlMapping]:
    """The bundle's own permissions, as far as the kind has such a level."""
    if kind not in (*_RUNNABLE, *_SHARED):
        return []
    given = [one for one, _ in tree.items_of("permissions").sections()]
    return [one for one in given if one.get("level") != "CAN_RUN" or kind in _RUNNABLE]


def _rights_of_apps(bundle: Bundle, target: str, tree: YamlMapping) -> Iterator[Finding]:
    """Resources that an app uses, and whose permissions leave out the app's principal."""
    if "apps" not in tree.section("resources"):
        return
    resources = partly_resolved(bundle, target, "resources")
    apps = resources.section("apps")
    for key in apps:
        principal = f"${{resources.apps.{key}.service_principal_client_id}}"
        for used, mark in apps.section(key).items_of("resources").sections():
            for kind, name in re.findall(_RESOURCE, " ".join(t for _, t, _ in string_values(used))):
                resource = resources.section(kind).section(name)
                rights = [one for one, _ in resource.items_of("permissions").sections()]
                named = [one.get("service_principal_name") for one in rights]
                if (rights or _shared_by_bundle(kind, tree)) and principal not in named:
                    message = f"apps.{key}: {kind}.{name} has permissions without the app's"
                    hint = f"The next deploy would take them from the app. Add {principal}."
                    yield Finding(*mark, RULE, message, hint, "warning")


def _secrets(bundle: Bundle, target: str, resources: YamlMapping) -> Iterator[Finding]:
    """Secrets whose value is in a file: that of a variable must come with the deploy."""
    if "secrets" not in resources:
        return
    secrets = partly_resolved(bundle, target, "var").section("secrets")
    for key in secrets:
        secret = secrets.section(key)
        named = re.fullmatch(r"\$\{var\.([\w-]+)\}", str(secret.get("value")))
        name = named[1] if named else ""
        if "default" in bundle.tree.section("variables").section(name):
            message = f"secrets.{key}.value: variable {name} has a default, expected none"
            hint = f"Remove it, and give the value with the deploy: --var {name}=…"
            yield Finding(*secret.marks["value"], RULE, message, hint)


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
