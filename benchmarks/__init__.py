"""How fast the template and its project are, as ratios measured side by side."""
