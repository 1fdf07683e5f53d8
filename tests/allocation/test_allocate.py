"""Phase 3 from silver to gold: nothing lost, nothing leaked, the same bytes again, files the Hub's client opens."""

import hashlib
import json
import random
from collections import Counter

import pyarrow.parquet as pq
import pytest

from allocation.silver_builders import (
    CODEC_TOKENS,
    COMMENTS,
    DISTRICTS,
    NINE_ROWS,
    SPEECH,
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
from data_foundry.allocation import allocate, gold
from data_foundry.config import Settings
from data_foundry.dataset_registry import DATASET_REGISTRY
from data_foundry.engines import ENGINES
from data_foundry.engines.spec import SPLIT_COLUMNS
from data_foundry.errors import FoundryError
from data_foundry.lake import Lake, Layer
from data_foundry.report import Action, Outcome

INTENTS = "data-foundry/malayalam-ivr-intents"
SPLITS = ("train", "validation", "test")


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False})


def split_of(found: dict) -> dict[str, str]:
    return {row["row_id"]: row.get("reason") or split for split, rows in found.items() for row in rows}


def hashes(settings: Settings) -> dict[str, list]:
    return {m.name: [(f.path, f.sha256) for f in m.files] for m in Lake(settings).manifests(Layer.GOLD)}


def test_every_silver_row_is_in_gold_once_or_rejected_with_a_reason(research, run_phase3, read_gold):
    rows = corpus()
    publish_silver(Lake(research), rows, files=2)
    results = run_phase3(research)
    assert set(results) == set(ENGINES)
    for engine, result in results.items():
        found = read_gold(research, engine)
        ids = [row["row_id"] for split in found.values() for row in split]
        assert sorted(ids) == sorted(row["row_id"] for row in rows), engine
        assert result.rows_in == len(rows) == result.rows_out + sum(result.rejected.values())
        assert result.rejected == Counter(row["reason"] for row in found["rejected"])
        assert result.rows_out == sum(len(found[split]) for split in SPLITS) > 0
        assert result.outcome is Outcome.DONE


def test_gold_rows_carry_their_origin_and_the_values_of_silver(research, run_phase3, read_gold):
    rows = corpus()
    publish_silver(Lake(research), rows)
    run_phase3(research)
    silver = {row["row_id"]: row for row in rows}
    for engine, spec in ENGINES.items():
        for split in SPLITS:
            for row in read_gold(research, engine)[split]:
                assert tuple(row) == spec.gold_columns
                same = set(row) - {*SPLIT_COLUMNS, *spec.derived}
                assert {k: row[k] for k in same} == {k: silver[row["row_id"]][k] for k in same}


def test_a_district_becomes_the_dialect_and_is_marked_as_a_proxy(research, run_phase3, read_gold):
    declared = silver_row(SPEECH, 900, sound=900, speaker="d", district="Kollam", dialect="malabar")
    publish_silver(Lake(research), [*spoken_rows(DISTRICTS), declared])
    run_phase3(research)
    found = [row for split in SPLITS for row in read_gold(research, "dialect")[split]]
    assert {(row["district"], row["dialect"], row["label_source"]) for row in found} == {
        ("Kollam", "travancore", "district proxy"),
        ("Thrissur", "cochin", "district proxy"),
        ("Kannur", "malabar", "district proxy"),
        ("Kollam", "malabar", "declared"),
    }


def test_a_speaker_and_a_text_are_on_the_same_side_for_every_engine_that_hears(research, run_phase3, read_gold):
    rows = spoken_rows(DISTRICTS)
    rows += [silver_row(SPEECH, 500 + n, sound=500 + n, speaker=f"s{n}") for n in range(18)]
    rows += [silver_row(SPEECH_WITH_SPLITS, n, sound=700 + n, text=rows[n]["text"]) for n in range(0, 40, 5)]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    stt, dialect = read_gold(research, "stt"), read_gold(research, "dialect")
    for key in ("speaker", "text"):
        side = {}
        for split in SPLITS:
            for row in stt[split] + dialect[split]:
                assert row[key] is None or side.setdefault(row[key], split) == split
    for split in SPLITS:
        assert {row["dialect"] for row in dialect[split]} == {"travancore", "cochin", "malabar"}


