"""Creates and removes parts of a project: whole domains, and jobs and files within them."""
