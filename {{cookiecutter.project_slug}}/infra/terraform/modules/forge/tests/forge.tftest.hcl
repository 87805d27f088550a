# The environments of all targets; the ids come from targets/, which lacks them at first.

variables {
  root               = "../../../.."
  repository         = "https://github.com/team/lakehouse"
  previews_client_id = ""
}

run "unset_ids_are_named" {
  command = plan

  expect_failures = [output.environments]
}
