"""The dataset card: valid for the Hub's own tools, complete, deterministic, and readable by load_dataset."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from data_foundry.config import Settings
from data_foundry.ingestion import ingest
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
    assert header["language"] == ["ml", "en"] and header["source_datasets"] == ["krutrim-ai-labs/IndicST"]


def test_the_card_says_what_one_must_know_to_cite_read_and_check_the_data(from_folder):
    folder = ingested(from_folder(SETS), NEWS)
    text = (folder / "README.md").read_text(encoding="utf-8")
    revision = Lake(from_folder(SETS)).manifest(Layer.RAW, NEWS).inputs["revision"]
    for fact in (
        f"commit `{revision}`", "- In force: cc-by-nc-sa-4.0", "- Tag of this repository: cc-by-nc-4.0",
        "- Parent AI4Bharat IndicNLP news article classification: cc-by-nc-sa-4.0", "- Non-commercial: yes",
        "| train | 1 | 5 |", "| `news` | string | text | 0 |", "| business | 3 |",
        "content_ratio | 1.0 | Mean Malayalam",
        "licence_conflict", "The class is a news topic, not an intent.", "python -m data_foundry verify",
        "@misc{sakshamrzt_indicnlp_malayalam_", "3 files,",
    ):  # fmt: skip
        assert fact in text, fact
    assert (folder / "files" / "README.md").read_bytes() == news()["README.md"]


def test_on_a_hub_the_page_of_the_commit_is_cited(hub, from_loopback):
    sha = hub.add("datasets", NEWS, news())
    text = (ingested(from_loopback(), NEWS) / "README.md").read_text(encoding="utf-8")
    assert f"url    = {{{hub.url}/datasets/{NEWS}/tree/{sha}}}" in text and f'revision="{sha}"' in text


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
