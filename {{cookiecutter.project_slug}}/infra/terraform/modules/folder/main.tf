# The folder of releases, archives and the ledger. The provider's paths have no /Workspace before them.

resource "databricks_directory" "this" {
  path             = trimprefix(var.path, "/Workspace")
  delete_recursive = false

  lifecycle {
    prevent_destroy = true # it holds the releases and the ledger
  }
}

# All rights in the folder: the ledger is worth as little as whoever else may write there.
resource "databricks_permissions" "this" {
  directory_id = databricks_directory.this.object_id

  dynamic "access_control" {
    for_each = var.levels

    content {
      service_principal_name = access_control.value.application_id
      permission_level       = access_control.value.level
    }
  }
}
