# Every command of the template. `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup terraform demo tour example test coverage bad-days check mutants mutate benchmark pins digest clean

# Each candidate is run: a name on the PATH may be a shim without an interpreter.
CANDIDATES := python3 python3.12 python3.11 python3.13 python
SUITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON = $(or $(shell for p in $(CANDIDATES); do if $$p -c '$(SUITS)' >/dev/null 2>&1; then \
	echo $$p; break; fi; done),$(error setup: found no Python 3.11 or newer with venv; install one, such as python3.11))
BIN := .venv/bin
UV := $(BIN)/uv
STAMP := .venv/stamp
DEMO := .venv-demo/stamp
PROJECT := {{cookiecutter.project_slug}}
# The versions used for tests; `make pins` updates them.
PINS := tests/constraints.txt
GROUPS := --group dev --group '$(PROJECT)/pyproject.toml:dev' --group '$(PROJECT)/pyproject.toml:local'
NEEDED := '$(PROJECT)/pyproject.toml' '$(PROJECT)/tools/delivery/pyproject.toml'
TESTS ?= tests
# One set-up at a time in this folder. The system releases the lock when its process ends.
ALONE := import fcntl, os, sys; \
	fcntl.flock(os.dup2(os.open(".", os.O_RDONLY), 9), fcntl.LOCK_EX); os.execvp(sys.argv[1], sys.argv[1:])
# Tests that need a missing tool are skipped on a laptop; in a pipeline that is a failure.
MISSING = { echo "setup: could not install $(1); tests that need it will be skipped" >&2; test -z "$(CI)" || exit 4; }
export UV_PYTHON_DOWNLOADS := never
unexport VIRTUAL_ENV PYTHONHOME CONDA_PREFIX

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv, which the other commands need (they run this themselves)

demo: $(DEMO) ## generate a sample project in the temporary folder and run its pipeline
	@folder=$$(mktemp -d "$${TMPDIR:-/tmp}/lakehouse-demo.XXXXXX") && \
	mkdir "$$folder/template" && \
	git ls-files -z | xargs -0 tar cf - | tar xf - -C "$$folder/template" && \
	.venv-demo/bin/cookiecutter "$$folder/template" --no-input --output-dir "$$folder" && \
	$(MAKE) --no-print-directory -C "$$folder/acme-lakehouse" run && \
	echo "The project is in $$folder/acme-lakehouse"

tour: $(STAMP) ## show a full delivery cycle on an emulated workspace: release, staging, prod, a failing release, rollback, drift
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/harness/tour.py

example: $(STAMP) ## publish a generated project as the branch `example` of origin
	@$(BIN)/python scripts/example.py

terraform: $(STAMP) ## install Terraform into .venv, for the tests of infra/terraform; its providers come from the registry
	@sh '$(PROJECT)/infra/terraform/ci.sh' install $(BIN)

# One process more than the two cores of a small runner: many tests wait, for a program or a time limit.
test: $(STAMP) ## run all tests of the template and of generated projects (FAST=1: only the quick ones)
	@PYTHONDONTWRITEBYTECODE= PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 3 $(if $(FAST),-m "not slow") $(TESTS)

coverage: $(STAMP) ## run all tests and list the lines of the delivery tool that none of them runs
	@rm -f .coverage .coverage.*
	@COVERAGE_HOME="$(CURDIR)" COVERAGE_CONFIG="$(CURDIR)/tests/coverage.ini" PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(BIN)/pytest -n 2 --cov --cov-config tests/coverage.ini --cov-report term-missing:skip-covered $(TESTS)

check: $(STAMP) ## check format, lint and types of the template, the delivery tool and the project
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@cd '$(PROJECT)' && ../$(BIN)/ruff format --no-cache --check --quiet .
	@cd '$(PROJECT)' && ../$(BIN)/ruff check --no-cache --quiet .
	@$(BIN)/mypy
	@cd '$(PROJECT)' && MYPYPATH=tools/delivery/src ../$(BIN)/mypy --cache-dir ../.mypy_cache --package delivery
	@$(BIN)/ruff format --no-cache --check --quiet --config '$(PROJECT)/pyproject.toml' '$(PROJECT)/tools/delivery'
	@$(BIN)/ruff check --no-cache --quiet --config '$(PROJECT)/pyproject.toml' '$(PROJECT)/tools/delivery'
	@$(BIN)/yamllint --strict --config-file '$(PROJECT)/.yamllint.yaml' .github

