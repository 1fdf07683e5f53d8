"""Features on disk: exact, made once, reused, complete or absent."""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.finetuning.features import feature_store
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.features import FeatureFile, FeatureRows, FeatureSet, FolderLock
from data_foundry.finetuning.features.gold_rows import encode_rows, replay_features
from data_foundry.finetuning.tasks.speech import LogMel
from data_foundry.finetuning.tasks.task import Task
from data_foundry.finetuning.training.train import rows_hash, train_adapter
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig
from finetuning.conftest import BASES
from finetuning.gold_builders import row, rows
from finetuning.tiny_bases import tone

Build = Callable[..., Settings]


def task_for(hub: Path, engine: AIEngine, labels: tuple[str, ...] = (), **changes: Any) -> Task:
    base, targets = BASES[engine]
    config = TrainingConfig(base=base, target_modules=targets, **{"lora_rank": 4, "max_length": 200, **changes})
    return load_task(ENGINES[engine], config, hub / "models" / base, labels)


def gold_file(folder: Path, content: list[dict[str, Any]], name: str = "part-00000.parquet", group: int = 4) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(content), folder / name, row_group_size=group)
    return folder / name


def store_of(settings: Settings, engine: AIEngine = AIEngine.STT, base: str = "tiny/base@1") -> FeatureStore:
    return FeatureStore(settings, engine.value, base)


def counted(monkeypatch: pytest.MonkeyPatch, kind: type[Task]) -> list[str]:
    """Row ids that are encoded from here on."""
    seen: list[str] = []
    encode = kind.encode

    def counting(self: Task, row: Any, *, with_target: bool = True) -> Any:
        seen.append(row["row_id"])
        return encode(self, row, with_target=with_target)

    monkeypatch.setattr(kind, "encode", counting)
    return seen


def assert_equal(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, np.ndarray):
            assert value.dtype == other[name].dtype
            np.testing.assert_array_equal(value.view(np.uint8), np.ascontiguousarray(other[name]).view(np.uint8))
        else:
            assert value == other[name], name


@pytest.mark.parametrize("bins", [80, 128])
def test_log_mel_features_are_the_extractor_s_bit_for_bit_and_stored_without_their_padding(
    bins: int, tmp_path: Path
) -> None:
    from types import SimpleNamespace

    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=bins)
    extractor.save_pretrained(tmp_path)
    log_mel = LogMel(tmp_path, SimpleNamespace(max_source_positions=1500))
    noise = np.random.default_rng(1).normal(scale=0.2, size=30 * 16_000).astype(np.float32)
    clips = {
        "one sample": noise[:1],
        "short": noise[:7_321],
        "on a frame": noise[: 160 * 300],
        "long": noise[: 27 * 16_000 + 11],
        "to the last block": noise[: 29 * 16_000 + 15_900],
        "full window": noise,
        "silent": np.zeros(20_000, np.float32),
        "silent at its end": np.concatenate([noise[:8_000], np.zeros(40_000, np.float32)]),
    }
    kept = {}
    for number, (name, samples) in enumerate(clips.items()):
        import io

        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
        found = log_mel.encode({"audio": {"bytes": buffer.getvalue()}})
        whole = extractor(samples, sampling_rate=16_000, return_tensors="np").input_features[0]
        assert_equal({"x": whole}, {"x": found})
        path = tmp_path / f"{number}.arrow"
        with FeatureFile(path) as file:
            file.write([0], [{"input_features": found, "labels": [1, 2]}], [2])
        assert_equal({"input_features": whole, "labels": [1, 2]}, FeatureRows([path])[0])
        kept[name] = path.stat().st_size
    assert log_mel._exact, "the quick way is not exact on this machine; it is not used, but nobody has seen that yet"
    assert kept["short"] < kept["full window"] / 20
    assert kept["silent"] < 5_000
    assert kept["full window"] < 4 * bins * 3_000 * 1.02


def test_a_machine_on_which_the_quick_way_is_not_exact_computes_whole_windows(hub: Path) -> None:
    log_mel = task_for(hub, AIEngine.STT).log_mel  # type: ignore[attr-defined]
    log_mel._short = lambda samples: log_mel._whole(samples) + 1
    found = log_mel.encode(row(AIEngine.STT, 1))
    assert not log_mel._exact
    assert found.max() < 1.8, "what the quick way made was used"


