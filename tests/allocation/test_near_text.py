"""Texts that say nearly the same are tied, and no others. The Malayalam was not checked by a native speaker."""

import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_foundry.allocation import near_text
from data_foundry.allocation.near_text import LEAST_SIMILARITY, SHORTEST, NearTexts
from data_foundry.allocation.neighbours import Near
from data_foundry.preprocessing.text import scoring_form

SENTENCE = "ഞങ്ങളുടെ വീട്ടിലെ വൈദ്യുതി ബിൽ കൂടുതലാണെന്ന് പരാതി പറയാൻ വിളിച്ചതാണ്"
OTHERS = [
    "കഴിഞ്ഞ മാസം അടച്ച തുക കണക്കിൽ വന്നിട്ടുണ്ടോ എന്ന് നോക്കണം",
    "പുതിയ സിം കാർഡ് വാങ്ങാൻ എന്തൊക്കെ രേഖകൾ കൊണ്ടുവരണം",
    "നാളെ രാവിലെ മഴ പെയ്യുമെന്ന് റേഡിയോയിൽ കേട്ടു",
    "അമ്മ പറഞ്ഞ കഥ കുട്ടികൾ ശ്രദ്ധിച്ചു കേട്ടിരുന്നു",
]


def words(count: int, seed: int) -> list[str]:
    """Made-up Malayalam words of two to five syllables, of which none begins like a number or ends in a denial."""
    random_ = random.Random(seed)
    syllables = [c + v for c in "കഗചജഡദബമയരലവശസഹള" for v in ("", "ാ", "ി", "ു", "െ", "ോ")]
    return ["".join(random_.choices(syllables, k=random_.randint(2, 5))) for _ in range(count)]


def sentences(count: int, seed: int) -> list[str]:
    vocabulary, random_ = words(4000, seed), random.Random(seed)
    return [" ".join(random_.choices(vocabulary, k=8)) for _ in range(count)]


def compared(texts: Iterable[str | None]) -> Near:
    collected = NearTexts()
    for text in texts:
        collected.add(text)
    return collected.found()


def keys_of(texts: Iterable[str | None]) -> np.ndarray:
    return compared(texts).keys


def shingles(text: str) -> set[str]:
    form = scoring_form(text).replace(" ", "")
    return {form[at : at + 3] for at in range(len(form) - 2)}


