"""The guide as a site: `make docs`. The pages of `docs/`, and pages made from the project."""
