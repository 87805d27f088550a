# A Git folder is for reading: it never lies where releases are.

mock_provider "databricks" {
  override_during = plan
}

variables {
  url    = "https://github.com/team/lakehouse"
  branch = "main"
  path   = "/Workspace/Shared/lakehouse"
}

run "git_folder" {
  command = plan

  assert {
    condition     = databricks_repo.this.path == "/Shared/lakehouse" && output.path == var.path
    error_message = "another folder: ${databricks_repo.this.path}"
  }

  assert {
    condition     = databricks_repo.this.url == var.url && databricks_repo.this.branch == "main"
    error_message = "another repository or branch: ${databricks_repo.this.url} ${databricks_repo.this.branch}"
  }
}

run "not_among_releases" {
  command = plan

  variables {
    path = "/Workspace/Deployments/lakehouse/git"
  }

  expect_failures = [var.path]
}
