# Everything that one target needs, in the order in which it is made. All names come from `names`.

module "names" {
  source = "../names"

  root        = var.root
  target      = var.target
  developers  = var.developers
  repository  = var.repository
  subjects    = var.subjects
  subject_ids = var.subject_ids
}

locals {
  # Azure and Google Cloud have the workspace's number in its address. Bound to another workspace, the
  # catalog would be gone from this one.
  number = try(regex("^https://(?:adb-)?([1-9][0-9]*)\\.", module.names.host)[0], null)
  ids    = module.identities.application_ids
}

resource "terraform_data" "workspace" {
  input = var.workspace_id

  lifecycle {
    precondition {
      condition     = local.number == null || local.number == tostring(var.workspace_id)
      error_message = "workspace_id: given ${var.workspace_id}, expected the number in ${module.names.host}"
    }
  }
}

module "identities" {
  source    = "../identities"
  providers = { databricks = databricks.account }

  account_id   = var.account_id
  workspace_id = terraform_data.workspace.input
  principals   = module.names.principals
  users        = module.names.users
  issuer       = module.names.issuer
  trusts       = module.names.trusts
}

module "catalog" {
  source = "../catalog"

  name         = module.names.catalog
  workspace_id = terraform_data.workspace.input
  is_isolated  = var.catalog_is_isolated
  storage_root = var.storage_root
  grants = {
    for what, one in module.names.grants : what => {
      principal  = one.role == null ? one.group : local.ids[one.role]
      privileges = one.privileges
    }
  }
}

module "folder" {
  source = "../folder"
  count  = module.names.folder == null ? 0 : 1

  path   = module.names.folder
  levels = { for role, level in module.names.levels : role => { application_id = local.ids[role], level = level } }
}

module "compute" {
  source    = "../compute"
  count     = length(module.names.principals) == 0 ? 0 : 1
  providers = { databricks = databricks, databricks.account = databricks.account }

  account_id         = var.account_id
  workspace_id       = terraform_data.workspace.input
  name               = "${module.names.bundle}-${var.target}"
  node_type          = module.names.node_type
  tags               = module.names.tags
  has_cluster_policy = module.names.is_classic
  has_budget_policy  = var.has_budget_policy
  application_ids    = local.ids
}

module "warehouse" {
  source = "../warehouse"
  count  = var.has_warehouse ? 1 : 0

  name            = module.names.warehouse
  tags            = module.names.tags
  application_ids = local.ids
}

module "git_folder" {
  source = "../git_folder"
  count  = var.git_folder == null ? 0 : 1

  url    = module.names.url
  branch = module.names.branches[0]
  path   = var.git_folder
}
