# The names of everything that one target needs, read from the files that the bundle reads. What is
# here and nowhere else: who gets which right. `delivery bootstrap` makes the same.

locals {
  bundle = yamldecode(file("${var.root}/databricks.yml"))
  policy = yamldecode(file("${var.root}/delivery.yml"))
  target = yamldecode(file("${var.root}/targets/${var.target}.yml")).targets[var.target]

  name = local.bundle.bundle.name
  kind = contains(["dev", "preview"], var.target) ? var.target : "released"
  host = local.target.workspace.host

  # As the bundle reads a variable: the target's value, else the default.
  variables = {
    for key in ["catalog", "readers", "deploy_root", "node_type"] : key => replace(replace(
      try(local.target.variables[key], local.bundle.variables[key].default),
    "$${bundle.name}", local.name), "$${bundle.target}", var.target)
  }
  warehouse = try(
    local.target.variables.warehouse_id.lookup.warehouse,
    local.bundle.variables.warehouse_id.lookup.warehouse,
    null,
  )
  tags = merge({ project = local.name }, {
    for key, value in try(local.target.presets.tags, {}) : key => value if !strcontains(value, "$")
  })
}

# --- identities, rights and the folder, by kind of target ---

locals {
  principals = {
    released = { for role in ["deployer", "runner", "planner"] : role => "${local.name}-${var.target}-${role}" }
    preview  = { previews = "${local.name}-previews" }
    dev      = {}
  }[local.kind]

  # Who may run jobs as whom: `run_as` of a job needs it.
  users = {
    released = { runner = "deployer" }
    preview  = { previews = "previews" }
    dev      = {}
  }[local.kind]

  grants = {
    released = {
      deployer = { role = "deployer", group = null, privileges = ["USE_CATALOG", "CREATE_SCHEMA"] }
      runner   = { role = "runner", group = null, privileges = ["USE_CATALOG"] }
      planner  = { role = "planner", group = null, privileges = ["USE_CATALOG"] }
      readers  = { role = null, group = local.variables.readers, privileges = ["USE_CATALOG"] }
    }
    preview = {
      previews = { role = "previews", group = null, privileges = ["USE_CATALOG", "CREATE_SCHEMA"] }
    }
    dev = {
      developers = { role = null, group = var.developers, privileges = ["USE_CATALOG", "CREATE_SCHEMA"] }
    }
  }[local.kind]

  # Previews share the folder above theirs: each has its own below it.
  folder = {
    released = local.variables.deploy_root
    preview  = dirname(replace(try(local.target.workspace.root_path, "/"), "$${bundle.name}", local.name))
    dev      = null
  }[local.kind]
  levels = {
    released = { deployer = "CAN_MANAGE", runner = "CAN_READ", planner = "CAN_READ" }
    preview  = { previews = "CAN_MANAGE" }
    dev      = {}
  }[local.kind]
}

# --- federation: which pipelines may act as whom ---

locals {
  address = trimsuffix(try(coalesce(var.repository, local.policy.project.url), ""), ".git")
  server  = try(regex("^https://([^/]+)/(.+)$", local.address)[0], "")
  path    = trim(try(regex("^https://([^/]+)/(.+)$", local.address)[1], ""), "/")
  # A forge is never guessed from the name of another host.
  known = { "github.com" = "github", "gitlab.com" = "gitlab" }
  forge = local.policy.project.forge != "both" ? local.policy.project.forge : lookup(local.known, local.server, "")

  issuer = (
    local.forge == "gitlab" ? "https://${local.server}" :
    local.server == "github.com" ? "https://token.actions.githubusercontent.com" :
    "https://${local.server}/_services/token"
  )
  branch = try(local.policy.branches.targets[var.target], local.policy.branches.integration)
  # Requests come from any branch.
  is_open = { "staging-plan" = true, preview = true }

  # The environment of the forge, and whose identity its jobs have. Nobody acts as the runner.
  environments = {
    released = { (var.target) = "deployer", "${var.target}-plan" = "planner" }
    preview  = { preview = "previews" }
    dev      = {}
  }[local.kind]

  github = {
    names = "repo:${local.path}"
    ids = join("/", [
      "repo:${split("/", local.path)[0]}@${try(var.subject_ids.owner, "")}",
      "${join("/", slice(split("/", local.path), 1, length(split("/", local.path))))}@${try(var.subject_ids.repository, "")}",
    ])
  }
  trusts = merge([
    for environment, role in local.environments : local.forge == "gitlab" ? {
      (environment) = {
        environment = environment
        role        = role
        audience    = "${local.name}-${environment}"
        claim       = lookup(local.is_open, environment, false) ? "project_path" : null
        subject     = lookup(local.is_open, environment, false) ? local.path : "project_path:${local.path}:ref_type:branch:ref:${local.branch}"
      }
      } : {
      for form in var.subjects : form == "names" ? environment : "${environment}-${form}" => {
        environment = environment
        role        = role
        audience    = "${local.name}-${environment}"
        claim       = null
        subject     = "${local.github[form]}:environment:${environment}"
      }
    }
  ]...)
}
