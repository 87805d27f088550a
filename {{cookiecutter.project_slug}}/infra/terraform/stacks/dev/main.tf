# The platform of dev. Its state is its own: see backends/.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    databricks = {
      source  = "databricks/databricks"
      version = ">= 1.128.0, < 2.0.0"
    }
  }
}

provider "databricks" {
  host = module.environment.host
}

provider "databricks" {
  alias      = "account"
  host       = module.environment.accounts_host
  account_id = var.account_id
}

module "environment" {
  source    = "../../modules/environment"
  providers = { databricks = databricks, databricks.account = databricks.account }

  root                = "${path.module}/../../../.."
  target              = "dev"
  account_id          = var.account_id
  workspace_id        = var.workspace_id
  catalog_is_isolated = var.catalog_is_isolated
  storage_root        = var.storage_root
  developers          = var.developers
  git_folder          = var.git_folder
}