def test_planted_leaks_into_a_published_test_split_are_all_caught_and_no_clean_row_is_lost(
    research, run_phase3, read_gold
):
    test = [silver_row(SPEECH_WITH_SPLITS, n, "test", sound=n, speaker=f"t{n}") for n in range(10)]
    chillu = silver_row(SPEECH_WITH_SPLITS, 50, "test", sound=50, text="അവൻ വന്നു")
    clean = [silver_row(SPEECH_WITH_SPLITS, 100 + n, sound=100 + n, speaker=f"c{n}") for n in range(30)]
    planted = {
        "text in train": silver_row(SPEECH_WITH_SPLITS, 200, sound=200, text=test[0]["text"]),
        "text in another set": silver_row(SPEECH, 201, sound=201, text=test[1]["text"] + "?"),
        "legacy chillu": silver_row(SPEECH, 202, sound=202, text="അവന്\u200d വന്നു"),
        "speaker": silver_row(SPEECH_WITH_SPLITS, 203, sound=203, speaker="t3"),
        "sound": silver_row(SPEECH, 204, sound=4),
        "segment of one recording": silver_row(
            SPEECH_WITH_SPLITS, 5, source_file="data/test.parquet", sound=205, segment_start=4.0, segment_end=8.0
        ),
        "copied row": silver_row(SPEECH_WITH_SPLITS, 206, sound=6, text=test[6]["text"]),
    }
    planted["segment of one recording"]["row_id"] = "f" * 16
    publish_silver(Lake(research), [*test, chillu, *clean, *planted.values()])
    run_phase3(research)
    found = split_of(read_gold(research, "stt"))
    assert {name: found[row["row_id"]] for name, row in planted.items()} == dict.fromkeys(planted, "leaks_into_test")
    assert {found[row["row_id"]] for row in (*test, chillu)} == {"test"}
    assert {found[row["row_id"]] for row in clean} == {"train", "validation"}


def test_one_speaker_name_in_two_datasets_is_two_speakers(research, run_phase3, read_gold):
    rows = [
        silver_row(SPEECH_WITH_SPLITS, 1, "test", sound=1, speaker="x"),
        silver_row(SPEECH, 2, sound=2, speaker="x"),
    ]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    assert split_of(read_gold(research, "stt"))[rows[1]["row_id"]] != "leaks_into_test"


def test_an_evaluation_split_is_test_and_can_be_told_apart(research, run_phase3, read_gold):
    publish_silver(Lake(research), corpus())
    run_phase3(research)
    found = read_gold(research, "translation")
    assert {row["source_split"] for row in found["test"]} == {"test", "kathbath"}
    assert "kathbath" not in {row["source_split"] for split in ("train", "validation") for row in found[split]}
    assert (len(found["train"]), len(found["validation"]), len(found["test"])) == (20, 5, 10)


def test_duplicates_keep_the_first_by_dataset_file_and_row(research, run_phase3, read_gold):
    first = silver_row(TOPICS, 3, label="sports", text="ഒന്ന്")
    rows = [
        silver_row(TOPICS, 9, label="sports", text="ഒന്ന്"),
        first,
        silver_row(INTENTS, 1, label="sports", text="ഒന്ന്"),
        silver_row(TOPICS, 4, label="business", text="ഒന്ന്"),
        silver_row(TOPICS, 5, label="sports", text="രണ്ട്"),
    ]
    publish_silver(Lake(research), rows)
    run_phase3(research)
    found = split_of(read_gold(research, "nlu"))
    assert [found[row["row_id"]] == "duplicate" for row in rows] == [True, False, True, False, False]
    # The other label is another example of the same text, so it stands on the same side.
    assert found[rows[3]["row_id"]] == found[first["row_id"]]


def test_a_duplicate_in_train_of_a_test_row_never_costs_the_test_row(research, run_phase3, read_gold):
    copies = [silver_row(TOPICS, n, split, label="sports", text="ഒന്ന്") for n, split in enumerate(("train", "test"))]
    publish_silver(Lake(research), [*copies, *labelled_texts(10, start=20)])
    run_phase3(research)
    found = split_of(read_gold(research, "nlu"))
    assert [found[row["row_id"]] for row in copies] == ["leaks_into_test", "test"]


