# GitLab's rules: what `delivery doctor` checks.

mock_provider "gitlab" {
  override_during = plan
}

variables {
  project        = "team/lakehouse"
  branches       = ["main", "prod"]
  approvals      = 2
  nightly_branch = "prod"
  approvers      = 7
  environments = {
    prod = {
      branches    = ["prod"]
      is_approved = true
      is_open     = false
      variables   = { DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com", DATABRICKS_CLIENT_ID = "1", DATABRICKS_TOKEN_AUDIENCE = "lakehouse-prod" }
    }
    preview = {
      branches    = []
      is_approved = false
      is_open     = true
      variables   = { DATABRICKS_HOST = "https://dbc-1.cloud.databricks.com", DATABRICKS_CLIENT_ID = "2", DATABRICKS_TOKEN_AUDIENCE = "lakehouse-preview" }
    }
  }
}

run "rules" {
  command = plan

  assert {
    condition     = keys(gitlab_branch_protection.this) == ["main", "prod"]
    error_message = "other branches: ${jsonencode(keys(gitlab_branch_protection.this))}"
  }

  assert {
    condition     = alltrue([for one in values(gitlab_branch_protection.this) : !one.allow_force_push && one.code_owner_approval_required])
    error_message = "an unreviewed change reaches a branch"
  }

  assert {
    condition     = alltrue([for one in values(gitlab_branch_protection.this) : [for who in one.allowed_to_push : who.access_level] == ["no one"]])
    error_message = "somebody pushes to a protected branch"
  }

  assert {
    condition     = !gitlab_project_level_mr_approvals.this[0].merge_requests_author_approval && gitlab_project_level_mr_approvals.this[0].merge_requests_disable_committers_approval && gitlab_project_level_mr_approvals.this[0].reset_approvals_on_push
    error_message = "authors approve their own requests"
  }

  assert {
    condition     = gitlab_project_approval_rule.this[0].approvals_required == 2
    error_message = "no approval is required"
  }
}

run "environments" {
  command = plan

  assert {
    condition     = keys(gitlab_project_environment.this) == ["prod"]
    error_message = "those of previews are made by pipelines: ${jsonencode(keys(gitlab_project_environment.this))}"
  }

  assert {
    condition     = gitlab_project_protected_environment.this["prod"].approval_rules[0].group_id == 7 && gitlab_project_protected_environment.this["prod"].approval_rules[0].required_approvals == 1
    error_message = "prod needs no approval"
  }

  assert {
    condition     = alltrue([for key, one in gitlab_project_variable.this : one.protected == startswith(key, "prod/")])
    error_message = "a request gets the variables of prod, or lacks its own"
  }

  assert {
    condition     = gitlab_project_variable.this["preview/DATABRICKS_TOKEN_AUDIENCE"].environment_scope == "preview/*"
    error_message = "another scope: ${gitlab_project_variable.this["preview/DATABRICKS_TOKEN_AUDIENCE"].environment_scope}"
  }

  assert {
    condition     = gitlab_pipeline_schedule.nightly.ref == "refs/heads/prod"
    error_message = "the night looks at ${gitlab_pipeline_schedule.nightly.ref}"
  }

  assert {
    condition     = length(gitlab_project_variable.delivery) == 0
    error_message = "delivery is on before anybody said so"
  }
}

run "approvals_need_somebody" {
  command = plan

  variables {
    approvers = null
  }

  expect_failures = [var.approvers]
}
