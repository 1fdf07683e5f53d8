"""Splits by themselves: who may stand where, and that what arrives later moves nobody."""

import random
from dataclasses import replace

import numpy as np
import pytest

from allocation.silver_builders import words
from data_foundry.allocation.groups import REJECTED, SPLITS
from data_foundry.allocation.links import LINKS, components, digest, text_key
from data_foundry.allocation.splits import LEAKS, LinkedRows, assign, published_side, verify
from data_foundry.config import Splits
from data_foundry.errors import FoundryError

SHARES = Splits(validation=0.1, test=0.2)


def linked(rows: list[dict]) -> LinkedRows:
    """Rows as {"speaker", "text", "label", "split", "dataset"}, each optional."""
    speaker = [digest("s", row["speaker"]) if row.get("speaker") else 0 for row in rows]
    text = [text_key(row.get("text")) for row in rows]
    names = sorted({row.get("label", "") for row in rows})
    return LinkedRows(
        dataset=np.array([row.get("dataset", 0) for row in rows]),
        label=np.array([names.index(row.get("label", "")) for row in rows]),
        published=np.array([published_side(row.get("split", "train")) for row in rows], dtype=np.int8),
        links={"speaker": np.array(speaker, dtype=np.uint64), "text": np.array(text, dtype=np.uint64)},
        anchor=np.array([a or b for a, b in zip(speaker, text, strict=True)], dtype=np.uint64),
    )


def sides(rows: list[dict], shares: Splits = SHARES) -> list[str]:
    """The side of each row, or the reason why it has none."""
    found = assign(linked(rows), shares)
    return [
        LEAKS[leak] if side == REJECTED else SPLITS[side]
        for side, leak in zip(found.side.tolist(), found.leak.tolist(), strict=True)
    ]


def speakers(count: int, each: int = 5, **values) -> list[dict]:
    return [
        {"speaker": f"s{speaker}", "text": words(1000 * speaker + line), **values}
        for speaker in range(count)
        for line in range(each)
    ]


def test_rows_linked_over_a_chain_are_one_component():
    links = [np.array([1, 1, 0, 2, 0, 3], dtype=np.uint64), np.array([0, 7, 7, 0, 9, 9], dtype=np.uint64)]
    assert components(links, 6).tolist() == [0, 0, 0, 3, 4, 4]


def test_rows_without_a_key_are_not_linked_to_each_other():
    assert components([np.zeros(3, dtype=np.uint64)], 3).tolist() == [0, 1, 2]


def test_a_speaker_stands_on_one_side():
    rows = speakers(60)
    found = sides(rows)
    for speaker in {row["speaker"] for row in rows}:
        assert len({side for side, row in zip(found, rows, strict=True) if row["speaker"] == speaker}) == 1
    assert set(found) == set(SPLITS)


def test_shares_are_met_within_what_chance_allows():
    found = sides([{"text": words(number)} for number in range(3000)])
    assert 0.17 < found.count("test") / 3000 < 0.23
    assert 0.08 < found.count("validation") / 3000 < 0.12


def test_shares_of_zero_hold_nothing_out():
    assert set(sides(speakers(30), Splits(validation=0, test=0))) == {"train"}


def test_a_published_test_row_stays_and_the_train_row_with_its_text_leaves():
    rows = [{"text": words(number), "split": "test" if number < 20 else "train"} for number in range(60)]
    rows.append({"text": words(3) + "!", "split": "train"})
    found = sides(rows)
    assert found[:20] == ["test"] * 20 and found[-1] == "leaks_into_test"
    assert "test" not in found[20:] and found.count("leaks_into_test") == 1


def test_only_the_leaking_rows_of_a_speaker_leave():
    rows = [{"text": words(77_777), "split": "test"}, *speakers(10)]
    rows.append({"speaker": "s1", "text": words(77_777)})
    found = sides(rows)
    assert found[-1] == "leaks_into_test" and found.count("leaks_into_test") == 1


