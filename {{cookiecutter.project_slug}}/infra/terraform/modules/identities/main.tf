# The service principals of a target. All is of the account. No secret is made: pipelines sign in with
# the forge's id tokens.

resource "databricks_service_principal" "this" {
  for_each = var.principals

  display_name = each.value
}

resource "databricks_mws_permission_assignment" "this" {
  for_each = databricks_service_principal.this

  workspace_id = var.workspace_id
  principal_id = each.value.id
  permissions  = ["USER"]
}

# Has the whole rule set of the service principal that is used: no one else may run jobs as it.
resource "databricks_access_control_rule_set" "this" {
  for_each = var.users

  name = "accounts/${var.account_id}/servicePrincipals/${databricks_service_principal.this[each.key].application_id}/ruleSets/default"

  grant_rules {
    principals = ["servicePrincipals/${databricks_service_principal.this[each.value].application_id}"]
    role       = "roles/servicePrincipal.user"
  }
}

resource "databricks_service_principal_federation_policy" "this" {
  for_each = var.trusts

  service_principal_id = tonumber(databricks_service_principal.this[each.value.role].id)

  oidc_policy = {
    issuer        = var.issuer
    audiences     = [each.value.audience]
    subject       = each.value.subject
    subject_claim = each.value.claim
  }
}
