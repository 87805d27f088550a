config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# A stack is one main.tf and its variables: it wires modules, and has nothing else.
rule "terraform_standard_module_structure" {
  enabled = false
}
