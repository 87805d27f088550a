"""Deliberate faults in the workflows of GitHub: each must turn the test that it names red."""

from __future__ import annotations

from mutants.faults import PROJECT, Fault

FLOWS = f"{PROJECT}/.github/workflows"
BRANCHES = f"{PROJECT}/options/branching=environments/.github/workflows"
TESTS = "tests/pipelines/test_github_pipelines.py::"
STORIES = "tests/pipelines/test_github_stories.py::"
REACH = "test_a_request_reaches_the_planner_of_staging_and_its_own_preview_alone"
CODE = "test_the_code_of_a_request_may_read_and_has_no_identity_but_its_preview_s"
PROTECTED = "test_targets_are_reached_from_protected_branches_alone"
WRITES = "test_who_may_write_has_no_identity_and_runs_no_code_of_a_change"
SETTINGS = "test_address_and_identity_come_from_the_forge_s_settings"
OPENS = "test_whoever_opens_a_release_with_a_right_to_deploy_is_told_its_digest"
BUILDS = "test_a_digest_comes_from_a_job_without_an_identity"
ALONE = "test_beside_an_identity_or_a_right_to_write_is_the_tool_alone"
TYPED = "test_a_step_is_one_command_that_a_person_can_type"


def _flow(name: str, file: str, old: str, new: str, test: str) -> Fault:
    return Fault(f"github: {name}", f"{FLOWS}/{file}", old, new, f"{TESTS}{test}")


