"""Leaks planted in a generated corpus are all found, and no clean row is lost.

No native speaker checked the Malayalam.
"""

import random
from collections import Counter

import pytest

from allocation.silver_builders import (
    INTENTS,
    SPEECH,
    SPEECH_WITH_SPLITS,
    TEXT_PAIRS,
    TOPICS,
    by_telephone,
    heard,
    labelled_texts,
    publish_silver,
    silver_row,
    spoken_rows,
    voice,
    words,
)
from data_foundry.allocation.links import LINKS
from data_foundry.allocation.splits import LEAKS
from data_foundry.commands.split_check import split_faults
from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.lake import Lake, Layer

SPLITS = ("train", "validation", "test")
DISTRICTS = {f"s{n}": ["Kollam", "Thrissur", "Kannur"][n % 3] for n in range(30)}


@pytest.fixture
def research(with_settings) -> Settings:
    return with_settings(licensing={"commercial_use": False}, engines=["stt", "nlu"])


def found_at(gold: dict) -> dict[str, str]:
    return {row["row_id"]: row.get("reason") or split for split, rows in gold.items() for row in rows}


def certified(settings: Settings, engine: str) -> dict:
    return Lake(settings).manifest(Layer.GOLD, engine).details["splits"]


def published_test(count: int = 8) -> list[dict]:
    return [
        silver_row(SPEECH_WITH_SPLITS, n, "test", speaker=f"t{n}", text=words(40_000 + n, 7), **heard(voice(n)))
        for n in range(count)
    ]


def test_train_rows_that_repeat_test_rows_are_all_found_by_the_method_meant_for_them(research, run_phase3, read_gold):
    test = published_test()
    chillu = silver_row(SPEECH_WITH_SPLITS, 50, "test", text="അവൻ വന്നു", **heard(voice(50)))
    clean = [
        silver_row(SPEECH, 100 + n, speaker=f"c{n}", text=words(50_000 + n, 7), **heard(voice(100 + n)))
        for n in range(12)
    ]
    edited = test[3]["text"] + " വരി"
    planted = {
        "audio": silver_row(SPEECH, 200, text=words(1, 6), **{k: test[0][k] for k in heard(voice(0))}),
        "near_audio": silver_row(SPEECH, 201, text=words(2, 6), **heard(by_telephone(voice(1)))),
        "text": silver_row(SPEECH, 202, text="അവന്\u200d വന്നു!", **heard(voice(202))),
        "near_text": silver_row(SPEECH, 203, text=edited, **heard(voice(203))),
        "speaker": silver_row(SPEECH_WITH_SPLITS, 204, speaker="t4", text=words(5, 6), **heard(voice(204))),
        "recording": silver_row(
            SPEECH_WITH_SPLITS, 5, source_file="data/test.parquet", row_id="f" * 16, text=words(6, 6),
            **heard(voice(205)),
        ),
    }  # fmt: skip
    publish_silver(Lake(research), [*test, chillu, *clean, *planted.values()])
    run_phase3(research)
    found = found_at(read_gold(research, "stt"))
    assert {name: found[row["row_id"]] for name, row in planted.items()} == dict.fromkeys(planted, "leaks_into_test")
    assert {found[row["row_id"]] for row in (*test, chillu)} == {"test"}
    assert {found[row["row_id"]] for row in clean} <= set(SPLITS)
    by_kind = certified(research, "stt")["rejected_by"]["leaks_into_test"]
    assert by_kind == {kind: {"rows": 1, "alone": 1} for kind in planted}


def test_one_speaker_under_two_ids_is_joined_through_a_clip_that_both_sets_hold(research, run_phase3, read_gold):
    shared = heard(voice(900))
    rows = spoken_rows(DISTRICTS)
    here = [silver_row(SPEECH, 500 + n, sound=500 + n, speaker="known as one") for n in range(6)]
    there = [silver_row(SPEECH_WITH_SPLITS, 600 + n, sound=600 + n, speaker="as another") for n in range(6)]
    here.append(silver_row(SPEECH, 700, speaker="known as one", text=words(901, 6), **shared))
    there.append(silver_row(SPEECH_WITH_SPLITS, 701, speaker="as another", text=words(902, 6), **shared))
    publish_silver(Lake(research), [*rows, *here, *there])
    run_phase3(research)
    found = read_gold(research, "stt")
    at = found_at(found)
    assert len({at[row["row_id"]] for row in (*here, *there)}) == 1
    groups = {
        row["group"] for split in SPLITS for row in found[split] if row["speaker"] in ("known as one", "as another")
    }
    assert len(groups) == 1 and not found["rejected"]
    assert certified(research, "stt")["disjoint_by"]["audio"]["joins"] == 1


