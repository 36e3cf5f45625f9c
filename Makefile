# PopOff: `make run` starts the platform, `make test` checks everything. `make help` lists the rest.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/installed ## Start PopOff: database, queue, store, web and workers (Ctrl-C stops it)
	@exec $(BIN)/popoff run

.PHONY: test
test: $(VENV)/installed-dev system ## Lint, type checks and all tests
	@$(MAKE) --no-print-directory lint
	@$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

.PHONY: coverage
coverage: $(VENV)/installed-dev system ## The same tests, traced (twice as long): at least 90 % of the lines
	@$(BIN)/coverage erase
	@$(BIN)/pytest -n 2 --dist loadgroup --timeout=600 --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report --skip-covered --sort=cover --fail-under=90

.PHONY: soak
soak: $(VENV)/installed-dev ## Random histories of money, SOAK times as many as in `make test` (SOAK=20)
	@SOAK=$${SOAK:-20} $(BIN)/pytest -n 2 tests/integration/ledger/test_any_history.py tests/integration/rewards/test_any_economy.py

.PHONY: lint
lint: $(VENV)/installed-dev ## Style, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports

.PHONY: bench
bench: $(VENV)/installed-dev ## Short version of every benchmark
	@$(BIN)/python -m benchmarks --quick

.PHONY: shell
shell: $(VENV)/installed ## Python with the application loaded (while PopOff runs, or on its own database)
	@exec $(BIN)/popoff shell

.PHONY: system
system: ## Bring what pip cannot: Node for the phone app's own HTTP library (Debian's packages)
	@tools/system-packages

.PHONY: lock
lock: $(VENV)/installed-dev ## Pin all dependencies anew from pyproject.toml
	@tools/lock

.PHONY: clean
clean: ## Remove what was installed and built; the data folder stays
	@rm -rf $(VENV) build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(VENV)/installed: requirements.lock pyproject.toml
	@tools/install requirements.lock
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock pyproject.toml
	@tools/install requirements-dev.lock
	@touch $@ $(VENV)/installed
