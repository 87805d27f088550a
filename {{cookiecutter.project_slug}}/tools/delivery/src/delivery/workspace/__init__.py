"""Access to a Databricks workspace through its API and the Databricks CLI."""
