"""What a target needs before its first delivery, and the calls that make it."""
