# Who exists, who may run jobs as whom, and which pipelines may act as whom.

mock_provider "databricks" {
  override_during = plan

  mock_resource "databricks_service_principal" {
    defaults = { id = "101", application_id = "aaaaaaaa-0000-4000-8000-000000000001" }
  }
}

override_resource {
  target          = databricks_service_principal.this["runner"]
  override_during = plan
  values          = { id = "102", application_id = "aaaaaaaa-0000-4000-8000-000000000002" }
}

variables {
  account_id   = "11111111-2222-4333-8444-555555555555"
  workspace_id = 1234567890123456
  principals   = { deployer = "lakehouse-prod-deployer", runner = "lakehouse-prod-runner" }
  users        = { runner = "deployer" }
  issuer       = "https://token.actions.githubusercontent.com"
  trusts = {
    prod = {
      environment = "prod"
      role        = "deployer"
      audience    = "lakehouse-prod"
      subject     = "repo:team/lakehouse:environment:prod"
    }
  }
}

run "identities" {
  command = plan

  assert {
    condition     = tomap({ for role, one in databricks_service_principal.this : role => one.display_name }) == var.principals
    error_message = "other names: ${jsonencode(databricks_service_principal.this)}"
  }

  assert {
    condition     = alltrue([for one in values(databricks_mws_permission_assignment.this) : one.permissions == toset(["USER"]) && one.workspace_id == 1234567890123456])
    error_message = "an admin of the workspace may change releases and rights: ${jsonencode(databricks_mws_permission_assignment.this)}"
  }

  assert {
    condition     = databricks_access_control_rule_set.this["runner"].name == "accounts/11111111-2222-4333-8444-555555555555/servicePrincipals/aaaaaaaa-0000-4000-8000-000000000002/ruleSets/default"
    error_message = "the rule set of somebody else: ${databricks_access_control_rule_set.this["runner"].name}"
  }

  assert {
    condition = [for rule in databricks_access_control_rule_set.this["runner"].grant_rules : [rule.role, rule.principals]] == [
      ["roles/servicePrincipal.user", toset(["servicePrincipals/aaaaaaaa-0000-4000-8000-000000000001"])]
    ]
    error_message = "other users of the runner: ${jsonencode(databricks_access_control_rule_set.this["runner"].grant_rules)}"
  }

  assert {
    condition     = databricks_service_principal_federation_policy.this["prod"].service_principal_id == 101
    error_message = "prod's jobs act as ${databricks_service_principal_federation_policy.this["prod"].service_principal_id}"
  }

  assert {
    condition     = databricks_service_principal_federation_policy.this["prod"].oidc_policy.audiences == tolist(["lakehouse-prod"])
    error_message = "tokens for others are accepted: ${jsonencode(databricks_service_principal_federation_policy.this["prod"].oidc_policy)}"
  }

  assert {
    condition     = databricks_service_principal_federation_policy.this["prod"].oidc_policy.subject == "repo:team/lakehouse:environment:prod"
    error_message = "another subject: ${jsonencode(databricks_service_principal_federation_policy.this["prod"].oidc_policy)}"
  }
}

run "a_subject_is_whole" {
  command = plan

  variables {
    trusts = {
      prod = {
        environment = "prod"
        role        = "deployer"
        audience    = "lakehouse-prod"
        subject     = "repo:team/lakehouse:*"
      }
    }
  }

  expect_failures = [var.trusts]
}
