# The catalog of a target: made, bound to its workspace, then isolated from all others. Isolated before
# it is bound, it disappears from the workspace that Terraform reads it from:
# https://github.com/databricks/terraform-provider-databricks/issues/2446

data "databricks_catalogs" "all" {}

resource "databricks_catalog" "this" {
  name           = var.name
  storage_root   = var.storage_root
  isolation_mode = var.is_isolated ? "ISOLATED" : "OPEN"
  comment        = "Terraform owns the catalog, the bundle owns its schemas."

  lifecycle {
    prevent_destroy = true # it holds the tables

    precondition {
      condition     = !var.is_isolated || contains(data.databricks_catalogs.all.ids, var.name)
      error_message = "${var.name} does not exist yet, or this workspace does not see it. The first apply makes and binds it: terraform apply -var=\"catalog_is_isolated=false\". The next one isolates it."
    }
  }
}

resource "databricks_workspace_binding" "this" {
  securable_type = "catalog"
  securable_name = databricks_catalog.this.name
  workspace_id   = var.workspace_id
  binding_type   = "BINDING_TYPE_READ_WRITE"

  lifecycle {
    prevent_destroy = true # without it nobody sees the catalog
  }
}

# One principal each, never databricks_grants: that one would remove the grants of all others.
resource "databricks_grant" "this" {
  for_each = var.grants

  catalog    = databricks_catalog.this.name
  principal  = each.value.principal
  privileges = each.value.privileges
}
