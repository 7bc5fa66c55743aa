# Needs python3 (3.11 or newer) and a package index; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
# `make test EXTRAS=dev,cluster,torch` also runs the tests of PyTorch checkpoints, which need PyTorch and spandrel.
# Where Chromium and its driver are installed (apt-get install chromium chromium-driver), the Studio's page is tested, too.
EXTRAS ?= dev,cluster

.PHONY: demo test clean

# Damages a photograph in places, restores it, and leaves pictures and a report in demo/.
demo: $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	$(BIN)/python examples/demo.py demo

test: $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv .venv
