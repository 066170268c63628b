# Two commands: `make run` opens the playground, `make test` runs everything that is checked.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test benchmark clean

run: $(VENV)/app-ready
	$(BIN)/python app.py

test: $(VENV)/test-ready
	$(BIN)/python tests/ensure_chromium.py
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/python -m pytest

benchmark: $(VENV)/app-ready
	$(BIN)/python -m tests.benchmarks

$(VENV)/app-ready: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/test-ready: $(VENV)/app-ready tests/requirements.txt
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	touch $@

clean:
	rm -rf $(VENV)