def test_the_licence_firewall_keeps_rows_out_and_says_whose(with_settings, run_phase3, read_gold):
    settings = with_settings(licensing={"commercial_use": True})
    publish_silver(
        Lake(settings), [*labelled_texts(10), *[dict(row, licence="unknown") for row in spoken_rows(DISTRICTS)]]
    )
    results = run_phase3(settings)
    assert results["nlu"].outcome is Outcome.REFUSED and results["nlu"].rejected["licence_non_commercial"] == 10
    assert results["stt"].outcome is Outcome.REFUSED and results["stt"].rejected["licence_unknown"] == 72
    assert "no row can serve nlu" in results["nlu"].reason and "licence_non_commercial 10" in results["nlu"].reason
    datasets, engines = allocate.describe(settings, Lake(settings))
    kinds = {finding["kind"]: finding["count"] for finding in datasets[TOPICS].findings}
    assert kinds == {"licence_non_commercial": 10} and datasets[TOPICS].served_engines == []
    assert engines["nlu"].status == "refused" and engines["nlu"].rows == {"train": 0, "validation": 0, "test": 0}
    again = {step.subject: step for step in allocate.plan(settings, Lake(settings))}
    assert again["nlu"].action is Action.SKIP and "no row can serve nlu" in again["nlu"].reason


def test_without_the_firewall_the_card_lists_what_the_licences_oblige_to(research, run_phase3):
    publish_silver(Lake(research), [dict(row, licence="cc-by-nc-sa-4.0") for row in labelled_texts(30)])
    run_phase3(research)
    text = (Lake(research).folder(Layer.GOLD, "nlu") / "README.md").read_text(encoding="utf-8")
    assert "no commercial use, attribution, share alike" in text and "**not** for commercial use" in text
    assert f"| {TOPICS} | nlu | 30 | 30 | 30 | 0 | - | - |" in text and "license:\n- cc-by-nc-sa-4.0\n" in text


def test_the_same_silver_gives_the_same_bytes_whatever_the_workers(with_settings, tmp_path, run_phase3):
    found = []
    for number, workers in enumerate((1, 2)):
        base = str(tmp_path / f"base{number}")
        settings = with_settings(base_path=base, workers=workers, licensing={"commercial_use": False})
        publish_silver(Lake(settings), corpus(), files=3)
        run_phase3(settings)
        found.append((hashes(settings), [m.model_dump() for m in Lake(settings).manifests(Layer.GOLD)]))
    assert found[0] == found[1] and len(found[0][0]) == 6


def test_the_order_and_the_files_that_rows_come_in_do_not_change_their_side(
    with_settings, tmp_path, run_phase3, read_gold
):
    found = []
    for number, files in enumerate((1, 4)):
        settings = with_settings(base_path=str(tmp_path / f"base{number}"), licensing={"commercial_use": False})
        rows = corpus() + labelled_texts(60)[::3]
        publish_silver(Lake(settings), random.Random(number).sample(rows, len(rows)), files=files)
        run_phase3(settings)
        found.append({engine: split_of(read_gold(settings, engine)) for engine in ENGINES})
    assert found[0] == found[1]


def test_rows_that_arrive_later_change_no_side(with_settings, tmp_path, run_phase3, read_gold):
    found = []
    for number, count in enumerate((1000, 1600)):
        settings = with_settings(base_path=str(tmp_path / f"base{number}"), licensing={"commercial_use": False})
        publish_silver(Lake(settings), labelled_texts(count))
        run_phase3(settings)
        found.append(split_of(read_gold(settings, "nlu")))
    assert found[0].items() <= found[1].items()


def test_the_certificate_says_what_was_checked_and_what_could_not_be(research, run_phase3):
    unknown = [silver_row(SPEECH_WITH_SPLITS, 3000 + n, sound=3000 + n) for n in range(12)]
    publish_silver(Lake(research), spoken_rows(DISTRICTS) + unknown)
    run_phase3(research)
    certificate = json.loads((Lake(research).folder(Layer.GOLD, "stt") / "splits.json").read_text(encoding="utf-8"))
    assert certificate["checked_together_with"] == ["dialect"]
    assert {check["rows_on_two_sides"] for check in certificate["disjoint_by"].values()} == {0}
    assert certificate["disjoint_by"]["speaker"]["status"] == "unverified for 12 of 84 rows"
    assert certificate["disjoint_by"]["speaker"]["distinct_values"] == 18
    assert certificate["disjoint_by"]["text"]["status"] == "verified"
    assert certificate["not_verified"]["speaker"] == {SPEECH_WITH_SPLITS: 12}
    assert sum(certificate["rows"].values()) == 84 and sum(certificate["groups"].values()) == 18 + 12


