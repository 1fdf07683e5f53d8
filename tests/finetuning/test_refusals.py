"""Rows that a base can't take are refused before training starts: named in the log, counted in manifest and report."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning import adapter
from data_foundry.finetuning.adapt import describe
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.lake import Lake
from data_foundry.records import AIEngine, Rejected
from data_foundry.training_config import TrainingConfig
from finetuning import tiny_bases
from finetuning.gold_builders import commit_gold, row, rows
from finetuning.test_adapt import Build, run, version

STT = AIEngine.STT
# The tiny base hears 2 s and writes 48 tokens; a made-up word of 16 bytes or more a time fills that soon.
LONG_TEXT = "കളി " * 40


def bad(number: int, split: str, **changes: Any) -> dict[str, Any]:
    return {**row(STT, number, split), **changes}


def gold_with_refused_rows() -> dict[str, list[dict[str, Any]]]:
    return {
        "train": [
            *rows(STT, 6),
            bad(100, "train", text=LONG_TEXT),
            bad(101, "train", audio=tiny_bases.tone(2.01), duration=2.01),
            bad(102, "train", text="  "),
            bad(103, "train", text=None),
        ],
        "validation": [*rows(STT, 4, "validation"), bad(104, "validation", text=LONG_TEXT)],
        "test": [*rows(STT, 6, "test"), bad(105, "test", audio=tiny_bases.tone(3.0), duration=3.0)],
    }


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[pytest.LogCaptureFixture], list[str]]:
    """Make the start of a training an error; what the log had said until then is returned by the call."""
    said: list[str] = []

    def watch(caplog: pytest.LogCaptureFixture) -> list[str]:
        def started(*_: Any, **__: Any) -> None:
            said.extend(record.getMessage() for record in caplog.records)
            raise FoundryError("The training was started.", "It should not have been, or not yet.")

        monkeypatch.setattr(adapter, "train_part", started)
        return said

    return watch


def committed(settings: Settings, splits: dict[str, list[dict[str, Any]]]) -> Settings:
    commit_gold(Lake(settings), STT, splits)
    return settings


def test_refused_rows_are_named_with_their_reasons_before_training_starts(
    tiny_settings: Build, caplog: pytest.LogCaptureFixture, no_training: Callable[..., list[str]]
) -> None:
    settings = committed(tiny_settings(STT), gold_with_refused_rows())
    said = no_training(caplog)
    with caplog.at_level(logging.INFO, "data_foundry"):
        result = run(settings)
    assert result.failed and "The training was started" in result.reason
    told = "\n".join(said)
    for row_id, reason, detail in (
        ("train-stt-0100", "too_many_tokens", "the decoder takes 48"),
        ("train-stt-0101", "longer_than_base_window", "2.01 s, the base hears 2 s"),
        ("train-stt-0102", "empty_text", ""),
        ("train-stt-0103", "empty_text", ""),
        ("validation-stt-0104", "too_many_tokens", "the decoder takes 48"),
    ):
        (line,) = [line for line in said if row_id in line]
        assert reason in line and detail in line, line
    assert "test-stt" not in told, "test rows are opened when the adapter is written"


def test_where_every_row_is_refused_nothing_is_trained(
    tiny_settings: Build, caplog: pytest.LogCaptureFixture, no_training: Callable[..., list[str]]
) -> None:
    splits = gold_with_refused_rows()
    splits["train"] = splits["train"][6:]
    settings = committed(tiny_settings(STT), splits)
    said = no_training(caplog)
    with caplog.at_level(logging.INFO, "data_foundry"):
        result = run(settings)
    assert result.failed and not said
    assert "can take none of the train rows" in result.reason
    assert all(reason in result.reason for reason in ("too_many_tokens", "longer_than_base_window", "empty_text"))
    assert "train-stt-0100" in caplog.text


def test_refused_rows_are_counted_and_named_in_manifest_and_report(tiny_settings: Build) -> None:
    settings = committed(tiny_settings(STT), gold_with_refused_rows())
    result = run(settings)
    assert not result.failed, result.reason
    counts = {"too_many_tokens": 2, "longer_than_base_window": 2, "empty_text": 2}
    manifest = version(settings)
    assert manifest.details["rows"] == {"train": 6, "validation": 4, "test": 6}
    assert manifest.rejected == result.rejected == manifest.details["refused"] == counts
    assert (result.rows_in, result.rows_out) == (22, 16)
    report = describe(settings, Lake(settings))[1]["stt"].model_dump()
    assert report["rejected"] == counts
    refused = report["refused_rows"]
    assert refused["train"]["longer_than_base_window"] == ["train-stt-0101: 2.01 s, the base hears 2 s"]
    assert refused["train"]["empty_text"] == ["train-stt-0102", "train-stt-0103"]
    assert [ids[0][:19] for ids in refused["validation"].values()] == ["validation-stt-0104"]
    assert refused["test"] == {"longer_than_base_window": ["test-stt-0105: 3.00 s, the base hears 2 s"]}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Whisper with the window and the positions of the published ones."""
    return tiny_bases.whisper(tmp_path_factory.mktemp("whisper"), seconds=30, positions=448)


def test_a_published_whisper_takes_thirty_seconds_and_448_tokens_and_nothing_beyond(whisper: Path) -> None:
    import torch

    config = TrainingConfig(base="openai/whisper-small", max_length=448)
    task: Any = load_task(ENGINES[STT], config, whisper)
    full = row(STT, 0, audio=tiny_bases.tone(30.0))
    assert task.encode(full)["input_features"].shape == (80, 3000)
    with pytest.raises(Rejected, match="longer_than_base_window"):
        task.encode(row(STT, 0, audio=tiny_bases.tone(30.001)))
    # The start token is put in front by the model, and the last label is never its input.
    around = len(task.tokenizer("")["input_ids"]) - 1
    letter = next(text for text in ("a", "ക", "ി", "്") if len(task.tokenizer(text * 9)["input_ids"]) == around + 10)
    longest = task.encode(row(STT, 0, text=letter * (448 - around)))
    assert len(longest["labels"]) == 448
    assert torch.isfinite(task.load_model(torch.float32)(**task.collate([longest])).loss)
    with pytest.raises(Rejected, match="too_many_tokens") as refusal:
        task.encode(row(STT, 0, text=letter * (449 - around)))
    assert refusal.value.detail == "449 tokens, the decoder takes 448"
    for text in ("", " \n\t", None):
        with pytest.raises(Rejected, match="empty_text"):
            task.encode(row(STT, 0, text=text))
