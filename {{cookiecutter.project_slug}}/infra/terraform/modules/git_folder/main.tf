# A Git folder for people who read the project's notebooks in the workspace. Nothing is deployed from it.
# A private repository needs a Git credential of whoever applies; its token stays out of Terraform.

resource "databricks_repo" "this" {
  url          = var.url
  git_provider = var.provider_name
  branch       = var.branch
  path         = trimprefix(var.path, "/Workspace")
}
