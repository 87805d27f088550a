# The SQL warehouse of dashboards, alerts and SQL tasks. An identity looks up only what it may use.

resource "databricks_sql_endpoint" "this" {
  name                      = var.name
  cluster_size              = var.size
  max_num_clusters          = 1
  auto_stop_mins            = var.auto_stop_minutes
  warehouse_type            = "PRO"
  enable_serverless_compute = true
  no_wait                   = true

  tags {
    dynamic "custom_tags" {
      for_each = var.tags

      content {
        key   = custom_tags.key
        value = custom_tags.value
      }
    }
  }
}

resource "databricks_permissions" "this" {
  sql_endpoint_id = databricks_sql_endpoint.this.id

  dynamic "access_control" {
    for_each = var.application_ids

    content {
      service_principal_name = access_control.value
      permission_level       = "CAN_USE"
    }
  }
}
