# Two commands: `make run` opens the playground, `make test` runs everything that is checked.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run class offline test benchmark clean

run: $(VENV)/app-ready
	$(BIN)/python app.py

class: $(VENV)/app-ready
	$(BIN)/python -m playground class

# A folder for a stick: all wheels, the project with its model, and how to start it where there is no internet.
# On Linux, PIP_OPTIONS can name PyTorch's index of CPU wheels, without which CUDA's libraries come along.
offline: $(VENV)/app-ready
	rm -rf offline
	mkdir -p offline/wheels offline/project
	$(BIN)/python -m pip download --quiet $(PIP_OPTIONS) --dest offline/wheels -r requirements.txt
	cp -R LICENSE Makefile README.md app.py pyproject.toml requirements.txt playground examples offline/project/
	find offline/project -name __pycache__ -prune -exec rm -rf {} +
	$(BIN)/python -m playground.command.offline > offline/START.txt
	@du -sh offline

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
