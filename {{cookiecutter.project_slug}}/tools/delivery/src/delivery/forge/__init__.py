"""GitHub and GitLab: approvals, comments, settings, and the variables of pipeline jobs."""
