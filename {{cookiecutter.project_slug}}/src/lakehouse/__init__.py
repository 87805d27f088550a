"""The code of the lakehouse's jobs: one folder per domain, and the engine that all of them use."""
