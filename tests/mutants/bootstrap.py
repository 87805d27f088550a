"""Deliberate faults in what makes the platform of a target."""

from __future__ import annotations

from mutants.faults import Fault, _tool

_UNIT = "tests/tool/test_bootstrap.py::"
_TRIED = "tests/deployments/test_bootstrap.py::"
_ORDER = f"{_TRIED}test_the_catalog_is_bound_before_it_is_isolated"
_PLAN = f"{_TRIED}test_a_plan_lists_everything_and_changes_nothing"
_WRONG = f"{_TRIED}test_what_is_missing_or_wrong_is_named_and_mended"
_DANGERS = f"{_TRIED}test_dangers_are_named_and_left_alone"
_RULES = f"{_TRIED}test_a_rule_set_keeps_its_other_rules"
_HOSTS = f"{_UNIT}test_an_admins_token_is_sent_to_no_other_host"
_BYTES = f"{_UNIT}test_an_id_is_written_and_every_other_byte_stays"
_STEP = f"{_UNIT}test_a_step_makes_what_is_missing"
_FAULTS = f"{_TRIED}test_after_any_fault_the_next_run_completes_it"


def _seen(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return _tool(name, file if "/" in file else f"bootstrap/{file}", old, new)._replace(test=test)


# fmt: off
BOOTSTRAP_FAULTS = [
    # Where tokens go
    _seen("an admin's token goes to any host", "service.py", 'name.endswith(end):', "True:", _HOSTS),
    _seen("an admin's token goes without TLS", "service.py", 'address.scheme == "https" and is_plain', "is_plain", _HOSTS),
    _seen("an admin's token goes to any port", "service.py", " and is_plain and", " and", _HOSTS),
    _seen("a personal token goes to the account", "service.py", 'if config.auth_type == "pat" and not is_emulated:', "if False:",
          f"{_UNIT}test_an_account_that_cannot_be_asked_is_told_at_each_call"),
    _seen("a call tells the token", "service.py", 'token: str = field(default="", repr=False)', 'token: str = ""',
          f"{_UNIT}test_a_command_is_the_call"),
    # What is made, and when
    _seen("a plan makes things", "thing.py", "        return found.as_thing(self.name)\n", "        found.call and found.call.service.send(found.call)\n        return found.as_thing(self.name)\n", _PLAN),
    _seen("a call is made with a placeholder", "thing.py", "bool(self.calls) and not waits", "bool(self.calls)", _STEP),
    _seen("a refused call counts as made", "thing.py", 'return Thing(self.name, "hidden", message, call', 'return Thing(self.name, "made", message, call', _STEP),
    _seen("what is hidden is made blindly", "thing.py", 'self.state == "missing" and bool', "bool", f"{_UNIT}test_a_step_makes_nothing_that_is_there_and_nothing_blindly"),
    _seen("a lost answer makes a double", "service.py", 'self._once if method == "POST" else self._client', "self._client", _FAULTS),
    _seen("isolated before it is bound", "needs.py",
          '        yield Step("catalog binding", self._binding, partial(self._bind, []))\n        yield Step("catalog isolation", self._isolation, self._isolate)\n',
          '        yield Step("catalog isolation", self._isolation, self._isolate)\n        yield Step("catalog binding", self._binding, partial(self._bind, []))\n', _ORDER),
    # What is wrong
    _seen("an inactive principal is there", "needs.py", 'if found[0].get("active") is False:', "if False:", _WRONG),
    _seen("two of one name are guessed", "needs.py", "if len(found) > 1:", "if False:", f"{_TRIED}test_a_name_that_two_have_is_not_guessed"),
    _seen("any binding will do", "needs.py", "if ours and not wrong:", "if ours:", _WRONG),
    _seen("one grant is enough", "needs.py", "lacking = [p for p in privileges if p not in given and", "lacking = [p for p in privileges if not given and", _WRONG),
    _seen("any level will do", "needs.py", "if any(_rank(right) >= _rank(level) for right in given):", "if given:", _WRONG),
    _seen("any audience will do", "needs.py", 'found == wanted and trust.audience in policy.get("audiences", ())', "found == wanted", _WRONG),
    _seen("any claim will do", "needs.py", 'policy.get("subject_claim") or "sub")', "subject.claim)", _WRONG),
    _seen("other rules are lost", "needs.py", 'rules = [dict(rule) for rule in known.get("grant_rules", ())]', "rules: list[dict[str, Any]] = []", _RULES),
    _seen("a rule set that changed is overwritten", "service.py", "            raise _failed(method, path, error) from error\n        return answer",
          "            return {}\n        return answer", f"{_TRIED}test_a_rule_set_that_changed_meanwhile_is_read_again"),
    _seen("only the first page is read", "service.py", '            query = {"page_token": str(page["next_page_token"])}', "            return", _DANGERS),
    _seen("a folder that others write in is fine", "needs.py", "if _rank(level) >= _rank(_WRITE) and", "if _rank(level) > _rank(_MANAGE) and", _DANGERS),
    # Files
    _seen("the mark stays", "scaffold/ids.py", "_SET_ME.sub('', found[3])", "found[3]", _BYTES),
    _seen("ids are written unasked", "cli/bootstrap.py", "    if not sys.stdin.isatty():\n", "    if not sys.stdin.isatty():\n        return True\n",
          f"{_TRIED}test_ids_are_written_only_if_somebody_agrees"),
    _seen("what may not be seen ends well", "cli/things.py", "        return Exit.BAD_INPUT", "        return Exit.DONE",
          f"{_TRIED}test_who_may_read_but_not_make_is_told_for_what_whom_it_needs"),
    _seen("doctor passes what is missing", "status/doctor.py", '    if thing.state == "missing":\n', "    if False:\n", _WRONG),
]
# fmt: on
