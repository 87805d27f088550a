"""The state of a target: its status, its drift, and the health of its set-up."""