def test_rows_of_one_template_stand_on_one_side_in_each_set_and_across_sets_that_share_a_sentence(
    research, run_phase3, read_gold
):
    def of(dataset: str, start: int) -> list[dict]:
        return [
            silver_row(dataset, start + n, label="sports", prompt=f"t{n // 5}", text=words(70_000 + start + n, 6))
            for n in range(200)
        ]

    one, other = of(TOPICS, 0), of(INTENTS, 1000)
    other[50] = {**other[50], "text": one[30]["text"], "label": "business"}
    publish_silver(Lake(research), [*one, *other])
    run_phase3(research)
    found = found_at(read_gold(research, "nlu"))
    for rows in (one, other):
        for start in range(0, 200, 5):
            assert len({found[row["row_id"]] for row in rows[start : start + 5]}) == 1
    assert len({found[row["row_id"]] for row in (*one[30:35], *other[50:55])}) == 1
    assert set(found.values()) == set(SPLITS)


def test_texts_with_an_edit_stand_on_one_side_without_any_published_split(research, run_phase3, read_gold):
    rows = [silver_row(TOPICS, n, label=["business", "sports"][n % 2], text=words(80_000 + n, 8)) for n in range(120)]
    edits = [
        silver_row(INTENTS, n, label="sports", text=rows[n]["text"] + " മഴ") for n in range(0, 120, 3)
    ]  # fmt: skip
    publish_silver(Lake(research), [*rows, *edits])
    run_phase3(research)
    gold = read_gold(research, "nlu")
    found = found_at(gold)
    assert all(found[edit["row_id"]] == found[rows[edit["source_row"]]["row_id"]] for edit in edits)
    assert not gold["rejected"] and set(found.values()) == set(SPLITS)
    near = certified(research, "nlu")["disjoint_by"]["near_text"]
    assert near["joins"] == near["pairs"] == len(edits) and near["rows_on_two_sides"] == 0


def edited(text: str, number: int) -> str:
    """The text with another word in place of one; two of them differ in two words."""
    said = text.split()
    said[number % len(said)] = words(700_000 + number, 1)
    return " ".join(said)


@pytest.mark.parametrize("count", [20, 45, 150])
def test_however_many_texts_are_near_a_test_row_all_of_them_are_found(research, run_phase3, read_gold, count):
    held = silver_row(TOPICS, 0, "test", label="sports", text=words(60_000, 14))
    near = [silver_row(TOPICS, 100 + n, label="business", text=edited(held["text"], n)) for n in range(count)]
    clean = [
        silver_row(TOPICS, 5000 + n, label=["business", "sports"][n % 2], text=words(61_000 + n, 8)) for n in range(300)
    ]
    publish_silver(Lake(research), [held, *near, *clean])
    run_phase3(research)
    found = found_at(read_gold(research, "nlu"))
    assert {found[row["row_id"]] for row in near} == {"leaks_into_test"}
    assert {found[row["row_id"]] for row in clean} <= set(SPLITS)
    assert split_faults(Lake(research), [AIEngine.NLU])[1] == []


