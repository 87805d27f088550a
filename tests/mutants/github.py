"""Deliberate faults in the workflows of GitHub: each must turn the test that it names red."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

FLOWS = f"{PROJECT}/.github/workflows"
BRANCHES = f"{PROJECT}/options/branching=environments/.github/workflows"
TESTS = "tests/test_pipelines.py::"
STORIES = "tests/test_github_stories.py::"
REACH = "test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone"
CODE = "test_the_code_of_a_request_may_read_and_has_no_identity_but_its_preview_s"
PROTECTED = "test_targets_are_reached_from_protected_branches_alone"
WRITES = "test_who_may_write_has_no_identity_and_runs_no_code_of_a_change"
SETTINGS = "test_address_and_identity_come_from_the_forge_s_settings"
ALONE = "test_beside_an_identity_or_a_right_to_write_is_the_tool_alone"
TYPED = "test_a_step_is_one_command_that_a_person_can_type"


def _flow(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return Fault(f"github: {name}", f"{FLOWS}/{file}", old, new, f"{TESTS}{test}")


# fmt: off
GITHUB_FAULTS = [
    _flow("a request in prod", "plan.yml", "name: staging-plan", "name: prod", REACH),
    _flow("a request of a fork", "plan.yml", " && github.event.pull_request.head.repo.full_name == github.repository", "", REACH),
    _flow("a preview of a fork", "preview.yml", "      && github.event.pull_request.head.repo.full_name == github.repository\n", "", REACH),
    _flow("a request is built with an identity", "plan.yml", "    permissions:\n      contents: read\n    steps:", "    permissions:\n      contents: read\n      id-token: write # x\n    steps:", REACH),
    _flow("the plan runs the change", "plan.yml", "          ref: ${{ github.event.pull_request.base.sha }}\n", "", CODE),
    _flow("checks may write", "check.yml", "contents: read", "contents: write", CODE),
    _flow("checks have an environment", "check.yml", "    timeout-minutes: 20\n", "    timeout-minutes: 20\n    environment: prod\n", REACH),
    _flow("prod on every request", "promote.yml", "on:\n  workflow_call:", "on:\n  pull_request:\n  workflow_call:", PROTECTED),
    _flow("delivery from any branch", "deliver.yml", "    branches: [main]", "    branches: [main, feature]", PROTECTED),
    _flow("a comment with an identity", "plan.yml", "      pull-requests: write #", "      id-token: write # x\n      pull-requests: write #", REACH),
    _flow("issues by who looks", "drift.yml", "      id-token: write # becomes the planner", "      issues: write # x\n      id-token: write # becomes the planner", WRITES),
    _flow("the planner's cache", "plan.yml", '          cli: "true"\n', '          cli: "true"\n          cache: "true"\n', "test_who_has_an_identity_or_may_write_uses_no_cache"),
    _flow("development beside the deployer", "deliver.yml", '          cli: "true"\n', '          cli: "true"\n          development: "true"\n', ALONE),
    _flow("development beside a comment", "plan.yml", "      - run: .venv-tool/bin/delivery forge", "      - run: make setup\n      - run: .venv-tool/bin/delivery forge", ALONE),
    Fault("github: development for everybody", f"{PROJECT}/.github/actions/setup/action.yml", "inputs.development == 'true'", "inputs.development != ''", f"{TESTS}{ALONE}"),
    _flow("a comment over the code", "plan.yml", "          name: plan\n          path: plan\n      - run", "          name: plan\n      - run", "test_what_a_request_made_is_unpacked_beside_the_code_that_runs"),
    _flow("an address from the change", "plan.yml", "${{ vars.DATABRICKS_HOST }}", "https://dbc.example.com", SETTINGS),
    _flow("a long-lived secret", "plan.yml", "DATABRICKS_AUTH_TYPE: github-oidc", "DATABRICKS_AUTH_TYPE: pat", SETTINGS),
    _flow("rights of the target", "plan.yml", "on:\n  pull_request:", "on:\n  pull_request_target:", "test_no_event_lends_a_request_the_rights_of_the_repository"),
    _flow("deploys are cancelled", "deliver.yml", "      cancel-in-progress: false", "      cancel-in-progress: true", "test_nothing_that_waits_for_people_or_deploys_is_cancelled"),
    _flow("who waits is cancelled", "promote.yml", "  group: promote-${{ github.run_id }}", "  group: promote", "test_nothing_that_waits_for_people_or_deploys_is_cancelled"),
    _flow("delivery without the switch", "deliver.yml", "    if: vars.DELIVERY == 'on'\n", "", "test_nothing_reaches_for_a_workspace_before_it_is_switched_on"),
    _flow("an expression in a command", "rollback.yml", '--reason="$REASON"', '--reason="${{ inputs.reason }}"', "test_no_expression_stands_in_a_command"),
    _flow("a reason that is an option", "rollback.yml", '--reason="$REASON"', '--reason "$REASON"', "test_values_that_people_type_are_no_options"),
    _flow("a release that is an option", "rollback.yml", '-- "$TARGET"', '"$TARGET"', "test_values_that_people_type_are_no_options"),
    _flow("logic in a step", "deliver.yml", "run: .venv-tool/bin/delivery deploy staging", "run: true || .venv-tool/bin/delivery deploy staging", TYPED),
    _flow("an action by its tag", "promote.yml", "actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "actions/download-artifact@v8", "test_every_action_is_pinned_by_its_commit"),
    _flow("rights by default", "drift.yml", "permissions: {}", "permissions: read-all", "test_no_job_has_rights_by_default_and_none_runs_for_ever"),
    _flow("credentials are kept", "promote.yml", "persist-credentials: false", "persist-credentials: true", "test_a_checkout_keeps_no_credentials"),
    _flow("delivered before it is checked", "deliver.yml", "    needs: check\n    if: vars", "    if: vars",
          "test_nothing_is_delivered_before_it_is_checked"),
    _flow("a preview posts markup", "preview.yml", "--plain ", "", "test_what_the_code_of_a_request_wrote_is_posted_as_text"),
    Fault("github: staging's branch reaches prod", f"{BRANCHES}/deliver.yml", "github.ref_name == 'prod'", "github.ref_name != 'x'",
          f"{TESTS}test_what_starts_by_itself_comes_from_a_branch_that_its_environment_admits"),
    _flow("any way back", "rollback.yml", "--plan=plan.json ", "", "test_going_back_is_held_to_the_plan_that_was_approved"),
    _flow("status without the switch", "status.yml", " && vars.DELIVERY == 'on' }}\n    runs-on: ubuntu-24.04\n    timeout-minutes: 20", " }}\n    runs-on: ubuntu-24.04\n    timeout-minutes: 20", "test_nothing_reaches_for_a_workspace_before_it_is_switched_on"),
    Fault("github: prod without staging's word", f"{BRANCHES}/deliver.yml", "tree: ${{ github.sha }}", 'tree: ""',
          f"{STORIES}test_environments_deliver_by_merges_and_prod_takes_what_staging_verified"),
    Fault("github: the digest is not asked", f"{FLOWS}/promote.yml", "needs.plan.outputs.approval != 'dispatch' || inputs.digest != ''", "needs.plan.outputs.approval != 'nothing'",
          f"{STORIES}test_where_the_forge_has_no_reviewers_the_digest_approves"),
]
# fmt: on