def test_a_validation_row_leaves_for_test_and_a_train_row_for_validation():
    rows = [
        {"text": words(1), "split": "test"},
        {"text": words(1), "split": "validation"},
        {"text": words(2), "split": "validation"},
        {"text": words(2), "split": "train"},
        {"text": words(3), "split": "train"},
    ]
    assert sides(rows) == ["test", "leaks_into_test", "validation", "leaks_into_validation", "train"]


def test_an_evaluation_split_is_held_out_whatever_its_name():
    assert sides([{"text": words(1), "split": "kathbath"}, {"text": words(2)}])[0] == "test"


def test_a_dataset_that_publishes_a_test_split_gives_no_train_row_to_test():
    rows = [{"text": words(n), "dataset": 0, "split": "test" if n < 30 else "train"} for n in range(200)]
    rows += [{"text": words(n), "dataset": 1} for n in range(200, 400)]
    found = sides(rows)
    assert set(found[30:200]) == {"train", "validation"} and "test" in found[200:]


def test_legacy_chillus_and_punctuation_do_not_hide_an_equal_text():
    assert text_key("അവന്\u200d വന്നു.") == text_key("അവൻ വന്നു") != text_key("അവൾ വന്നു")


def test_texts_of_which_no_letter_is_left_are_told_apart():
    assert text_key("👍👍") != text_key("😡") and text_key("  ") == 0


def test_every_label_is_on_every_side_when_it_has_groups_enough():
    for seed in range(40):
        rows = [dict(row, label=f"region{i // 5 % 3}") for i, row in enumerate(speakers(18))]
        found = sides(rows, Splits(validation=0.1, test=0.15, seed=seed))
        for region in {"region0", "region1", "region2"}:
            assert {s for s, row in zip(found, rows, strict=True) if row["label"] == region} == set(SPLITS), seed


def test_few_groups_are_divided_as_the_shares_say_and_not_as_chance_would():
    for seed in range(20):
        found = sides(speakers(20, each=1), Splits(validation=0.1, test=0.2, seed=seed))
        assert found.count("validation") == 2 and found.count("test") in (3, 4, 5)


def test_a_rare_label_gets_its_share_of_test():
    for seed in range(20):
        rows = [{"text": words(n), "label": "rare" if n < 70 else "common"} for n in range(400)]
        found = sides(rows, Splits(validation=0.1, test=0.15, seed=seed))
        assert 7 <= found[:70].count("test") <= 15 and 5 <= found[:70].count("validation") <= 10


def test_a_dataset_of_few_groups_among_many_is_on_every_side():
    for seed in range(20):
        rows = [{"text": words(n)} for n in range(300)] + [{"text": words(n), "dataset": 1} for n in range(300, 304)]
        assert set(sides(rows, Splits(validation=0.1, test=0.15, seed=seed))[300:]) == set(SPLITS), seed


def test_a_label_of_two_groups_is_in_train_and_test():
    for seed in range(20):
        rare = [dict(row, speaker="r" + row["speaker"], text=row["text"] + " ക", label="rare") for row in speakers(2)]
        rows = [*speakers(12, label="common"), *rare]
        found = sides(rows, Splits(validation=0.1, test=0.15, seed=seed))
        assert {s for s, row in zip(found, rows, strict=True) if row["label"] == "rare"} == {"train", "test"}


def test_a_published_validation_split_counts_for_its_labels():
    rows = [dict(row, label="malabar", split="validation", speaker="v") for row in speakers(1)]
    rows += [dict(row, text=row["text"] + " ര", label="malabar") for row in speakers(3)]
    found = sides(rows)
    assert set(found[:5]) == {"validation"} and set(found[5:]) == {"train", "test"}


def test_order_of_rows_does_not_matter():
    rows = speakers(40) + [{"text": words(n), "split": "test"} for n in range(3)]
    expected = dict(zip(map(str, rows), sides(rows), strict=True))
    shuffled = random.Random(1).sample(rows, len(rows))
    assert dict(zip(map(str, shuffled), sides(shuffled), strict=True)) == expected


