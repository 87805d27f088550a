"""Deliberate faults in what sets and checks the settings of a forge."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_TESTS = "tests/pipelines/test_settings.py::"
_WRONG = f"{_TESTS}test_what_is_missing_or_wrong_is_named_and_corrected"
_PLAN = f"{_TESTS}test_a_plan_lists_everything_and_changes_nothing"
_FAULTS = f"{_TESTS}test_after_any_fault_the_next_run_completes_it"
_COMMANDS = f"{_TESTS}test_typed_one_after_another_the_commands_complete_it"
_TEAM = f"{_TESTS}test_a_team_plan_has_no_reviewers_in_private_repositories"
_FREE = f"{_TESTS}test_gitlab_free_says_what_protects_instead"
_ANEW = f"{_TESTS}test_gitlab_free_protects_a_branch_anew"
_KEEPS = f"{_TESTS}test_a_ruleset_keeps_what_somebody_added"
_UNKNOWN = f"{_TESTS}test_ids_that_are_not_known_name_the_command_that_makes_them"
_ALONE = f"{_TESTS}test_somebody_alone_needs_no_approval_of_others"
_CHECKS = f"{_TESTS}test_required_checks_are_those_of_the_pipelines"
_OWNER = f"{_TESTS}test_an_owner_that_nobody_set_is_told"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    place = file if "/" in file else f"bootstrap/{file}"
    return _tool(f"settings: {name}", place, old, new)._replace(test=test)


# fmt: off
SETTINGS_FAULTS = [
    # Branches
    _seen("a bypass list is fine", "github.py", 'if found.get("bypass_actors") else ""', 'if False else ""', f"{_WRONG}[github: a bypass list]"),
    _seen("a push after the approval", "github.py", '    "require_last_push_approval": "Require approval of the most recent reviewable push",\n', "", f"{_WRONG}[github: the last push]"),
    _seen("a bypass list stays", "github.py", '            "bypass_actors": [],\n', "", f"{_WRONG}[github: a bypass list]"),
    _seen("force pushes on GitHub", "github.py", ', "non_fast_forward": "Block force pushes"}', "}", f"{_WRONG}[github: force pushes]"),
    _seen("any check will do", "github.py", "if check not in known]", "if not known]", f"{_WRONG}[github: a check too few]"),
    _seen("rules of others are lost", "github.py", "            *others,\n", "", _KEEPS),
    _seen("checks of others are lost", "github.py", "checks = list(by_kind.get(_CHECKS, {}).get(_CHECKS, ()))", "checks: list[Any] = []", _KEEPS),
    _seen("fewer approvals than there were", "github.py", "max(found.get(_COUNT, 0), self.wanted.approvals)", "self.wanted.approvals", _KEEPS),
    _seen("force pushes on GitLab", "gitlab.py", '["accepts force pushes"] if found.get("allow_force_push") else []', "[]", f"{_WRONG}[gitlab: force pushes]"),
    _seen("deploy keys push", "gitlab.py", 'return level.get("access_level") != _NOBODY', 'return level.get("access_level") == _DEVELOPER', f"{_WRONG}[gitlab: a deploy key]"),
    _seen("wider rules are not seen", "gitlab.py", "and _accepts(rule)", "and False", f"{_TESTS}test_a_wider_rule_for_branches_is_named"),
    _seen("who may approve their own", "gitlab.py", '    ("merge_requests_author_approval", False): "Prevent approval by author",\n', "", f"{_WRONG}[gitlab: the author]"),
    _seen("a gap where none is needed", "gitlab.py", 'or problems == ["accepts force pushes"]', "or False", _ANEW),
    _seen("developers merge on Free", "gitlab.py", 'level.get("access_level") == _DEVELOPER for level', "False for level", _ANEW),
    _seen("variables of anybody", "gitlab.py", "        if given in _ROLES:\n", "        if given:\n", f"{_WRONG}[gitlab: variables of developers]"),
    # Environments
    _seen("any branch may deploy", "github.py", 'if one.branches and not policy.get("custom_branch_policies"):', "if False:", f"{_WRONG}[github: any branch]"),
    _seen("admins pass by", "github.py", 'and found.get("can_admins_bypass"):', "and False:", f"{_WRONG}[github: admins]"),
    _seen("other branches stay", "github.py", '"DELETE", f"{path}/{rule[\'id\']}"', '"GET", f"{path}/{rule[\'id\']}"', f"{_WRONG}[github: another branch of prod]"),
    _seen("a tag is a branch", "github.py", 'if rule.get("type", "branch") != "branch" or rule["name"]', 'if rule["name"]', f"{_WRONG}[github: a tag]"),
    _seen("who starts it approves it", "github.py", 'any(rule.get("prevent_self_review") for rule in rules)', "True", f"{_WRONG}[github: who starts it approves it]"),
    _seen("a timer is lost", "github.py", '        if rules.get("wait_timer"):\n', "        if False:\n", f"{_TESTS}test_an_environment_keeps_its_timer_and_reviewers"),
    _seen("no approvers on GitLab", "gitlab.py", "        if most:\n            return Look(f\"{most} required\", True)\n        new", "        if found:\n            return Look(f\"{most} required\", True)\n        new", f"{_WRONG}[gitlab: no approvers]"),
    _seen("any subject runs merged code", "gitlab.py", '"merge_trains_enabled": False}', "}", f"{_WRONG}[gitlab: merge trains]"),
    # Variables
    _seen("any value will do", "wanted.py", "elif found[key] != value:", "elif False:", f"{_WRONG}[github: another client]"),
    _seen("a flag is no difference", "gitlab.py", "is_flagged = given is not None and bool", "is_flagged = True or bool", f"{_WRONG}[gitlab: not protected]"),
    _seen("a variable of every scope", "gitlab.py", 'if v.get("environment_scope") == scope}', "if True}", f"{_WRONG}[gitlab: another scope]"),
    _seen("a placeholder is a value", "wanted.py", "if is_placeholder(value)}", "if False}", _UNKNOWN),
    _seen("the id of a target is guessed", "wanted.py", "if self.name != PREVIEW_TARGET or is_placeholder", "if is_placeholder", _UNKNOWN),
    _seen("tokens anywhere", "gitlab.py", "if scope not in (*asking, *_READERS):", "if False:", f"{_TESTS}test_tokens_are_looked_at_and_left_alone"),
    _seen("a schedule that is off", "gitlab.py", 'if any(one.get("active") for one in ours):', "if ours:", f"{_WRONG}[gitlab: a schedule that is off]"),
    # Checks and owners
    _seen("a check that some requests lack", "wanted.py", '{"pull_request", "merge_group"} <= triggers.keys()', '{"pull_request"} <= triggers.keys()', _CHECKS),
    _seen("a matrix without its names", "wanted.py", 'cells = f" ({\', \'.join(map(str, cell))})" if cell else ""', 'cells = ""', _CHECKS),
    _seen("a placeholder owns the code", "github.py", "if owner.startswith(NO_OWNER) or not", "if not", _OWNER),
    _seen("an owner who only reads", "github.py", '_WRITERS = ("push",', '_WRITERS = ("pull", "push",', f"{_WRONG}[github: a team that reads]"),
    # Plans
    _seen("a plan that lacks it fails", "forge_service.py", "if error.status in (403, 422) and _PLAN.search(error.reason):", "if False:", _TEAM),
    _seen("nothing instead", "thing.py", "        if self.instead:\n", "        if False:\n", _FREE),
    _seen("a free plan is fine", "github.py", 'advice = f"set approval', 'return Look(reason, True)\n        advice = f"set approval', _TEAM),
    _seen("doctor calls it there", "status/doctor.py", 'is_unavailable=thing.state == "unavailable"', "is_unavailable=False", _FREE),
    _seen("reviews of one person", "github.py", "is_alone or any(rule", "any(rule", _ALONE),
    # Calls
    _seen("one hidden call of three", "thing.py", 'str(error), call, (), calls[1:])', "str(error), call)", f"{_TESTS}test_commands_for_who_may_not_look_are_complete"),
    _seen("an admin's token goes to any host", "forges.py", "if host not in (*_PUBLIC, origin):", "if False:", f"{_TESTS}test_a_token_is_sent_to_no_host_that_only_a_file_names"),
    _seen("a plan changes things", "thing.py", "        return found.as_thing(self.name)\n\n    def make", "        found.call and found.call.service.send(found.call)\n        return found.as_thing(self.name)\n\n    def make", _PLAN),
    _seen("only the first call is made", "thing.py", "for call in thing.calls:", "for call in thing.calls[:1]:", f"{_WRONG}[github: no environment]"),
    _seen("only the first command is printed", "cli/things.py", "        for call in thing.calls:\n            print", "        for call in thing.calls[:1]:\n            print", _COMMANDS),
    _seen("a command without its body", "forge_service.py", '        body = f"printf %s', '        body = "" and f"printf %s', _COMMANDS),
    _seen("approved by whoever maintains", "gitlab.py", '            if group is not None:\n                return {"group_id": group["id"]}\n', "", f"{_TESTS}test_gitlab_has_what_the_pages_promise"),
    _seen("a refusal stops everything", "forge_service.py", "if error.status in (401, 403) and not _LIMIT.search(error.reason):", "if False:", f"{_TESTS}test_a_token_that_may_not_write_makes_nothing"),
    _seen("doctor passes what is missing", "status/doctor.py", '    if thing.state == "missing":\n', "    if False:\n", f"{_WRONG}[gitlab: no rule]"),
]
# fmt: on
