"""The dataset card: valid for the Hub's own tools, complete, deterministic, and readable by load_dataset."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from data_foundry.config import Settings
from data_foundry.ingestion import ingest
from data_foundry.ingestion.card import dataset_card
from data_foundry.lake import Lake, Layer
from tests.ingestion.builders import (
    COMMENTS,
    DIALECTS,
    FOLDER_SPEECH,
    NEWS,
    PAIRS,
    SENTENCES,
    SPEECH,
    comments,
    json_lines,
    news,
    parquet,
    tone,
)

CLIPS = {f"Data/{split}/{n}.wav": tone(0.3, 8000) for split in ("Train", "Valid") for n in range(2)}
FOLDER = {
    "metadata.jsonl": json_lines([{"file_name": name, "sentence": SENTENCES[0]} for name in CLIPS]),
    **CLIPS,
}
PARQUET = {
    f"data/{split}-0.parquet": parquet({"text": [SENTENCES[0]] * rows, "translation": ["hello"] * rows})
    for split, rows in (("train", 3), ("dev", 2))
}
HEADERLESS = {"x.tsv": comments()["Malayalam_first_ready_for_sentiment.tsv"].split(b"\n", 1)[1]}
SETS = {
    NEWS: news(),
    COMMENTS: comments(),
    DIALECTS: {"Dialects - Sheet1.csv": f"id,translation\n1,{SENTENCES[0]}\n".encode()},
    SPEECH: PARQUET,
    FOLDER_SPEECH: FOLDER,
}


def ingested(settings: Settings, repo_id: str) -> Path:
    (step,) = ingest.plan(settings.model_copy(update={"datasets": (repo_id,)}), Lake(settings))
    ingest.run_step(settings, step)
    return Lake(settings).folder(Layer.RAW, repo_id)


@pytest.mark.parametrize("repo_id", SETS)
def test_the_header_is_one_that_the_hubs_library_reads(from_folder, repo_id):
    from huggingface_hub import DatasetCard, DatasetCardData

    card = DatasetCard.load(ingested(from_folder(SETS), repo_id) / "README.md")
    assert isinstance(card.data, DatasetCardData) and card.data.language[0] == "ml"
    assert card.data.license == {
        NEWS: "cc-by-nc-sa-4.0", COMMENTS: "cc-by-4.0", DIALECTS: "unknown", SPEECH: "unknown",
        FOLDER_SPEECH: "cc-by-4.0",
    }[repo_id]  # fmt: skip
    assert card.data.to_dict()["size_categories"] == ["n<1K"]


def test_a_licence_that_the_hub_has_no_name_for_is_named_apart(from_folder):
    from huggingface_hub import DatasetCard

    data = parquet({"text": [SENTENCES[0]], "source_text": ["hello"]})
    folder = ingested(from_folder({PAIRS: {"data/train-0.parquet": data}}), PAIRS)
    header = DatasetCard.load(folder / "README.md").data.to_dict()
    assert (header["license"], header["license_name"]) == ("other", "krutrim-community-license-agreement-version-1.0")
    assert header["license_link"] == "https://huggingface.co/datasets/krutrim-ai-labs/IndicST"
    assert header["language"] == ["ml", "en"] and header["source_datasets"] == ["krutrim-ai-labs/IndicST"]


@pytest.mark.parametrize(
    ("repo_id", "expected"),
    [(NEWS, ["extended|other"]), (FOLDER_SPEECH, ["ai4bharat/IndicVoices"]), (SPEECH, None)],
    ids=["a parent elsewhere", "a parent on the Hub", "nobody knows"],
)
def test_a_set_of_which_no_parent_is_known_is_not_called_an_original(from_folder, repo_id, expected):
    from huggingface_hub import DatasetCard

    header = DatasetCard.load(ingested(from_folder(SETS), repo_id) / "README.md").data.to_dict()
    assert header.get("source_datasets") == expected


def test_the_card_says_what_one_must_know_to_cite_read_and_check_the_data(hub, from_loopback):
    revision, size = hub.add("datasets", NEWS, news()), sum(map(len, news().values()))
    folder = ingested(from_loopback(), NEWS)
    text = (folder / "README.md").read_text(encoding="utf-8")
    for fact in (
        f"A verified copy of `{NEWS}` at commit `{revision}`", "- In force: cc-by-nc-sa-4.0",
        "- Tag of this repository: cc-by-nc-4.0",
        "- Parent AI4Bharat IndicNLP news article classification: cc-by-nc-sa-4.0", "- Non-commercial: yes",
        "| train | 1 | 5 |", "| `news` | string | text | 0 |", "| business | 3 |",
        "content_ratio | 1.0 | Mean Malayalam",
        "licence_conflict", "The class is a news topic, not an intent.", "python -m data_foundry verify",
        "@misc{sakshamrzt_indicnlp_malayalam_", f"3 files, {size} bytes.", "Left out: 0 files, 0 bytes.",
        "derived from AI4Bharat IndicNLP news article classification (cc-by-nc-sa-4.0)", "`urldate`",
    ):  # fmt: skip
        assert fact in text, fact
    assert (folder / "files" / "README.md").read_bytes() == news()["README.md"]


def test_on_a_hub_the_page_of_the_commit_is_cited(hub, from_loopback):
    sha = hub.add("datasets", NEWS, news())
    text = (ingested(from_loopback(), NEWS) / "README.md").read_text(encoding="utf-8")
    assert f"url          = {{{hub.url}/datasets/{NEWS}/tree/{sha}}}" in text and f'revision="{sha}"' in text


def test_what_a_folder_holds_is_not_told_to_be_the_hubs_dataset_nor_to_be_cited_as_it(from_folder):
    text = (ingested(from_folder(SETS), FOLDER_SPEECH) / "README.md").read_text(encoding="utf-8")
    assert f"What a folder laid out like a Hub holds under the name `{FOLDER_SPEECH}`" in text
    assert "verified copy" not in text and "@misc" not in text and "published by" not in text
    assert "no commit of the Hub's dataset" in text and "None. To cite the Hub's dataset" in text


@pytest.mark.parametrize(
    ("repo_id", "files", "rows"),
    [
        (NEWS, news(), {"train": 5, "test": 3}),
        (COMMENTS, comments(), {"train": 3}),
        (COMMENTS, HEADERLESS, {"train": 3}),
        (DIALECTS, SETS[DIALECTS], {"train": 1}),
        (SPEECH, PARQUET, {"train": 3, "validation": 2}),
    ],
    ids=["jsonl", "tsv", "headerless tsv", "csv with blanks in its name", "parquet"],
)
def test_load_dataset_reads_the_folder_by_its_card(from_folder, tmp_path, monkeypatch, repo_id, files, rows):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    folder = ingested(from_folder({repo_id: files}), repo_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(table) for split, table in loaded.items()} == rows


EXTRA = parquet({"text": [SENTENCES[1]], "translation": ["hello"], "extra": ["x"]})
RAGGED = comments()["Malayalam_first_ready_for_sentiment.tsv"] + b"Positive\tpadam\tkollam\n"


@pytest.mark.parametrize(
    ("repo_id", "files", "finding"),
    [
        (COMMENTS, {"x.tsv": RAGGED}, "ragged_row"),
        (COMMENTS, {"x.tsv": RAGGED.replace(b"\tkollam", b" \xff")}, "bad_encoding"),
        (NEWS, {"malayalam-train.jsonl": news()["malayalam-train.jsonl"] + b'{"news": "cut\n'}, "broken_line"),
        (SPEECH, {**PARQUET, "data/train-1.parquet": EXTRA}, "schema_drift"),
    ],
)
def test_no_configuration_is_given_where_a_plain_loader_stops(
    from_folder, tmp_path, monkeypatch, repo_id, files, finding
):
    import datasets
    from huggingface_hub import DatasetCard

    folder = ingested(from_folder({repo_id: files}), repo_id)
    card = folder / "README.md"
    assert "configs" not in DatasetCard.load(card).data.to_dict()
    assert f"it may stop at what stands under Findings as `{finding}`" in card.read_text(encoding="utf-8")

    # It does stop with the configuration that the files would have.
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("data_foundry.ingestion.card.STOPPING", ())
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    card.write_text(dataset_card(metadata), encoding="utf-8")
    with warnings.catch_warnings(), pytest.raises(datasets.exceptions.DatasetGenerationError):
        warnings.simplefilter("ignore")
        datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def test_a_folder_of_clips_has_a_configuration_only_where_the_loader_reads_it_rightly(from_folder, monkeypatch):
    import datasets
    from huggingface_hub import DatasetCard

    folder = ingested(from_folder({FOLDER_SPEECH: FOLDER}), FOLDER_SPEECH)
    assert "configs" not in DatasetCard.load(folder / "README.md").data.to_dict()
    assert "it would yield every row of the metadata table in each split" in (folder / "README.md").read_text("utf-8")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    clips = {f"Data/Train/{n}.wav": tone(0.2, 8000) for n in range(60)}
    rows = json_lines([{"file_name": name, "sentence": SENTENCES[0]} for name in clips])
    (Path(from_folder({}).hub.source) / "datasets" / FOLDER_SPEECH / "Data/Valid/0.wav").unlink()
    (Path(from_folder({}).hub.source) / "datasets" / FOLDER_SPEECH / "Data/Valid/1.wav").unlink()
    folder = ingested(from_folder({FOLDER_SPEECH: {"metadata.jsonl": rows, **clips}}), FOLDER_SPEECH)
    found = datasets.load_dataset_builder(str(folder))
    assert {split: len(files) for split, files in found.config.data_files.items()} == {"train": 61}
