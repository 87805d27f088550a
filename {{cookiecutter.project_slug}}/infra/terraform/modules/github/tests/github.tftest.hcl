# GitHub's rules: what `delivery doctor` checks.

mock_provider "github" {
  override_during = plan
}

variables {
  repository = "lakehouse"
  branches   = ["main", "prod"]
  approvals  = 2
  checks     = ["release"]
  reviewers  = { teams = [7] }
  environments = {
    prod = {
      branches    = ["prod"]
      is_approved = true
      is_open     = false
      variables   = { DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com", DATABRICKS_CLIENT_ID = "1", DATABRICKS_TOKEN_AUDIENCE = "lakehouse-prod" }
    }
    staging-plan = {
      branches    = []
      is_approved = false
      is_open     = true
      variables   = { DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com", DATABRICKS_CLIENT_ID = "2", DATABRICKS_TOKEN_AUDIENCE = "lakehouse-staging-plan" }
    }
  }
}

run "rules" {
  command = plan

  assert {
    condition     = github_repository_ruleset.branches.conditions[0].ref_name[0].include == tolist(["refs/heads/main", "refs/heads/prod"])
    error_message = "other branches: ${jsonencode(github_repository_ruleset.branches.conditions)}"
  }

  assert {
    condition     = length(github_repository_ruleset.branches.bypass_actors) == 0
    error_message = "the bypass list is not empty"
  }

  assert {
    condition     = github_repository_ruleset.branches.rules[0].deletion && github_repository_ruleset.branches.rules[0].non_fast_forward
    error_message = "branches can be deleted or force-pushed"
  }

  assert {
    condition = (
      github_repository_ruleset.branches.rules[0].pull_request[0].required_approving_review_count == 2 &&
      github_repository_ruleset.branches.rules[0].pull_request[0].dismiss_stale_reviews_on_push &&
      github_repository_ruleset.branches.rules[0].pull_request[0].require_code_owner_review &&
      github_repository_ruleset.branches.rules[0].pull_request[0].require_last_push_approval
    )
    error_message = "an unreviewed change reaches a branch: ${jsonencode(github_repository_ruleset.branches.rules[0].pull_request)}"
  }

  assert {
    condition     = [for one in github_repository_ruleset.branches.rules[0].required_status_checks[0].required_check : one.context] == ["release"]
    error_message = "other checks: ${jsonencode(github_repository_ruleset.branches.rules[0].required_status_checks)}"
  }
}

run "environments" {
  command = plan

  assert {
    condition     = github_repository_environment.this["prod"].can_admins_bypass == false && github_repository_environment.this["prod"].prevent_self_review
    error_message = "one person can start and approve a job of prod alone"
  }

  assert {
    condition     = github_repository_environment.this["prod"].reviewers[0].teams == toset([7])
    error_message = "other reviewers: ${jsonencode(github_repository_environment.this["prod"].reviewers)}"
  }

  assert {
    condition     = github_repository_environment.this["prod"].deployment_branch_policy[0].custom_branch_policies && !github_repository_environment.this["prod"].deployment_branch_policy[0].protected_branches
    error_message = "protected branches only admits every branch without classic rules"
  }

  assert {
    condition     = { for key, one in github_repository_environment_deployment_policy.this : key => one.branch_pattern } == { "prod/prod" = "prod" }
    error_message = "other branches deploy: ${jsonencode(github_repository_environment_deployment_policy.this)}"
  }

  assert {
    condition     = length(github_repository_environment.this["staging-plan"].deployment_branch_policy) == 0
    error_message = "requests come from any branch"
  }

  assert {
    condition     = length(github_actions_environment_variable.this) == 6 && github_actions_environment_variable.this["prod/DATABRICKS_TOKEN_AUDIENCE"].value == "lakehouse-prod"
    error_message = "other variables: ${jsonencode(keys(github_actions_environment_variable.this))}"
  }

  assert {
    condition     = github_workflow_repository_permissions.this.default_workflow_permissions == "read"
    error_message = "the token of jobs may write"
  }

  assert {
    condition     = length(github_actions_variable.delivery) == 0
    error_message = "delivery is on before anybody said so"
  }
}

run "approvals_need_somebody" {
  command = plan

  variables {
    reviewers = {}
  }

  expect_failures = [var.reviewers]
}

run "audiences_differ" {
  command = plan

  variables {
    environments = {
      for name in ["staging", "prod"] : name => {
        branches    = ["main"]
        is_approved = false
        is_open     = false
        variables   = { DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com", DATABRICKS_CLIENT_ID = "1", DATABRICKS_TOKEN_AUDIENCE = "lakehouse" }
      }
    }
  }

  expect_failures = [var.environments]
}
