"""Deliberate faults in the creation and the removal of domains."""

from __future__ import annotations

from mutants.faults import Fault, _project, _tool

_UNIT = "tests/tool/test_new_domain.py::"
_DOMAINS = "tests/project/test_domains.py::"
_GREEN = f"{_DOMAINS}test_new_domains_are_green_and_leave_the_tree_as_it_was"
_RUNS = f"{_DOMAINS}test_a_new_domain_runs_and_is_audited"
_WITHOUT = f"{_DOMAINS}test_a_project_without_its_sample_says_what_to_do"

_FORM = f"{_UNIT}test_a_name_of_another_form_is_refused_with_an_example"
_BREAKS = f"{_UNIT}test_a_name_that_would_break_something_is_refused"
_TAKEN = f"{_UNIT}test_a_domain_that_exists_anywhere_is_refused"
_MIDWAY = f"{_UNIT}test_a_write_that_fails_midway_leaves_nothing"
_REMOVAL = f"{_UNIT}test_a_removal_that_fails_midway_removes_nothing"
_BYTES = f"{_UNIT}test_new_and_remove_leave_every_byte_as_it_was"
_LINKS = f"{_UNIT}test_links_are_not_followed"
_POLICY = f"{_UNIT}test_the_job_is_added_in_place_and_goes_again"
_FLIGHTS = f"{_UNIT}test_flights_leaves_with_its_lines_and_data_last"
_NEEDED = f"{_UNIT}test_a_domain_that_others_need_is_not_removed"
_DRY = f"{_UNIT}test_a_dry_run_prints_what_the_run_does_and_writes_nothing"
_LINTER = f"{_UNIT}test_what_is_created_passes_the_linter_with_every_name"
_PART = f"{_UNIT}test_a_part_that_would_break_something_is_refused"
_TEMPLATES = "scaffold/templates"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return _tool(name, file, old, new)._replace(test=test)


