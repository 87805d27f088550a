"""Deliberate faults of the rules that say what the CLI would say."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

_TEST = "tests/agreement/test_agreement.py::test_check_says_it"
_EDGES = "tests/tool/test_rules_edges.py"
_MERGE = "tests/tool/test_merge.py::test_a_list_is_merged"
_MODE = "tests/tool/test_merge.py::test_the_mode_of_a_target_is_its_own"


def _tool(name: str, file: str, old: str, new: str, test: str = _TEST) -> Fault:
    return Fault(name, f"{PROJECT}/tools/delivery/src/delivery/{file}", old, new, test)


# fmt: off
AGREEMENT_FAULTS = [
    _tool("a variable needs no value", "checks/variable.py", "    if lacking:", "    if False:"),
    _tool("a variable is set on all targets or none", "checks/variable.py", "is None\n    ]", "is None and False\n    ]"),
    _tool("anything may be assigned", "checks/variable.py", "        if name not in declared:", "        if False:"),
    _tool("any section", "checks/section.py", "    for found in mismatches(Root, context.bundle.tree, Mark(ROOT_FILE, 0)):", "    for found in ():"),
    _tool("a name may change", "checks/section.py", 'if "${" in str(settings.get("name", "")):', "if False:"),
    _tool("a root in a volume passes", "checks/section.py", '.startswith("/Volumes/"):', '.startswith("/Volumes!"):'),
    _tool("any kind", "checks/model.py", "        if not _is_kind(kind):", "        if False:"),
    _tool("an alert needs what its file has", "checks/model.py", 'if not (kind == "alerts" and _comes_from_a_file(found, resource)):', "if True:"),
    _tool("a dashboard needs no warehouse", "config/model.py", '    "Dashboard": ("display_name", "warehouse_id"),\n', ""),
    _tool("any choice", "config/model.py", "    elif as_text(value) not in values and not _is_open(value):", "    elif False:"),
    _tool("a list is a text", "config/model.py", "    return isinstance(value, str | bool | int | float)", "    return True"),
    _tool("a list is a mapping", "config/model.py", '        yield _wrong(value, "a mapping", place, f"{_last(place)}: {{name: value}}")', "        pass"),
    _tool("exported jobs are wrong", "config/model.py", '{"Job": ("format", "edit_mode"), ', "{"),
    _tool("anchors are fields", "config/model.py", "not place.path and name.startswith(ANCHOR_PREFIX)", "False"),
    _tool("texts are no numbers", "config/model.py", "        return bool(_WHOLE.fullmatch(value))", "        return False"),
    _tool("YES is no Boolean", "config/model.py", "(*_TRUE, *_FALSE)", '("true", "false")'),
    _tool("a shell's variable is a reference", "config/references.py", "        if head not in _HEADS:\n", "        if False:\n"),
    _tool("paths have no variables", "config/references.py", "        if head in self.leaves:\n", "        if head not in _HEADS:\n", f"{_EDGES}::test_the_target_is_known_in_a_path"),
    _tool("an app needs no code", "checks/kind.py", '    if not app.get("source_code_path") and not app.get("git_source"):', "    if False:"),
    _tool("a grant for nobody", "checks/kind.py", '        if not grant.get("principal"):', "        if False:"),
    _tool("notebooks have no suffix", "checks/path.py", "        if beside:\n", "        if False:\n"),
    _tool("a folder is a notebook", "checks/path.py", '    if not path.is_file():\n        return "a notebook', '    if False:\n        return "a notebook'),
    _tool("any file is a notebook", "checks/path.py", "    if not is_notebook(path):\n", "    if False:\n"),
    _tool("a notebook is a file", "checks/path.py", '    if named.sort == "file" and is_notebook(path):', "    if False:"),
    _tool("a file is a folder", "checks/path.py", '    if named.sort == "folder" and not path.is_dir():', "    if False:", f"{_EDGES}::test_a_file_is_of_the_sort_that_its_field_wants"),
    _tool("files of a git source are ours", "checks/path.py", '            if in_git and name == "tasks":', "            if False:", f"{_EDGES}::test_paths_in_a_git_source_are_not_of_this_project"),
    _tool("folders of a glob are files", "checks/path.py", '        if named.key == "include" and (root / start).is_dir():', "        if False:", f"{_EDGES}::test_the_folder_of_a_glob_is_enough"),
    _tool("tasks need no compute", "checks/task.py", "    if needs and not any(", "    if False and not any("),
    _tool("loops are not looked into", "checks/task.py", '        if "task" in loop:', "        if False:"),
    _tool("loops may retry", "checks/task.py", "        for name in (name for name in _RETRIES if name in content):", "        for name in ():"),
    _tool("two works in a task", "checks/task.py", "    if len(task.work) != 1:", "    if False:"),
    _tool("any task key", "checks/task.py", "not _KEY.fullmatch(key)", "False"),
    _tool("any outcome", "checks/task.py", '        elif given not in ("true", "false"):', "        elif False:"),
    _tool("every task has an outcome", "checks/task.py", '        if "condition_task" not in other.content:', "        if False:"),
    _tool("environments stand twice", "checks/task.py", "        if key in seen:", "        if False:"),
    _tool("cron of Unix", "checks/schedule.py", "    if len(fields) not in (6, 7):", "    if False:"),
    _tool("any time zone", "checks/schedule.py", 'elif key == "timezone_id" and not _is_zone(text):', "elif False:"),
    _tool("any parameter of the job", "checks/dynamic.py", "        if name not in parameters:", "        if False:"),
    _tool("values of any task", "checks/dynamic.py", "        if name not in names:", "        if False:"),
    _tool("any dynamic value", "checks/dynamic.py", "not _KNOWN.fullmatch(text):\n        message = f\"{task.name}: {{{{{text}}}}} is no", "False:\n        message = f\"{task.name}: {{{{{text}}}}} is no"),
    _tool("others' packages are ours", "checks/wiring.py", "    if not isinstance(package, str) or _normal(package) == _normal(str(own)):", "    if True:"),
    _tool("parameters have names", "checks/wiring.py", "    if not given:\n", "    if True:\n"),
    _tool("a user in any field", "checks/released.py", "if inside and is_user and", "if is_user and", f"{_EDGES}::test_only_rights_name_identities"),
    _tool("a reverted change waits", "checks/branch.py", "    elif _REVERT.fullmatch(branch):\n        return\n", "", f"{_EDGES}::test_the_branch_of_the_button_revert_may_be_checked"),
    _tool("a dynamic value is a secret", "redaction.py", r"jobs?\.|tasks?\.|workspace\.|input\b", r"none\b", f"{_EDGES}::test_a_dynamic_value_is_no_secret"),
    _tool("environments merge", "config/bundle.py", '    "jobs.parameters": "name",\n', '    "jobs.parameters": "name",\n    "jobs.environments": "environment_key",\n', _MERGE),
    _tool("clusters of pipelines grow", "config/bundle.py", '    "pipelines.clusters": "label",\n', "", _MERGE),
    _tool("labels differ by their case", "config/bundle.py", "str(name or _DEFAULT_LABEL).lower()", "str(name or _DEFAULT_LABEL)", _MERGE),
    _tool("resources of apps merge", "config/bundle.py", '        if path[1] == "apps":', "        if False:", _MERGE),
    _tool("grants grow", "config/bundle.py", 'if field == "grants" and kind in _GRANTED', "if False", _MERGE),
    _tool("privileges stand twice", "config/bundle.py", "        if privilege not in once:", "        if True:", _MERGE),
    _tool("a target leaves its mode behind", "config/bundle.py", 'settings = merge(tree.section("bundle"), YamlMapping())', 'settings = tree.section("bundle")', _MODE),
    _tool("one slip is told by each target", "checks/registry.py", 'own = name if finding.message.startswith(f"{name}: ") else ""', "own = name", f"{_EDGES}::test_one_slip_is_one_finding_whatever_the_targets_say"),
]

_CONVENTIONS = "tests/tool/test_conventions.py"
_JOB = f"{_CONVENTIONS}::test_a_job_that_does_not_is_found"

CONVENTION_FAULTS = [
    _tool("jobs need no time limit", "checks/convention.py", "    if expected.timeout and not timeout:", "    if False:", _JOB),
    _tool("runs are skipped", "checks/convention.py", "    if expected.queue and ", "    if False and ", _JOB),
    _tool("runs overlap", "checks/convention.py", "isinstance(runs, int) and runs > most:", "False:", _JOB),
    _tool("schedules in any zone", "checks/convention.py", "zone != expected.timezone:", "False:", _JOB),
    _tool("a job without a schedule has a zone", "checks/convention.py", "if expected.timezone and schedule and", "if expected.timezone and", f"{_CONVENTIONS}::test_a_job_without_a_schedule_has_no_zone"),
    _tool("long runs pass", "checks/convention.py", "    if expected.duration_warning and not warned:", "    if False:", _JOB),
    _tool("a warning after the end", "checks/convention.py", "0 < timeout <= value:", "False:", _JOB),
    _tool("tasks are not repeated", "checks/convention.py", "0 <= given < expected.retries:", "False:", f"{_CONVENTIONS}::test_tasks_that_can_be_repeated_are"),
    _tool("conditions are repeated", "checks/convention.py", "any(work in _RETRIED for work in task.work)", "True", f"{_CONVENTIONS}::test_whether_a_task_is_repeated_depends_on_its_work"),
    _tool("dev writes into prod", "checks/catalog.py", "        if found:\n", "        if False:\n", f"{_CONVENTIONS}::test_a_catalog_of_another_target_is_found_in_any_value"),
    _tool("a longer name is the same catalog", "checks/catalog.py", r"(?![\w-])", "", f"{_CONVENTIONS}::test_a_longer_name_is_another_catalog"),
    _tool("a wheel of another version", "checks/wheel.py", "        if given[0] != expected:", "        if False:", f"{_CONVENTIONS}::test_a_wheel_has_the_version_that_is_built"),
    _tool("tokens outside of YAML", "checks/secret.py", "    yield from _tokens(context.root, set(context.bundle.files))\n", "", f"{_CONVENTIONS}::test_a_token_is_found_in_every_text_file"),
    _tool("tokens in new files", "checks/secret.py", '"--untracked", ', "", f"{_CONVENTIONS}::test_a_token_is_found_in_every_text_file"),
    _tool("an allowed token is found", "checks/secret.py", "_ALLOWED not in text and ", "", f"{_CONVENTIONS}::test_a_token_that_git_ignores_or_that_is_allowed_is_no_finding"),
    _tool("a comment needs no reason", "config/ignores.py", "    if not comment.rules or not comment.why:", "    if False:", f"{_CONVENTIONS}::test_a_comment_names_rules_and_says_why"),
    _tool("a comment accepts a secret", "config/ignores.py", '"secret", ', "", f"{_CONVENTIONS}::test_a_comment_names_rules_and_says_why"),
    _tool("a comment accepts any rule", "config/ignores.py", "and finding.rule in comment.rules and comment.why", "and comment.why", f"{_CONVENTIONS}::test_a_comment_accepts_only_the_rules_that_it_names"),
    _tool("a comment is about its own line alone", "config/ignores.py", "else number + 1", "else number", f"{_CONVENTIONS}::test_a_comment_of_its_own_line_is_about_the_next"),
    _tool("useless comments stay", "config/ignores.py", "            if complete and ", "            if False and ", f"{_CONVENTIONS}::test_a_comment_that_accepts_nothing_is_told"),
    _tool("what is accepted fails", "render/findings.py", 'finding.severity == "error"', 'finding.severity != "warning"', f"{_CONVENTIONS}::test_a_comment_accepts_a_finding_and_its_reason_is_listed"),
    _tool("code names a catalog", "checks/catalog.py", "            if found := named.search(line):", "            if False:", f"{_CONVENTIONS}::test_a_catalog_in_code_is_found"),
    _tool("a document that is none", "checks/path.py", "    if not (path.name.lower().endswith(_DOCUMENTS) and path.is_file()):", "    if True:", f"{_CONVENTIONS}::test_a_document_behind_a_resource_is_json"),
    _tool("a misspelt field is known later", "config/references.py", "            if near and rest[0] not in fields:", "            if False:", f"{_CONVENTIONS}::test_a_misspelt_field_of_a_resource_is_found"),
    _tool("an alert from a file needs what it cannot have", "checks/run_as.py", "        if resource.from_file and not resource.own:", "        if False:", f"{_CONVENTIONS}::test_an_alert_from_a_file_is_told_whom_it_would_run_as"),
    _tool("a rule that is none is accepted", "checks/ignore.py", "        if name not in known:", "        if False:", f"{_CONVENTIONS}::test_a_comment_names_rules_and_says_why"),
]
