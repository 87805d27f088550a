"""Deliberate faults of the worst days: busy jobs, cut-off deploys, what was left behind."""

from __future__ import annotations

from mutants.faults import _delivery

VERIFICATION = "tests/deployments/test_verification.py::"
LEFTOVERS = "tests/deployments/test_leftovers.py::"
WAY_BACK = "tests/deployments/test_rollback.py::"
BAD_DAYS = "tests/deployments/test_bad_days.py::"

# fmt: off
DAYS_FAULTS = [
    # A verification meets other runs of its job
    _delivery("a busy job is no matter", "deploy/verify.py", " or self._is_busy()):", "):",
              f"{VERIFICATION}test_a_scheduled_run_is_waited_for"),
    _delivery("a skipped run is a failure", "deploy/verify.py", 'if self.run.inconclusive == "skipped" or (', "if False and (",
              f"{VERIFICATION}test_a_skipped_run_is_started_again"),
    _delivery("a canceled run is a failure", "deploy/verify.py", '        if run.inconclusive == "canceled":', "        if False:",
              f"{VERIFICATION}test_a_run_that_somebody_cancels_proves_nothing"),
    _delivery("a run that waited has failed", "deploy/verify.py", "if self.run and not self.busy and", "if self.run and",
              f"{VERIFICATION}test_a_job_that_became_free_too_late_is_watched_by_the_next_try"),
    _delivery("a run that hangs is left open", "deploy/verify.py", "if self.run and not self.busy and", "if not self.run and",
              f"{VERIFICATION}test_a_run_that_had_all_its_time_has_failed"),
    _delivery("not verified is verified", "deploy/deploy.py", "        if seen.unverified:\n", "        if False:\n",
              f"{VERIFICATION}test_a_job_that_is_never_free_does_not_fail_the_release"),
    _delivery("a rollback that is not verified yet pauses jobs", "deploy/rollback.py", "    if seen.unverified:\n", "    if seen.unverified:\n        raise DeliveryError(release)\n",
              f"{VERIFICATION}test_an_automatic_rollback_pauses_nothing_where_it_cannot_be_verified_yet"),
    _delivery("times are not compared", "checks/verify.py", "not 0 < seconds <= minutes * 60", "False"),
    _delivery("a continuous job verifies", "checks/verify.py", 'if domains and "continuous" in job', "if False"),
    # What a delivery made and lost
    _delivery("nothing is our own", "target/ledger.py", '                if name.kind == "started":\n                    return True\n', "",
              f"{LEFTOVERS}test_the_automatic_rollback_knows_its_own_double"),
    _delivery("a failed deploy leaves what it made", "deploy/apply.py", "            self._clean_up_orphans(deployed=False)\n", "",
              f"{LEFTOVERS}test_a_first_deploy_that_fails_leaves_no_orphan"),
    _delivery("going back keeps new orphans", "plan/planner.py", "conflicts.orphans if request.is_rollback else duplicates", "duplicates",
              f"{LEFTOVERS}test_jobs_of_an_update_that_was_cut_off_go_with_it"),
    _delivery("let go and made twice", "plan/conflicts.py", "            if adopted:\n", "            if False:\n",
              f"{LEFTOVERS}test_a_job_that_was_let_go_is_adopted_again_and_not_made_twice"),
    _delivery("what people made is ours", "plan/conflicts.py", "return made_by_us and self.was_deploying(", "return True or self.was_deploying(",
              f"{LEFTOVERS}test_what_people_made_is_not_adopted_with_the_rest"),
    _delivery("our own orphan is let go", "operations/adopt.py", "if not earlier and find_conflicts(context, candidate, snapshot).was_created_by_deploy(", "if False and find_conflicts(context, candidate, snapshot).was_created_by_deploy(",
              f"{LEFTOVERS}test_our_own_orphan_is_not_let_go_as_if_a_person_had_made_it"),
    _delivery("renamed jobs are let go", "plan/planner.py", "        or not request.is_rollback\n", "        or True\n",
              f"{LEFTOVERS}test_a_renamed_job_of_the_project_s_own_is_not_let_go"),
    _delivery("one of two locks is broken", "target/context.py", "            if break_lock:  # the", "            if False:  # the",
              f"{LEFTOVERS}test_all_that_was_left_is_adopted_at_once"),
    _delivery("a dry run adopts", "operations/adopt.py", "    if dry_run:\n", "    if False:\n",
              f"{LEFTOVERS}test_all_that_was_left_is_adopted_at_once"),
    _delivery("a deploy that was cut off is drift", "status/drift.py", "if interrupted is None or _would_change(interrupted, drift):", "if True:",
              f"{LEFTOVERS}test_a_deploy_that_was_cut_off_is_told_as_that_and_not_as_hands"),
    _delivery("jobs are listed again", "plan/planner.py", "context.store.orphans(snapshot.state, snapshot.jobs)", "context.store.orphans(snapshot.state)",
              f"{LEFTOVERS}test_all_jobs_are_listed_once_a_plan"),
    # What is kept, and what people are told
    _delivery("kept where nothing includes it", "config/includes.py", "    name = included_name(folder, patterns)\n", '    name = "resources/_retained/retained.yml"\n',
              f"{WAY_BACK}test_what_is_kept_does_not_depend_on_how_files_are_included"),
    _delivery("what is kept becomes a file", "config/includes.py", '{"exclude": [file.name]}', '{"exclude": [name]}',
              f"{WAY_BACK}test_what_is_kept_does_not_depend_on_how_files_are_included"),
    _delivery("includes that take no more", "checks/include.py", "included_name(context.root, list(map(str, patterns))) is None", "False"),
    _delivery("going back by destroying", "plan/guard.py", "    if inputs.is_rollback:\n        hint", "    if False:\n        hint"),
    _delivery("a renamed job is to be destroyed", "plan/guard.py", "_decide(key, danger, inputs, Refusal.JOBS_DELETED, hint)", "_decide(key, danger, inputs, Refusal.JOBS_DELETED)"),
]
# fmt: on
