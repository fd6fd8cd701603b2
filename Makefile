# Every target sets up .venv first; when nothing changed that takes a moment.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check bench bench-editing ablation

setup:
	@command -v "$(PYTHON)" > /dev/null || { \
	    echo "make setup needs Python 3.11 and found no $(PYTHON); install it and try again" >&2; exit 2; }
	@"$(PYTHON)" .ci/setup.py

demo: setup
	@$(BIN)/dnr demo

test: setup
	@$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

bench-editing: setup
	@$(BIN)/python -m benchmarks.editing $(ARGS)

ablation: setup
	@$(BIN)/python -m benchmarks.ablation $(ARGS)
