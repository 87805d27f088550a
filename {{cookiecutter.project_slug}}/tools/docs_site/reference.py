"""Pages made from the delivery tool: its commands, the settings of `delivery.yml`, its rules."""

import json
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from delivery.checks.registry import all_rules
from delivery.cli.app import build_app
from delivery.config.ignores import NEVER
from delivery.config.policy import Policy
from typer.main import get_command

from docs_site.text import code, marked, table

Pages = Mapping[str, tuple[str, str]]  # by its path, the title of a page and its text
_SCOPES = {
    "project": "once",
    "target": "for each target",
    "released": "for each target that takes releases",
}
_NEVER = "No comment accepts its findings."


def pages(root: Path) -> dict[str, tuple[str, str]]:
    """The pages, by their paths."""
    return {
        "docs/reference/commands.md": ("commands", _page("Commands", _COMMANDS, _commands(root))),
        "docs/reference/settings.md": ("settings", _page("Settings", _SETTINGS, _settings())),
        "docs/reference/rules.md": ("rules of check", _page("Rules of check", _RULES, _rules())),
    }


_COMMANDS = """\
Every command of `delivery` with its arguments and options, as `--help` shows them. Their output, in
the order of use: [delivery](../delivery.md)."""
_SETTINGS = """\
Every setting of `delivery.yml`, the policy of this project: what it takes, and its default."""
_RULES = """\
Every rule of `delivery check`. `delivery check --only RULE` runs one."""


def _page(title: str, lead: str, parts: Iterator[str]) -> str:
    return "\n\n".join([f"# {title}", lead, *filter(None, parts)]) + "\n"


# --- commands ---


def _commands(root: Path) -> Iterator[str]:
    shown = set(re.findall(r"^## ([\w-]+)$", (root / "docs/delivery.md").read_text("utf-8"), re.M))
    app: Any = get_command(build_app())
    for name, command in sorted(app.commands.items()):
        yield from _command(f"delivery {name}", command)
        if name in shown:
            yield f"Example with its output: [{name}](../delivery.md#{name})."


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"## {name}"
    yield from map(marked, command.help.split("\n\n"))
    if hasattr(command, "commands"):
        for nested, other in sorted(command.commands.items()):
            yield from (re.sub("^##", "###", part) for part in _command(f"{name} {nested}", other))
        return
    given = [param for param in command.params if not _is_option(param)]
    words = [p.name.upper() if p.required else f"[{p.name.upper()}]" for p in given]
    yield code(" ".join([name, *words, "[OPTIONS]"]))
    yield table(["argument or option", "what it is", "default"], map(_parameter, command.params))


def _is_option(param: Any) -> bool:
    return bool(param.opts[0].startswith("-"))


def _parameter(param: Any) -> list[str]:
    names = [*param.opts, *param.secondary_opts] if _is_option(param) else [param.name.upper()]
    of_type = param.type_descriptor.annotation
    choices = [*of_type] if isinstance(of_type, type) and issubclass(of_type, Enum) else []
    one_of = f"One of {', '.join(code(choice.value) for choice in choices)}." if choices else ""
    default = "" if isinstance(param.default, bool) else param.default
    shown = "required" if param.required else code(getattr(default, "value", default))
    return [", ".join(map(code, names)), f"{marked(param.help)} {one_of}".strip(), shown]


# --- settings ---


def _settings() -> Iterator[str]:
    schema = Policy.model_json_schema()
    single = []
    for name, field in schema["properties"].items():
        model = _model(schema, field)
        if model:
            yield f"## {name}"
            yield marked(field.get("description") or model.get("description"))
            needed = model.get("required", [])
            rows = model["properties"].items()
            prefix = f"{name}[]." if field.get("type") == "array" else f"{name}."
            yield table(_HEAD, [_setting(f"{prefix}{key}", f, key in needed) for key, f in rows])
        else:
            single.append(_setting(name, field, name in schema["required"]))
    yield "## Others"
    yield table(_HEAD, single)


_HEAD = ["setting", "values", "default", "what it is"]


def _model(schema: dict[str, Any], field: dict[str, Any]) -> dict[str, Any] | None:
    """The model of a field that has fields of its own, or of the entries of a list."""
    found = re.search(r'"#/\$defs/(\w+)"', json.dumps(field))
    model: dict[str, Any] | None = schema["$defs"][found[1]] if found else None
    return model


def _setting(path: str, field: dict[str, Any], is_required: bool) -> list[str]:
    default = "required" if is_required else code(json.dumps(field.get("default")))
    return [code(path), _values(field), default, marked(field.get("description"))]


def _values(field: dict[str, Any]) -> str:
    """What a setting takes."""
    if "enum" in field:
        return ", ".join(map(code, field["enum"]))
    if "anyOf" in field:
        return " or ".join(_values(option) for option in field["anyOf"])
    kind = str(field.get("type", "any"))
    inner = field.get("items") or field.get("additionalProperties")
    if kind in ("array", "object") and isinstance(inner, dict):
        name = "list" if kind == "array" else "for each name"
        return f"{name}: {_values(inner)}"
    least = f", at least {field['minimum']}" if "minimum" in field else ""
    return f"{field.get('format', kind)}{least}"


# --- rules ---


def _rules() -> Iterator[str]:
    for name, rule in all_rules().items():
        yield f"## {name}"
        first, _, rest = (rule.check.__doc__ or "").strip().partition("\n\n")
        yield marked(first)
        yield marked(rest)
        comment = (
            "accepts no comment"
            if name in NEVER
            else f"`# delivery: ignore {name} -- the reason` accepts a finding"
        )
        yield f"It runs {_SCOPES[rule.scope]}; {comment}."