def test_rows_that_arrive_later_move_nobody():
    rows = speakers(200, each=2, label="a")
    grown = rows + [
        dict(row, speaker="new" + row["speaker"], text=row["text"] + " മ") for row in speakers(150, label="a")
    ]
    more_lines = grown + [{"speaker": f"s{n}", "text": words(900_000 + n), "label": "a"} for n in range(200)]
    before = sides(rows)
    assert sides(grown)[: len(rows)] == before
    assert sides(more_lines)[: len(rows)] == before


def test_another_seed_is_another_split():
    rows = speakers(60)
    assert sides(rows) != sides(rows, Splits(validation=0.1, test=0.2, seed=1))


def test_speakers_who_all_say_the_same_words_are_still_split_and_no_text_stands_on_two_sides():
    rows = speakers(40, each=6)
    rows += [{"speaker": f"s{n}", "text": "അതെ"} for n in range(40)]
    found = sides(rows)
    yes = found[-40:]
    assert set(found) == {*SPLITS, "straddles_splits"}
    assert len(set(yes) - {"straddles_splits"}) == 1 and "straddles_splits" not in found[:-40]
    assert LINKS["text"].weak and not LINKS["speaker"].weak


def test_a_leak_between_two_sides_is_an_error():
    rows = linked([{"text": words(1)}, {"text": words(1)}])
    with pytest.raises(FoundryError, match="share a text: train and test"):
        verify(rows, np.array([0, 2]))


def test_linked_rows_have_one_group_and_others_another():
    found = assign(linked(speakers(5)), SHARES).group.tolist()
    assert all(len(set(found[start : start + 5])) == 1 for start in range(0, 25, 5)) and len(set(found)) == 5


def test_no_rows_are_no_problem():
    assert sides([]) == []


def test_a_voice_that_tests_under_one_id_does_not_train_under_another():
    """Set 0 publishes its speaker as test, set 1 has the same person under another id, and one clip of both."""
    rows = [{"speaker": "as test", "text": words(n), "split": "test"} for n in range(6)]
    rows += [{"speaker": "as train", "text": words(100 + n), "dataset": 1} for n in range(7)]
    rows += [{"speaker": f"other {n}", "text": words(200 + n), "dataset": 1} for n in range(20)]
    found = linked(rows)
    sounds = np.arange(1, len(rows) + 1, dtype=np.uint64)
    sounds[6] = sounds[0]
    found = replace(found, links={**found.links, "audio": sounds})
    assignment = assign(found, SHARES)
    assert {LEAKS[leak] for leak in assignment.leak[6:13].tolist()} == {"leaks_into_test"}
    assert (assignment.side[13:] != REJECTED).all()
    assert assignment.found_by["leaks_into_test"]["audio"].sum() == 1
    assert assignment.found_by["leaks_into_test"]["speaker"].sum() == 6


@pytest.mark.parametrize("which", [0, 1])
def test_a_small_dataset_without_labels_is_on_every_side_like_one_with_them(which):
    rows = [{"text": words(n), "dataset": 1 - which, "label": "abc"[n % 3]} for n in range(300)]
    rows += [{"text": words(1000 + n), "dataset": which} for n in range(8)]
    for seed in range(40):
        found = linked(rows)
        label = np.where(np.arange(len(rows)) < 300, found.label - 1, -1)
        assignment = assign(replace(found, label=label), Splits(validation=0.1, test=0.15, seed=seed))
        assert set(assignment.side[300:].tolist()) == {0, 1, 2}


def test_sentences_that_many_speakers_read_cost_no_side_more_than_half_of_its_rows():
    draw = random.Random(7)
    rows = [{"speaker": f"s{n}", "text": words(sentence)} for n in range(30) for sentence in draw.sample(range(60), 10)]
    found = sides(rows, Splits(validation=0.1, test=0.15))
    counts = {side: found.count(side) for side in set(found)}
    assert counts["straddles_splits"] <= 150 and counts["train"] > counts["test"] >= 20 and counts["validation"] >= 10
    texts: dict[str, set[str]] = {}
    for row, side in zip(rows, found, strict=True):
        if side in SPLITS:
            texts.setdefault(row["text"], set()).add(side)
    assert all(len(held) == 1 for held in texts.values())