@pytest.mark.parametrize("engine", [AIEngine.STT, AIEngine.NLU, AIEngine.TRANSLATION, AIEngine.TTS, AIEngine.DIALECT])
def test_features_read_from_disk_are_those_that_the_task_makes(
    engine: AIEngine, hub: Path, tmp_path: Path, tiny_settings: Build
) -> None:
    task = task_for(hub, engine, labels=("cochin", "malabar", "travancore") if engine is AIEngine.DIALECT else ())
    files = [gold_file(tmp_path, rows(engine, 6)), gold_file(tmp_path, rows(engine, 9)[6:], "part-00001.parquet")]
    encoded = encode_rows(task, files, store=store_of(tiny_settings(engine), engine))
    plain = [task.encode(each) for each in rows(engine, 9)]
    assert isinstance(encoded.features, FeatureSet)
    assert len(encoded.features) == 9
    for one, other in zip(encoded.features, plain, strict=True):
        assert_equal(other, one)
    assert encoded.features.lengths == [task.length(each) for each in plain]
    assert_equal(task.without_target(plain[0]), task.encode(row(engine, 0), with_target=False))
    view = encoded.features[2:8:3]
    assert isinstance(view, FeatureSet)
    for copied in (view, pickle.loads(pickle.dumps(view)), FeatureSet.open(encoded.features.folder)[2:8:3]):
        assert len(copied) == 2
        assert copied.lengths == [encoded.features.lengths[2], encoded.features.lengths[5]]
        assert_equal(plain[5], copied[-1])


