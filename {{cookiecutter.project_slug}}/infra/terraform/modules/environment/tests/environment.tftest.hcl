# How the modules of a target are wired, with a mocked provider: no workspace is called.

mock_provider "databricks" {
  override_during = plan

  mock_resource "databricks_directory" {
    defaults = { object_id = 1 }
  }
  mock_resource "databricks_sql_endpoint" {
    defaults = { id = "0123456789abcdef" }
  }
  mock_resource "databricks_cluster_policy" {
    defaults = { id = "ABC123" }
  }
}

mock_provider "databricks" {
  alias           = "account"
  override_during = plan

  mock_resource "databricks_service_principal" {
    defaults = { id = "101", application_id = "aaaaaaaa-0000-4000-8000-000000000001" }
  }
  mock_resource "databricks_budget_policy" {
    defaults = { policy_id = "bbbbbbbb-0000-4000-8000-000000000001" }
  }
}

variables {
  root                = "../../../.."
  repository          = "https://github.com/team/lakehouse"
  account_id          = "11111111-2222-4333-8444-555555555555"
  workspace_id        = 1234567890123456
  catalog_is_isolated = false
}

run "released" {
  command = plan

  variables {
    target            = "prod"
    has_budget_policy = true
  }

  assert {
    condition     = module.catalog.name == yamldecode(file("../../../../targets/prod.yml")).targets.prod.variables.catalog
    error_message = "another catalog: ${module.catalog.name}"
  }

  assert {
    condition     = module.folder[0].path == "/Workspace/Deployments/${module.names.bundle}/prod"
    error_message = "another folder: ${module.folder[0].path}"
  }

  assert {
    condition     = keys(output.application_ids) == ["deployer", "planner", "runner"]
    error_message = "other identities: ${jsonencode(output.application_ids)}"
  }

  assert {
    condition     = output.policies.budget == "bbbbbbbb-0000-4000-8000-000000000001"
    error_message = "no budget policy: ${jsonencode(output.policies)}"
  }

  assert {
    condition     = length(module.warehouse) == 0 && length(module.git_folder) == 0
    error_message = "a warehouse or a Git folder that nobody asked for"
  }
}

run "preview" {
  command = plan

  variables {
    target = "preview"
  }

  assert {
    condition     = keys(output.application_ids) == ["previews"]
    error_message = "other identities: ${jsonencode(output.application_ids)}"
  }
}

run "dev" {
  command = plan

  variables {
    target     = "dev"
    developers = "data-engineers"
    git_folder = "/Workspace/Shared/lakehouse"
  }

  assert {
    condition     = length(module.folder) == 0 && length(module.compute) == 0
    error_message = "dev has no folder of releases, and no service principal that would use a policy"
  }

  assert {
    condition     = module.git_folder[0].path == "/Workspace/Shared/lakehouse"
    error_message = "another Git folder: ${module.git_folder[0].path}"
  }
}
