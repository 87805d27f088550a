# The names are those of the bundle. Needs no provider.

variables {
  root       = "../../../.."
  repository = "https://github.com/team/lakehouse"
}

run "released" {
  command = plan

  variables {
    target = "prod"
  }

  assert {
    condition     = output.bundle == yamldecode(file("../../../../databricks.yml")).bundle.name
    error_message = "another bundle: ${output.bundle}"
  }

  assert {
    condition     = output.catalog == yamldecode(file("../../../../targets/prod.yml")).targets.prod.variables.catalog
    error_message = "another catalog: ${output.catalog}"
  }

  assert {
    condition     = output.host == yamldecode(file("../../../../targets/prod.yml")).targets.prod.workspace.host
    error_message = "another workspace: ${output.host}"
  }

  assert {
    condition     = output.principals == { for role in ["deployer", "runner", "planner"] : role => "${output.bundle}-prod-${role}" }
    error_message = "other service principals: ${jsonencode(output.principals)}"
  }

  assert {
    condition     = [for what, one in output.grants : what if contains(one.privileges, "CREATE_SCHEMA")] == ["deployer"]
    error_message = "only the deployer creates schemas: ${jsonencode(output.grants)}"
  }

  assert {
    condition     = output.users == { runner = "deployer" }
    error_message = "only the deployer runs jobs as the runner: ${jsonencode(output.users)}"
  }

  assert {
    condition     = [for role, level in output.levels : role if level != "CAN_READ"] == ["deployer"]
    error_message = "only the deployer writes releases and the ledger: ${jsonencode(output.levels)}"
  }

  assert {
    condition     = !contains([for one in values(output.trusts) : one.role], "runner")
    error_message = "no pipeline acts as the runner: ${jsonencode(output.trusts)}"
  }
}

run "preview" {
  command = plan

  variables {
    target = "preview"
  }

  assert {
    condition     = output.folder == "/Workspace/Deployments/${output.bundle}/previews"
    error_message = "previews have a folder each below this one: ${output.folder}"
  }

  assert {
    condition     = output.principals == { previews = "${output.bundle}-previews" }
    error_message = "previews have one identity: ${jsonencode(output.principals)}"
  }
}

run "dev" {
  command = plan

  variables {
    target     = "dev"
    developers = "data-engineers"
  }

  assert {
    condition     = output.folder == null && length(output.principals) == 0 && length(output.trusts) == 0
    error_message = "people deploy to dev, no service principal does"
  }

  assert {
    condition     = output.grants.developers.group == "data-engineers"
    error_message = "developers create their schemas: ${jsonencode(output.grants)}"
  }
}

run "subjects_with_ids" {
  command = plan

  variables {
    target      = "staging"
    subjects    = ["names", "ids"]
    subject_ids = { owner = 11, repository = 22 }
  }

  assert {
    condition     = length(output.trusts) == 4 && length(distinct([for one in values(output.trusts) : one.subject])) == 4
    error_message = "each environment has a subject of each form: ${jsonencode(output.trusts)}"
  }
}

run "ids_are_not_guessed" {
  command = plan

  variables {
    target   = "staging"
    subjects = ["ids"]
  }

  expect_failures = [var.subject_ids]
}

run "dev_needs_its_group" {
  command = plan

  variables {
    target = "dev"
  }

  expect_failures = [var.developers]
}

run "no_other_target" {
  command = plan

  variables {
    target = "production"
  }

  expect_failures = [var.target]
}
