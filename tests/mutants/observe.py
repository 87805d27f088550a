"""Deliberate faults in what observes: figures, drift, what it proposes, the page."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_OPERATIONS = "tests/deployments/test_operations.py"
_FROM = f"{_OPERATIONS}::test_statuses_of_several_targets_become_one_page[fake]"
_DRIFT = "tests/deployments/test_drift.py"
_NOTEBOOKS = f"{_DRIFT}::test_notebooks_are_told_from_files_and_judged_by_the_workspaces_clock"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    """A fault that only a workspace shows."""
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
OBSERVE_FAULTS = [
    _tool("a failed way back is a failed change", "status/metrics.py", 'if event.detail.get("back"):', "if False:"),
    _tool("what the CLI failed is no delivery", "status/metrics.py",
          "self._attempt(event.release) if self.started or not self.running else self.running", "self.running or _Attempt(event.release)"),
    _tool("a rollback by hand is no failure", "status/metrics.py", "        if not self.broken_since:\n", "        if False:\n"),
    _tool("what was cut off is no failure", "status/metrics.py", "self._attempt(abandoned) if abandoned else self.running", "self.running"),
    _tool("what is back has failed", "status/metrics.py", "if failed is None or failed.release != event.release:", "if True:"),
    _tool("what is left by hand breaks nothing", "status/metrics.py", "                self.broken_since = event.at\n", "                pass\n"),
    _tool("nothing is ever mended", "status/metrics.py", "            self.broken_since = None\n", ""),
    _tool("always 90 days", "status/metrics.py", "    days = math.ceil((now - oldest) / timedelta(days=1))", "    days = WINDOW.days"),
    _tool("a young target is extrapolated", "status/metrics.py", "max(1 if left else 7, days)", "max(1, days)"),
    _tool("figures without their days", "render/page.html.j2", "last {{ status.dora.days }} days", "last 90 days"),
    _tool("figures of what is not visible", "render/facts.py", "    if not dora.days:\n", "    if False:\n"),
    _tool("a state becomes markup", "render/page.html.j2", "{{ shape }}</span> {{ word }}", "{{ shape }}</span> {{ word | safe }}"),
    _tool("a target becomes markup in the terminal", "render/text.py", "[bold]{escape(status.target)}", "[bold]{status.target}"),
    _tool("any word is the state of a run", "status/status.py", '    last_run: Run = "none"', '    last_run: str = "none"'),
    _tool("a half-done deploy is drift", "status/drift.py", " or bool(old == field.new)", " or True"),
    _tool("what was never made was deleted", "status/drift.py", " and change.key in planned.state.entries", ""),
    _tool("an edited dashboard is not seen", "status/drift.py", 'field.path == "etag" or ', ""),
    _tool("rights lost as a whole are not seen", "status/drift.py", "if not field.path and", "if False and"),
    _tool("every header makes a notebook", "status/drift.py", "first == _NOTEBOOKS.get(suffix)", "first in _NOTEBOOKS.values()"),
    _tool("a long text is proposed shortened", "status/patch.py", 'get("remote"), whole=True)', 'get("remote"))'),
    _tool("a secret is proposed", "status/patch.py", "    if HIDDEN in str(value):\n", "    if False:\n"),
    _tool("a list is proposed in part", "status/patch.py", "    if end is None:\n", "    if True:\n"),
    _tool("parameters by place are merged", "status/patch.py", 'if step.by == "#" or (step.by', "if (step.by"),
    _tool("the deployer's own rights are proposed", "status/patch.py", 'own = {planned.target.deployer, "IS_OWNER"}', "own = set()"),
    _tool("a release's folder is proposed", "status/patch.py",
          'value = value.replace(target.files, "${workspace.file_path}")', "pass"),
    _tool("a text becomes a number", "status/patch.py", '_Dumper.add_implicit_resolver("tag', 'yaml.SafeDumper.__doc__; str("tag'),
    _tool("no line to delete", "status/patch.py", 'return f"{mark.file}:{mark.line}" if mark else ""', 'return ""'),
    _seen("notebooks are looked for by their suffix", "status/drift.py", '.with_suffix("")', "", f"{_NOTEBOOKS}[fake]"),
    _seen("an edited notebook is not seen", "status/drift.py", "modified[str(path)] > delivered", "False", f"{_NOTEBOOKS}[fake]"),
    _seen("any notebook is edited", "status/drift.py", "modified[str(path)] > delivered", "True", f"{_NOTEBOOKS}[fake]"),
    _seen("a file that became a notebook is not seen", "status/drift.py", "elif sha256(content) != sha256(files[name])",
          "elif not is_notebook(name, content) and sha256(content) != sha256(files[name])", f"{_NOTEBOOKS}[fake]"),
    _seen("a file after --from is a target", "cli/status.py",
          "    files = [Path(name) for name in given if name not in released]", "    files = []", _FROM),
    _seen("the older status stands", "cli/status.py", "(bool(status.host), status.at)", "bool(status.host)", _FROM),
    _seen("who cannot see a target has the last word", "cli/status.py", "(bool(status.host), status.at)", "status.at", _FROM),
]
# fmt: on
