"""`section`: fields of the bundle besides its resources, such as those of a target."""

from collections.abc import Iterator

from delivery.checks.registry import CheckContext, rule
from delivery.config.includes import ROOT_FILE
from delivery.config.model import mismatches
from delivery.config.sections import Root
from delivery.config.yaml import Mark, YamlMapping
from delivery.errors import Finding

RULE = "section"


@rule(RULE)
def check_section(context: CheckContext) -> Iterator[Finding]:
    """Fields that do not exist, and values of another type. The CLI leaves them out."""
    for found in mismatches(Root, context.bundle.tree, Mark(ROOT_FILE, 0)):
        where = f"{found.path}: " if found.path else ""
        yield Finding(*found.mark, RULE, f"{where}{found.message}", found.hint)
    tree = context.bundle.tree
    yield from _of_root(tree)
    yield from _of_workspace(tree.section("workspace"))
    for name in context.bundle.targets:
        yield from _of_workspace(context.bundle.target(name).section("workspace"))


def _of_root(tree: YamlMapping) -> Iterator[Finding]:
    """What the CLI refuses or does not read."""
    for mark in tree.items_of("include").marks:
        if mark.file != ROOT_FILE:
            message = f"include: given in {mark.file}, expected it in {ROOT_FILE} alone"
            yield Finding(*mark, RULE, message, "The CLI does not read it here. Move it.")
    run_as = tree.section("run_as")
    if {"user_name", "service_principal_name"} <= {*run_as}:
        message = "run_as: given user_name and service_principal_name, expected one of them"
        yield Finding(*tree.marks["run_as"], RULE, message, "Keep service_principal_name.")
    experimental = tree.section("experimental")
    if tree.get("python") != experimental.get("python", tree.get("python")) and "python" in tree:
        message = "experimental.python: given beside python, expected one of them"
        yield Finding(*experimental.marks["python"], RULE, message, "Keep python.")
    if experimental.get("use_legacy_run_as") is True:
        message = "experimental.use_legacy_run_as: deprecated, expected a run_as for each pipeline"
        mark = experimental.marks["use_legacy_run_as"]
        yield Finding(*mark, RULE, message, "run_as: {service_principal_name: …}", "warning")
    for name, script in tree.section("scripts").items():
        if isinstance(script, YamlMapping) and not script.get("content"):
            mark = tree.section("scripts").marks[name]
            yield Finding(*mark, RULE, f"scripts.{name}: given no content", "content: echo hello")


def _of_workspace(workspace: YamlMapping) -> Iterator[Finding]:
    """Folders of the workspace that are none."""
    for key in ("root_path", "file_path", "resource_path", "state_path"):
        if str(workspace.get(key, "")).startswith("/Volumes/"):
            message = f"workspace.{key}: given {workspace[key]}, expected a folder of the workspace"
            hint = "Only artifact_path may be in a volume."
            yield Finding(*workspace.marks[key], RULE, message, hint)
