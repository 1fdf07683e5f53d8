"""Gold as heard on the phone: the same rows, another channel, the same bytes each time."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from data_foundry.allocation import allocate, gold, phone_rows
from data_foundry.allocation.phone_rows import phone_splits, phone_versions
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing.audio import wav_bytes
from data_foundry.report import Action
from data_foundry.telephony import LIBRARIES
from data_foundry.telephony.channel import PhoneChannel, draw
from data_foundry.telephony.codecs import BITS_PER_SECOND
from data_foundry.telephony.line import through, transmit
from data_foundry.telephony_settings import Telephony
from tests.allocation.silver_builders import SPEECH, labelled_texts, publish_silver, silver_row, spoken_rows, words
from tests.telephony.voice_builders import voice

SPEAKERS = {f"speaker {number}": district for number, district in enumerate(["Kollam", "Kochi", "Kannur"] * 8)}
CHANGED = {"audio", "channel", "channel_parameters"}


@pytest.fixture
def settings(with_settings):
    """Settings of the engines that hear."""
    return with_settings(engines=["stt", "dialect"])


def rows_of(settings, engine: str, split: str) -> list[dict]:
    files = Lake(settings).files(Layer.GOLD, engine, split)
    return [row for path in files for row in pq.read_table(path).to_pylist()]


def gold_table(sounds: dict[str, bytes | None], engine: AIEngine = AIEngine.STT) -> pa.Table:
    """Gold rows with just an id and a sound."""
    rows = [
        {"row_id": name, "audio": wav and {"bytes": wav, "path": f"{name}.wav"}, "channel": "clean", "flags": []}
        for name, wav in sounds.items()
    ]
    return pa.Table.from_pylist(rows, schema=gold.gold_schema(ENGINES[engine]))


def heard(settings, table: pa.Table, engine: AIEngine = AIEngine.STT) -> list[dict]:
    return [row for _, more in phone_versions(settings, engine, "test", table) for row in more.to_pylist()]


@pytest.mark.parametrize("engine", ["stt", "dialect"])
def test_the_test_set_stands_in_both_channels(engine, settings, run_phase3):
    publish_silver(Lake(settings), spoken_rows(SPEAKERS))
    run_phase3(settings)
    clean, phone = rows_of(settings, engine, "test"), rows_of(settings, engine, "test_phone")
    assert clean and [row["row_id"] for row in clean] == [row["row_id"] for row in phone]
    for before, after in zip(clean, phone, strict=True):
        assert {name: before[name] for name in before.keys() - CHANGED} == {
            name: after[name] for name in after.keys() - CHANGED
        }
        assert before["channel"] == "clean" and before["channel_parameters"] is None
        assert after["channel"] == "phone"
        assert after["audio"]["path"] == before["audio"]["path"]
        assert len(after["audio"]["bytes"]) == len(before["audio"]["bytes"])
        assert after["audio"]["bytes"] != before["audio"]["bytes"]
    assert not Lake(settings).files(Layer.GOLD, engine, "train_phone")


def test_engines_that_hear_nothing_have_no_phone_rows(with_settings, run_phase3):
    settings = with_settings(licensing={"commercial_use": False}, engines=["stt", "nlu"])
    publish_silver(Lake(settings), [*spoken_rows(SPEAKERS), *labelled_texts(60)])
    run_phase3(settings)
    manifest = Lake(settings).manifest(Layer.GOLD, "nlu")
    assert manifest.rows_out and not manifest.details["phone_rows"]
    assert not [file for file in manifest.files if "phone" in file.path]
    assert phone_splits(settings, AIEngine.TTS) == ()


def test_phone_rows_are_counted_beside_the_rows_and_not_among_them(settings, run_phase3):
    publish_silver(Lake(settings), spoken_rows(SPEAKERS))
    run_phase3(settings)
    manifest = Lake(settings).manifest(Layer.GOLD, "stt")
    rows, listed = manifest.details["rows"], {file.path: file.rows for file in manifest.files}
    assert manifest.rows_in == manifest.rows_out + sum(manifest.rejected.values()) == sum(rows.values())
    assert manifest.details["phone_rows"] == {"test_phone": rows["test"]}
    assert manifest.details["phone_without_audio"] == {"test_phone": 0}
    assert listed["test_phone/part-00000.parquet"] == rows["test"]


def test_rows_without_audio_have_no_phone_version_and_are_counted(settings, run_phase3):
    spoken = [
        {**row, "dialect": {"Kollam": "travancore", "Kochi": "cochin", "Kannur": "malabar"}[row["district"]]}
        for row in spoken_rows(SPEAKERS)
    ]
    written = [silver_row(SPEECH, 900 + n, text=words(900 + n), dialect="malabar", speaker=f"w{n}") for n in range(40)]
    publish_silver(Lake(settings), [*spoken, *written])
    run_phase3(settings)
    details = Lake(settings).manifest(Layer.GOLD, "dialect").details
    test = rows_of(settings, "dialect", "test")
    silent = [row for row in test if row["audio"] is None]
    assert silent and all(row["channel"] is None for row in silent)
    assert details["phone_without_audio"] == {"test_phone": len(silent)}
    assert details["phone_rows"] == {"test_phone": len(test) - len(silent)}
    assert {row["row_id"] for row in rows_of(settings, "dialect", "test_phone")}.isdisjoint(r["row_id"] for r in silent)


@pytest.mark.parametrize("splits", [(), ("train",), ("test", "validation", "train")], ids=str)
def test_the_settings_say_which_splits_have_phone_versions(splits, with_settings, run_phase3):
    settings = with_settings(telephony={"splits": list(splits)}, engines=["stt"])
    publish_silver(Lake(settings), spoken_rows(SPEAKERS))
    run_phase3(settings)
    for split in ("train", "validation", "test"):
        clean, phone = rows_of(settings, "stt", split), rows_of(settings, "stt", f"{split}_phone")
        assert [row["row_id"] for row in phone] == ([row["row_id"] for row in clean] if split in splits else [])


def test_anyone_can_make_a_phone_row_again_from_the_clean_row_and_its_parameters(settings):
    clean = {f"{n:016x}": wav_bytes(voice(1.3, seed=n)) for n in range(12)}
    for row in heard(settings, gold_table(clean)):
        said = json.loads(row["channel_parameters"])
        channel = PhoneChannel(**said["channel"])
        assert channel == draw(row["row_id"], settings.telephony.seed, settings.telephony)
        samples, _ = soundfile.read(io.BytesIO(clean[row["row_id"]]), dtype="float32")
        sent = transmit(samples, channel)
        assert wav_bytes(sent.samples) == row["audio"]["bytes"]
        assert said["applied"] == {
            "gain_db": round(sent.gain_db, 2),
            "speech_level_db": round(sent.speech_level_db, 2),
            "snr_db": sent.snr_db,
            "bits_per_second": BITS_PER_SECOND[channel.codec],
            "frames": 65,
            "lost_frames": sent.lost_frames,
        }


def test_training_on_the_fly_hears_what_the_rows_hold(settings):
    samples = voice(2)
    row = heard(settings, gold_table({"00aa": wav_bytes(samples)}))[0]
    stored, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
    quantised, _ = soundfile.read(io.BytesIO(wav_bytes(samples)), dtype="float32")
    on_the_fly = through(quantised, draw("00aa", settings.telephony.seed, settings.telephony))
    assert np.abs(on_the_fly - stored).max() <= 1 / 32768


def test_a_rows_phone_version_depends_on_no_other_row(settings):
    clean = {f"{n:016x}": wav_bytes(voice(0.7, seed=n)) for n in range(6)}
    together = {row["row_id"]: row for row in heard(settings, gold_table(clean))}
    backwards = {row["row_id"]: row for row in heard(settings, gold_table(dict(reversed(clean.items()))))}
    alone = {name: heard(settings, gold_table({name: wav}))[0] for name, wav in clean.items()}
    assert together == backwards == alone


def test_the_same_silver_gives_the_same_phone_rows_whatever_the_workers(with_settings, run_phase3, tmp_path):
    hashes = []
    for workers in (0, 2):
        settings = with_settings(base_path=str(tmp_path / str(workers)), workers=workers, engines=["stt", "dialect"])
        publish_silver(Lake(settings), spoken_rows(SPEAKERS))
        run_phase3(settings)
        manifest = Lake(settings).manifest(Layer.GOLD, "stt")
        hashes.append({file.path: file.sha256 for file in manifest.files if file.path.startswith("test_phone")})
    assert hashes[0] and hashes[0] == hashes[1]


def test_a_changed_phone_setting_makes_only_the_gold_that_is_heard_again(with_settings, run_phase3):
    research = {"licensing": {"commercial_use": False}, "engines": ["stt", "dialect", "nlu", "tts"]}
    settings = with_settings(**research)
    publish_silver(Lake(settings), [*spoken_rows(SPEAKERS), *labelled_texts(60)])
    run_phase3(settings)
    changed = with_settings(telephony={"level_db": [0, 0]}, **research)
    steps = {step.subject: step for step in allocate.plan(changed, Lake(changed))}
    again = {name for name, step in steps.items() if step.action is Action.RUN}
    assert again == {"stt", "dialect"}
    assert "telephony.level_db changed" in steps["stt"].reason
    before = {row["row_id"]: row["channel_parameters"] for row in rows_of(settings, "stt", "test_phone")}
    run_phase3(changed)
    for row in rows_of(changed, "stt", "test_phone"):
        one, other = (json.loads(text)["channel"] for text in (before[row["row_id"]], row["channel_parameters"]))
        assert {**one, "level_db": 0.0} == other


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_new_version_of_a_library_makes_the_gold_that_is_heard_again(library, with_settings, run_phase3, monkeypatch):
    settings = with_settings(licensing={"commercial_use": False}, engines=["stt", "dialect", "nlu"])
    publish_silver(Lake(settings), [*spoken_rows(SPEAKERS), *labelled_texts(60)])
    run_phase3(settings)
    assert Lake(settings).manifest(Layer.GOLD, "stt").rule_sets[library].startswith(f"{library} ")
    installed = phone_rows.version
    monkeypatch.setattr(phone_rows, "version", lambda name: "next" if name == library else installed(name))
    steps = {step.subject: step for step in allocate.plan(settings, Lake(settings))}
    assert {name for name, step in steps.items() if step.action is Action.RUN} == {"stt", "dialect"}
    assert library in steps["stt"].reason


def test_audio_that_is_not_silvers_is_refused_with_its_row(settings):
    with pytest.raises(FoundryError, match=r"row 00ff is not 16 kHz mono, but 8000 Hz"):
        heard(settings, gold_table({"00ff": wav_bytes(voice(1), 8000)}))


def test_load_dataset_opens_both_channels(settings, run_phase3, tmp_path):
    import datasets

    publish_silver(Lake(settings), spoken_rows(SPEAKERS))
    run_phase3(settings)
    opened = datasets.load_dataset(str(Lake(settings).folder(Layer.GOLD, "stt")), cache_dir=str(tmp_path / "cache"))
    assert set(opened) == {"train", "validation", "test", "test_phone"}
    assert opened["test_phone"].features == opened["test"].features
    assert opened["test_phone"]["row_id"] == opened["test"]["row_id"]
    assert set(opened["test_phone"]["channel"]) == {"phone"}


def test_default_settings_have_the_test_set_on_the_phone():
    assert Telephony().splits == ("test",)