def test_load_dataset_opens_gold_with_its_splits_and_its_audio(research, run_phase3, tmp_path):
    import datasets

    publish_silver(Lake(research), corpus())
    run_phase3(research)
    for engine in ("stt", "tts", "nlu"):
        folder = str(Lake(research).folder(Layer.GOLD, engine))
        opened = datasets.load_dataset(folder, cache_dir=str(tmp_path / "cache"))
        assert set(opened) == {*SPLITS, *(["test_phone"] if engine == "stt" else [])}
        assert opened["train"].column_names == list(ENGINES[engine].gold_columns)
        if engine == "stt":
            assert opened["train"].features["audio"] == datasets.Audio(sampling_rate=16_000)
            heard = opened["train"].cast_column("audio", datasets.Audio(decode=False))[0]["audio"]
            assert heard["bytes"][:4] == b"RIFF" and heard["path"].endswith(".wav")


def test_row_groups_are_small_and_large_gold_has_several_parts(research, run_phase3, monkeypatch):
    monkeypatch.setattr(gold, "PART_BYTES", 100_000)
    publish_silver(Lake(research), spoken_rows({f"s{n}": "Kollam" for n in range(80)}, each=4))
    run_phase3(research)
    files = Lake(research).files(Layer.GOLD, "stt", "train")
    groups = [pq.ParquetFile(file).metadata.row_group(0).num_rows for file in files]
    assert len(files) > 1 and set(groups[:-1]) == {64}
    listed = {file.path: file.rows for file in Lake(research).manifest(Layer.GOLD, "stt").files}
    assert listed["train/part-00000.parquet"] == 64


def test_a_codec_row_with_a_duration_is_never_taken_for_audio(research, run_phase3, read_gold):
    rows = [silver_row(CODEC_TOKENS, n, codes=[[n]], codec="c", duration=0.08, dialect="malabar") for n in range(5)]
    publish_silver(Lake(research), rows)
    results = run_phase3(research)
    assert results["stt"].rejected == {"no_audio": 5} and results["tts"].rows_out == 5
    read = [row for split in SPLITS for row in read_gold(research, "dialect")[split]]
    assert {(row["audio"], row["duration"], row["channel"]) for row in read} == {(None, None, None)} and len(read) == 5


def test_phase_3_waits_while_nothing_is_standardized(settings, lake):
    steps = allocate.plan(settings, lake)
    assert [step.subject for step in steps] == list(ENGINES) and {step.action for step in steps} == {Action.WAIT}
    assert "waiting for phase2" in steps[0].reason


def test_engines_run_with_what_there_is_and_say_what_is_missing(research, run_phase3):
    publish_silver(Lake(research), labelled_texts(30))
    results = run_phase3(research)
    assert f"without {NINE_ROWS}" in results["nlu"].reason
    _, engines = allocate.describe(research, Lake(research))
    finding = next(f for f in engines["nlu"].findings if f["kind"] == "silver_missing")
    assert finding["count"] == len(DATASET_REGISTRY) - 1 and COMMENTS in finding["examples"]


def test_a_second_run_skips_and_a_changed_setting_says_why_it_runs(research, with_settings, run_phase3):
    publish_silver(Lake(research), labelled_texts(30))
    run_phase3(research)
    steps = allocate.plan(research, Lake(research))
    assert {step.action for step in steps} == {Action.SKIP} and steps[2].rows_out == 30
    changed = with_settings(licensing={"commercial_use": False}, splits={"test": 0.3})
    step = allocate.plan(changed, Lake(changed))[2]
    assert step.action is Action.RUN and "setting splits.test changed (0.15 -> 0.3)" in step.reason
    publish_silver(Lake(research), labelled_texts(31))
    assert f"the silver data changed ({TOPICS})" in allocate.plan(research, Lake(research))[2].reason


def test_another_learning_rate_changes_the_training_configuration_and_leaves_the_rows(
    research, with_settings, run_phase3
):
    publish_silver(Lake(research), labelled_texts(30))
    run_phase3(research)
    before = dict(hashes(research)["nlu"])
    engines = {"nlu": {"learning_rate": 0.25}}
    changed = with_settings(licensing={"commercial_use": False}, training={"engines": engines})
    plan = {step.subject: step.action for step in allocate.plan(changed, Lake(changed))}
    assert plan.pop("nlu") is Action.RUN and set(plan.values()) == {Action.SKIP}
    result = run_phase3(changed)["nlu"]
    after = dict(hashes(changed)["nlu"])
    assert {path for path in after if after[path] != before.get(path)} == {"training_config.json"} and set(
        after
    ) == set(before)
    folder = Lake(changed).folder(Layer.GOLD, "nlu")
    assert json.loads((folder / "training_config.json").read_text())["learning_rate"] == 0.25
    for path, expected in after.items():
        assert hashlib.sha256((folder / path).read_bytes()).hexdigest() == expected
    assert result.outcome is Outcome.DONE and result.rows_in == 30


