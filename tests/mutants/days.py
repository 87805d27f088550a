"""Deliberate faults of the worst days: busy jobs, cut-off deploys, what was left behind."""

from __future__ import annotations

from mutants.faults import _delivery

VERIFICATION = "tests/test_delivery_verification.py::"
LEFTOVERS = "tests/test_delivery_leftovers.py::"
WAY_BACK = "tests/test_delivery_way_back.py::"
BAD_DAYS = "tests/test_delivery_bad_days.py::"

# fmt: off
DAYS_FAULTS = [
    # A verification meets other runs of its job
    _delivery("a busy job is no matter", "verify.py", " or self._is_busy()):", "):",
              f"{VERIFICATION}test_a_scheduled_run_is_waited_for"),
    _delivery("a skipped run is a failure", "verify.py", 'if self.run.cause == "skipped" or (', "if False and (",
              f"{VERIFICATION}test_a_skipped_run_is_started_again"),
    _delivery("a canceled run is a failure", "verify.py", '        if run.cause == "canceled":', "        if False:",
              f"{VERIFICATION}test_a_run_that_somebody_cancels_proves_nothing"),
    _delivery("a run that waited has failed", "verify.py", "if self.run and not self.busy and", "if self.run and",
              f"{VERIFICATION}test_a_job_that_became_free_too_late_is_watched_by_the_next_try"),
    _delivery("a run that hangs is left open", "verify.py", "if self.run and not self.busy and", "if not self.run and",
              f"{VERIFICATION}test_a_run_that_had_all_its_time_has_failed"),
    _delivery("not verified is verified", "deploy.py", "        if seen.open:\n            self._leave_open", "        if False:\n            self._leave_open",
              f"{VERIFICATION}test_a_job_that_is_never_free_does_not_fail_the_release"),
    _delivery("a rollback that is not verified yet pauses jobs", "deploy.py", "        if seen.open:\n            again", "        if seen.open:\n            raise DeliveryError(release)\n            again",
              f"{VERIFICATION}test_an_automatic_rollback_pauses_nothing_where_it_cannot_be_verified_yet"),
    _delivery("times are not compared", "rules/conventions.py", "not 0 < seconds <= minutes * 60", "False"),
    _delivery("a continuous job verifies", "rules/conventions.py", 'if domains and "continuous" in job', "if False"),
    # What a delivery made and lost
    _delivery("nothing is our own", "ledger.py", '                if name.kind == "started":\n                    return True\n', "",
              f"{LEFTOVERS}test_the_automatic_rollback_knows_its_own_double"),
    _delivery("a failed deploy leaves what it made", "deploy.py", "            self._tidy(came_through=False)\n", "",
              f"{LEFTOVERS}test_a_first_deploy_that_fails_leaves_no_orphan"),
    _delivery("going back keeps new orphans", "prepare.py", "self.orphans if self.wishes.back else doubles", "doubles",
              f"{LEFTOVERS}test_jobs_of_an_update_that_was_cut_off_go_with_it"),
    _delivery("let go and made twice", "leftovers.py", "            if before:", "            if False:",
              f"{LEFTOVERS}test_a_job_that_was_let_go_is_adopted_again_and_not_made_twice"),
    _delivery("what people made is ours", "leftovers.py", "return mine and self.under_way(", "return True or self.under_way(",
              f"{LEFTOVERS}test_what_people_made_is_not_adopted_with_the_rest"),
    _delivery("our own orphan is let go", "operate.py", "if not instead_of and preparation.leftovers.is_ours(key, found):", "if False:",
              f"{LEFTOVERS}test_our_own_orphan_is_not_let_go_as_if_a_person_had_made_it"),
    _delivery("renamed jobs are let go", "prepare.py", "return not self.wishes.back or str(", "return True or str(",
              f"{LEFTOVERS}test_a_renamed_job_of_the_project_s_own_is_not_let_go"),
    _delivery("one of two locks is broken", "deploy.py", "            if self.break_lock:  # both", "            if False:  # both",
              f"{LEFTOVERS}test_all_that_was_left_is_adopted_at_once"),
    _delivery("a dry run adopts", "operate.py", "        if dry_run:\n            return _told_apart", "        if False:\n            return _told_apart",
              f"{LEFTOVERS}test_all_that_was_left_is_adopted_at_once"),
    _delivery("a deploy that was cut off is drift", "drift.py", "if begun is None or _is_left(begun, drift):", "if True:",
              f"{LEFTOVERS}test_a_deploy_that_was_cut_off_is_told_as_that_and_not_as_hands"),
    _delivery("jobs are listed again", "prepare.py", "store.orphans(self.state, self.jobs)", "store.orphans(self.state)",
              f"{LEFTOVERS}test_all_jobs_are_listed_once_a_plan"),
    # What is kept, and what people are told
    _delivery("kept where nothing includes it", "retain.py", "    name = included_name(folder, patterns)\n", '    name = "resources/_retained/retained.yml"\n',
              f"{WAY_BACK}test_what_is_kept_does_not_depend_on_how_files_are_included"),
    _delivery("what is kept becomes a file", "retain.py", '{"exclude": [file.name]}', '{"exclude": [name]}',
              f"{WAY_BACK}test_what_is_kept_does_not_depend_on_how_files_are_included"),
    _delivery("includes that take no more", "check.py", "included_name(project.root, list(map(str, include))) is None", "False"),
    _delivery("going back by destroying", "guard.py", "    if situation.back:\n        mend", "    if False:\n        mend"),
    _delivery("a renamed job is to be destroyed", "guard.py", "_permitted(key, danger, situation, keep)", "_permitted(key, danger, situation)"),
]
# fmt: on