def test_a_large_family_of_near_texts_stands_on_one_side_and_later_arrivals_let_no_leak_in(
    research, run_phase3, read_gold
):
    held = silver_row(TOPICS, 0, "test", label="sports", text=words(60_001, 14))
    leaks = [silver_row(TOPICS, 1 + n, label="sports", text=edited(held["text"], n)) for n in range(8)]
    family = [silver_row(TOPICS, 100 + n, label="sports", text=edited(words(60_002, 14), 50 + n)) for n in range(70)]
    clean = [silver_row(TOPICS, 5000 + n, label="business", text=words(62_000 + n, 8)) for n in range(200)]
    publish_silver(Lake(research), [held, *leaks, *family, *clean])
    run_phase3(research)
    found = found_at(read_gold(research, "nlu"))
    assert {found[row["row_id"]] for row in leaks} == {"leaks_into_test"}
    assert len({found[row["row_id"]] for row in family}) == 1 and {found[row["row_id"]] for row in family} <= set(
        SPLITS
    )
    more = [silver_row(INTENTS, n, label="affirm", text=edited(held["text"], 200 + n)) for n in range(60)]
    publish_silver(Lake(research), [held, *leaks, *family, *clean, *more])
    run_phase3(research)
    again = found_at(read_gold(research, "nlu"))
    assert {again[row["row_id"]] for row in (*leaks, *more)} == {"leaks_into_test"}
    assert certified(research, "nlu")["changed"]["rows"] == 0
    assert split_faults(Lake(research), [AIEngine.NLU])[1] == []


def test_a_chain_through_a_row_that_left_ties_nothing_that_stays(research, run_phase3, read_gold):
    one = words(60_003, 12).split()
    two = [*one[:3], words(60_004, 1), *one[4:]]
    three = [*two[:6], words(60_005, 1), *two[7:]]
    split = {"test": one, "train": two, "train ": three}
    rows = [
        silver_row(TOPICS, n, s.strip(), label="sports", text=" ".join(t)) for n, (s, t) in enumerate(split.items())
    ]
    clean = [
        silver_row(TOPICS, 5000 + n, label=["business", "sports"][n % 2], text=words(63_000 + n, 8)) for n in range(100)
    ]
    publish_silver(Lake(research), [*rows, *clean])
    run_phase3(research)
    gold = read_gold(research, "nlu")
    found = found_at(gold)
    assert found[rows[0]["row_id"]] == "test" and found[rows[1]["row_id"]] == "leaks_into_test"
    assert found[rows[2]["row_id"]] in ("train", "validation")
    groups = {row["row_id"]: row["group"] for side in SPLITS for row in gold[side]}
    assert groups[rows[0]["row_id"]] != groups[rows[2]["row_id"]]
    near = certified(research, "nlu")["disjoint_by"]["near_text"]
    assert (near["linked_rows"], near["pairs"], near["joins"]) == (0, 0, 0) and near["rows_with_it"] == 102
    assert split_faults(Lake(research), [AIEngine.NLU])[1] == []


def test_a_corpus_without_a_leak_loses_no_row(research, run_phase3, read_gold):
    rows = [silver_row(SPEECH_WITH_SPLITS, n, s, speaker=f"{s}{n}", text=words(90_000 + n, 7), **heard(voice(300 + n)))
            for n, s in enumerate(["train"] * 30 + ["validation"] * 6 + ["test"] * 6)]  # fmt: skip
    publish_silver(Lake(research), rows)
    results = run_phase3(research)
    assert results["stt"].rejected == {} and results["stt"].rows_out == 42
    assert {split: len(found) for split, found in read_gold(research, "stt").items()} == {
        "train": 30, "validation": 6, "test": 6, "domain": 0, "rejected": 0,
    }  # fmt: skip


def unlabelled(number: int, split: str = "train", **values) -> dict:
    return silver_row(TEXT_PAIRS, number, split, **{"malayalam_ratio": 1.0, **values})


