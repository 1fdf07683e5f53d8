"""What the report says of gold: what was done with rows instead, what kept them out, what is short or not heard."""

import pytest

from allocation.silver_builders import (
    DISTRICTS,
    NINE_ROWS,
    SPEECH_WITH_SPLITS,
    TEXT_PAIRS,
    TOPICS,
    corpus,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
    words,
)
from data_foundry.allocation import allocate
from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES
from data_foundry.lake import Lake, Layer


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False})


def test_rows_that_an_engine_can_use_are_used_or_counted_with_what_kept_them_out(with_settings, run_phase3):
    for commercial_use in (True, False):
        settings = with_settings(licensing={"commercial_use": commercial_use})
        rows = [*corpus(), *labelled_texts(20)[:5]]
        rows += [silver_row(NINE_ROWS, 50 + n, "test", text=words(n, 9), malayalam_ratio=1.0) for n in range(4)]
        rows += [
            silver_row(NINE_ROWS, 70 + n, licence="unknown", text=words(n, 9), malayalam_ratio=1.0) for n in (7, 7)
        ]
        for number, row in enumerate(rows):
            row["row_id"] = f"{number:016x}"
        publish_silver(Lake(settings), rows)
        run_phase3(settings)
        datasets, engines = allocate.describe(settings, Lake(settings))
        cells = [cell for dataset in datasets.values() for cell in dataset.routing.values()]
        assert len(cells) == len(ENGINES) * 6
        for cell in cells:
            used = cell["used"] + cell["used_for_domain"] + sum(cell["kept_out"].values())
            assert used == cell["able"] + cell["domain"], cell
        kept = engines["nlu"].routing[NINE_ROWS]["kept_out"]
        assert kept == ({"licence_unknown": 6} if commercial_use else {"published_as_held_out": 4, "duplicate": 1})
        topics = engines["nlu"].routing[TOPICS]["kept_out"]
        assert set(topics) == ({"licence_non_commercial"} if commercial_use else {"duplicate"})
        card = (Lake(settings).folder(Layer.GOLD, "nlu") / "README.md").read_text(encoding="utf-8")
        assert f"| {', '.join(f'{reason} {count}' for reason, count in kept.items())} | no_intent_or_topic 15 |" in card
    found = {(f["kind"], f["severity"], f["count"]) for f in datasets[NINE_ROWS].findings}
    assert found >= {("published_as_held_out", "warning", 4), ("duplicate", "info", 1)}


def test_what_no_engine_could_take_for_its_licence_is_not_said_to_serve_any(with_settings, run_phase3):
    settings = with_settings(licensing={"commercial_use": True})
    licence = DATASET_REGISTRY[TEXT_PAIRS].licence
    pairs = [silver_row(TEXT_PAIRS, n, translation="Rain.", direction="ml-en", licence=licence) for n in range(6)]
    publish_silver(Lake(settings), [*pairs, *spoken_rows(DISTRICTS)])
    results = run_phase3(settings)
    assert "instead" not in results["stt"].reason and "could use" not in results["stt"].reason
    assert f"{TEXT_PAIRS}: Declared for stt, which can use none of its 6 rows (no_audio in 6)." in results["stt"].reason
    message = allocate.describe(settings, Lake(settings))[0][TEXT_PAIRS].findings[0]["message"]
    assert "they serve no engine and were left out; they could serve translation (6 rows, all kept out: " in message
    assert "licence_unknown 6)" in message and "instead they serve" not in message


def test_the_report_counts_the_rows_that_are_heard_on_the_phone_and_those_that_can_not_be(research, run_phase3):
    written = [silver_row(NINE_ROWS, n, "test", dialect="malabar") for n in range(4)]
    publish_silver(Lake(research), [*spoken_rows(DISTRICTS), *written])
    results = run_phase3(research)
    _, engines = allocate.describe(research, Lake(research))
    heard = engines["stt"].rows["test"]
    assert engines["stt"].phone_rows == {"test_phone": heard} and heard > 0
    assert engines["stt"].phone_without_audio == {"test_phone": 0}
    assert f", {heard} as heard on the phone" in results["stt"].reason and "phone" not in results["nlu"].reason
    assert engines["dialect"].phone_without_audio == {"test_phone": 4}
    finding = next(f for f in engines["dialect"].findings if f["kind"] == "without_phone_version")
    assert finding["severity"] == "info" and finding["message"].startswith("4 rows of test have no phone version")
    assert "without_phone_version" not in {f["kind"] for f in engines["stt"].findings}


def test_a_test_set_that_can_not_be_heard_on_the_phone_at_all_is_a_warning(research, run_phase3):
    publish_silver(Lake(research), [silver_row(NINE_ROWS, n, "test", dialect="malabar") for n in range(4)])
    run_phase3(research)
    engine = allocate.describe(research, Lake(research))[1]["dialect"]
    assert ("without_phone_version", "warning") in {(f["kind"], f["severity"]) for f in engine.findings}


def test_a_side_far_below_its_share_and_many_rows_that_left_for_a_leak_are_told(research, run_phase3):
    # Two speakers say everything: neither side can be cut out of them, and who else says a text of theirs leaves.
    rows = [silver_row(SPEECH_WITH_SPLITS, n, "test", sound=n, speaker="t", text=words(n)) for n in range(3)]
    rows += [silver_row(SPEECH_WITH_SPLITS, 50 + n, sound=50 + n, speaker=f"s{n}", text=words(n)) for n in range(3)]
    rows += [silver_row(SPEECH_WITH_SPLITS, 100 + n, sound=100 + n, speaker=f"c{n}") for n in range(60)]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    engine = allocate.describe(research, Lake(research))[1]["stt"]
    found = {f["kind"]: f["message"] for f in engine.findings}
    assert engine.rows["test"] == 3 and found["split_short"].startswith("test holds 3 of 63 rows")
    assert "many_rows_left" not in found
    crowd = [silver_row(SPEECH_WITH_SPLITS, 500 + n, sound=500 + n, speaker=f"x{n}", text=words(0)) for n in range(20)]
    publish_silver(Lake(research), [*rows, *crowd])
    run_phase3(research)
    found = {f["kind"]: f for f in allocate.describe(research, Lake(research))[1]["stt"].findings}
    assert found["many_rows_left"]["count"] == 23
