"""Deliberate faults in what observes: figures, drift, what it proposes, the page."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_OPERATIONS = "tests/test_delivery_operations.py"
_FROM = f"{_OPERATIONS}::test_statuses_of_several_targets_become_one_page[standin]"
_DRIFT = "tests/test_delivery_drift.py"
_NOTEBOOKS = f"{_DRIFT}::test_notebooks_are_told_from_files_and_judged_by_the_workspaces_clock"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only a workspace shows."""
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
OBSERVE_FAULTS = [
    _tool("a failed way back is a failed change", "status.py", 'if event.detail.get("back"):', "if False:"),
    _tool("what the CLI failed is no delivery", "status.py",
          "self._tried(event.release) if self.begun or not self.runs else self.runs", "self.runs or _Try(event.release)"),
    _tool("a rollback by hand is no failure", "status.py", "        if not self.broken:\n", "        if False:\n"),
    _tool("what was cut off is no failure", "status.py", "self._tried(left) if left else self.runs", "self.runs"),
    _tool("what is back has failed", "status.py", "if failed is None or failed.release != event.release:", "if True:"),
    _tool("what is left by hand breaks nothing", "status.py", "                self.broken = event.at\n", "                pass\n"),
    _tool("nothing is ever mended", "status.py", "            self.broken = None\n", ""),
    _tool("always 90 days", "status.py", "    days = math.ceil((now - oldest) / timedelta(days=1))", "    days = WINDOW.days"),
    _tool("a young target is extrapolated", "status.py", "max(1 if left else 7, days)", "max(1, days)"),
    _tool("figures without their days", "page.py", "in {dora.days} days)", "in 90 days)"),
    _tool("figures of what cannot be seen", "page.py", "    if not dora.days:\n", "    if False:\n"),
    _tool("a state becomes markup", "page.py", "{escape(word)}", "{word}"),
    _tool("a target becomes markup in the terminal", "show.py", "[bold]{escape(status.target)}", "[bold]{status.target}"),
    _tool("any word is the state of a run", "status.py", '    last_run: Run = "none"', '    last_run: str = "none"'),
    _tool("a half-done deploy is drift", "drift.py", " or bool(old == field.new)", " or True"),
    _tool("what was never made was deleted", "drift.py", " and change.key in prepared.state.entries", ""),
    _tool("an edited dashboard is not seen", "drift.py", 'field.path == "etag" or ', ""),
    _tool("rights lost as a whole are not seen", "drift.py", "if not field.path and", "if False and"),
    _tool("every header makes a notebook", "drift.py", "first == _NOTEBOOKS.get(suffix)", "first in _NOTEBOOKS.values()"),
    _tool("a long text is proposed shortened", "proposal.py", 'get("remote"), whole=True)', 'get("remote"))'),
    _tool("a secret is proposed", "proposal.py", "    if HIDDEN in str(value):\n", "    if False:\n"),
    _tool("a list is proposed in part", "proposal.py", "    if end is None:\n", "    if True:\n"),
    _tool("parameters by place are merged", "proposal.py", 'if step.by == "#" or (step.by', "if (step.by"),
    _tool("the deployer's own rights are proposed", "proposal.py", 'own = {prepared.target.deployer, "IS_OWNER"}', "own = set()"),
    _tool("a release's folder is proposed", "proposal.py",
          'value = value.replace(target.files, "${workspace.file_path}")', "pass"),
    _tool("a text becomes a number", "proposal.py", '_Dumper.add_implicit_resolver("tag', 'yaml.SafeDumper.__doc__; str("tag'),
    _tool("no line to delete", "proposal.py", 'return f"{mark.file}:{mark.line}" if mark else ""', 'return ""'),
    _seen("notebooks are looked for by their suffix", "drift.py", '.with_suffix("")', "", f"{_NOTEBOOKS}[standin]"),
    _seen("an edited notebook is not seen", "drift.py", "modified[str(path)] > delivered", "False", f"{_NOTEBOOKS}[standin]"),
    _seen("any notebook is edited", "drift.py", "modified[str(path)] > delivered", "True", f"{_NOTEBOOKS}[standin]"),
    _seen("a file that became a notebook is not seen", "drift.py", "elif sha256(content) != sha256(files[name])",
          "elif not is_notebook(name, content) and sha256(content) != sha256(files[name])", f"{_NOTEBOOKS}[standin]"),
    _seen("a file after --from is a target", "commands/observe.py",
          "    files = [Path(name) for name in given if name not in released]", "    files = []", _FROM),
    _seen("the older status stands", "commands/observe.py", "(bool(status.host), status.at)", "bool(status.host)", _FROM),
    _seen("who cannot see a target has the last word", "commands/observe.py", "(bool(status.host), status.at)", "status.at", _FROM),
]
# fmt: on
