#!/bin/sh
# Enforces the conventions from the first commit on. `make setup` replaces this file with the real hook.
hook=$(basename "$0")
if [ -x .venv/bin/pre-commit ]; then
    exec .venv/bin/pre-commit hook-impl --config=.pre-commit-config.yaml \
        --hook-type="$hook" --hook-dir "$(dirname "$0")" -- "$@"
fi
echo "$hook: the checks are not installed yet. Run: make setup" >&2
exit 1
