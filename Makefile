# `make` lists the targets. `make test` and `make demo` need nothing before them on a Debian 12 as root.

PYTHON ?= /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin
CACHE  := .cache
BASE   ?= busybox
HOSTS  ?= 3
ROUNDS ?= 7
TESTERS ?= 3
FUZZ_SECONDS ?= 60

# Modules are kept as they were compiled, and as pytest rewrote them: each tester needs all of them.
unexport PYTHONDONTWRITEBYTECODE

# What the agent and the lab use. The real peers of the interop tests install themselves.
LAB_PACKAGES  := python3-venv btrfs-progs e2fsprogs iproute2 openssh-server openssh-client crun runc conmon nftables aardvark-dns tini busybox-static curl docker-registry
DEMO_PACKAGES := $(LAB_PACKAGES) $(if $(filter debian,$(BASE)),debootstrap)

# A changed content, not a changed date, makes the environment be installed again.
ENVIRONMENT := $(VENV)/installed-$(shell cat requirements/dev.txt pyproject.toml 2>/dev/null | sha256sum | cut -c1-16)
UV_VERSION  := 0.13.9
ATHERIS     := $(CACHE)/atheris-$(shell cat requirements/fuzz.txt 2>/dev/null | sha256sum | cut -c1-16)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install packages peers proto proto-check format lint types imports unit test fuzz bench demo lab-up lab-down lab-shell lock clean

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: packages $(ENVIRONMENT) ## Install the Debian packages and the virtual environment (.venv).

packages:
	@tests/lab/debian-packages $(LAB_PACKAGES)

peers: packages
	@$(PYTHON) -m tests.interop.install

# The order-only prerequisite: python3-venv comes from a Debian package.
$(ENVIRONMENT): | packages
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/installed-*
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

proto: $(ENVIRONMENT) ## Generate the protocol code from the .proto files.
	PYTHON=$(BIN)/python proto/generate

proto-check: $(ENVIRONMENT) ## Fail when the committed protocol code is stale.
	@PYTHON=$(BIN)/python proto/check

format: $(ENVIRONMENT) ## Rewrite the code in the project's format.
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

lint: $(ENVIRONMENT) ## Check style and format (ruff).
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(ENVIRONMENT) ## Check the types (mypy, strict).
	$(BIN)/mypy

imports: $(ENVIRONMENT) ## Check the direction of imports (import-linter).
	$(BIN)/lint-imports

unit: install ## Run the tests that need neither root nor the lab.
	$(BIN)/python -m pytest tests/unit tests/contract

test: install peers lint types imports proto-check ## Check and test everything, TESTERS=3 files at a time; what CI runs.
	$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile

fuzz: install $(ATHERIS) ## Fuzz the readers of what others made, FUZZ_SECONDS=60 each (FUZZ="tar_reader names": these).
	PYTHONPATH=$(ATHERIS) $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

# Beside the virtual environment, since nothing else needs it.
$(ATHERIS): | $(ENVIRONMENT)
	@rm -rf $(CACHE)/atheris-*
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes --target $@.new -r requirements/fuzz.txt
	@mv $@.new $@

bench: install peers ## Measure against Docker and Podman, in turn, and write docs/benchmarks.md (ROUNDS=7).
	$(BIN)/python -m tests.bench --rounds $(ROUNDS)

demo: ## Walk through the whole story on three hosts of the lab (BASE=debian: with a Debian image and apache2).
	@tests/lab/debian-packages $(DEMO_PACKAGES)
	@$(MAKE) --no-print-directory $(ENVIRONMENT)
	@$(BIN)/python -m tests.demo --base $(BASE)

lab-up: install ## Start a lab of HOSTS=3 hosts that stays up.
	$(BIN)/python -m tests.lab up --hosts $(HOSTS)

lab-down: $(ENVIRONMENT) ## Remove that lab.
	$(BIN)/python -m tests.lab down

lab-shell: install ## Open a shell whose JACKSTAY_INVENTORY is a fresh lab, removed afterwards.
	$(BIN)/python -m tests.lab run --hosts $(HOSTS) -- $${SHELL:-/bin/sh}

# uv lives in an environment of its own: it locks, it is not locked.
$(CACHE)/uv-$(UV_VERSION)/bin/uv: | packages
	$(PYTHON) -m venv $(CACHE)/uv-$(UV_VERSION)
	$(CACHE)/uv-$(UV_VERSION)/bin/pip install --disable-pip-version-check --quiet uv==$(UV_VERSION)

UV_COMPILE = $(CACHE)/uv-$(UV_VERSION)/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

lock: $(CACHE)/uv-$(UV_VERSION)/bin/uv ## Pin the versions of pyproject.toml again (UPGRADE=--upgrade: the newest).
	@mkdir -p requirements
	$(UV_COMPILE) $(UPGRADE) --output-file requirements/controller.txt
	$(UV_COMPILE) $(UPGRADE) --extra agent --output-file requirements/agent.txt
	$(UV_COMPILE) $(UPGRADE) --extra agent --extra dev --output-file requirements/dev.txt
	$(subst pyproject.toml,--group pyproject.toml:fuzz,$(UV_COMPILE)) $(UPGRADE) --output-file requirements/fuzz.txt

clean: ## Remove what was built and installed here (not the lab's image cache).
	rm -rf $(VENV) $(CACHE)/uv-* $(CACHE)/atheris-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