bad-days: $(STAMP) ## make every call of a deploy fail in every way, kill the tool after each call, and combine faults in pairs (EVERY=3: each third; PAIRS=20)
	@BAD_DAYS=$(or $(EVERY),1) BAD_PAIRS=$(or $(PAIRS),108) PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pytest -n 2 -rP tests/deployments/test_bad_days.py

mutants: $(STAMP) ## introduce one fault at a time; a test must fail for each (FULL=1: run the whole suite)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/mutants $(if $(FULL),--full)

mutate: $(STAMP) ## change one module of the tool line by line, and list changes that no test detects: make mutate MODULE=plan/guard.py TESTS=tests/tool/test_guard.py
	@$(BIN)/python scripts/mutate.py '$(MODULE)' $(if $(filter file,$(origin TESTS)),tests/tool,$(TESTS))

benchmark: $(STAMP) ## compare engines, generation time, time to the first passing run, daily commands, and delivery
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks

pins: $(STAMP) ## update the versions used for tests, within the bounds of each pyproject.toml
	@$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url $(GROUPS) $(NEEDED) --output-file $(PINS)

digest: $(STAMP) ## update the digest of the delivery tool's files after a change to them
	@$(BIN)/python scripts/tool_digest.py

clean: ## remove caches; keep the environment
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --- environments: one without a stamp, or with a stamp that does not match, is created again ---

# A stamp lists the folder, the interpreter and every file of a complete environment; if they do not
# match, it is created again. Files that you add do not matter.

HOLDS = { pwd -P; readlink -f $(1)/bin/python; cat $(1)/pyvenv.cfg; \
	find -L $(1)/bin $(1)/lib -name __pycache__ -prune -o ! -type l -print; } 2>/dev/null | LC_ALL=C sort
SEAL = $(call HOLDS,$(@D)) > $@.part && mv $@.part $@
LACKS = test -s $(1)/stamp || echo all; test ! -L $(1) || echo its own folder; \
	$(call HOLDS,$(1)) | LC_ALL=C comm -23 $(1)/stamp - 2>&1 | head -n 1
UNFIT := $(foreach stamp,$(wildcard $(STAMP) $(DEMO)),$(if $(shell $(call LACKS,$(patsubst %/stamp,%,$(stamp)))),$(stamp)))
# Only the link is removed, never the environment behind it. A stamp that does not match is removed.
EMPTY = { test -d $(@D) && test ! -L $(@D) || rm -f $(@D); } $(if $(filter $@,$(UNFIT)),&& rm -f $@)

$(STAMP): pyproject.toml $(PROJECT)/pyproject.toml $(PROJECT)/tools/delivery/pyproject.toml $(PINS)
$(DEMO): $(PINS)

.PHONY: anew
$(UNFIT): anew

ifndef HELD
$(STAMP) $(DEMO):
	@$(PYTHON) -c '$(ALONE)' $(MAKE) --no-print-directory HELD=1 $@
else
$(DEMO):
	@echo "demo: creating .venv-demo"
	@$(EMPTY)
	@$(PYTHON) -m venv --clear .venv-demo
	@.venv-demo/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) cookiecutter
	@$(SEAL)

# Tests start many programs, and none of them may leave bytecode: it is all compiled here.
$(STAMP):
	@echo "setup: creating .venv"
	@$(EMPTY)
	@test -f $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r '$(PROJECT)/tools/uv-requirements.txt'
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint $(PINS) $(GROUPS) \
		$(foreach file,$(NEEDED),-r $(file))
	@for tool in github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 github.com/nektos/act@v0.2.89; do \
		GOBIN="$(CURDIR)/$(BIN)" go install $$tool >/dev/null 2>&1 || $(call MISSING,$$tool with Go); done
	@{ npm install --silent --no-audit --no-fund --prefix .venv/npm gitlab-ci-local@4.73.0 >/dev/null 2>&1 && \
		ln -sf ../npm/node_modules/.bin/gitlab-ci-local $(BIN)/gitlab-ci-local; } || \
		$(call MISSING,gitlab-ci-local with npm)
	@$(SEAL)
endif
