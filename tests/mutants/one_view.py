"""Faults in what the two readers of a bundle must agree on, and in what may not run."""

from __future__ import annotations

from mutants.faults import _delivery

ONE_VIEW = "tests/deployments/test_one_view.py::"
RELEASES = f"{ONE_VIEW}test_no_release_sends_a_token_or_starts_a_program"
COPIES = f"{ONE_VIEW}test_a_preview_goes_up_without_what_a_folder_remembers"

# fmt: off
ONE_VIEW_FAULTS = [
    _delivery("stars pass hidden files by", "config/includes.py", "for name in os.listdir(path):", "for name in filter(lambda n: n[0] != '.', os.listdir(path)):"),
    _delivery("any pattern is followed", "config/includes.py", "return is_ambiguous(pattern) or path.is_absolute()", "return path.is_absolute()"),
    _delivery("hidden files are let in", "config/includes.py", 'if any(part.startswith(".") for part in path.parts):', "if False:", RELEASES),
    _delivery("a second root file", "config/includes.py", "        if os.path.lexists(root / name):", "        if False:"),
    _delivery("any suffix is included", "config/includes.py", "        if path.suffix not in _EXTENSIONS:", "        if False:"),
    _delivery("the two views are not compared", "checks/untrusted.py", "found = found or list(map(str, differences(bundle, target, merged)))", "pass"),
    _delivery("the CLI's view is not judged", "checks/untrusted.py", "as the CLI reads it\" for path in refused_keys(merged)]", "as the CLI reads it\" for path in ()]"),
    _delivery("any key below bundle", "checks/untrusted.py", "            if key not in allowed and not anchors", '            if name != "bundle" and key not in allowed and not anchors'),
    _delivery("a host of variables", "checks/untrusted.py", 'if "${" in str(_below(tree, "workspace").get("host", "")):', "if False:"),
    _delivery("setup.py is left", "checks/untrusted.py", "if os.path.lexists(bundle.root / \"setup.py\"):", "if False:", RELEASES),
    _delivery("any file of the machine", "checks/untrusted.py", 'if key in _LOCAL and (path.startswith("/") or ":" in path):', "if False:", RELEASES),
    _delivery("paths leave the release", "checks/untrusted.py", 'or inside.startswith("..")', "or False", RELEASES),
    _delivery("code of no release", "checks/untrusted.py", 'if jobs.section(key).get("git_source"):', "if False:", RELEASES),
    _delivery("values are not compared", "config/cli_view.py", "    elif not _is_same(ours, cli):", "    elif False:"),
    _delivery("what only the CLI has is passed by", "config/cli_view.py", "for key in dict.fromkeys([*ours, *cli]):", "for key in ours:"),
    _delivery("a secret is told", "config/cli_view.py", '"(hidden)" if hidden else', '"(hidden)" if False else'),
    _delivery("octal numbers", "config/yaml.py", "if not node.style and AMBIGUOUS", "if False and AMBIGUOUS"),
    _delivery("tags are believed", "config/yaml.py", "        if node.tag != self._loader.resolve(type(node), node.value, (plain, not plain)):", "        if False:"),
    _delivery("merged twice", "config/yaml.py", "                if merges > 1:", "                if False:"),
    _delivery("identities are mixed", "config/bundle.py", '        if "run_as" in target:', "        if False:"),
    _delivery("the CLI obeys an archive", "release/archive.py", "            if is_local_state(PurePosixPath(entry.name)):", "            if False:", RELEASES),
    _delivery("a release brings local state", "release/build.py", "            if is_local_state(", "            if False and is_local_state(", f"{ONE_VIEW}test_local_state_is_in_no_release"),
    _delivery("a preview brings local state", "operations/preview.py", " and not is_local_state(PurePosixPath(file)):", ":", COPIES),
    _delivery("a preview follows links", "operations/preview.py", "        if source.is_symlink() or", "        if False and source.is_symlink() or", COPIES),
    _delivery("credentials before the judgement", "target/context.py", "    if archive:", "    if False:", f"{ONE_VIEW}test_no_credential_is_used_before_the_judgement"),
    _delivery("a release of anything", "release/build.py", "        for target in policy.released:", "        for target in ():", f"{ONE_VIEW}test_a_release_is_not_built_of_it"),
    _delivery("the CLI inherits the environment", "workspace/bundle_cli.py", "for name, value in os.environ.items() if name in _KEPT}", "for name, value in os.environ.items()}", f"{ONE_VIEW}test_a_variable_of_the_environment_does_not_reach_the_cli"),
    _delivery("a scheme anywhere is no path", "checks/untrusted.py", 'if ".." not in path.split("/"):', 'if ".." not in path.split("/") or "://" in path:', RELEASES),
    _delivery("unknown paths are opened", "checks/untrusted.py", 'not path.startswith("/") and _UNKNOWN.search(path):', "False:", RELEASES),
    _delivery("a value wins unseen", "checks/untrusted.py", 'variable.get("value") is not None:', "False:"),
    _delivery("made references are no references", "config/references.py", "            if replaced == text:\n", "            if True:\n"),
    _delivery("git is known later, whatever the files say", "config/references.py", "                return _walk(self.tree, mark, [head, *steps], reference)", "                pass"),
    _delivery("a default beats a lookup", "config/references.py", 'if value.get("lookup") is not None:', "if False:"),
    _delivery("any mapping of a target is a definition", "config/references.py", "{*value} not in FULL_DEFINITIONS", "False"),
    _delivery("who is unknown may run", "config/model.py", "        elif not _is_accepted(name, model, place):", "        elif False:"),
    _delivery("capitals make another identity", "config/identities.py", "if identity.strip().casefold() == getattr(known, name).strip().casefold():", "if identity == getattr(known, name):"),
    _delivery("the CLI lets others run", "config/identities.py", "if planned and identity != resource.identity:", "if False:"),
    _delivery("three names are three identities", "checks/released.py", "len(declared) == len(resolved) == 3", "len(declared) == 3"),
    _delivery("the plan is uploaded", "workspace/bundle_cli.py", "with tempfile.TemporaryDirectory() as name:  # outside", "with tempfile.TemporaryDirectory(dir=self.folder) as name:  # outside"),
    _delivery("runs of any job begin with a deploy", "checks/untrusted.py", "        if not own or own[1] not in jobs:", "        if False:", RELEASES),
    _delivery("paths of dashboards are not proven", "checks/untrusted.py", '    "file_path",\n', ""),
]
# fmt: on
