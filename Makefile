# Two commands: `make demo` and `make test`. Both install the dependencies first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

CONSTRAINTS := $(wildcard constraints.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet $(addprefix --constraint ,$(CONSTRAINTS))

.PHONY: install demo test coverage lint format benchmark constraints clean

install: $(STAMP)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Python 3.11 to 3.13 is required, but this is %d.%d. Name another interpreter: make PYTHON=python3.11 install" % v)'
	$(PYTHON) -m venv --clear $(VENV)
	$(INSTALL) --editable '.[dev]'
	touch $(STAMP)

demo: install
	$(BIN)/lstm-suite demo

test: install
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2

coverage: install
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --cov --cov-report term:skip-covered

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: install
	$(INSTALL) --editable '.[benchmarks]'
	$(BIN)/python -m benchmarks.lstm_speed
	$(BIN)/python -m benchmarks.pipeline_idle

# Installs the newest versions within the bounds and records them. Run `make test` afterwards.
constraints:
	rm -f constraints.txt && $(MAKE) --always-make install
	$(PIP) freeze --exclude-editable > constraints.txt

clean:
	rm -rf $(VENV) .coverage *.egg-info .pytest_cache .ruff_cache .mypy_cache
