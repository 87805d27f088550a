"""`alert`: what is in the `.dbalert.json` file that an alert comes from."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from delivery.checks.model import model_of
from delivery.checks.registry import CheckContext, rule
from delivery.config.model import mismatches
from delivery.config.yaml import Mark, YamlMapping, read_yaml, string_values
from delivery.errors import Finding, InvalidFileError

RULE = "alert"
_SOURCE = "https://docs.databricks.com/aws/en/dev-tools/bundles/resources#alerts"
# The alert's YAML has these, and an exported file those that the workspace sets.
_IN_YAML = ("display_name", "warehouse_id", "file_path", "permissions", "lifecycle")
_EXPORTED = (
    *("create_time", "effective_run_as", "id", "lifecycle_state", "owner_user_name"),
    *("update_time", "query_lines", "query_text", "custom_description_lines", *_IN_YAML),
)


@rule(RULE, scope="target")
def check_alert(context: CheckContext, target: str) -> Iterator[Finding]:
    """Files of alerts with fields that are missing, wrong or not read."""
    alerts = context.targets[target].tree.section("resources").section("alerts")
    for key in alerts:
        alert = alerts.section(key)
        named = alert.get("file_path")
        if isinstance(named, str) and not {*"<$"} & {*named}:
            folder = PurePosixPath(alert.marks["file_path"].file).parent
            yield from _of_file(context.root, (folder / named).as_posix())


def _of_file(root: Path, file: str) -> Iterator[Finding]:
    try:
        document = read_yaml(root, file)  # JSON is YAML, too
    except InvalidFileError:  # the rule `path` says so
        return
    for _, text, mark in string_values(document):
        if "${" in text:
            message = "given a reference, expected the value: the CLI does not resolve it in here"
            yield Finding(*mark, RULE, message, "Write the alert in YAML instead of file_path.")
    if "query_text" in document and not document.get("query_lines"):
        message = "query_text: the CLI does not read it, expected query_lines, a list"
        hint = f'query_lines: ["SELECT 1 AS n"], see {_SOURCE}'
        yield Finding(*document.marks["query_text"], RULE, message, hint, "warning")
    own, model = YamlMapping(), model_of("alerts")
    for name, value in document.items():
        if name not in _EXPORTED:
            own.put(name, value, document.marks[name])
    given = {*_IN_YAML, *(["query_text"] if {"query_text", "query_lines"} & {*document} else [])}
    for found in mismatches(model, own, Mark(file, 1)) if model else ():
        if not (found.missing and found.message.removeprefix("missing ") in given):
            where = f"{found.path}: " if found.path else ""
            yield Finding(*found.mark, RULE, f"{where}{found.message}", found.hint)
