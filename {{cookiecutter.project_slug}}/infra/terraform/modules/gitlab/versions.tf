terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    gitlab = {
      source  = "gitlabhq/gitlab"
      version = ">= 19.0.0, < 20.0.0"
    }
  }
}