def test_features_are_made_once_and_serve_other_trainings_of_the_same_rows(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_for(hub, AIEngine.NLU)
    seen = counted(monkeypatch, type(task))
    content = rows(AIEngine.NLU, 10)
    content[3]["text"] = ""
    for each in content[:4]:
        each["label_kind"] = "intent"
    file, store = gold_file(tmp_path, content), store_of(tiny_settings(AIEngine.NLU), AIEngine.NLU)
    everything = encode_rows(task, [file], store=store)
    assert len(seen) == 10
    again = encode_rows(task_for(hub, AIEngine.NLU, lora_rank=8, seed=3), [file], store=store)
    fewer = encode_rows(task_for(hub, AIEngine.NLU, only={"label_kind": "intent"}), [file], store=store)
    drawn = encode_rows(task, [file], store=store, at_most=4)
    assert len(seen) == 10, "a part of the rows is served by what was made for all"
    assert len(again.features) == len(everything.features) == 9
    assert [len(fewer.features), fewer.refused] == [3, {"left_out_by_only": 6, "empty_text": 1}]
    assert len(drawn.features) + drawn.refused["empty_text"] == 4
    assert_equal(task.encode(content[2]), fewer.features[2])
    encode_rows(task_for(hub, AIEngine.NLU), [file], store=store_of(tiny_settings(AIEngine.NLU), base="tiny/base@2"))
    assert len(seen) == 11 + 10, "another revision of the base is another base"
    changed = task.config.model_copy(update={"max_length": 100})
    encode_rows(load_task(task.spec, changed, task.folder), [file], store=store)
    assert len(seen) == 11 + 20


def test_rows_are_counted_named_and_logged_by_reason_where_the_base_cannot_take_them(
    hub: Path, tmp_path: Path, tiny_settings: Build, caplog: pytest.LogCaptureFixture
) -> None:
    content = rows(AIEngine.STT, 8)
    content[0]["text"] = " "
    content[1]["audio"] = tone(2.5)
    content[2]["text"] = "നന്ദി " * 40
    content[3]["audio"] = {"bytes": b"RIFF of nothing", "path": "x.wav"}
    content[4]["audio"] = {"bytes": tone(0.0)["bytes"], "path": "x.wav"}
    content[5]["text"] = ""
    content[6]["audio"] = {"bytes": None, "path": None}
    for store in (None, store_of(tiny_settings(AIEngine.STT))):
        caplog.clear()
        encoded = encode_rows(
            task_for(hub, AIEngine.STT), [gold_file(tmp_path, content)], store=store, what="validation", keep_rows=True
        )
        assert encoded.refused == {
            "empty_text": 2, "longer_than_base_window": 1, "too_many_tokens": 1, "undecodable_audio": 1, "no_audio": 2,
        }  # fmt: skip
        assert [each["row_id"] for each in encoded.rows] == ["train-stt-0007"]
        assert encoded.sources == {("owner/name", "abc", "cc-by-4.0"): 1}
        lines = [record.message for record in caplog.records if "refused" in record.message]
        assert len(lines) == 5
        assert "stt: 2 validation rows refused, empty_text: train-stt-0000, train-stt-0005" in lines
        assert any("longer_than_base_window: train-stt-0001 (2.50 s, the base hears 2 s)" in line for line in lines)


@pytest.mark.slow
def test_several_processes_make_the_same_bytes_as_one(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "PART_ROWS", 4)
    task, file = task_for(hub, AIEngine.NLU), gold_file(tmp_path / "gold", rows(AIEngine.NLU, 16))
    one = encode_rows(task, [file], store=store_of(tiny_settings(AIEngine.NLU)))
    monkeypatch.setattr(feature_store, "WORTH_A_PROCESS", 0.0)
    settings = tiny_settings(AIEngine.NLU).model_copy(update={"base_path": tmp_path / "other", "workers": 2})
    several = encode_rows(task, [file], store=store_of(settings))
    assert isinstance(one.features, FeatureSet) and isinstance(several.features, FeatureSet)
    parts = [features.details["parts"] for features in (one.features, several.features)]
    assert len(parts[0]) == 4
    assert parts[0] == parts[1]


def test_a_killed_run_leaves_no_set_and_its_whole_parts_are_used(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "PART_ROWS", 4)
    task, file = task_for(hub, AIEngine.NLU), gold_file(tmp_path / "gold", rows(AIEngine.NLU, 12))
    settings = tiny_settings(AIEngine.NLU)
    child = os.fork()
    if not child:
        encode, seen = task.encode, []

        def dying(row: Any, *, with_target: bool = True) -> Any:
            seen.append(row)
            if len(seen) == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            return encode(row, with_target=with_target)

        task.encode = dying  # type: ignore[method-assign]
        try:
            encode_rows(task, [file], store=store_of(settings, AIEngine.NLU))
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    root = settings.base_path / "storage" / "features"
    assert not list(root.glob("*/*/index.json"))
    assert len(list(root.glob("*/*/part-*.arrow"))) == 2
    seen = counted(monkeypatch, type(task))
    encoded = encode_rows(task, [file], store=store_of(settings, AIEngine.NLU))
    assert len(seen) == 4, "the third part alone"
    assert len(encoded.features) == 12
    assert not list(root.glob("*/*/.part*"))


def test_a_damaged_part_is_found_and_made_again(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "PART_ROWS", 4)
    task, file = task_for(hub, AIEngine.NLU), gold_file(tmp_path / "gold", rows(AIEngine.NLU, 8))
    store = store_of(tiny_settings(AIEngine.NLU))
    folder = encode_rows(task, [file], store=store).features.folder  # type: ignore[attr-defined]
    seen = counted(monkeypatch, type(task))
    part = folder / "part-00001.arrow"
    for damage in ("a flipped bit", "an end cut off", "gone"):
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.unlink()
        if damage != "gone":
            part.write_bytes(content if damage == "a flipped bit" else content[:-100])
        if damage != "a flipped bit":
            with pytest.raises(FoundryError, match=r"not whole: part-00001\.arrow has"):
                FeatureSet.open(folder)
        seen.clear()
        encoded = encode_rows(task, [file], store=store)
        assert len(seen) == 4, damage
        assert_equal(task.encode(row(AIEngine.NLU, 7)), encoded.features[7])
    (folder / "index.json").write_text("{", encoding="utf-8")
    with pytest.raises(FoundryError, match="were not finished"):
        FeatureSet.open(folder)
    seen.clear()
    encode_rows(task, [file], store=store)
    assert not seen, "its parts are whole"


def test_features_of_gold_that_is_gone_are_removed_and_the_rest_is_bounded(
    hub: Path, tmp_path: Path, tiny_settings: Build
) -> None:
    task = task_for(hub, AIEngine.NLU)
    settings = tiny_settings(AIEngine.NLU)
    store = store_of(settings, AIEngine.NLU)
    old, new = (gold_file(tmp_path / name, rows(AIEngine.NLU, count)) for name, count in (("old", 4), ("new", 6)))
    first = encode_rows(task, [old], store=store).features
    test = encode_rows(task, [old], store=store, what="test").features
    assert isinstance(first, FeatureSet) and isinstance(test, FeatureSet)
    old_folder, in_use = first.folder, encode_rows(task, [new], store=store).features
    assert old_folder.exists(), "somebody still reads it"
    del first, test
    other = encode_rows(task, [new], store=store_of(settings, AIEngine.NLU, "tiny/other@1")).features
    assert isinstance(other, FeatureSet) and isinstance(in_use, FeatureSet)
    assert not old_folder.exists()
    other_folder, used_folder = other.folder, in_use.folder
    os.utime(other_folder / "index.json", (1, 1))
    os.utime(other_folder, (1, 1))
    del other
    tight = settings.model_copy(update={"training": settings.training.model_copy(update={"feature_cache_gib": 0.0})})
    encode_rows(task, [new], store=store_of(tight, AIEngine.NLU, "tiny/third@1"))
    assert not other_folder.exists()
    assert used_folder.exists() and len(in_use) == 6


def test_engines_that_are_trained_at_once_take_no_folder_from_each_other(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings(AIEngine.NLU)
    root = settings.base_path / "storage" / "features"
    root.mkdir(parents=True)
    # As of a prediction of another process, gone between being listed and being looked at.
    (root / ".once-gone.arrow").symlink_to(tmp_path / "nowhere")
    make_folder, open_set, tried = feature_store.make_folder, FeatureSet.open, []

    def made(folder: Path) -> None:
        make_folder(folder)
        if folder != root:
            tried.append(FolderLock(root, alone=True, wait=False).held)

    def opened(folder: Path) -> FeatureSet:
        feature_store._remove(folder)
        tried.append(not folder.is_dir())
        return open_set(folder)

    monkeypatch.setattr(feature_store, "make_folder", made)
    monkeypatch.setattr(FeatureSet, "open", opened)
    file = gold_file(tmp_path / "gold", rows(AIEngine.NLU, 4))
    encoded = encode_rows(task_for(hub, AIEngine.NLU), [file], store=store_of(settings, AIEngine.NLU))
    assert tried == [False, False], "nobody may remove a folder before it is held, nor before it is read"
    assert len(encoded.features) == 4
    folder = encoded.features.folder  # type: ignore[attr-defined]
    del encoded
    gc.collect()
    feature_store._remove(folder)
    assert not folder.parent.exists()
    with pytest.raises(FoundryError, match="were not finished"):
        open_set(folder)


def test_rows_are_known_again_in_a_larger_set_that_was_made_meanwhile(
    hub: Path, tmp_path: Path, tiny_settings: Build
) -> None:
    task, file = task_for(hub, AIEngine.NLU), gold_file(tmp_path / "gold", rows(AIEngine.NLU, 8))
    store = store_of(tiny_settings(AIEngine.NLU), AIEngine.NLU)
    few, all_rows = (encode_rows(task, [file], store=store, at_most=count).features for count in (4, None))
    assert isinstance(few, FeatureSet) and isinstance(all_rows, FeatureSet)
    same = all_rows.select([all_rows.places.index(place) for place in few.places])
    assert few.folder != same.folder
    assert rows_hash(few) == rows_hash(same) != rows_hash(all_rows[:4])


def test_a_full_disk_is_named_and_leaves_no_set(
    hub: Path, tmp_path: Path, tiny_settings: Build, disk: Callable[[int], Path]
) -> None:
    from data_foundry.lake import storage_error

    task, file = task_for(hub, AIEngine.STT), gold_file(tmp_path / "gold", rows(AIEngine.STT, 20))
    place = disk(200)
    settings = tiny_settings(AIEngine.STT).model_copy(update={"base_path": place})
    with pytest.raises(OSError) as caught:
        encode_rows(task, [file], store=store_of(settings))
    assert "No space left" in str(storage_error(caught.value))
    del caught
    assert not list(place.rglob("index.json"))
    assert not list(place.rglob("*.arrow"))
    disk(4_000)
    encoded = encode_rows(task, [file], store=store_of(settings))
    assert len(encoded.features) == 20
    del encoded
    gc.collect()  # a disk that is still read can't be taken away


def test_what_does_not_fit_the_disk_is_said_after_the_first_part(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_store, "PART_ROWS", 4)
    usage = feature_store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda place: usage._replace(free=1_000))
    file = gold_file(tmp_path, rows(AIEngine.NLU, 8))
    with pytest.raises(FoundryError, match=r"take .* more, and .* has 1.00 kB free"):
        encode_rows(task_for(hub, AIEngine.NLU), [file], store=store_of(tiny_settings(AIEngine.NLU)))


def test_replay_rows_are_features_on_disk_too(hub: Path, tiny_settings: Build) -> None:
    task = task_for(hub, AIEngine.NLU, only={"label_kind": "topic"})
    store = store_of(tiny_settings(AIEngine.NLU), AIEngine.NLU)
    kept, refused = replay_features(task, task.folder, 0.5, 10, store)
    plain, _ = replay_features(task, task.folder, 0.5, 10)
    assert isinstance(kept, FeatureSet)
    assert len(kept) == len(plain) == 5 and not refused
    assert_equal(plain[4], kept[4])


def test_a_frozen_encoder_is_run_once_in_the_precision_of_training(
    hub: Path, tmp_path: Path, tiny_settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_for(hub, AIEngine.STT, freeze_encoder=True)
    file = gold_file(tmp_path, rows(AIEngine.STT, 6))
    heard = [task.encode(each) for each in rows(AIEngine.STT, 6)]
    model = task.load_model(torch.float32).eval()
    with torch.no_grad():
        states = task.frozen_output(model, heard)
        loss = model(**task.collate(heard)).loss
    for half in (False, True):
        settings = tiny_settings(AIEngine.STT, training={"mixed_precision": half})
        encoded = encode_rows(task, [file], store=store_of(settings))
        batch = task.collate(encoded.features[:])
        found = batch["encoder_outputs"][0]
        assert found.dtype is (torch.bfloat16 if half else torch.float32)
        torch.testing.assert_close(found.float(), states, rtol=0.02 if half else 1e-5, atol=0.02 if half else 1e-6)
        assert encoded.features.lengths == [len(each["labels"]) for each in heard]  # type: ignore[attr-defined]
        with torch.no_grad():
            frozen = model(encoder_outputs=(found.float(),), labels=batch["labels"]).loss
        assert frozen.item() == pytest.approx(loss.item(), rel=1e-3 if half else 1e-6)
    for_test = encode_rows(task, [file], store=store_of(settings), frozen=False)
    assert_equal(heard[2], for_test.features[2])
    monkeypatch.setattr(feature_store, "freeze_part", None)
    encode_rows(task, [file], store=store_of(settings))
    with pytest.raises(FoundryError, match="keeps its features on disk"):
        encode_rows(task, [file])


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_training_on_encoder_states_is_training_the_decoder_alone(
    half: bool, hub: Path, tmp_path: Path, tiny_settings: Build
) -> None:
    from peft import PeftModel

    settings = tiny_settings(AIEngine.STT, training={"mixed_precision": half})
    file = gold_file(tmp_path, rows(AIEngine.STT, 8))
    changes = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "lora_dropout": 0.1}
    curves, weights = [], []
    for freeze in (False, True):
        task = task_for(hub, AIEngine.STT, freeze_encoder=freeze, **changes)
        # The ordinary path, its adapter kept out of the encoder all the same.
        task.frozen_modules = ("encoder",)
        encoded = encode_rows(task, [file], store=store_of(settings), frozen=freeze)
        assert ("encoder_states" in encoded.features[0]) is freeze
        folder = tmp_path / str(freeze)
        folder.mkdir()
        record = train_adapter(task, task.config, settings.training, encoded.features, encoded.features[:4], folder)
        curves.append([(point["step"], point.get("loss"), point.get("eval_loss")) for point in record.curve])
        plain = task_for(hub, AIEngine.STT)
        model = PeftModel.from_pretrained(plain.load_model(torch.float32), folder)
        weights.append({name: value for name, value in model.named_parameters() if "lora_" in name})
    tolerance = {"rel": 2e-3} if half else {"rel": 1e-5}
    assert len(curves[0]) == len(curves[1]) > 2
    for plain_point, frozen_point in zip(*curves, strict=True):
        assert frozen_point == tuple(v if v is None else pytest.approx(v, **tolerance) for v in plain_point)
    assert weights[0] and weights[0].keys() == weights[1].keys()
    assert not [name for name in weights[1] if "encoder" in name.split(".")]
    assert [name for name in weights[1] if "encoder_attn" in name.split(".")]


def test_only_speech_to_text_can_freeze_its_encoder(hub: Path) -> None:
    for engine in (AIEngine.NLU, AIEngine.TRANSLATION, AIEngine.DIALECT):
        with pytest.raises(FoundryError, match=rf"{engine}.freeze_encoder is true, but .* has no encoder"):
            task_for(hub, engine, ("cochin", "malabar"), freeze_encoder=True)
    assert task_for(hub, AIEngine.STT).frozen_modules == ()


def test_a_set_says_what_it_was_made_of(hub: Path, tmp_path: Path, tiny_settings: Build) -> None:
    task = task_for(hub, AIEngine.NLU)
    features = encode_rows(
        task, [gold_file(tmp_path, rows(AIEngine.NLU, 2))], store=store_of(tiny_settings(AIEngine.NLU))
    ).features
    assert isinstance(features, FeatureSet)
    about = json.loads((features.folder / "index.json").read_text(encoding="utf-8"))
    assert about["base"] == "tiny/base@1" and about["encoding"]["max_length"] == 200
    assert str(tmp_path) not in json.dumps(about), "a base path that moves makes nothing invalid"
    assert features.nbytes == sum(file.stat().st_size for file in features.folder.glob("*.arrow"))
