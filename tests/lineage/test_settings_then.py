"""Settings as they were: what a manifest keeps is in force again, and would be kept the same once more."""

import pytest

from data_foundry.allocation.keys import row_settings
from data_foundry.dataset_registry import dataset_entry
from data_foundry.engines import ENGINES
from data_foundry.lake import Manifest
from data_foundry.lineage.settings_then import settings_then, told
from data_foundry.preprocessing.rule_sets import RULE_SETS, settings_that_matter
from tests.preprocessing.raw_builders import STT

KINDS = frozenset().union(*(rules.needs for rules in RULE_SETS.values()))
OTHERS = [
    {},
    {"audio": {"min_seconds": 1.0, "usual_aksharas_per_second": (2.0, 9.0), "min_snr_db": 3.0}},
    {"text": {"profile": "encoding"}, "duplicates": {"text": "drop", "audio": "keep"}},
    {"content": {"mask_personal_data": False, "exclude": ("mobile_number",), "public_numbers": ("0484 2345678",)}},
    {"licensing": {"commercial_use": False}, "splits": {"seed": 3, "test": 0.2, "remember": False}},
    {"telephony": {"splits": (), "codecs": {"gsm": 1.0}}},
    {"telephony": {"splits": ("train", "test"), "codecs": {"gsm": 1.0}, "level_db": (0.0, 0.0)}},
]


def kept(settings):
    """What manifests of silver and gold keep of settings, each by its engine or layer."""
    silver = settings_that_matter(settings, dataset_entry(STT), KINDS)
    return {"silver": silver, **{engine: row_settings(settings, engine) for engine in ENGINES}}


@pytest.mark.parametrize("then", OTHERS, ids=str)
@pytest.mark.parametrize("now", OTHERS, ids=str)
def test_what_a_manifest_keeps_is_in_force_again(with_settings, then, now):
    for layer, made in kept(with_settings(**then)).items():
        again = settings_then(with_settings(**now), made)
        assert kept(again)[layer] == made


def test_an_abuse_list_that_is_named_now_and_was_not_then_is_left_out(with_settings, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("മോശം\n", encoding="utf-8")
    content = {"abuse_list": str(words), "abuse_list_licence": "cc0-1.0", "abuse_allow": ["മോശം"]}
    now, made = with_settings(content=content), kept(with_settings())["silver"]
    assert kept(settings_then(now, made))["silver"] == made
    # The other way it can't be given back: a manifest keeps its hash alone.
    listed = kept(now)["silver"]
    then = settings_then(with_settings(), listed)
    assert then.content.abuse_list is None and then.content.abuse_allow == ("മോശം",)
    assert settings_then(now, listed) == now


def test_values_that_are_none_any_more_stay_as_they_are_in_force_and_are_not_told_as_given_back(
    with_settings, settings
):
    made = {"text.profile": "antique", "duplicates.text": "drop", "gone.setting": 1, "text.gone": 2, "base_path": "x"}
    then = settings_then(settings, made)
    assert then == settings.model_copy(update={"duplicates": settings.duplicates.model_copy(update={"text": "drop"})})
    manifest = Manifest.model_construct(settings=made)
    now, given = (
        {"text.profile": each.text.profile, "duplicates.text": each.duplicates.text} for each in (settings, then)
    )
    assert told(manifest, now, given) == ['duplicates.text "drop" -> "keep"']
