"""Exports of gold as phase 3 makes it: whatever splits and columns it has now are exported whole."""

import json

import pyarrow.parquet as pq
import pytest
import webdataset

from data_foundry.allocation import allocate
from data_foundry.compute import run_steps
from data_foundry.engines import ENGINES
from data_foundry.export.export import rows_by_split
from data_foundry.lake import Layer
from data_foundry.report import Action
from tests.allocation.silver_builders import (
    COMMENTS,
    TEXT_PAIRS,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
)
from tests.export.builders import READERS_LEAVE_FILES_OPEN

pytestmark = READERS_LEAVE_FILES_OPEN


@pytest.fixture
def made(with_settings, lake):
    """Run phase 3 over silver of speech, topics, comments and pairs; return the engines that got rows."""
    settings = with_settings(licensing={"commercial_use": False})
    districts = ("Kannur", "Ernakulam", "Kollam")
    speech = spoken_rows({f"s{number}": districts[number % 3] for number in range(24)}, each=1)
    comments = [silver_row(COMMENTS, n, label=("positive", "negative")[n % 2]) for n in range(200, 220)]
    pairs = [
        silver_row(TEXT_PAIRS, n, translation=f"number {n}", direction="ml-en", malayalam_ratio=1.0)
        for n in range(300, 320)
    ]
    publish_silver(lake, [*speech, *labelled_texts(20, start=100), *comments, *pairs])
    steps = [step for step in allocate.plan(settings, lake) if step.action is Action.RUN]
    return [result.subject for result in run_steps(allocate.run_step, settings, steps) if result.rows_out]


def test_every_row_of_every_split_that_phase_3_makes_is_exported_with_its_licence(made, export, lake, tmp_path):
    assert {"stt", "dialect", "nlu", "sentiment", "translation"} <= set(made)
    for engine in made:
        assert export(engine, "webdataset", engine) == 0
        splits = rows_by_split(lake.manifest(Layer.GOLD, engine))
        assert "train" in splits and "rejected" not in splits
        if "channel" in ENGINES[engine].gold_columns:
            assert "test_phone" in splits
        assert ("domain" in splits) == (engine == "nlu")
        for split, count in splits.items():
            rows = [each for path in lake.files(Layer.GOLD, engine, split) for each in pq.read_table(path).to_pylist()]
            heard = [row.pop("audio")["bytes"] if row.get("audio") else None for row in rows]
            tars = sorted(str(path) for path in (tmp_path / engine / split).glob("*.tar"))
            samples = list(webdataset.WebDataset(tars, shardshuffle=False))
            assert [json.loads(sample["json"]) for sample in samples] == rows and len(rows) == count
            assert [sample.get("wav") for sample in samples] == heard
        manifest = json.loads((tmp_path / engine / "manifest.json").read_text("utf-8"))
        assert sum(line["rows"] for line in manifest["licences"]) == sum(splits.values())
        assert all("attribution" in line["obligations"] for line in manifest["licences"])
