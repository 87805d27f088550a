# The platform of prod. Its state is its own: see backends/.

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
  target              = "prod"
  account_id          = var.account_id
  workspace_id        = var.workspace_id
  catalog_is_isolated = var.catalog_is_isolated
  storage_root        = var.storage_root
  subjects            = var.subjects
  subject_ids         = var.subject_ids
  has_budget_policy   = var.has_budget_policy
  has_warehouse       = var.has_warehouse
}

output "application_ids" {
  description = "The application ids by role: write them into targets/ with `delivery bootstrap prod --apply`."
  value       = module.environment.application_ids
}

output "policies" {
  description = "The ids of the policies that the bundle may refer to; null where there is none."
  value       = module.environment.policies
}