def test_unlabelled_text_adapts_and_never_repeats_what_is_held_out(research, run_phase3, read_gold):
    labelled = [
        silver_row(TOPICS, n, label=["business", "sports"][n % 2], text=words(95_000 + n, 8)) for n in range(80)
    ]
    publish_silver(Lake(research), labelled)
    run_phase3(research)
    before = found_at(read_gold(research, "nlu"))
    held = {split: [row for row in labelled if before[row["row_id"]] == split] for split in SPLITS}
    clean = [unlabelled(n, text=words(96_000 + n, 8)) for n in range(20)]
    planted = {
        "leaks_into_test": [
            unlabelled(100, text=held["test"][0]["text"]), unlabelled(101, text=held["test"][1]["text"] + " മഴ"),
        ],
        "leaks_into_validation": [unlabelled(110, text=held["validation"][0]["text"])],
        "duplicate": [unlabelled(120, text=held["train"][0]["text"]), unlabelled(121, text=clean[0]["text"])],
        "published_as_held_out": [
            unlabelled(130, "kathbath", text=words(97_000, 8)), unlabelled(131, "validation", text=words(97_001, 8)),
        ],
        "no_intent_or_topic": [unlabelled(140, text="thank you very much", malayalam_ratio=0.0)],
    }  # fmt: skip
    chain = [unlabelled(150, text=f"{a['text']} {b['text']}") for a, b in [(labelled[0], labelled[1])]]
    publish_silver(Lake(research), [*labelled, *clean, *chain, *(row for rows in planted.values() for row in rows)])
    result = run_phase3(research)["nlu"]
    found = found_at(read_gold(research, "nlu"))
    domain = {row_id for row_id, at in found.items() if at == "domain"}
    assert {row["row_id"]: found[row["row_id"]] for row in labelled} == before
    assert {row["row_id"] for row in clean} <= domain
    assert {reason: {found[row["row_id"]] for row in rows} for reason, rows in planted.items()} == {
        reason: {reason} for reason in planted
    }
    assert result.rows_out == 80 + len(domain) and result.rejected == Counter(
        {reason: len(rows) for reason, rows in planted.items()}
    )
    assert split_faults(Lake(research), [AIEngine.NLU])[1] == []


def test_unlabelled_text_ties_no_labelled_rows_together(research, run_phase3, read_gold):
    ends = [words(98_000, 9), words(98_001, 9)]
    chain = [" ".join(ends[0].split()[: 9 - n] + ends[1].split()[9 - n :]) for n in range(10)]
    labelled = [silver_row(TOPICS, n, label="sports", text=text) for n, text in enumerate((chain[0], chain[-1]))]
    more = [silver_row(TOPICS, 100 + n, label="sports", text=words(99_000 + n, 9)) for n in range(60)]
    publish_silver(
        Lake(research), [*labelled, *more, *(unlabelled(n, text=text) for n, text in enumerate(chain[1:-1]))]
    )
    run_phase3(research)
    groups = {row["row_id"]: row["group"] for split in SPLITS for row in read_gold(research, "nlu")[split]}
    assert groups[labelled[0]["row_id"]] != groups[labelled[1]["row_id"]]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_seed_nothing_stands_on_two_sides_and_nothing_clean_is_lost(
    with_settings, run_phase3, read_gold, seed
):
    settings = with_settings(licensing={"commercial_use": False}, splits={"seed": seed})
    rng = random.Random(seed)
    rows = spoken_rows(DISTRICTS) + labelled_texts(80)
    rows += [
        silver_row(
            SPEECH_WITH_SPLITS, n, sound=rng.randrange(60) + 300, text=words(rng.randrange(200)), speaker=f"v{n % 9}"
        )
        for n in range(60)
    ]
    splits = enumerate(["train"] * 40 + ["test"] * 6 + ["kathbath"] * 4)
    pair = {"direction": "ml-en", "malayalam_ratio": 1.0}
    rows += [silver_row(TEXT_PAIRS, n, s, translation=f"line {rng.randrange(30)}", **pair) for n, s in splits]
    publish_silver(Lake(settings), rng.sample(rows, len(rows)), files=3)
    results = run_phase3(settings)
    engines = [engine for engine in ENGINES if results[engine].rows_out]
    assert split_faults(Lake(settings), engines)[1] == []
    for engine in engines:
        reasons = {row["reason"] for row in read_gold(settings, engine)["rejected"]}
        unable = {need.reason for need in (*ENGINES[engine].requirements, *ENGINES[engine].unlabelled)}
        assert reasons <= unable | {"duplicate", *LEAKS}


def test_every_kind_of_link_of_an_engine_can_be_decided_again_from_its_gold_columns():
    for spec in ENGINES.values():
        for kind in spec.links:
            assert set(LINKS[kind].columns) <= set(spec.gold_columns), (spec.engine, kind)
