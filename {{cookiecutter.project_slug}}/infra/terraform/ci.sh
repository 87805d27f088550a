#!/bin/sh
# The steps of the pipelines; you can run each of them yourself.
#   ci.sh install FOLDER             Terraform, in the version and with the hash below
#   ci.sh check                      format, types, tests with mocked providers; calls no workspace
#   ci.sh plan STACK FILE            plan a stack into a file, and show it
#   ci.sh apply STACK FILE [DIGEST]  apply exactly that plan; refused if it has another digest
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=1.11.4
sha256=1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc # of linux_amd64
releases=${TERRAFORM_RELEASES:-https://releases.hashicorp.com/terraform}
token=${TMPDIR:-/tmp}/state-token
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1 TF_INPUT=0

fail() {
    printf '%s\n' "$@" >&2
    exit 4
}

stack_of() {
    test -f "$here/stacks/$1/main.tf" || fail "stack: given '$1', expected one of $(cd "$here/stacks" && echo *)"
    echo "$here/stacks/$1"
}

# The state is read with an id token, too; each backend finds its file by one of these names.
state_token() {
    test -n "${STATE_TOKEN_AUDIENCE:-}" || return 0
    (
        umask 077
        if [ -n "${STATE_TOKEN:-}" ]; then
            printf %s "$STATE_TOKEN" >"$token"
        else
            curl -fsS -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
                "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=$STATE_TOKEN_AUDIENCE" |
                python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["value"])' >"$token"
        fi
    )
    export AWS_WEB_IDENTITY_TOKEN_FILE="$token" ARM_OIDC_TOKEN_FILE_PATH="$token" ARM_USE_OIDC=true
}

init() {
    test -f "$1/backend.tf" || fail "$1: no backend.tf, expected one: without it the state would be lost with this machine" \
        "    Copy the one of your cloud: cp backends/aws.tf.example stacks/staging/backend.tf"
    test -f "$1/.terraform.lock.hcl" || fail "$1: no .terraform.lock.hcl, expected the committed one" \
        "    Create it on your machine and commit it: terraform -chdir=$1 init"
    state_token
    terraform -chdir="$1" init -lockfile=readonly
}

case "${1:-}" in
install)
    folder=${2:?folder}
    mkdir -p "$folder"
    curl -fsSL --output "$folder/terraform.zip" "$releases/$version/terraform_${version}_linux_amd64.zip"
    echo "$sha256  $folder/terraform.zip" | sha256sum --check --quiet
    python3 -m zipfile --extract "$folder/terraform.zip" "$folder"
    rm "$folder/terraform.zip"
    chmod +x "$folder/terraform"
    ;;
check)
    terraform fmt -check -diff -recursive "$here"
    export TF_PLUGIN_CACHE_DIR="$here/.terraform/plugins" TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1
    mkdir -p "$TF_PLUGIN_CACHE_DIR"
    for folder in "$here"/stacks/*; do
        terraform -chdir="$folder" init -backend=false >/dev/null
        terraform -chdir="$folder" validate
    done
    for folder in "$here"/modules/*; do
        terraform -chdir="$folder" init -backend=false >/dev/null
        terraform -chdir="$folder" test
    done
    ;;
plan)
    stack=$(stack_of "${2:-}")
    file=$(realpath -m "${3:?file}")
    mkdir -p "$(dirname "$file")"
    init "$stack"
    terraform -chdir="$stack" plan -lock-timeout=5m -out="$file"
    digest=$(sha256sum "$file" | cut -d ' ' -f 1)
    echo "digest of the plan: $digest"
    if [ -n "${GITHUB_OUTPUT:-}" ]; then
        echo "digest=$digest" >>"$GITHUB_OUTPUT"
        { echo '```'; terraform -chdir="$stack" show -no-color "$file"; echo '```'; } >>"$GITHUB_STEP_SUMMARY"
    fi
    ;;
apply)
    stack=$(stack_of "${2:-}")
    file=$(realpath "${3:?file}")
    found=$(sha256sum "$file" | cut -d ' ' -f 1)
    test "${4:-$found}" = "$found" || fail "digest of the plan: given $4, found $found: another plan than the approved one"
    init "$stack"
    terraform -chdir="$stack" apply -lock-timeout=5m "$file"
    ;;
*)
    fail "expected install, check, plan or apply, such as: ci.sh plan staging staging.tfplan"
    ;;
esac
