# The policies, and who may use them.

mock_provider "databricks" {
  override_during = plan

  mock_resource "databricks_cluster_policy" {
    defaults = { id = "ABC123" }
  }
}

mock_provider "databricks" {
  alias           = "account"
  override_during = plan

  mock_resource "databricks_budget_policy" {
    defaults = { policy_id = "bbbbbbbb-0000-4000-8000-000000000001" }
  }
}

variables {
  account_id         = "11111111-2222-4333-8444-555555555555"
  workspace_id       = 1234567890123456
  name               = "lakehouse-prod"
  node_type          = "m6id.xlarge"
  tags               = { project = "lakehouse", environment = "prod" }
  has_cluster_policy = true
  has_budget_policy  = true
  application_ids    = { deployer = "aaaaaaaa-0000-4000-8000-000000000001" }
}

run "policies" {
  command = plan

  assert {
    condition     = jsondecode(databricks_cluster_policy.this[0].definition)["custom_tags.project"].value == "lakehouse"
    error_message = "the bill cannot be divided: ${databricks_cluster_policy.this[0].definition}"
  }

  assert {
    condition     = jsondecode(databricks_cluster_policy.this[0].definition).node_type_id.value == "m6id.xlarge"
    error_message = "another machine: ${databricks_cluster_policy.this[0].definition}"
  }

  assert {
    condition     = [for one in databricks_permissions.cluster_policy[0].access_control : [one.service_principal_name, one.permission_level]] == [["aaaaaaaa-0000-4000-8000-000000000001", "CAN_USE"]]
    error_message = "other users: ${jsonencode(databricks_permissions.cluster_policy[0].access_control)}"
  }

  assert {
    condition     = databricks_budget_policy.this[0].binding_workspace_ids == tolist([1234567890123456])
    error_message = "a policy for all workspaces: ${jsonencode(databricks_budget_policy.this[0].binding_workspace_ids)}"
  }

  assert {
    condition     = { for tag in databricks_budget_policy.this[0].custom_tags : tag.key => tag.value } == { project = "lakehouse", environment = "prod" }
    error_message = "other tags: ${jsonencode(databricks_budget_policy.this[0].custom_tags)}"
  }

  assert {
    condition     = output.budget_policy_id == "bbbbbbbb-0000-4000-8000-000000000001" && output.cluster_policy_id == "ABC123"
    error_message = "the bundle cannot refer to the policies"
  }
}

run "only_what_is_asked_for" {
  command = plan

  variables {
    has_cluster_policy = false
    has_budget_policy  = false
  }

  assert {
    condition     = output.budget_policy_id == null && output.cluster_policy_id == null
    error_message = "policies that nobody asked for"
  }
}
