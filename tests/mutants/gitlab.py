"""Deliberate faults in the pipelines of GitLab: each must turn the test that it names red."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

CI = f"{PROJECT}/.gitlab/ci"
BRANCHES = f"{PROJECT}/options/branching=environments/.gitlab/ci"
TESTS = "tests/test_gitlab_pipelines.py"
STORIES = "tests/test_gitlab_stories.py"
PROTECTED = '$CI_COMMIT_REF_PROTECTED == "true"'
OWN = "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_MERGE_REQUEST_PROJECT_ID"


def _read(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return Fault(name, f"{CI}/{file}", old, new, f"{TESTS}::{test}")


# fmt: off
GITLAB_FAULTS = [
    _read("gitlab: a request in prod", "plan.yml", "name: staging-plan", "name: prod",
          "test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone"),
    _read("gitlab: a request of a fork plans", "plan.yml", f'"on" &&\n        {OWN}\n  environment', '"on"\n  environment',
          "test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone"),
    _read("gitlab: a request is built with an identity", "plan.yml", "build:\n  extends: .setup",
          "build:\n  extends: .planner\n  environment: staging-plan",
          "test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone"),
    _read("gitlab: the plan runs the code of the request", "setup.yml", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
          "test_the_code_of_a_request_runs_without_an_identity_except_for_its_preview"),
    _read("gitlab: the plan starts beside the request", "setup.yml", "GIT_STRATEGY: empty", "GIT_STRATEGY: fetch",
          "test_the_code_of_a_request_runs_without_an_identity_except_for_its_preview"),
    _read("gitlab: the plan runs a file of the request", "plan.yml", "    - make cli\n", "    - make -C ../release cli\n",
          "test_the_code_of_a_request_runs_without_an_identity_except_for_its_preview"),
    _read("gitlab: a request sets variables of its plan", "plan.yml", "    paths: [release/]\n", "    paths: [release/]\n    reports: {dotenv: release.env}\n",
          "test_the_code_of_a_request_runs_without_an_identity_except_for_its_preview"),
    _read("gitlab: a token that writes beside the code of a request", "plan.yml", "comment:\n  extends: .base", "comment:\n  extends: .setup",
          "test_a_token_that_may_write_is_near_no_code_of_a_request"),
    _read("gitlab: prod from any branch that can be written to", "deliver.yml", f"{PROTECTED}\n      when: manual", '$DELIVERY == "on"\n      when: manual',
          "test_a_target_is_reached_from_its_own_protected_branch_alone"),
    _read("gitlab: drift of prod from any branch", "drift.yml", f'"schedule" && $DELIVERY == "on" && {PROTECTED}\n', '"schedule" && $DELIVERY == "on"\n',
          "test_a_target_is_reached_from_its_own_protected_branch_alone"),
    Fault("gitlab: prod from the branch of staging", f"{BRANCHES}/workflow.yml", '$CI_COMMIT_BRANCH == "staging" && $TARGET == "staging"',
          '$CI_COMMIT_BRANCH == "staging"', f"{TESTS}::test_a_target_is_reached_from_its_own_protected_branch_alone"),
    _read("gitlab: any place by hand", "workflow.yml", " && $TARGET =~ /^(staging|prod)$/", "", "test_no_other_environment_is_known"),
    _read("gitlab: an audience for everybody", "setup.yml", "aud: $DATABRICKS_TOKEN_AUDIENCE", "aud: https://example.com",
          "test_an_identity_comes_from_an_environment_and_an_id_token"),
    _read("gitlab: a host from the repository", "setup.yml", "    DATABRICKS_AUTH_TYPE: env-oidc\n",
          "    DATABRICKS_AUTH_TYPE: env-oidc\n    DATABRICKS_HOST: https://example.com\n",
          "test_an_identity_comes_from_an_environment_and_an_id_token"),
    _read("gitlab: a planner deploys", "deliver.yml", "delivery plan prod", "delivery deploy prod", "test_a_planner_only_reads"),
    _read("gitlab: prod waits for nobody", "deliver.yml", "      when: manual\n", "", "test_prod_waits_for_people"),
    _read("gitlab: going back waits for nobody", "rollback.yml", "      when: manual\n", "", "test_prod_waits_for_people"),
    _read("gitlab: an approval without having seen", "deliver.yml", "    paths: [plan.json, plan.md]\n",
          "    paths: [plan.json, plan.md]\n    reports: {dotenv: plan.env}\n", "test_who_approves_by_digest_has_seen_it"),
    _read("gitlab: nothing waits for an admin", "drift.yml", '"schedule" && $DELIVERY == "on" && ', '"schedule" && ',
          "test_until_delivery_is_on_nothing_reaches_for_a_workspace"),
    _read("gitlab: delivered before it is checked", "deliver.yml", "  stage: release\n", "  stage: release\n  needs: []\n",
          "test_nothing_is_delivered_before_it_is_checked"),
    _read("gitlab: delivered by hand without a check", "check.yml", "/^(check|deliver)$/", "/^check$/",
          "test_nothing_is_delivered_before_it_is_checked"),
    _read("gitlab: half a deploy", "setup.yml", "interruptible: false", "interruptible: true",
          "test_a_deploy_is_never_cancelled_and_a_target_has_one_at_a_time"),
    _read("gitlab: two deploys at a time", "deliver.yml", "  resource_group: staging\n", "",
          "test_a_deploy_is_never_cancelled_and_a_target_has_one_at_a_time"),
    _read("gitlab: a merge cancels what waits", "setup.yml", ".planner:\n", ".planner:\n  interruptible: true\n",
          "test_what_waits_for_people_is_not_cancelled_by_the_next_merge"),
    _read("gitlab: development beside an identity", "setup.yml", "    - make tool\n    - make cli\n", "    - make setup\n    - make cli\n",
          "test_beside_an_identity_or_a_right_to_write_is_the_tool_alone"),
    _read("gitlab: the tool of the development environment", "drift.yml", ".venv-tool/bin/delivery forge issue \"drift on prod", ".venv/bin/delivery forge issue \"drift on prod",
          "test_beside_an_identity_or_a_right_to_write_is_the_tool_alone"),
    _read("gitlab: a cache with an identity", "setup.yml", "cache: []", "cache: {paths: [.cache/]}", "test_no_job_with_an_identity_has_a_cache"),
    _read("gitlab: a reason is typed", "operate.yml", '--reason="$REASON"', "--reason=$REASON",
          "test_scripts_are_commands_that_a_person_can_type"),
    _read("gitlab: a release is an option", "rollback.yml", '-- "$TARGET" "$RELEASE"', '"$TARGET" "$RELEASE"',
          "test_free_text_is_an_option_s_value_or_stands_behind_two_hyphens"),
    _read("gitlab: a title in a command", "plan.yml", '"plan of staging"', '"$CI_MERGE_REQUEST_TITLE"',
          "test_free_text_is_an_option_s_value_or_stands_behind_two_hyphens"),
    _read("gitlab: a failure is swallowed", "check.yml", "    - make test\n", "    - make test || true\n",
          "test_scripts_are_commands_that_a_person_can_type"),
    _read("gitlab: an option that is none", "drift.yml", "--report", "--reports", "test_scripts_are_commands_that_a_person_can_type"),
    _read("gitlab: drift is no failure", "drift.yml", "drift-prod:\n", "drift-prod:\n  allow_failure: true\n", "test_what_fails_is_seen"),
    _read("gitlab: a job needs one that is not there", "plan.yml", '&& $DELIVERY == "on"\n    - if', '&& $DELIVERY == "off"\n    - if',
          "test_a_job_needs_jobs_that_are_there_and_come_before_it"),
    _read("gitlab: pages without a page", "status.yml", " &&\n        ($CI_PIPELINE_SOURCE != \"web\" || $PIPELINE != \"check\") && $STATUS_PAGES", " && $STATUS_PAGES",
          "test_a_job_needs_jobs_that_are_there_and_come_before_it"),
    _read("gitlab: pushes to any branch", "workflow.yml", '"push" && $CI_COMMIT_BRANCH == "main"', '"push"',
          "test_every_request_and_every_branch_that_delivers_is_checked"),
    Fault("gitlab: prod's branch is not checked", f"{BRANCHES}/workflow.yml", '    - if: $CI_PIPELINE_SOURCE == "push" && $CI_COMMIT_BRANCH == "prod"\n', "",
          f"{TESTS}::test_every_request_and_every_branch_that_delivers_is_checked"),
    _read("gitlab: a preview outlives its time", "preview.yml", "auto_stop_in: 7 days", "auto_stop_in: 30 days", "test_a_preview_goes_by_itself"),
    _read("gitlab: a key misspelt", "check.yml", "interruptible", "interuptible", "test_every_file_fits_the_published_schema"),
    Fault("gitlab: a file that nobody includes", f"{PROJECT}/.gitlab-ci.yml", "  - local: .gitlab/ci/drift.yml\n", "",
          f"{TESTS}::test_every_file_is_included"),
    Fault("gitlab: a form that starts nothing", f"{PROJECT}/.gitlab-ci.yml", "adopt, drift", "adopt, drift, destroy",
          f"{TESTS}::test_a_form_starts_what_it_says"),
    Fault("gitlab: prod takes what staging runs", f"{BRANCHES}/deliver.yml", "--tree=HEAD", '--tree=""',
          f"{STORIES}::test_a_change_goes_from_a_request_to_prod_and_back[environments]"),
    Fault("gitlab: a preview that stays", f"{CI}/preview.yml", "preview down", "preview up",
          f"{STORIES}::test_a_preview_is_up_while_it_is_wanted"),
]
# fmt: on