# fmt: off
GITHUB_FAULTS = [
    _flow("a request in prod", "plan.yml", "environment: staging-plan", "environment: prod", REACH),
    _flow("a request of a fork", "plan.yml", " && github.event.pull_request.head.repo.full_name == github.repository", "", REACH),
    _flow("a preview of a fork", "preview.yml", "      && github.event.pull_request.head.repo.full_name == github.repository\n", "", REACH),
    _flow("a request is built with an identity", "plan.yml", "    permissions:\n      contents: read\n    steps:", "    permissions:\n      contents: read\n      id-token: write # x\n    steps:", REACH),
    _flow("the plan runs the change", "plan.yml", "          ref: ${{ github.event.pull_request.base.sha }}\n", "", CODE),
    _flow("checks may write", "check.yml", "contents: read", "contents: write", CODE),
    _flow("checks have an environment", "check.yml", "    timeout-minutes: 20\n", "    timeout-minutes: 20\n    environment: prod\n", REACH),
    _flow("prod on every request", "promote.yml", "on:\n  workflow_call:", "on:\n  pull_request:\n  workflow_call:", PROTECTED),
    _flow("delivery from any branch", "deliver.yml", "    branches: [main]", "    branches: [main, feature]", PROTECTED),
    _flow("a comment with an identity", "plan.yml", "      pull-requests: write #", "      id-token: write # x\n      pull-requests: write #", REACH),
    _flow("issues by who looks", "drift.yml", "      id-token: write # authenticates as the planner,", "      issues: write # x\n      id-token: write # authenticates as the planner,", WRITES),
    _flow("the planner's cache", "plan.yml", '          cli: "true"\n', '          cli: "true"\n          cache: "true"\n', "test_who_has_an_identity_or_may_write_uses_no_cache"),
    _flow("development beside the deployer", "deliver.yml", '          cli: "true"\n', '          cli: "true"\n          development: "true"\n', ALONE),
    _flow("development beside a comment", "plan.yml", "      - run: .venv-tool/bin/delivery forge", "      - run: make setup\n      - run: .venv-tool/bin/delivery forge", ALONE),
    Fault("github: development for everybody", f"{PROJECT}/.github/actions/setup/action.yml", "inputs.development == 'true'", "inputs.development != ''", f"{TESTS}{ALONE}"),
    _flow("a comment over the code", "plan.yml", "          name: plan\n          path: plan\n      - run", "          name: plan\n      - run", "test_what_a_request_made_is_unpacked_beside_the_code_that_runs"),
    _flow("an address from the change", "plan.yml", "${{ vars.DATABRICKS_HOST }}", "https://dbc.example.com", SETTINGS),
    _flow("a long-lived secret", "plan.yml", "DATABRICKS_AUTH_TYPE: github-oidc", "DATABRICKS_AUTH_TYPE: pat", SETTINGS),
    _flow("rights of the target", "plan.yml", "on:\n  pull_request:", "on:\n  pull_request_target:", "test_no_event_lends_a_request_the_rights_of_the_repository"),
    _flow("deploys are cancelled", "preview.yml", "  cancel-in-progress: false", "  cancel-in-progress: true", "test_nothing_that_waits_for_people_or_deploys_is_cancelled"),
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
    _flow("any way back", "rollback.yml", "--plan=plan/plan.json ", "", "test_going_back_is_held_to_the_plan_that_was_approved"),
    _flow("status without the switch", "status.yml", " && vars.DELIVERY == 'on' }}\n    runs-on: ${{ vars.RUNNER || 'ubuntu-24.04' }}\n", " }}\n    runs-on: ${{ vars.RUNNER || 'ubuntu-24.04' }}\n", "test_nothing_reaches_for_a_workspace_before_it_is_switched_on"),
    Fault("github: prod without staging's word", f"{BRANCHES}/deliver.yml", "tree: ${{ github.sha }}", 'tree: ""',
          f"{STORIES}test_environments_deliver_by_merges_and_prod_takes_what_staging_verified"),
    Fault("github: the digest is not asked", f"{FLOWS}/promote.yml", "needs.plan.outputs.approval != 'dispatch' || inputs.digest != ''", "needs.plan.outputs.approval != 'nothing'",
          f"{STORIES}test_where_the_forge_has_no_reviewers_the_digest_approves"),
    # The digest travels
    _flow("staging takes any artifact", "deliver.yml", ' --digest="$DIGEST"', "", OPENS),
    _flow("prod takes any artifact", "promote.yml", '--digest="$DIGEST"\n          --receipt verified/receipt-*.json --plan', "--receipt verified/receipt-*.json --plan", OPENS),
    _flow("adopts any artifact", "operate.yml", ' --digest="$DIGEST"', "", OPENS),
    _flow("the digest of an artifact", "promote.yml", "${{ inputs.built || needs.rebuild.outputs.digest }}", "${{ needs.fetch.outputs.digest }}", OPENS),
    _flow("a build that knows no digest", "deliver.yml", ' --outputs "$GITHUB_OUTPUT"', "", BUILDS),
    _flow("built beside an identity", "promote.yml", "    permissions:\n      contents: read\n    outputs:\n      digest: ${{ steps.rebuild", "    permissions:\n      contents: read\n      id-token: write # x\n    outputs:\n      digest: ${{ steps.rebuild", BUILDS),
    Fault("github: environments promote without a rebuild", f"{BRANCHES}/deliver.yml", "      tree: ${{ github.sha }}", "      tree: ${{ github.sha }}\n      built: ${{ needs.check.outputs.digest }}", f"{TESTS}{BUILDS}"),
    _flow("prod without a rebuild", "promote.yml", "(needs.rebuild.result == 'success' || needs.rebuild.result == 'skipped')", "needs.rebuild.result != 'cancelled'", "test_prod_waits_for_the_rebuild_where_nothing_was_built"),
    _flow("a rebuild of any tree is enough", "promote.yml", "delivery rebuild", "delivery release", BUILDS),
    _flow("any plan in mode environment", "promote.yml", " || (needs.plan.outputs.approval != 'dispatch' && needs.plan.outputs.digest)", "", "test_the_plan_that_is_approved_is_the_plan_that_is_carried_out"),
    _flow("the plan is shown once", "promote.yml", "      - run: >- # plan again as the deployer, so that a forged plan is detected\n          .venv-tool/bin/delivery plan prod --archive verified/*.tar.gz --digest=\"$DIGEST\"\n          --receipt verified/receipt-*.json\n", "", "test_the_plan_that_is_approved_is_the_plan_that_is_carried_out"),
    _flow("going back by any plan", "rollback.yml", ' --plan-digest="$PLAN_DIGEST"', "", "test_going_back_is_held_to_the_plan_that_was_approved"),
    _flow("old approvals count", "rollback.yml", "      DELIVERY_APPROVED_BEFORE: ${{ needs.plan.outputs.approved }}\n", "", "test_an_approval_is_counted_since_the_plan"),
    _flow("a plan over the code", "promote.yml", "          name: plan-prod\n          path: plan\n", "          name: plan-prod\n", "test_what_a_request_made_is_unpacked_beside_the_code_that_runs"),
    # As they run
    _flow("an environment without a deployment", "drift.yml", "    environment: ${{ matrix.target }}-plan\n", "    environment:\n      name: ${{ matrix.target }}-plan\n      deployment: false\n", "test_no_job_depends_on_what_github_does_not_document"),
    _flow("a token beside the set-up", "drift.yml", "      ABOUT: drift on", "      GITHUB_TOKEN: ${{ github.token }}\n      ABOUT: drift on", "test_the_token_that_may_write_is_on_the_step_that_uses_it"),
    _flow("requests on runners that deliver", "preview.yml", "vars.RUNNER_FOR_REQUESTS", "vars.RUNNER", "test_who_delivers_runs_where_a_variable_says"),
    _flow("no mirror for the CLI", "promote.yml", "env:\n  DATABRICKS_CLI_RELEASES: ${{ vars.DATABRICKS_CLI_RELEASES }} # a mirror; empty if there is none\n", "", "test_the_cli_comes_from_where_a_variable_says"),
    _flow("a merge is lost", "deliver.yml", "    environment: staging\n", "    environment: staging\n    concurrency: deploy-staging\n", "test_three_merges_are_three_deliveries"),
    _flow("the page waits for prod", "deliver.yml", "    name: status\n    needs: staging\n", "    name: status\n    needs: prod\n", "test_the_page_tells_of_staging_while_prod_waits"),
    _flow("two looks of one name", "status.yml", "look-${{ inputs.after }}-${{ matrix.target }}", "look-${{ matrix.target }}", "test_what_is_kept_has_one_name_a_run"),
    _flow("pages are published once", "status.yml", "github-pages-${{ inputs.after }}-${{ github.run_attempt }}", "github-pages-${{ inputs.after }}", "test_what_is_kept_has_one_name_a_run"),
    _flow("plans by any base", "plan.yml", "    branches: [main, staging, prod] # in any other base branch the author controls the tool\n", "", "test_requests_into_other_branches_are_only_checked"),
    _flow("a queue is not checked", "check.yml", "  merge_group:\n", "", "test_a_merge_queue_is_checked"),
    _flow("a block ends at staging", "operate.yml", "-- prod \"$SUBJECT\"", "-- staging \"$SUBJECT\"", "test_what_staging_blocks_is_blocked_on_prod"),
    _flow("what staging leaves goes on to prod", "rollback.yml", "    if: inputs.target == 'staging' && github.ref_name == 'main'\n", "    if: inputs.target == 'prod' && github.ref_name == 'main'\n", "test_what_staging_leaves_is_blocked_on_prod"),
    _flow("any plan says what is left", "rollback.yml", '--left-by=plan/plan.json --plan-digest="$PLAN_DIGEST"', "--left-by=plan/plan.json", "test_what_staging_leaves_is_blocked_on_prod"),
    _flow("nobody looks at the settings", "drift.yml", ".venv-tool/bin/delivery doctor", ".venv-tool/bin/delivery check", "test_the_settings_are_looked_at_every_night"),
    Fault("github: runs that wait are left", f"{FLOWS}/promote.yml", "forge end-older deliver.yml", "forge end-older rollback.yml", f"{STORIES}test_from_a_request_to_prod_and_back"),
    Fault("github: promoted by hand without a rebuild", f"{FLOWS}/promote.yml", "delivery rebuild --tree", "delivery rebuild --help --tree", f"{STORIES}test_where_the_forge_has_no_reviewers_the_digest_approves"),
]
# fmt: on
