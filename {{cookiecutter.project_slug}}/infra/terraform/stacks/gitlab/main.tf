# The project on GitLab: protected branches and environments, variables. Its state is its own: see
# backends/.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    gitlab = {
      source  = "gitlabhq/gitlab"
      version = ">= 19.0.0, < 20.0.0"
    }
  }
}

provider "gitlab" {
  base_url = "${module.forge.server}/api/v4"
}

module "forge" {
  source = "../../modules/forge"

  root               = "${path.module}/../../../.."
  previews_client_id = var.previews_client_id
  platform_client_id = var.platform_client_id
}

module "gitlab" {
  source = "../../modules/gitlab"

  project        = module.forge.path
  branches       = module.forge.branches
  approvals      = module.forge.approvals
  nightly_branch = module.forge.prod_branch
  environments   = module.forge.environments
  approvers      = var.approvers
  has_premium    = var.has_premium
  is_on          = var.is_on
}
