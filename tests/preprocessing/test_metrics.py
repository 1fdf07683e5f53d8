"""The figures of a dataset: percentiles by their definition, shares over what they say, nothing where nothing was."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_foundry.lake import Layer
from data_foundry.preprocessing.metrics import STEPS, percentiles

from .raw_builders import NEWS, TEXT, TOKEN_ROW, TOKEN_TYPES, TOKENS, parquet_bytes


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 1000])
def test_percentiles_are_values_that_were_met_by_the_nearest_rank(count):
    values = np.random.default_rng(count).integers(-50, 50, count)
    found = percentiles(Counter(values.tolist()), 0.1)
    expected = np.percentile(values, [5, 50, 95], method="inverted_cdf") * 0.1
    assert found == {name: round(float(value), 6) for name, value in zip(("p5", "p50", "p95"), expected, strict=True)}
    assert percentiles(Counter(), 0.1) is None


def test_fidelity_counts_what_a_rule_that_is_not_meaning_preserving_took_from_accepted_rows_alone(run, lake):
    texts = [TEXT, f'{TEXT} <a title="മഴ">ബിൽ</a>', "this one is English and is refused"]
    run(NEWS, {"malayalam-train.jsonl": "\n".join(json.dumps({"news": text, "class": 1}) for text in texts)})
    metrics = lake.manifest(Layer.SILVER, NEWS).details["metrics"]
    assert metrics["rejected"] == {"low_malayalam_ratio": 1}
    assert 0.8 < metrics["malayalam_fidelity"] < 1
    assert metrics["measures"] == dict.fromkeys(STEPS)
    assert metrics["silver_hours"] == 0 and metrics["content"]["lines_checked"] == 3


def test_codec_tokens_last_as_long_as_their_frames_and_are_no_hours_of_audio(run, lake):
    fast = {**TOKEN_ROW, "text": f"{TEXT} " * 20}
    run(TOKENS, {"data/train-0.parquet": parquet_bytes([TOKEN_ROW, fast], TOKEN_TYPES)})
    manifest = lake.manifest(Layer.SILVER, TOKENS)
    accepted, refused = (
        pq.read_table(lake.folder(Layer.SILVER, TOKENS) / file.path).to_pylist()
        for file in sorted(manifest.files, key=lambda file: "rejected" in file.path)
    )
    # 25 frames at 12.5 a second.
    assert [(row["duration"], row["audio"], row["codec"] is not None) for row in accepted] == [(2.0, None, True)]
    assert [(row["duration"], row["reason"]) for row in refused] == [(None, "transcript_too_long")]
    metrics = manifest.details["metrics"]
    assert metrics["codes_hours"] == round(2 / 3600, 4) and metrics["silver_hours"] == metrics["audio"]["accepted"] == 0
    assert metrics["measures"]["duration"] == {"p5": 2.0, "p50": 2.0, "p95": 2.0}


def test_what_was_not_measured_is_none(run, lake):
    run(NEWS, {"malayalam-train.jsonl": json.dumps({"news": "all of it English, so it goes", "class": 1})})
    metrics = lake.manifest(Layer.SILVER, NEWS).details["metrics"]
    assert metrics["malayalam_fidelity"] is None
    assert metrics["malayalam_ratio_mean"] is None
