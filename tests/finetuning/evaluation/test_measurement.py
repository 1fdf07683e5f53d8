"""What a version is measured by, from gold to its manifest: clean, on the phone, and how sure it may be."""

from __future__ import annotations

import json

from data_foundry.lake import Lake, Layer
from data_foundry.records import AIEngine
from finetuning.gold_builders import commit_gold, gold, rows
from finetuning.test_adapt import Build, run, version
from finetuning.tiny_bases import tone

LINE = {"channel": {"codec": "gsm", "noise": "line"}, "applied": {"snr_db": 12.0, "frames": 25, "lost_frames": 1}}


def phone(engine: AIEngine, count: int) -> list[dict[str, object]]:
    """Test rows as heard through a line: other samples, the same ids."""
    return [
        {**row, "audio": tone(0.5, 150 + 40 * n), "channel": "phone", "channel_parameters": json.dumps(LINE)}
        for n, row in enumerate(rows(engine, count, "test"))
    ]


def test_speech_is_measured_clean_and_on_the_phone(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.STT)
    splits = gold(AIEngine.STT)
    commit_gold(Lake(settings), AIEngine.STT, {**splits, "test_phone": phone(AIEngine.STT, 5)})
    result = run(settings)
    # A row that is there clean and on the phone is one row.
    assert (result.rows_in, result.rows_out) == (18, 18), result.reason
    details = version(settings).details
    found = details["phone"]
    assert found["rows"] == 5 and details["evaluation"]["rows"] == 6
    assert details["phone_note"] == "5 of the 6 test rows, as they sound through a phone line"
    assert set(found["slices"]["codec"]["groups"]) == {"gsm"} and "codec" not in details["evaluation"]["slices"]
    assert found["clean_to_phone"]["rows"] == 5
    assert set(found["clean_to_phone"]["measures"]["cer"]) == {"base", "adapted", "difference"}
    assert set(found["measures"]["score"]) == {"base", "adapted", "difference"}
    for name in ("cer", "aer", "wer", "cer_raw", "aer_raw", "wer_raw", "wer_vistaar_compat"):
        assert name in found["adapted"] and name in details["evaluation"]["adapted"]["intervals"]


def test_the_temperature_comes_from_validation_rows_and_lies_beside_the_weights(tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.NLU, epochs=2, learning_rate=2e-2)
    commit_gold(Lake(settings), AIEngine.NLU, gold(AIEngine.NLU, train=16, validation=24, test=8))
    run(settings)
    manifest = version(settings)
    calibration = manifest.details["evaluation"]["calibration"]
    stored = json.loads((Lake(settings).folder(Layer.MODELS, manifest.name) / "calibration.json").read_text())
    assert stored["temperature"] == calibration["temperature"] > 0
    assert stored["note"].startswith("fitted by log loss on 24 validation rows")
    assert calibration["adapted_with_temperature"]["brier"]["value"] is not None
    assert manifest.details["lineage"]["gold"] and manifest.details["task"] == "text-classification"
