"""Selection: which whole files a cap chooses, by the commit's listing alone."""

from __future__ import annotations

import random

import pytest

from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.errors import FoundryError
from data_foundry.hub import HubFile
from data_foundry.ingestion.selection import SMALL_BYTES, Cap, arranged, described
from tests.ingestion.builders import FOLDER_SPEECH, SPEECH

PARQUET, FOLDER = DATASET_REGISTRY[SPEECH], DATASET_REGISTRY[FOLDER_SPEECH]


def shards(size: int = 100, **counts: int) -> list[HubFile]:
    return [HubFile(f"data/{split}-{n:05}.parquet", size) for split, count in counts.items() for n in range(count)]


def chosen(files: list[HubFile], cap: Cap, entry=PARQUET) -> list[str]:
    always, data = arranged(entry, files, cap)
    return [file.path for file in (*always, *data)]


def test_without_a_cap_everything_comes_whatever_its_size():
    files = [HubFile("README.md", 10), HubFile("raw.zip", 10 * SMALL_BYTES), *shards(train=2)]
    assert sorted(chosen(files, Cap())) == sorted(file.path for file in files)


def test_the_choice_depends_on_the_listing_and_not_on_its_order():
    files = shards(train=20, validation=4, test=2)
    shuffled = random.Random(7).sample(files, len(files))
    for limit in (150, 500, 1300, 2600):
        assert chosen(files, Cap(limit)) == chosen(shuffled, Cap(limit))


def test_files_come_in_the_order_of_a_hash_not_of_their_names():
    order = chosen(shards(train=20), Cap(max_bytes=10_000))
    assert order != sorted(order) and sorted(order) == sorted(file.path for file in shards(train=20))


def test_every_split_is_there_before_any_has_a_second_file_and_train_comes_first():
    files = shards(train=20, validation=4, test=2)
    first = [path.split("/")[1].split("-")[0] for path in chosen(files, Cap(300))]
    assert first[0] == "train" and sorted(first) == ["test", "train", "validation"]


def test_beyond_that_splits_keep_their_proportions():
    taken = chosen(shards(train=40, validation=8, test=4), Cap(2600))
    counts = {split: sum(split in path for path in taken) for split in ("train", "validation", "test")}
    assert counts == {"train": 20, "validation": 4, "test": 2}


def test_raising_the_cap_only_adds_files():
    sizes = random.Random(3)
    files = [HubFile(file.path, sizes.randrange(1, 400)) for file in shards(train=15, validation=5, test=3)]
    before: list[str] = []
    for limit in range(500, 5000, 250):
        taken = chosen(files, Cap(limit))
        assert taken[: len(before)] == before
        assert sum(file.bytes for file in files if file.path in taken) <= limit
        before = taken


def test_cards_and_metadata_tables_come_always_and_large_files_without_rows_do_not():
    files = [
        HubFile("README.md", 10), HubFile("metadata.jsonl", 2 * SMALL_BYTES), HubFile("raw.zip", SMALL_BYTES + 1),
        HubFile("Data/Train/a.wav", 50), HubFile("Data/Valid/b.wav", 50), HubFile("Data/Train/c.wav", 50),
    ]  # fmt: skip
    taken = chosen(files, Cap(max_bytes=2 * SMALL_BYTES + 10 + 100), FOLDER)
    assert taken[:2] == ["README.md", "metadata.jsonl"] and "raw.zip" not in taken
    assert len(taken) == 4 and "Data/Valid/b.wav" in taken


def test_a_clip_is_a_row_so_a_limit_on_rows_counts_clips():
    clips = [HubFile(f"Data/{split}/{n}.wav", 5) for split in ("Train", "Valid") for n in range(10)]
    assert len(chosen(clips, Cap(max_rows=6), FOLDER)) == 6


def test_a_cap_that_is_too_small_for_one_file_names_the_one_that_is_enough():
    with pytest.raises(
        FoundryError, match=r"90 bytes are too few for one file with rows: data/train-\d+\.parquet"
    ) as no:
        arranged(PARQUET, [HubFile("README.md", 10), *shards(train=3)], Cap(90))
    assert no.value.hint == "Raise --max-bytes-per-dataset to 110 at least."
    assert len(arranged(PARQUET, [HubFile("README.md", 10), *shards(train=3)], Cap(110))[1]) == 1


def test_what_was_left_out_is_listed():
    files = shards(train=3)
    found = described(Cap(max_bytes=200), files, [files[0].path, files[2].path])
    assert (found["files"], found["bytes"], found["max_bytes"], found["max_rows"]) == (2, 200, 200, None)
    assert found["left_out"] == {"files": 1, "bytes": 100, "paths": [files[1].path]}