# fmt: off
DOMAINS_FAULTS = [
    # Names
    _seen("a name is a path", "scaffold/names.py", "if not _NAME.fullmatch(name) or", "if not _NAME.search(name) or", _FORM),
    _seen("a name is as long as it likes", "scaffold/names.py", " or len(name) > LONGEST:", ":", _FORM),
    _seen("a keyword is a package", "scaffold/names.py", "if keyword.iskeyword(name):", "if False:", _BREAKS),
    _seen("a domain is named as a layer", "scaffold/names.py", "elif name in LAYERS or name in", "elif name in", _BREAKS),
    _seen("two domains share the start of their names", "scaffold/names.py", 'if long.startswith(f"{short}_"):', "if False:", _BREAKS),
    _seen("the tests of the engine are those of a domain", "scaffold/names.py", "    places += [p.relative_to(root).as_posix() for p in test_files(root, name, known)]\n", "", _BREAKS),
    _seen("a page takes no name", "scaffold/names.py", 'f"{PACKAGE}/{name}.py", f"{PAGES}/{name}.md"]', 'f"{PACKAGE}/{name}.py"]', _TAKEN),
    # All or nothing
    _seen("half of a domain stays", "scaffold/changes.py", "            undo.callback(path.unlink)\n", "", _MIDWAY),
    _seen("the folders of half a domain stay", "scaffold/changes.py", "            undo.callback(folder.rmdir)\n", "", _MIDWAY),
    _seen("a shared file keeps its line", "scaffold/changes.py", "        undo.callback(hold.keep(path).replace, path)\n", "", _MIDWAY),
    _seen("to undo takes space", "scaffold/changes.py", "        undo.callback(hold.keep(path).replace, path)\n", "        undo.callback(_replace, path, change.before)\n", f"{_UNIT}test_a_disk_that_stays_full_leaves_nothing"),
    _seen("half a removal is one", "scaffold/changes.py", "        undo.callback(shutil.move, hold.take(path), path)\n", "        hold.take(path)\n", _REMOVAL),
    _seen("data on another disk cannot leave", "scaffold/changes.py", "        shutil.move(path, place)  # data", "        path.rename(place)  # data", f"{_UNIT}test_data_on_another_disk_leaves_or_stays_whole"),
    _seen("deleted files stay aside", "scaffold/changes.py", "    hold.remove()\n    for change", "    for change", _BYTES),
    _seen("empty folders stay", "scaffold/changes.py", "            _prune(root, (root / change.path).parent)\n", "            pass\n", _BYTES),
    _seen("a shared file loses its permissions", "scaffold/changes.py", "        shutil.copymode(path, partial)\n", "", _BYTES),
    _seen("a link is a folder", "scaffold/changes.py", "if folder.is_symlink() or not folder.is_dir():", "if not folder.is_dir():", _LINKS),
    _seen("a folder that is closed is found by writing", "scaffold/changes.py", "if not os.access(folder, os.W_OK | os.X_OK):", "if False:", f"{_UNIT}test_every_folder_without_permission_is_named_at_once"),
    _seen("a line of somebody else is overwritten", "scaffold/changes.py", 'elif change.action == "edit" and path.read_bytes() != change.before:', "elif False:", f"{_UNIT}test_a_shared_file_that_changes_meanwhile_is_kept"),
    _seen("a dry run writes", "cli/new.py", '        progress("dry run: nothing is written")\n    else:\n', '        progress("dry run: nothing is written")\n    if True:\n', _DRY),
    # Shared files
    _seen("an empty list of jobs stays empty", "scaffold/edits.py", 'lines[at] = f"{empty[1]}jobs:{empty[2]}"', "pass", _POLICY),
    _seen("the last job leaves nothing", "scaffold/edits.py", 'lines[at] = re.sub(r"jobs:", "jobs: {}", lines[at], count=1)', "pass", _POLICY),
    _seen("what a policy holds is not looked at", "scaffold/edits.py", 'or after != {**before, "verify": {**verify, "jobs": jobs}}:', "or after == {}:", f"{_UNIT}test_a_policy_of_another_form_is_told_what_to_write"),
    _seen("any owner may own", "scaffold/domain.py", "if owner and not _OWNER.fullmatch(owner):", "if owner and not _OWNER.match(owner):", f"{_UNIT}test_an_owner_of_another_form_is_refused"),
    _seen("owners of files with the name leave", "scaffold/edits.py", '"", pattern) in folders', '"", pattern).rpartition("/")[2].partition(".")[0] == domain', f"{_UNIT}test_only_lines_of_the_domain_leave_the_owners"),
    # Removal
    _seen("data goes first", "scaffold/removal.py", "    for path in [*paths, *_below(root / data / name)]:", "    for path in [*_below(root / data / name), *paths]:", _FLIGHTS),
    _seen("git goes on to ignore", "scaffold/removal.py", "        Edit(edits.IGNORED, lambda text: edits.remove_ignored(text, name)),\n", "", _FLIGHTS),
    _seen("a test of a longer name leaves", "scaffold/names.py", 'return max(fits, key=len, default="")', 'return min(fits, key=len, default="")', f"{_UNIT}test_tests_of_a_longer_name_stay"),
    _seen("others need nothing", "scaffold/removal.py", "    if places:\n", "    if False:\n", _NEEDED),
    _seen("an import of shared code is not seen", "scaffold/removal.py", "patterns = [imports] if is_shared_code else", "patterns = [] if is_shared_code else", _NEEDED),
    _seen("a comment needs a domain", "scaffold/removal.py", 'code = line.partition("#")[0]', "code = line", f"{_UNIT}test_what_only_looks_like_the_domain_keeps_nobody"),
    _seen("nobody is asked", "cli/remove.py", "        if not yes:\n", "        if False:\n", f"{_UNIT}test_nothing_is_removed_without_a_yes"),
    _seen("a pipeline is asked", "cli/remove.py", "if not sys.stdin.isatty():", "if False:", f"{_UNIT}test_nothing_is_removed_without_a_terminal"),
    _seen("each line of an owner is told", "config/code_owners.py", "first.setdefault(owner, number)", 'first[f"{owner}{number}"] = number', "tests/tool/test_rules_edges.py::test_owners_that_no_forge_asks_are_told_once"),
    # Parts
    _seen("a task replaces another one", "scaffold/parts.py", '        taken.append(f"{PACKAGE}/{domain}/tasks.py")\n', "        pass\n", _PART),
    _seen("a job replaces another one", "scaffold/parts.py", "        taken.append(file.relative_to(root).as_posix())\n", "        pass\n", _PART),
    _seen("a task hides a function of Python", "scaffold/parts.py", " or hasattr(builtins, name):", ":", _PART),
    _seen("two tests have one name", "scaffold/parts.py", "    taken += [file.relative_to(root).as_posix() for file in sorted(tests)]\n", "", _PART),
    _seen("a notebook runs on nothing", f"{_TEMPLATES}/notebook_classic/resources/NAME.yml.j2", "job_cluster_key: default\n          max", "environment_key: default\n          max", f"{_DOMAINS}test_on_clusters_of_its_own_all_that_is_new_is_declared_well"),
    _seen("a file that git cannot bring back is not counted", "cli/remove.py", 'safe = {*tracked.split("\\0")} - {*changed.split("\\0")}', 'safe = {*tracked.split("\\0")}', f"{_UNIT}test_files_that_git_cannot_bring_back_are_counted"),
    # What is created
    _seen("imports are not in the order of the linter", "scaffold/render.py", 'return "\\n".join(sorted(lines))', 'return "\\n".join(lines)', _LINTER),
    _seen("a long name makes a long line", f"{_TEMPLATES}/serverless/resources/job.yml.j2", "landing: >-\n                /Volumes", "landing: /Volumes", _LINTER),
    _seen("a new domain has a job without its parameter", f"{_TEMPLATES}/serverless/resources/job.yml.j2", "              landing: >-", "              landingg: >-", _GREEN),
    _seen("a new domain loses its quarantine", f"{_TEMPLATES}/common/code/contracts/silver.DOMAIN.yml.j2", "severity: quarantine", "severity: warn", _RUNS),
    _seen("a pipeline keeps what breaks a rule", f"{_TEMPLATES}/pipeline/code/pipeline.py.j2", "    expect_all_or_drop=RULES,\n", "    expect_all_or_drop={},\n", _GREEN),
    _seen("a row for which a rule is NULL is no fault", f"{_TEMPLATES}/pipeline/code/transform.py.j2", "F.coalesce(F.expr(condition), F.lit(False))", "F.coalesce(F.expr(condition), F.lit(True))", _GREEN),
    _seen("SQL sums something else", f"{_TEMPLATES}/sql/code/sql/daily.sql.j2", "count(*) AS entries", "1 AS entries", _GREEN),
    _project("make runs the sample, whatever the domain", "Makefile", "JOB ?= $(addsuffix _daily,$(DOMAIN))", "JOB ?= flights_daily", _RUNS),
    _project("the audit ends at a domain that is gone", "src/lakehouse/audit.py", "            raise\n        return None", "            raise\n        raise", _RUNS),
    _seen("a project without a job is told of none", "local/plan.py", "        if not jobs:\n", "        if False:\n", _WITHOUT),
]
# fmt: on
