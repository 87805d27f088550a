# What jobs may run on, and which tags its cost has. The bundle refers to both policies by their ids.

resource "databricks_cluster_policy" "this" {
  count = var.has_cluster_policy ? 1 : 0

  name = var.name
  definition = jsonencode(merge(
    {
      cluster_type = { type = "fixed", value = "job" }
      node_type_id = { type = "fixed", value = var.node_type }
      num_workers  = { type = "range", maxValue = var.max_workers, defaultValue = 1 }
      data_security_mode = { type = "allowlist", values = ["SINGLE_USER", "USER_ISOLATION", "DATA_SECURITY_MODE_AUTO",
      "DATA_SECURITY_MODE_DEDICATED", "DATA_SECURITY_MODE_STANDARD"] }
    },
    { for key, value in var.tags : "custom_tags.${key}" => { type = "fixed", value = value } },
  ))
}

resource "databricks_permissions" "cluster_policy" {
  count = var.has_cluster_policy ? 1 : 0

  cluster_policy_id = databricks_cluster_policy.this[0].id

  dynamic "access_control" {
    for_each = var.application_ids

    content {
      service_principal_name = access_control.value
      permission_level       = "CAN_USE"
    }
  }
}

resource "databricks_budget_policy" "this" {
  provider = databricks.account
  count    = var.has_budget_policy ? 1 : 0

  policy_name           = var.name
  binding_workspace_ids = [var.workspace_id]
  custom_tags           = [for key, value in var.tags : { key = key, value = value }]
}

resource "databricks_access_control_rule_set" "budget_policy" {
  provider = databricks.account
  count    = var.has_budget_policy ? 1 : 0

  name = "accounts/${var.account_id}/budgetPolicies/${databricks_budget_policy.this[0].policy_id}/ruleSets/default"

  grant_rules {
    principals = [for id in values(var.application_ids) : "servicePrincipals/${id}"]
    role       = "roles/budgetPolicy.user"
  }
}
