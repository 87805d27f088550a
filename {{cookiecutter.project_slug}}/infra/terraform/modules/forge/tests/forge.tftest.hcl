# The environments of all targets; the ids come from targets/, which lacks them at first.

variables {
  root               = "../../../.."
  repository         = "https://github.com/team/lakehouse"
  previews_client_id = "22222222-3333-4444-8555-666666666666"
}

run "unset_ids_are_named" {
  command = plan

  variables {
    previews_client_id = ""
  }

  expect_failures = [output.environments]
}
