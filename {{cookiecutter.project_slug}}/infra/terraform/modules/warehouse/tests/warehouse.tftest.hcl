# The warehouse has the name that the bundle looks up, and stops by itself.

mock_provider "databricks" {
  override_during = plan

  mock_resource "databricks_sql_endpoint" {
    defaults = { id = "0123456789abcdef" }
  }
}

variables {
  name            = "lakehouse"
  tags            = { project = "lakehouse" }
  application_ids = { deployer = "aaaaaaaa-0000-4000-8000-000000000001" }
}

run "warehouse" {
  command = plan

  assert {
    condition     = databricks_sql_endpoint.this.name == "lakehouse"
    error_message = "the bundle does not find ${databricks_sql_endpoint.this.name}"
  }

  assert {
    condition     = databricks_sql_endpoint.this.auto_stop_mins == 10 && databricks_sql_endpoint.this.max_num_clusters == 1
    error_message = "it costs more than it has to"
  }

  assert {
    condition     = [for one in databricks_permissions.this.access_control : one.permission_level] == ["CAN_USE"]
    error_message = "other rights: ${jsonencode(databricks_permissions.this.access_control)}"
  }
}

run "not_the_one_that_is_there" {
  command = plan

  variables {
    name = "Serverless Starter Warehouse"
  }

  expect_failures = [var.name]
}

run "it_stops" {
  command = plan

  variables {
    auto_stop_minutes = 0
  }

  expect_failures = [var.auto_stop_minutes]
}
