"""Speech that is heard: codes to sound by every kind of codec, and what a transcriber makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.heard_speech import hear_speech, open_codec
from data_foundry.finetuning.evaluation.predict import load_predictor
from data_foundry.finetuning.versions.card_figures import left_out, speech
from data_foundry.hub import model_folder
from data_foundry.records import AIEngine
from finetuning.evaluation.test_predict import adapter_with, task_for
from finetuning.gold_builders import rows

CODES = [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [0, 0, 1, 1, 2], [7, 6, 5, 4, 3]]
Build = Callable[..., Settings]


def codec(kind: str, folder: Path) -> Path:
    """A random codec of four codebooks of 16, a few thousand weights."""
    import torch
    from transformers import DacConfig, DacModel, EncodecConfig, EncodecModel, MimiConfig, MimiModel

    torch.manual_seed(0)
    model: Any
    if kind == "encodec":
        model = EncodecModel(
            EncodecConfig(
                sampling_rate=16_000,
                target_bandwidths=[40.0],
                num_filters=4,
                hidden_size=8,
                codebook_size=16,
                codebook_dim=8,
                upsampling_ratios=[4, 4],
                num_lstm_layers=1,
            )
        )
    elif kind == "dac":
        model = DacModel(
            DacConfig(
                encoder_hidden_size=4,
                decoder_hidden_size=16,
                downsampling_ratios=[2, 4],
                n_codebooks=4,
                codebook_size=16,
                codebook_dim=4,
                sampling_rate=16_000,
            )
        )
    else:
        model = MimiModel(
            MimiConfig(
                sampling_rate=24_000,
                num_filters=4,
                hidden_size=16,
                codebook_size=16,
                codebook_dim=8,
                vector_quantization_hidden_dimension=8,
                num_quantizers=4,
                num_semantic_quantizers=1,
                upsampling_ratios=[4, 4],
                upsample_groups=4,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                head_dim=8,
                intermediate_size=16,
            )
        )
    for name, buffer in model.named_buffers():
        if "embed" in name:  # codebooks start as zeros
            buffer.normal_()
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["encodec", "dac", "mimi"])
def test_codes_become_sound_at_16_khz(kind: str, tmp_path: Path) -> None:
    import numpy as np

    decode = open_codec(codec(kind, tmp_path / kind), 4, 16)
    short, long = decode([layer[:2] for layer in CODES]), decode(CODES)
    assert short.dtype == np.float32 and short.ndim == 1 and 0 < len(short) < len(long)
    assert np.isfinite(long).all() and np.abs(long).max() > 0
    assert np.array_equal(long, decode(CODES))
    other = [list(reversed(layer)) for layer in CODES]
    assert not np.array_equal(long, decode(other))


def test_a_codec_of_other_codebooks_or_of_another_kind_is_refused(hub: Path, tmp_path: Path) -> None:
    folder = codec("dac", tmp_path / "dac")
    with pytest.raises(FoundryError, match="dac has 4 codebooks of 16, the tokens have 4 of 4032"):
        open_codec(folder, 4, 4032)
    with pytest.raises(FoundryError, match="whisper is a whisper model, no codec that transformers decodes"):
        open_codec(hub / "models" / "tiny" / "whisper", 4, 16)


def test_what_is_spoken_is_transcribed_beside_the_true_codes(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"speech_codec": "tiny/codec", "speech_rows": 3}
    settings = tiny_settings(AIEngine.TTS, training={"engines": {"tts": own, "stt": {"base": "tiny/whisper"}}})
    folders = {"tiny/codec": codec("dac", tmp_path / "codec"), "tiny/whisper": hub / "models" / "tiny" / "whisper"}
    monkeypatch.setattr(
        "data_foundry.finetuning.evaluation.heard_speech.model_folder", lambda _, name, *__: folders[name]
    )
    monkeypatch.setattr("data_foundry.finetuning.evaluation.heard_speech.model_revision", lambda *_: "abc")
    task = task_for(hub, AIEngine.TTS)
    config = task.config.model_copy(update=own)
    adapters = {"new": adapter_with(task, tmp_path / "new", 0.5)}
    predictor = load_predictor(ENGINES[AIEngine.TTS], config, task.folder, adapters)
    heard, why_not = hear_speech(settings, predictor, rows(AIEngine.TTS, 5, "test"), "new")
    assert heard is not None, why_not
    assert (heard["rows"], heard["codec"], heard["transcriber"]) == (3, "tiny/codec@abc", "tiny/whisper@abc")
    cer = heard["cer"]
    assert set(cer) == {"base", "adapted", "difference", "true_codes"}
    assert cer["difference"]["value"] == pytest.approx(cer["adapted"]["value"] - cer["base"]["value"], abs=2e-6)
    assert all(interval["low"] <= interval["value"] <= interval["high"] for interval in cer.values())


@pytest.mark.parametrize("longest", [2.0, 0.1])
def test_speech_longer_than_the_transcriber_hears_is_left_out_and_counted(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch, longest: float
) -> None:
    import numpy as np

    own = {"speech_codec": "tiny/codec", "speech_rows": 4}
    settings = tiny_settings(AIEngine.TTS, training={"engines": {"tts": own, "stt": {"base": "tiny/whisper"}}})
    module = "data_foundry.finetuning.evaluation.heard_speech"
    monkeypatch.setattr(f"{module}.model_folder", lambda *_: hub / "models" / "tiny" / "whisper")
    monkeypatch.setattr(f"{module}.model_revision", lambda *_: "abc")
    task = task_for(hub, AIEngine.TTS)
    content = rows(AIEngine.TTS, 4, "test")
    long = content[1]["codes"]
    monkeypatch.setattr(
        f"{module}.open_codec",
        lambda *_: lambda codes: np.zeros(int(16_000 * (2.1 if codes == long else longest + 0.05)), np.float32),
    )
    predictor = load_predictor(ENGINES[AIEngine.TTS], task.config.model_copy(update=own), task.folder, {
        "new": adapter_with(task, tmp_path / "new", 0.5)
    })  # fmt: skip
    heard, why_not = hear_speech(settings, predictor, content, "new")
    if longest == 2.0:
        assert heard is None and why_not == "the speech of all 4 rows drawn is longer than the transcriber's 2 s"
        return
    assert heard is not None and heard["rows"] == 3 and heard["longer_than_window"]["true_codes"] == 1
    assert left_out(heard) == (
        "1 row left out for speech longer than the transcriber's 2 s (of base 0, adapted 0, true codes 1)."
    )
    shown = speech({"speech": heard})
    assert "The texts of 3 held-out rows spoken" in shown and "| true codes |" in shown and left_out(heard) in shown


def test_without_a_codec_that_can_be_had_the_reason_is_kept(hub: Path, tiny_settings: Build) -> None:
    settings = tiny_settings(AIEngine.TTS)
    task = task_for(hub, AIEngine.TTS)
    reasons = []
    for own in ({}, {"speech_codec": "tiny/nowhere"}, {"speech_codec": "tiny/whisper", "speech_rows": 0}):
        config = task.config.model_copy(update=own)
        predictor = load_predictor(ENGINES[AIEngine.TTS], config, task.folder)
        heard, why_not = hear_speech(settings, predictor, rows(AIEngine.TTS, 2), "new")
        assert heard is None
        reasons.append(why_not)
    assert "no decoder of its codec is configured" in reasons[0]
    assert "tiny/nowhere is missing" in reasons[1] and reasons[2] == "speech_rows is 0"
    assert model_folder(settings, "tiny/whisper").is_dir()
