"""Results as text, as an HTML page, and as findings of a forge."""
