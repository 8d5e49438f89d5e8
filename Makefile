# make demo   set up, train on the built-in demo, evaluate
# make test   set up, run the tests
# make check  lint, types, tests against the built wheel

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO ?= runs/demo
DOMAINS := $(sort $(patsubst domains/%/pyproject.toml,%,$(wildcard domains/*/pyproject.toml)))

.PHONY: setup demo test test-all lint types wheel check clean

setup: $(READY)

$(READY): pyproject.toml $(DOMAINS:%=domains/%/pyproject.toml)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.14.1 torchvision==0.29.1
	$(BIN)/pip install --quiet -e '.[dev,onnx]' $(DOMAINS:%=-e domains/%)
	touch $@

demo: setup
	rm -rf $(DEMO)
	$(BIN)/ssl-kit train --domain remote_sensing --max-time 90s --out $(DEMO)
	$(BIN)/ssl-kit evaluate $(DEMO) --evaluation knn

test: setup
	$(BIN)/pytest

test-all: setup
	$(BIN)/pytest -m ''

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	mkdir -p .typing && ln -sfn .. .typing/ssl_kit
	MYPYPATH=.typing $(BIN)/mypy $(addprefix -p ssl_kit.,core nn data training evaluation reports commands plugins) \
		-p ssl_kit.testing -m ssl_kit.cli -m ssl_kit
	for domain in $(DOMAINS); do \
		MYPYPATH=.typing:domains/$$domain $(BIN)/mypy -p ssl_kit_$$domain || exit 1; \
	done

# the wheel is installed alone and tried from another folder: an editable install hides what it lacks
wheel: setup
	rm -rf dist build
	$(BIN)/python -m build --quiet --wheel
	rm -rf build/wheel && $(BIN)/pip install --quiet --no-deps --target build/wheel dist/*.whl
	cd build && PYTHONPATH=wheel ../$(BIN)/python -m ssl_kit.cli objectives
	cd build && PYTHONPATH=wheel ../$(BIN)/python -m pytest -q -p no:cacheprovider ../tests/test_cli.py

check: lint types test wheel

clean:
	rm -rf $(VENV) .typing build dist *.egg-info domains/*/*.egg-info
