"""Makes plans of releases, and decides on them."""
