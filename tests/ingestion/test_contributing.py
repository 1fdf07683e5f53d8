"""CONTRIBUTING's entry for a new dataset is all it takes: phases 1 and 2 run on it."""

from __future__ import annotations

import json
import re

import pytest

from data_foundry import dataset_entry
from data_foundry.config import PROJECT_ROOT
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.ingestion import ingest
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.records import AIEngine
from tests.ingestion.builders import SENTENCES

TEXT = (PROJECT_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> dataset_entry.DatasetEntry:
    """The very entry that CONTRIBUTING shows, in the registry."""
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "DatasetEntry(" in block]
    entry = eval(code, {"DatasetEntry": dataset_entry.DatasetEntry, "AIEngine": AIEngine})
    monkeypatch.setitem(DATASET_REGISTRY, entry.repo_id, entry)
    return entry


def test_the_example_is_ingested_and_standardized_with_its_roles_labels_and_licence(example, from_folder):
    rows = [f"{SENTENCES[0]},billing,a1", f"{SENTENCES[1]},Cricket,a2", f"{SENTENCES[2]},weather,a3"]
    files = {"train.csv": ("utterance,topic,caller\n" + "\n".join(rows) + "\n").encode()}
    settings = from_folder({example.repo_id: files}).model_copy(update={"datasets": (example.repo_id,)})
    for phase in (ingest, standardize):
        (step,) = phase.plan(settings, Lake(settings))
        result = phase.run_step(settings, step)
    assert (result.rows_in, result.rows_out, result.rejected) == (3, 2, {"unknown_label": 1})
    raw = json.loads((Lake(settings).folder(Layer.RAW, example.repo_id) / "metadata.json").read_text(encoding="utf-8"))
    assert raw["roles"] == {"text": "utterance", "label": "topic", "speaker": "caller"}
    assert raw["unknown_labels"] == {"weather": 1} and raw["licence"]["effective"] == "cc-by-4.0"
    import pyarrow.parquet as pq

    silver = [pq.read_table(path).to_pylist() for path in Lake(settings).files(Layer.SILVER, example.repo_id, "train")]
    found = {(row["label"], row["speaker"], row["licence"]) for part in silver for row in part}
    assert found == {("business", "a1", "cc-by-4.0"), ("sports", "a2", "cc-by-4.0")}


def test_the_example_sets_every_field_that_a_new_entry_should_think_of(example):
    assert {"text", "label", "speaker"} <= example.roles.keys() and example.parents and example.fallbacks
    assert example.model_fields_set <= set(dataset_entry.DatasetEntry.model_fields)
