# What CI runs is what a person runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: sample test check bench clean

# The whole pipeline on the bundled sample: offline, about ten minutes on two cores the first time, seconds after that.
sample: $(VENV)/.installed
	$(BIN)/python run_data_foundry.py --profile sample

test: $(VENV)/.installed
	$(BIN)/python -m pytest

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

clean:
	rm -rf storage/raw storage/silver storage/gold storage/hub_source.json storage/.lock storage/.hub_index.json models reports logs