def alike(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def tied(*texts: str) -> bool:
    """Whether the texts share a key among others."""
    keys = keys_of([*texts, *OTHERS])
    assert not keys[len(texts) :].any()
    return bool(keys[0]) and len(set(keys[: len(texts)].tolist())) == 1


@pytest.mark.parametrize(
    "edited",
    {
        "a letter changed": SENTENCE.replace("പരാതി", "പരാദി"),
        "a letter lost": SENTENCE.replace("കൂടുതലാണെന്ന്", "കൂടതലാണെന്ന്"),
        "a word added": SENTENCE.replace("വിളിച്ചതാണ്", "ഇന്ന് വിളിച്ചതാണ്"),
        "a word lost": SENTENCE.replace(" ബിൽ", ""),
        "words joined": SENTENCE.replace("വൈദ്യുതി ബിൽ", "വൈദ്യുതിബിൽ"),
        "words in another order": SENTENCE.replace("പരാതി പറയാൻ", "പറയാൻ പരാതി"),
        "legacy chillu and a typo": SENTENCE.replace("ൽ", "ല്\u200d").replace("ൻ", "ന്\u200d").replace("പരാതി", "പരാദി"),
        "punctuation, joiners and a typo": "“" + SENTENCE.replace(" ", ",\u200c ").replace("പരാതി", "പരാദി") + "!”",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_text_with_a_small_edit_is_tied_to_the_text(edited):
    assert edited[1] != SENTENCE
    assert tied(SENTENCE, edited[1])


@pytest.mark.parametrize(
    "other",
    {
        "another number": "എന്റെ അക്കൗണ്ടിൽ നിന്ന് 700 രൂപ പിൻവലിച്ചതായി കാണിക്കുന്നു",
        "another number in words": "എന്റെ അക്കൗണ്ടിൽ നിന്ന് അഞ്ഞൂറ് രൂപ പിൻവലിച്ചതായി കാണിക്കുന്നു",
        "a negation": "എന്റെ അക്കൗണ്ടിൽ നിന്ന് 500 രൂപ പിൻവലിച്ചതായി കാണിക്കുന്നില്ല",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_text_with_another_number_or_a_negation_is_another_text(other):
    text = "എന്റെ അക്കൗണ്ടിൽ നിന്ന് 500 രൂപ പിൻവലിച്ചതായി കാണിക്കുന്നു"
    assert not keys_of([text, other[1], *OTHERS]).any()
    assert tied(text, text.replace("രൂപ", "രൂബ"))


def test_equal_texts_share_a_key_and_a_text_alone_has_none():
    assert tied(SENTENCE, SENTENCE + ".")
    assert not keys_of([SENTENCE, *OTHERS, None, ""]).any()


def test_a_short_text_is_near_no_other():
    short = "ബിൽ അടക്കണം"
    assert len(scoring_form(short).replace(" ", "")) < SHORTEST
    assert not keys_of([short, short, "ബില്ല് അടക്കണം"[:11]]).any()


def test_every_planted_copy_is_found_among_clean_sentences_and_no_clean_one_is_tied():
    clean = sentences(6000, seed=1)
    planted = [text[:20] + "ക" + text[21:] for text in clean[:300]]
    keys = keys_of([*clean, *planted])
    assert (keys[:300] == keys[6000:]).all()
    assert keys[:300].all()
    assert len(set(keys[:300].tolist())) == 300
    assert not keys[300:6000].any()


def test_of_a_family_of_texts_every_near_pair_is_found_however_many_share_a_bucket(monkeypatch):
    frame = SENTENCE.split()
    texts = [" ".join([*frame[:3], name, *frame[4:]]) for name in words(400, seed=2)]
    near, sets = compared(texts), [shingles(text) for text in texts]
    expected = 0
    for at in range(0, 400, 40):
        found = np.flatnonzero(near.touched(np.arange(400) == at)).tolist()
        assert found == [place for place in range(400) if alike(sets[at], sets[place]) >= LEAST_SIMILARITY]
        expected += len(found)
    assert expected > 1000 and near.counts["pairs_not_compared"] == 0
    monkeypatch.setattr(near_text, "MOST_PAIRS", 100)
    few = compared(texts)
    assert few.counts["pairs_not_compared"] > 1000 and few.counts["pairs"] < near.counts["pairs"]


def test_among_some_rows_no_chain_runs_through_the_others():
    one = f"{SENTENCE} {OTHERS[3]}"
    middle = one.replace("പരാതി", "പരാദി")
    other = middle.replace("അമ്മ", "അപ്പൻ").replace("ശ്രദ്ധിച്ചു", "ശ്രദ്ധയോടെ")
    near = compared([one, middle, other, OTHERS[0]])
    assert len(set(near.keys[:3].tolist())) == 1 and near.keys[0] and not near.keys[3]
    assert near.touched(np.array([True, False, False, False])).tolist() == [True, True, False, False]
    assert not near.among(np.array([0, 2, 3])).keys.any()
    assert near.among(np.array([True, True, False, True])).keys.tolist()[:2] == near.keys[:2].tolist()


def test_the_keys_do_not_depend_on_the_order_of_rows():
    texts = sentences(400, seed=3)
    texts += [text.replace(" ", "", 1) for text in texts[:50]] + texts[100:120] + [None, "", "അതെ"]
    keys = keys_of(texts)
    order = np.random.default_rng(4).permutation(len(texts))
    assert (keys_of([texts[place] for place in order]) == keys[order]).all()
    assert keys.any()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=40), st.sampled_from([SENTENCE, *OTHERS])), max_size=12))
def test_any_texts_have_keys_that_say_the_same_of_equal_forms(texts):
    keys = keys_of(texts)
    assert keys.dtype == np.uint64 and len(keys) == len(texts)
    by_form: dict[str, set[int]] = {}
    for text, key in zip(texts, keys.tolist(), strict=True):
        by_form.setdefault(scoring_form(text or ""), set()).add(key)
    assert all(len(found) == 1 for found in by_form.values())


def test_pairs_touch_and_keys_tell_the_same_rows():
    collected = NearTexts()
    typo, further = SENTENCE.replace("പരാതി", "പരാദി"), SENTENCE.replace("പരാതി", "പരാദി").replace("ബിൽ", "പില്ല്")
    rows = [OTHERS[0], SENTENCE, None, typo, SENTENCE + "!", further]
    for text in rows:
        collected.add(text)
    near = collected.found()
    held_out = np.array([False, True, False, False, False, False])
    assert near.touched(held_out).tolist()[:5] == [False, True, False, True, True]
    assert near.touched(np.array([True] + [False] * 5)).tolist() == [True] + [False] * 5


def test_what_is_compared_in_small_parts_is_compared_the_same(monkeypatch):
    texts = sentences(300, seed=5)
    texts += [text[:30] + "മ" + text[31:] for text in texts[:80]]
    whole = keys_of(texts)
    monkeypatch.setattr(near_text, "_CHUNK", 7)
    monkeypatch.setattr(near_text, "_PAIRS", 5)
    assert (keys_of(texts) == whole).all()


def test_no_rows_have_no_keys():
    assert len(keys_of([])) == 0
