# What CI runs is what a person runs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: sample test test-all test-ray check mlflow schemas clean

# The whole pipeline on the bundled sample: offline, a few minutes on two cores the first time, seconds after that.
sample: $(VENV)/.installed
	$(BIN)/python run_data_foundry.py --profile sample

test: $(VENV)/.installed $(VENV)/mlflow/.installed
	$(BIN)/python -m pytest

# The slow ones as well.
test-all: $(VENV)/.installed $(VENV)/mlflow/.installed
	$(BIN)/python -m pytest -m ""

# What Ray Serve does with two replicas; it brings 240 MB.
test-ray: $(VENV)/.installed
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-ray.txt
	$(BIN)/python -m pytest tests/serving/test_ray_app.py

check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy

# The JSON Schema of the pipeline report, written from the models that make the report.
schemas: $(VENV)/.installed
	$(BIN)/python -c "import json; from data_foundry.report import PipelineReport as P; print(json.dumps(P.model_json_schema(), indent=1))" > schemas/pipeline_report.schema.json

$(VENV)/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

mlflow: $(VENV)/mlflow/.installed

# MLflow pins older versions of two of our libraries, so the server that exports are tested against lives by itself.
$(VENV)/mlflow/.installed: $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)/mlflow
	$(VENV)/mlflow/bin/pip install --disable-pip-version-check -q mlflow==3.17.2
	touch $@

clean:
	rm -rf storage/raw storage/silver storage/gold storage/features storage/hub_source.json storage/.lock storage/.hub_index models reports logs training serving/*.sqlite*
