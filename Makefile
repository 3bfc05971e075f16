# Everything happens in this project's own environment, .venv; a target sets up what it needs.
#   make demo     the main job, end to end, on pictures that come with the dependencies: demo/report.html
#   make test     the tests
#   make check    style and types
#   make bench    all benchmarks (an hour or so; needs a quiet machine)
#   make venv     only the environment, with all that developing takes

PYTHON ?= python3
KERAS_PYTHON ?= $(PYTHON)
OUT ?= out
BIN := .venv/bin

.PHONY: venv demo test check bench
.DELETE_ON_ERROR:

venv: .venv/installed-dev

# one stamp for each set of packages: `make demo` need not wait for what only the tests take
.venv/installed-%: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@

.venv-keras/installed: benchmarks/requirements-keras.txt
	test -x .venv-keras/bin/pip || $(KERAS_PYTHON) -m venv .venv-keras
	.venv-keras/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements-keras.txt
	touch $@

demo: .venv/installed-train
	$(BIN)/hashigo demo -o demo

test: .venv/installed-dev
	$(BIN)/python -m pytest

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-dev .venv-keras/installed
	mkdir -p $(OUT)
	$(BIN)/python benchmarks/startup.py --install --json $(OUT)/startup.json
	$(BIN)/python benchmarks/colouring.py --json $(OUT)/colouring.json
	$(BIN)/python benchmarks/article_unet.py --json $(OUT)/article_unet.json