def test_silver_that_changed_since_the_plan_is_refused(research):
    publish_silver(Lake(research), labelled_texts(5))
    step = allocate.plan(research, Lake(research))[0]
    publish_silver(Lake(research), labelled_texts(6))
    with pytest.raises(FoundryError, match="changed while phase 3 ran"):
        allocate.run_step(research, step)


def test_a_run_that_is_asked_for_one_dataset_keeps_the_rows_of_the_others(with_settings, run_phase3):
    settings = with_settings(engines=["nlu"], datasets=[TOPICS], licensing={"commercial_use": False})
    publish_silver(Lake(settings), [*labelled_texts(10), silver_row(COMMENTS, 1, label="sports")])
    results = run_phase3(settings)
    assert set(results) == {"nlu"} and results["nlu"].rows_in == 11 and "without" not in results["nlu"].reason


def test_the_report_shows_intent_and_what_was_done_instead(research, run_phase3):
    publish_silver(Lake(research), corpus())
    results = run_phase3(research)
    assert f"\n  {TEXT_PAIRS}: Declared for stt, which can use none of its 35 rows (no_audio" in results["stt"].reason
    datasets, engines = allocate.describe(research, Lake(research))
    assert datasets[TEXT_PAIRS].served_engines == ["translation"] and datasets[TEXT_PAIRS].declared_engine == "stt"
    assert [finding["kind"] for finding in datasets[TEXT_PAIRS].findings] == ["declared_engine_unable"]
    assert datasets[NINE_ROWS].status == "not allocated"
    assert datasets[SPEECH].served_engines == ["stt", "dialect"] and datasets[SPEECH].findings == []
    assert engines["translation"].rows == {"train": 20, "validation": 5, "test": 10}
    assert engines["stt"].status == "allocated"
    line = {
        "able": 0, "domain": 0, "used": 0, "used_for_domain": 0, "kept_out": {}, "why_not": {"no_dialect_label": 9},
    }  # fmt: skip
    assert engines["dialect"].routing[NINE_ROWS] == {"rows": 9, "declared": "dialect", **line}
    matrix = datasets[SPEECH].routing
    assert list(matrix) == list(ENGINES) and matrix["dialect"] == {**line, "able": 72, "used": 72, "why_not": {}}
    assert (matrix["tts"]["able"], matrix["tts"]["used"], matrix["tts"]["why_not"]) == (0, 0, {"no_codec_tokens": 72})
    assert engines["stt"].routing[SPEECH]["used"] == 72


def test_what_an_engine_without_gold_used_of_a_dataset_is_not_known(research, run_phase3):
    publish_silver(Lake(research), labelled_texts(30))
    run_phase3(research.model_copy(update={"engines": ("nlu",)}))
    matrix = allocate.describe(research, Lake(research))[0][TOPICS].routing
    assert matrix["nlu"]["used"] == 30 and matrix["stt"]["used"] is None and matrix["stt"]["able"] == 0


def test_text_without_a_target_becomes_the_domain_split_that_serves_no_evaluation(research, run_phase3):
    rows = [*labelled_texts(30), *[silver_row(NINE_ROWS, n, text=words(n, 9), malayalam_ratio=1.0) for n in range(9)]]
    publish_silver(Lake(research), rows)
    result = run_phase3(research)["nlu"]
    manifest = Lake(research).manifest(Layer.GOLD, "nlu")
    assert manifest.details["rows"]["domain"] == 9 and manifest.details["domain"] == {NINE_ROWS: 9}
    assert manifest.details["used"] == {TOPICS: 30} and result.rows_out == 39
    domain = [
        row for file in Lake(research).files(Layer.GOLD, "nlu", "domain") for row in pq.read_table(file).to_pylist()
    ]
    assert {(row["label"], row["label_kind"]) for row in domain} == {(None, "domain")}
    datasets, engines = allocate.describe(research, Lake(research))
    assert datasets[NINE_ROWS].served_engines == ["nlu"] and datasets[NINE_ROWS].routing["nlu"]["used_for_domain"] == 9
    message = datasets[NINE_ROWS].findings[0]["message"]
    assert "instead they serve nlu's adaptation to the language (9 of 9 rows used, no target)" in message
    assert engines["nlu"].rows["domain"] == 9


