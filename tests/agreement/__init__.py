"""`delivery check` compared with the real CLI's `bundle validate`, on the same bundles."""
