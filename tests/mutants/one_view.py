"""Faults in what the two readers of a bundle must agree on, and in what may not run."""

from __future__ import annotations

from mutants.faults import _delivery

ONE_VIEW = "tests/test_one_view.py::"
RELEASES = f"{ONE_VIEW}test_no_release_sends_a_token_or_starts_a_program"
COPIES = f"{ONE_VIEW}test_a_preview_goes_up_without_what_a_folder_remembers"

# fmt: off
ONE_VIEW_FAULTS = [
    _delivery("stars pass hidden files by", "bundle/includes.py", "for name in os.listdir(place):", "for name in filter(lambda n: n[0] != '.', os.listdir(place)):"),
    _delivery("any pattern is followed", "bundle/includes.py", "    odd = not pattern or _REFUSED.search(pattern)\n", "    odd = False\n"),
    _delivery("hidden files are let in", "bundle/includes.py", 'if any(part.startswith(".") for part in path.parts):', "if False:", RELEASES),
    _delivery("a second root file", "bundle/includes.py", "        if os.path.lexists(root / name):", "        if False:"),
    _delivery("any suffix is included", "bundle/includes.py", "        if path.suffix not in _SUFFIXES:", "        if False:"),
    _delivery("the two views are not compared", "forbidden.py", "found = found or list(map(str, differences(bundle, target, merged)))", "pass"),
    _delivery("the CLI's view is not judged", "forbidden.py", "as the CLI reads it\" for path in _found(merged)]", "as the CLI reads it\" for path in ()]"),
    _delivery("any key below bundle", "forbidden.py", "            if key not in allowed and not anchors", '            if name != "bundle" and key not in allowed and not anchors'),
    _delivery("a host of variables", "forbidden.py", 'if "${" in str(_below(tree, "workspace").get("host", "")):', "if False:"),
    _delivery("setup.py is left", "forbidden.py", 'if os.path.lexists(root / "setup.py"):', "if False:", RELEASES),
    _delivery("any file of the machine", "forbidden.py", 'if key in _LOCAL and (path.startswith("/") or ":" in path):', "if False:", RELEASES),
    _delivery("paths leave the release", "forbidden.py", 'or inside.startswith("..")', "or False", RELEASES),
    _delivery("code of no release", "forbidden.py", 'if jobs.section(key).get("git_source"):', "if False:", RELEASES),
    _delivery("values are not compared", "one_view.py", "    elif not _is_same(ours, cli):", "    elif False:"),
    _delivery("what only the CLI has is passed by", "one_view.py", "for key in dict.fromkeys([*ours, *cli]):", "for key in ours:"),
    _delivery("a secret is told", "one_view.py", '"(hidden)" if hidden else', '"(hidden)" if False else'),
    _delivery("octal numbers", "bundle/document.py", "if not node.style and AMBIGUOUS", "if False and AMBIGUOUS"),
    _delivery("tags are believed", "bundle/document.py", "        if node.tag != usual:", "        if False:"),
    _delivery("merged twice", "bundle/document.py", "                if merges > 1:", "                if False:"),
    _delivery("identities are mixed", "bundle/load.py", '        if "run_as" in target:', "        if False:"),
    _delivery("the CLI obeys an archive", "release/archive.py", "            if is_local_state(PurePosixPath(entry.name)):", "            if False:", RELEASES),
    _delivery("a release brings local state", "release/build.py", "            if is_local_state(", "            if False and is_local_state(", f"{ONE_VIEW}test_local_state_is_in_no_release"),
    _delivery("a preview brings local state", "preview.py", " and not is_local_state(PurePosixPath(file)):", ":", COPIES),
    _delivery("a preview follows links", "preview.py", "        if source.is_symlink() or", "        if False and source.is_symlink() or", COPIES),
    _delivery("credentials before the judgement", "site.py", "    if archive:", "    if False:", f"{ONE_VIEW}test_no_credential_is_used_before_the_judgement"),
    _delivery("a release of anything", "release/build.py", "        for target in policy.released:", "        for target in ():", f"{ONE_VIEW}test_a_release_is_not_built_of_it"),
    _delivery("the CLI inherits the environment", "bundle_cli.py", "for name, value in os.environ.items() if name in _KEPT}", "for name, value in os.environ.items()}", f"{ONE_VIEW}test_a_variable_of_the_environment_does_not_reach_the_cli"),
    _delivery("a scheme anywhere is no path", "forbidden.py", 'if ".." not in path.split("/"):', 'if ".." not in path.split("/") or "://" in path:', RELEASES),
    _delivery("unknown paths are opened", "forbidden.py", 'not path.startswith("/") and _UNKNOWN.search(path):', "False:", RELEASES),
    _delivery("a value wins unseen", "forbidden.py", 'variable.get("value") is not None:', "False:"),
    _delivery("made references are no references", "bundle/references.py", "            if made == text:\n", "            if True:\n"),
    _delivery("git is known later, whatever the files say", "bundle/references.py", "                return _walk(self._tree, mark, [head, *steps], reference)", "                pass"),
    _delivery("a default beats a lookup", "bundle/references.py", 'if value.get("lookup") is not None:', "if False:"),
    _delivery("any mapping of a target is a definition", "bundle/references.py", "{*value} not in DEFINITIONS", "False"),
    _delivery("who is unknown may run", "run_as.py", "if unknown else", "if False else"),
    _delivery("capitals make another identity", "run_as.py", "one.strip().casefold() == other.strip().casefold()", "one == other"),
    _delivery("the CLI lets others run", "run_as.py", "if made and identity != one.identity:", "if False:"),
    _delivery("three names are three identities", "rules/released.py", "len({*ids}) == len(known) == 3", "len({*ids}) == 3"),
    _delivery("the plan is uploaded", "bundle_cli.py", "with tempfile.TemporaryDirectory() as name:  # away", "with tempfile.TemporaryDirectory(dir=self.folder) as name:  # away"),
    _delivery("runs of any job begin with a deploy", "forbidden.py", "        if not own or own[1] not in jobs:", "        if False:", RELEASES),
    _delivery("paths of dashboards are not proven", "rules/paths.py", '    "file_path",\n', ""),
]
# fmt: on
