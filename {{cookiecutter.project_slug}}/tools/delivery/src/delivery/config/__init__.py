"""The project as its files declare it: the bundle, its targets, the policy."""
