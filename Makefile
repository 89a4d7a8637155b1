# The workshop. Everything happens inside this checkout: needs Python 3.11 or newer, make and git.
# PYTHON=/path/to/python3 chooses another interpreter than the first that tools/find-python finds.
# ARGS="-x tests/journal" is handed on to pytest by `make test-tools`, `make others` and `make lowest`.
# BENCH=--quick gives `make bench` a short look instead of firm figures.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard integrations/*/pyproject.toml))
PLUGIN_TESTS := $(patsubst %,--group %/pyproject.toml:test,$(PLUGINS))
PROJECTS := pyproject.toml $(wildcard integrations/*/pyproject.toml)
PINNED := tests/tools/requirements
TOOLS := $(patsubst $(PINNED)/%.txt,.tools/%/.installed,$(wildcard $(PINNED)/*.txt))
BENCHMARKS := overhead streams imports growth memory values throughput ingest reading
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-tools nightly test-all others lint imports types docs bench bench-lag bench-flood peers coverage lowest clean

help:  ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.runtime  ## See an agent's conversation recorded as turns
	@$(BIN)/turnspan demo

test: $(VENV)/.workshop lint imports types  ## Check everything: style, floors, types, tests
	$(BIN)/python -m pytest -q

test-tools: $(VENV)/.workshop $(TOOLS)  ## See turns in Phoenix and MLflow; installs them into .tools
	$(BIN)/python -m pytest -q -o faulthandler_timeout=600 tests/tools $(ARGS)

nightly: $(VENV)/.workshop  ## Twenty times as many examples of arbitrary values
	TURNSPAN_TESTS=nightly $(BIN)/python -m pytest -q -o faulthandler_timeout=3600 tests/capture/test_properties.py tests/conformance/test_generated.py

test-all: test others lowest  ## The same, then the tests on other Pythons and lowest versions

others: $(VENV)/.workshop  ## The tests on each further Python that is found here
	$(BIN)/nox --session $$($(BIN)/python -c 'import noxfile; print(*noxfile.OTHERS)') -- $(ARGS)

lint: $(VENV)/.workshop  ## Style and formatting
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet

imports: $(VENV)/.workshop  ## The floors of the house: imports run one way
	@$(BIN)/lint-imports > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

types: $(VENV)/.workshop  ## Types, as we see them and as a user's checker does
	$(BIN)/mypy --no-error-summary
	$(BIN)/python tools/typed.py turnspan

docs: $(VENV)/.workshop  ## Write the generated pages again
	$(BIN)/python docs/generate.py

bench: $(VENV)/.workshop  ## What recording costs, beside two hand-written OpenTelemetry spans
	@for what in $(BENCHMARKS); do $(BIN)/python benchmarks/$$what.py $(BENCH) || exit 1; done

bench-lag: $(VENV)/.workshop  ## Whom delivery keeps waiting: a loop, a caller, an idle processor
	@$(BIN)/python benchmarks/lag.py $(BENCH)

bench-flood: $(VENV)/.workshop  ## A million turns for a destination that is down, and comes back
	@$(BIN)/python benchmarks/flood.py $(BENCH)

peers: $(VENV)/.workshop  ## Which rules for decorators our peers keep; installs them into .venv-peers
	@$(BIN)/python benchmarks/rules_of_peers.py --make

coverage: $(VENV)/.workshop  ## Which lines and branches the tests reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lowest: $(VENV)/.workshop  ## The tests with the lowest versions that pyproject.toml allows
	$(BIN)/nox --session lowest -- $(ARGS)

clean:  ## Remove what was made; recorded turns stay
	rm -rf .venv .venv-peers .tools .nox .clients dist .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests tools docs integrations examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# --- environments: a stamp is as old as the last install into it ----------------------------

$(VENV)/.made:
	@sh tools/make-venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made pyproject.toml integrations/langchain/pyproject.toml
	@echo "installing turnspan and its LangChain plugin into $(VENV)"
	@$(PIP) install --quiet -e . -e integrations/langchain
	@touch $@

$(VENV)/.workshop: $(VENV)/.made $(PROJECTS)
	@echo "installing turnspan, its plugins and the workshop's tools into $(VENV)"
	@$(PIP) install --quiet -e '.[otlp,server]' $(addprefix -e ,$(PLUGINS)) --group dev $(PLUGIN_TESTS)
	@touch $@

.tools/%/.installed: $(PINNED)/%.txt
	@sh tools/make-venv $(@D)
	@echo "installing $$(cat $<) into $(@D)"
	@$(@D)/bin/python -m pip --disable-pip-version-check install --quiet --requirement $<
	@touch $@
