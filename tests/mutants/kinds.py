"""Deliberate faults in what each kind of resource is, and whom it runs as."""

from __future__ import annotations

from mutants.faults import Fault, _project, _tool

_STORY = "tests/test_delivery_kinds.py"
_PAGE = f"{_STORY}::test_every_kind_has_a_sample_and_a_line_on_the_page"
_DRIFT = "tests/test_delivery_drift.py::test_rights_that_hands_gave_to_the_planner_are_seen_by_all"
_ROLLBACK = f"{_STORY}::test_a_rollback_does_what_the_page_says"
_FORWARD = f"{_STORY}::test_the_next_release_keeps_what_was_retained"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only a workspace shows."""
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
KINDS_FAULTS = [
    # Whom things run as.
    _tool("any job names whom it likes", "rules/run_as.py", "if dict(one.given) != expected:", "if not one.given:"),
    _tool("a job that names nobody passes", "rules/run_as.py", "if dict(one.given) != expected:", "if one.given and dict(one.given) != expected:"),
    _tool("a target may name whom all runs as", "rules/run_as.py", "        if KEY in section:", "        if False:"),
    _tool("only jobs name the runner", "run_as.py", "if kind in KINDS and KINDS[kind].runs_as", 'if kind == "jobs"'),
    _tool("the planner may run jobs", "run_as.py", 'for name in ("deployer", "planner"):', 'for name in ("deployer",):'),
    _tool("the deployer may run jobs", "run_as.py", 'for name in ("deployer", "planner"):', 'for name in ("planner",):'),
    _tool("who names nobody runs as the deployer", "run_as.py", "    if not identity:\n", "    if False:\n"),
    _tool("what an older release says for its target is not read", "run_as.py", "named = self.given or self.otherwise", "named = self.given"),
    _tool("another run_as is no change of rights", "guard.py", "if changed.path.partition(\".\")[0] == KEY and not changed.is_drift:", "if False:"),
    _tool("what is new runs as anybody", "guard.py", 'elif one.key in created and known.runner not in ("", one.identity):', "elif False:"),
    _tool("lent rights are no rights", "guard.py", "            if reason and changed.new and not changed.is_drift:\n", "            if False:\n"),
    _tool("a new dashboard lends the deployer's rights", "guard.py", 'if change.action == "create" and declared.get(_EMBEDDED):', "if False:"),
    # Rights that the CLI hides.
    _tool("rights of the planner unseen", "own_rights.py", "if new == remote:", "if new == old:"),
    _tool("what a release gives the planner is unseen", "own_rights.py", "if new == remote:", "if remote in (new, old):"),
    _tool("rights that a cut-off deploy gave are a change", "own_rights.py", "if new == remote:", "if new == old == remote:"),
    _tool("the deployer's level is not known", "own_rights.py", 'new = self._own_level if new in (None, "CAN_MANAGE") else new', "pass"),
    _tool("dashboards have an owner", "own_rights.py", 'return "CAN_MANAGE" if owned or self.kind not in _OWNED else _OWNER', "return _OWNER"),
    _seen("drift hides the planner", "own_rights.py", "remote = old if seen is None else", "remote = old if True else", f"{_DRIFT}[planner-standin]"),
    _tool("an owner is proposed for adoption", "proposal.py", "    if owns or principal[1] == prepared.target.deployer:", "    if False:"),
    _tool("another identity is proposed for adoption", "proposal.py", '    if path.partition(".")[0] == KEY:', "    if False:"),
    _tool("what is retained is proposed for adoption", "proposal.py", "or key in prepared.plan.retained:", "and False:"),
    # What a rollback does with each kind.
    _tool("nobody is told what cannot be retained", "guard.py", 'and not situation.back and kind.fate == "refused":', "and False:"),
    _tool("a rollback deletes without a word", "guard.py", 'reason = "" if kind.holds_data else', 'reason = "" if True else'),
    _project("a page that says otherwise", "docs/kinds.md", "| `apps` | retained |", "| `apps` | deleted |", _PAGE),
    _seen("serving endpoints cannot be retained", "resources.py", 'state_only=(), model="ModelServingEndpoint"', 'model="ModelServingEndpoint"', _PAGE),
    _seen("experiments hold nothing", "resources.py", "Kind(state_only=(), model=\"MlflowExperiment\")", "Kind(holds_data=False, model=\"MlflowExperiment\")", _PAGE),
    _seen("an etag is declared", "resources.py", 'state_only=("etag",), model="GenieSpace"', 'state_only=("title",), model="GenieSpace"', f"{_FORWARD}[standin-genie_spaces]"),
    _seen("what is retained is forgotten at once", "prepare.py", "        if self.wishes.back:\n            kept |=", "        if False:\n            kept |=", f"{_ROLLBACK}[standin-apps]"),
]
# fmt: on
