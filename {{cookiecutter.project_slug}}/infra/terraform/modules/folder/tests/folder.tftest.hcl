# The folder of releases: where it is, and who writes there.

mock_provider "databricks" {
  override_during = plan

  mock_resource "databricks_directory" {
    defaults = { object_id = 7 }
  }
}

variables {
  path = "/Workspace/Deployments/lakehouse/prod"
  levels = {
    deployer = { application_id = "aaaaaaaa-0000-4000-8000-000000000001", level = "CAN_MANAGE" }
    runner   = { application_id = "aaaaaaaa-0000-4000-8000-000000000002", level = "CAN_READ" }
  }
}

run "folder" {
  command = plan

  assert {
    condition     = databricks_directory.this.path == "/Deployments/lakehouse/prod" && output.path == var.path
    error_message = "another folder: ${databricks_directory.this.path}"
  }

  assert {
    condition     = databricks_directory.this.delete_recursive == false
    error_message = "the releases and the ledger could be deleted"
  }

  assert {
    condition = { for one in databricks_permissions.this.access_control : one.service_principal_name => one.permission_level } == {
      "aaaaaaaa-0000-4000-8000-000000000001" = "CAN_MANAGE"
      "aaaaaaaa-0000-4000-8000-000000000002" = "CAN_READ"
    }
    error_message = "other rights: ${jsonencode(databricks_permissions.this.access_control)}"
  }

  assert {
    condition     = databricks_permissions.this.directory_id == "7"
    error_message = "rights in another folder: ${databricks_permissions.this.directory_id}"
  }
}

run "not_where_everybody_writes" {
  command = plan

  variables {
    path = "/Workspace/Shared/lakehouse"
  }

  expect_failures = [var.path]
}
