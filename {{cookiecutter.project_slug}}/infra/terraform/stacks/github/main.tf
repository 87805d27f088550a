# The repository on GitHub: rules, environments, variables. Its state is its own: see backends/.

terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    github = {
      source  = "integrations/github"
      version = ">= 6.7.0, < 7.0.0"
    }
  }
}

provider "github" {
  owner = split("/", module.forge.path)[0]
}

module "forge" {
  source = "../../modules/forge"

  root               = "${path.module}/../../../.."
  previews_client_id = var.previews_client_id
  platform_client_id = var.platform_client_id
}

module "github" {
  source = "../../modules/github"

  repository   = split("/", module.forge.path)[1]
  branches     = module.forge.branches
  approvals    = module.forge.approvals
  checks       = ["check (Python 3.11)", "check (Python 3.12)", "release"]
  environments = module.forge.environments
  reviewers    = var.reviewers
  is_on        = var.is_on
}
