# `make demo` and `make test` do everything from a fresh clone; both need only python3 (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick bench gpu lint format docs install clean

demo: install
	$(BIN)/resnet-exp sweep --task sine --depths 2..40
	$(BIN)/resnet-exp plot results/sine
	$(BIN)/resnet-exp report results/sine -o results/report.html
	@echo "Open results/sine/figures/loss-by-depth.png, or all of it on one page: results/report.html"

test: install
	$(BIN)/pytest -n auto

quick: install
	$(BIN)/pytest -n auto -m "not slow"

bench: install
	$(BIN)/python benchmarks/engines.py

gpu: install
	$(BIN)/python -m benchmarks.gpu

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install
	$(BIN)/python -m tests.pages

install: .venv/.installed

.venv/.installed: pyproject.toml setup.py constraints.txt
	@echo "Installing into .venv: about a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
