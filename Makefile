# `make demo` and `make test` are all a new user needs; both set themselves up.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint clean

demo: $(VENV)/.demo
	$(BIN)/axsim demo

# A worker for each core, up to four; each computes with one thread.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf $(VENV) demo .pytest_cache .ruff_cache .hypothesis

# A stamp for each set of packages: an unchanged checkout installs once.
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing axsim into $(VENV) ..."
	$(INSTALL) -e ".[demo]"
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing axsim and its development tools into $(VENV) ..."
	$(INSTALL) -e ".[dev]"
	@touch $@ $(VENV)/.demo

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
