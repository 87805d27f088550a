terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    github = {
      source  = "integrations/github"
      version = ">= 6.7.0, < 7.0.0"
    }
  }
}