def test_text_without_a_target_alone_is_nothing_to_train_an_engine_on(research, run_phase3):
    publish_silver(Lake(research), [silver_row(NINE_ROWS, n, text=words(n, 9), malayalam_ratio=1.0) for n in range(9)])
    result = run_phase3(research)["nlu"]
    assert result.outcome is Outcome.REFUSED
    assert result.reason.endswith("9 rows of text without a target for its domain")
    assert allocate.describe(research, Lake(research))[1]["nlu"].status == "refused"


def test_where_a_mismatch_is_to_fail_its_engine_publishes_nothing_and_its_rows_serve_no_other(
    with_settings, run_phase3, read_gold
):
    settings = with_settings(licensing={"commercial_use": False}, routing={"on_mismatch": "fail"})
    publish_silver(Lake(settings), corpus())
    steps = {step.subject: step for step in allocate.plan(settings, Lake(settings))}
    assert steps["stt"].action is Action.RUN and steps["stt"].reason.startswith("nothing there yet")
    results = run_phase3(settings)
    failed = {engine for engine, result in results.items() if result.outcome is Outcome.FAILED}
    assert failed == {"stt", "dialect", "nlu"}
    assert f"{TEXT_PAIRS}: Declared for stt, which can use none of its 35 rows" in results["stt"].reason
    assert "routing.on_mismatch" in results["stt"].reason
    assert {engine: Lake(settings).manifest(Layer.GOLD, engine) is None for engine in ENGINES} == {
        engine: engine in failed for engine in ENGINES
    }
    # The 35 pairs are translation's own kind of rows, the codec rows speech synthesis's: neither is rerouted.
    assert results["translation"].outcome is results["tts"].outcome is Outcome.REFUSED
    assert results["translation"].rejected["not_rerouted"] == 35 and results["tts"].rejected["not_rerouted"] == 30
    assert {row["dataset"] for row in read_gold(settings, "sentiment")["train"]} == {COMMENTS}
    datasets, _ = allocate.describe(settings, Lake(settings))
    kept = next(finding for finding in datasets[TEXT_PAIRS].findings if finding["kind"] == "not_rerouted")
    assert kept["message"].startswith("35 rows kept out of translation") and "is fail" in kept["message"]
    lenient = settings.model_copy(update={"routing": settings.routing.model_copy(update={"on_mismatch": "reroute"})})
    before = hashes(settings)["sentiment"]
    again = run_phase3(lenient)
    assert set(again) == set(ENGINES) - {"sentiment"} and {result.outcome for result in again.values()} == {
        Outcome.DONE
    }
    assert hashes(lenient)["sentiment"] == before
    strict_again = {step.subject: step for step in allocate.plan(settings, Lake(settings))}
    assert {name for name, step in strict_again.items() if step.action is Action.SKIP} == {"sentiment"}
    assert "setting routing.on_mismatch changed (reroute -> fail)" in strict_again["stt"].reason


def test_gold_without_a_row_is_never_opened_as_something_else(with_settings, run_phase3, tmp_path):
    import datasets

    settings = with_settings(licensing={"commercial_use": True})
    publish_silver(Lake(settings), [dict(row, licence="unknown") for row in spoken_rows(DISTRICTS)])
    assert run_phase3(settings)["stt"].outcome is Outcome.REFUSED
    folder = Lake(settings).folder(Layer.GOLD, "stt")
    with pytest.raises(FileNotFoundError, match=r"No \(supported\) data files found in .*gold/stt"):
        datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert "license:" not in (folder / "README.md").read_text(encoding="utf-8").split("---")[1]


def test_a_dataset_whose_manifest_is_damaged_stops_the_engines_it_serves_and_no_other(research, run_phase3):
    lake = Lake(research)
    publish_silver(lake, [*labelled_texts(30), silver_row(COMMENTS, 1, label="positive", text="kollam poli")])
    run_phase3(research)
    before = hashes(research)
    (lake.folder(Layer.SILVER, TOPICS) / "manifest.json").write_text("{")
    steps = {step.subject: step for step in allocate.plan(research, lake)}
    served = [m.name for m in lake.manifests(Layer.GOLD) if m.details["used"].get(TOPICS)]
    assert {name for name, step in steps.items() if step.action is Action.FAIL} == set(served) == {"nlu"}
    assert {step.action for name, step in steps.items() if name not in served} == {Action.SKIP}
    assert TOPICS in steps["nlu"].reason and "can't be read as a manifest" in steps["nlu"].reason
    run_phase3(research)
    assert hashes(research) == before
