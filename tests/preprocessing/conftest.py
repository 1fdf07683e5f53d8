"""The fixture that runs phase 2 on one tiny dataset."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from data_foundry.config import Settings
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing import standardize
from data_foundry.records import RejectedRow, SilverRow, arrow_schema
from data_foundry.report import Action

from .raw_builders import ingest


@pytest.fixture
def run(settings: Settings, lake: Lake):
    """Ingest files as a dataset, run its step, and return (result, silver rows, rejected rows)."""

    def once(name: str, files: dict, settings: Settings = settings):
        ingest(lake, name, files)
        (step,) = standardize.plan(settings.model_copy(update={"datasets": (name,)}), lake)
        assert step.action is Action.RUN
        result = standardize.run_step(settings, step)
        manifest = lake.manifest(Layer.SILVER, name)
        silver, rejected = [], []
        for file in manifest.files:
            table = pq.read_table(lake.folder(Layer.SILVER, name) / file.path)
            assert table.num_rows == file.rows
            is_rejected = file.path.startswith("rejected/")
            assert table.schema.equals(arrow_schema(RejectedRow if is_rejected else SilverRow))
            (rejected if is_rejected else silver).extend(table.to_pylist())
        assert result.rows_in == len(silver) + len(rejected)
        assert result.rejected == manifest.rejected
        return result, silver, rejected

    return once
