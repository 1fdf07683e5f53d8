"""Exports, opened by the readers they are made for: every row's samples, duration, text and lineage are gold's."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset
from lhotse import CutSet, validate
from lhotse.shar import SharWriter

from data_foundry.engines import AIEngine
from tests.export.builders import READERS_LEAVE_FILES_OPEN, publish_gold, splits, text_row
from tests.export.nemo_reader import nemo_readers

pytestmark = READERS_LEAVE_FILES_OPEN
LINEAGE = (
    "row_id", "dataset", "revision", "source_file", "source_row", "source_split", "licence", "flags", "group",
    "sampling_weight", "dialect", "channel", "channel_parameters",
)  # fmt: skip


def samples_of(row):
    return soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")[0]


def without_audio(row):
    return {name: value for name, value in row.items() if name != "audio"}


def tars(folder):
    return sorted(str(path) for path in folder.glob("*.tar"))


@pytest.mark.parametrize("shard_size", ["256MB", "8kB", "1B"])
def test_lhotse_reads_from_shar_what_gold_holds(export, gold, tmp_path, shard_size):
    assert export("stt", "shar", "out", "--shard-size", shard_size) == 0
    for split, rows in gold.items():
        cuts = list(CutSet.from_shar(in_dir=str(tmp_path / "out" / split)))
        assert [cut.id for cut in cuts] == [row["row_id"] for row in rows]
        for cut, row in zip(cuts, rows, strict=True):
            validate(cut)
            assert np.array_equal(cut.load_audio(), samples_of(row)[None])
            assert cut.duration == row["duration"] == cut.recording.num_samples / 16_000
            said = cut.supervisions[0]
            assert (said.text, said.speaker, said.gender, said.language) == (
                row["text"], row["speaker"], row["gender"], "ml",
            )  # fmt: skip
            assert {name: cut.custom[name] for name in LINEAGE} == {name: row[name] for name in LINEAGE}


def test_our_shar_says_of_each_cut_what_lhotses_own_writer_says(export, gold, tmp_path):
    assert export("stt", "shar", "out", "--split", "train") == 0
    cuts = CutSet.from_shar(in_dir=str(tmp_path / "out" / "train"))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with SharWriter(str(theirs), fields={"recording": "wav"}) as writer:
        for cut in cuts:
            del cut.custom["shard_origin"], cut.custom["shar_epoch"]
            writer.write(cut)
    again = {cut.id: cut.to_dict() for cut in CutSet.from_shar(in_dir=str(theirs))}
    for cut in CutSet.from_shar(in_dir=str(tmp_path / "out" / "train")):
        ours, other = cut.to_dict(), again[cut.id]
        for each in (ours, other):
            del each["custom"]["shard_origin"], each["custom"]["shar_epoch"]
            del each["recording"]["sources"][0]["source"]
        assert ours == other


@pytest.mark.parametrize("shard_size", ["256MB", "8kB"])
def test_webdataset_reads_from_tars_what_gold_holds(export, gold, tmp_path, shard_size):
    assert export("stt", "webdataset", "out", "--shard-size", shard_size) == 0
    for split, rows in gold.items():
        samples = list(webdataset.WebDataset(tars(tmp_path / "out" / split), shardshuffle=False))
        assert [sample["__key__"] for sample in samples] == [row["row_id"] for row in rows]
        assert [json.loads(sample["json"]) for sample in samples] == [without_audio(row) for row in rows]
        assert [sample["wav"] for sample in samples] == [row["audio"]["bytes"] for row in rows]


def test_webdataset_reads_rows_without_audio(export, lake, tmp_path):
    rows = [text_row(number) for number in range(8)]
    publish_gold(lake, {"train": rows}, AIEngine.TTS)
    assert export("tts", "webdataset", "out") == 0
    samples = list(webdataset.WebDataset(tars(tmp_path / "out" / "train"), shardshuffle=False))
    assert [json.loads(sample["json"]) for sample in samples] == rows
    assert not any("wav" in sample for sample in samples)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_nemo_reads_from_a_manifest_what_gold_holds(export, gold, tmp_path, monkeypatch, elsewhere):
    with nemo_readers() as nemo:
        assert export("stt", "nemo", "out") == 0
        folder = tmp_path / "out"
        if elsewhere:
            # Paths are relative to the manifest, wherever the folder is moved and whoever reads it from where.
            folder = folder.rename(tmp_path / "moved")
            monkeypatch.chdir(tmp_path)
        for split, rows in gold.items():
            manifest = str(folder / f"{split}_manifest.json")
            items, cuts = list(nemo.item_iter(manifest)), list(nemo.LazyNeMoIterator(manifest))
            for item, cut, row in zip(items, cuts, rows, strict=True):
                assert Path(item["audio_file"]).read_bytes() == row["audio"]["bytes"]
                assert (item["duration"], item["text"], item["speaker"], item["lang"]) == (
                    row["duration"], row["text"], row["speaker"], "ml",
                )  # fmt: skip
                assert np.array_equal(cut.load_audio(), samples_of(row)[None])
                assert (cut.duration, cut.supervisions[0].text) == (row["duration"], row["text"])
                assert {name: cut.custom[name] for name in LINEAGE} == {name: row[name] for name in LINEAGE}
            spoken = nemo.ASRAudioText(manifests_files=[manifest], parser=lambda text: [len(text)])
            assert {entity.text_raw for entity in spoken} == {row["text"] for row in rows}


def test_nemo_reads_the_dialect_of_a_recording_as_its_label(export, lake, tmp_path):
    content = splits()
    publish_gold(lake, content, AIEngine.DIALECT)
    with nemo_readers() as nemo:
        assert export("dialect", "nemo", "out", "--split", "train") == 0
        labelled = nemo.ASRSpeechLabel(manifests_files=[str(tmp_path / "out" / "train_manifest.json")])
        found = {Path(each.audio_file).stem: each.label for each in labelled}
    assert found == {row["row_id"]: row["dialect"] for row in content["train"]}


def test_a_nemo_manifest_is_a_json_line_and_a_wav_file_a_row_for_any_reader(export, gold, tmp_path):
    assert export("stt", "nemo", "out") == 0
    for split, rows in gold.items():
        text = (tmp_path / "out" / f"{split}_manifest.json").read_bytes().decode("utf-8")
        # splitlines() splits at every line end that Unicode knows, more than JSON lines may have.
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["text"] for line in lines] == [row["text"] for row in rows]
        for line, row in zip(lines, rows, strict=True):
            samples, rate = soundfile.read(tmp_path / "out" / line["audio_filepath"], dtype="float32")
            assert np.array_equal(samples, samples_of(row)) and rate == line["sampling_rate"] == 16_000
            assert line["duration"] == row["duration"] == len(samples) / rate


@pytest.mark.parametrize("form", ["shar", "webdataset"])
def test_the_code_in_an_exports_readme_opens_it(export, gold, tmp_path, monkeypatch, form):
    assert export("stt", form, "out", "--shard-size", "8kB") == 0
    code = re.search(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text("utf-8"), re.S).group(1)
    monkeypatch.chdir(tmp_path / "out")
    found: dict = {}
    exec(code, found)
    last = gold["train"][-1]
    if form == "shar":
        assert found["text"] == last["text"] and np.array_equal(found["samples"][0], samples_of(last))
    else:
        assert found["row"] == without_audio(last)
    assert len(list(Path("train").glob("*.tar"))) > 1
