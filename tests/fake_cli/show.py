"""The configuration as `validate` and `summary` print it."""

import copy

from fake_cli.api import Json
from fake_cli.config import Settings
from fake_cli.session import Session
from fake_cli.state import State

_PAGES = {
    "jobs": "jobs/{}",
    "pipelines": "pipelines/{}",
    "dashboards": "dashboardsv3/{}/published",
    "schemas": "explore/data/{}",
    "volumes": "explore/data/volumes/{}",
    "registered_models": "explore/data/models/{}",
}


def offline(settings: Settings) -> Json:
    """What is known without a workspace: all files merged, nothing resolved."""
    tree: Json = dict(settings.tree)
    tree["include"] = list(settings.bundle.files[1:])
    return dict(sorted(tree.items()))


def configuration(session: Session, state: State | None = None) -> Json:
    """The resolved configuration; with a state, with ids and addresses."""
    tree = offline(session.settings) | dict(session.tree)
    tree["include"] = list(session.settings.bundle.files[1:])
    tree["sync"] = {**tree.get("sync", {}), "paths": ["."]}
    tree["variables"] = _valued(session, tree.get("variables", {}))
    tree["resources"] = copy.deepcopy(session.resources)
    user = session.user
    names = {
        "domain_friendly_name": user.name.split("@")[0],
        "id": user.id,
        "short_name": user.short_name,
        "userName": user.name,
    }
    about = tree["bundle"]
    tree["bundle"] = {**about, "git": {"bundle_root_path": ".", **about.get("git", {})}}
    tree["workspace"] = {**session.workspace, "current_user": names}
    if state is not None:
        _identify(session, tree["resources"], state)
    return tree


def _valued(session: Session, variables: Json) -> Json:
    given, declared = session.settings.variables, session.settings.tree.section("variables")
    return {
        name: {
            **declared[name],
            "value": given.get(name, declared[name].get("default", "")),
        }
        if isinstance(declared[name], dict)
        else {"default": declared[name], "value": declared[name]}
        for name in variables
    }


def _identify(session: Session, resources: Json, state: State) -> None:
    """Add ids and addresses; what only the state knows is `deleted`, what it misses `created`."""
    for key, identity in state.ids.items():
        _, kind, name, *sub = key.split(".")
        if sub:
            continue
        if name not in resources.get(kind, {}):
            resources.setdefault(kind, {})[name] = {"modified_status": "deleted"}
        page = _PAGES.get(kind, "").format(identity.replace(".", "/"))
        resource = resources[kind][name]
        resource["id"] = identity
        if page:
            resource["url"] = f"{session.client.host}/{page}?w={session.workspace_id}"
        if kind == "dashboards":
            resource["etag"] = state.entries[key]["state"].get("etag", "")
    for kind, entries in resources.items():
        for name, resource in entries.items():
            if f"resources.{kind}.{name}" not in state.ids:
                resource["modified_status"] = "created"
