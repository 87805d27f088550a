"""Deliberate faults in what each kind of resource is, and whom it runs as."""

from __future__ import annotations

from mutants.faults import Fault, _project, _tool

_STORY = "tests/deployments/test_kinds.py"
_EVERY = "tests/tool/test_every_kind.py::"
_PAGE = f"{_EVERY}test_the_page_says_what_is_done_with_a_kind"
_DRIFT = (
    "tests/deployments/test_drift.py::test_rights_that_hands_gave_to_the_planner_are_seen_by_all"
)
_ROLLBACK = f"{_STORY}::test_a_rollback_does_what_the_page_says"
_FORWARD = f"{_STORY}::test_the_next_release_keeps_what_was_retained"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only a workspace shows."""
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
KINDS_FAULTS = [
    # Whom things run as.
    _tool("any job names whom it likes", "checks/run_as.py", "if dict(resource.own) != expected:", "if not resource.own:"),
    _tool("a job that names nobody passes", "checks/run_as.py", "if dict(resource.own) != expected:", "if resource.own and dict(resource.own) != expected:"),
    _tool("a target may name whom all runs as", "checks/run_as.py", "        if RUN_AS in section:", "        if False:"),
    _tool("only jobs name the runner", "config/identities.py", "if kind in KINDS and KINDS[kind].runs_as", 'if kind == "jobs"'),
    _tool("the planner may run jobs", "config/identities.py", 'for name in ("deployer", "planner"):', 'for name in ("deployer",):'),
    _tool("the deployer may run jobs", "config/identities.py", 'for name in ("deployer", "planner"):', 'for name in ("planner",):'),
    _tool("who names nobody runs as the deployer", "config/identities.py", "    if not identity:\n", "    if False:\n"),
    _tool("what an older release says for its target is not read", "config/identities.py", "identity_of(self.own or self.inherited)", "identity_of(self.own)"),
    _tool("another run_as is no change of rights", "plan/guard.py", 'if changed.path.partition(".")[0] == RUN_AS and not changed.is_drift:', "if False:"),
    _tool("what is new runs as anybody", "plan/guard.py", "elif run_as.key in created and known.runner not in (\"\", run_as.identity):", "elif False:"),
    _tool("lent rights are no rights", "plan/guard.py", "            if reason and changed.new and not changed.is_drift:\n", "            if False:\n"),
    _tool("a new dashboard lends the deployer's rights", "plan/guard.py", 'if change.action == "create" and declared.get(_EMBEDDED):', "if False:"),
    # Rights that the CLI hides.
    _tool("rights of the planner unseen", "plan/own_rights.py", "if new == remote:", "if new == old:"),
    _tool("what a release gives the planner is unseen", "plan/own_rights.py", "if new == remote:", "if remote in (new, old):"),
    _tool("rights that a cut-off deploy gave are a change", "plan/own_rights.py", "if new == remote:", "if new == old == remote:"),
    _tool("the deployer's level is not known", "plan/own_rights.py", "new = self._owner_level if new in (None, \"CAN_MANAGE\") else new", "pass"),
    _tool("dashboards have an owner", "plan/own_rights.py", 'return "CAN_MANAGE" if owned or not properties_of(self.kind).has_owner else _OWNER', "return _OWNER"),
    _seen("drift hides the planner", "plan/own_rights.py", "remote = old if actual is None else", "remote = old if True else", f"{_DRIFT}[fake-planner]"),
    _tool("an owner is proposed for adoption", "status/patch.py", "    if owns or principal[1] == planned.target.deployer:", "    if False:"),
    _tool("another identity is proposed for adoption", "status/patch.py", '    if path.partition(".")[0] == RUN_AS:', "    if False:"),
    _tool("what is retained is proposed for adoption", "status/patch.py", "or key in planned.plan.retained:", "and False:"),
    # What a rollback does with each kind.
    _tool("nobody is told what cannot be retained", "plan/guard.py", "and not inputs.is_rollback and kind.fate == \"refused\":", "and False:"),
    _tool("a rollback deletes without a word", "plan/guard.py", 'reason = "" if kind.holds_data else', 'reason = "" if True else'),
    _project("a page that says otherwise", "docs/kinds.md", "| `apps` | retained |", "| `apps` | deleted |", _PAGE),
    _seen("a kind has another row", "resources.py", '"instance_pools": Kind(holds_data=False, model', '"instance_pools": Kind(model', _PAGE),
    _seen("an old name of a task is unknown", "config/model.py", '    "Task": ("dbt_cloud_task",),\n', "", f"{_EVERY}test_an_unknown_field_of_a_task_is_found[dbt_cloud_task]"),
    _seen("a kind of task is nowhere", "local/kinds.py", '    "spark_jar_task": ("JAR", "JARs need a JVM"),\n', "", f"{_EVERY}test_a_task_runs_here_or_is_refused_by_name[spark_jar_task]"),
    _seen("fields of what the CLI lacks are not compared", "checks/model.py", 'else UNTRIED.get(kind, "")', 'else ""', f"{_EVERY}test_an_unknown_field_is_found[features]"),
    _seen("a branch of a project is not found", "plan/existing.py", "_ID.sub(other, v) if isinstance(v, str) else v", "v", f"{_STORY}::test_one_that_exists_is_found_or_named_by_its_id[fake-postgres_branches]"),
    _seen("serving endpoints cannot be retained", "resources.py", 'state_only=(), model="ModelServingEndpoint"', 'model="ModelServingEndpoint"', _PAGE),
    _seen("experiments hold nothing", "resources.py", "Kind(state_only=(), model=\"MlflowExperiment\")", "Kind(holds_data=False, model=\"MlflowExperiment\")", _PAGE),
    _seen("an etag is declared", "resources.py", 'state_only=("etag",), model="GenieSpace"', 'state_only=("title",), model="GenieSpace"', f"{_FORWARD}[fake-genie_spaces]"),
    _seen("what is retained is forgotten at once", "plan/planner.py", "    if request.is_rollback:\n        retained |=", "    if False:\n        retained |=", f"{_ROLLBACK}[fake-apps]"),
]
# fmt: on
