"""The two forms for scoring: ours sees words and not encodings, Vistaar's is what its evaluation computes."""

from __future__ import annotations

import subprocess
import sys

from data_foundry.preprocessing.text import scoring_form, vistaar_compat


def test_ours_does_not_see_how_a_word_is_stored():
    assert scoring_form("അവന്\u200d വിലയിരുത്തി: കൊടി.") == scoring_form("അവൻ വിലയിരുത്തി കെ\u0d3eടി")


def test_ours_takes_both_spellings_of_nta_for_one():
    old, typed, now = "ഇന്\u200dറര്\u200dനെറ്റ്", "ഇൻറർനെറ്റ്", "ഇന്റർനെറ്റ്"
    assert scoring_form(old) == scoring_form(typed) == scoring_form(now) == now
    assert scoring_form("അവൻ-റോഡ്") == "അവന്റോഡ്"  # a joint that the dropped hyphen leaves is folded, too: idempotent
    assert scoring_form("അവൻ റോഡ്") == "അവൻ റോഡ്"


def test_vistaars_form_drops_ascii_punctuation_and_joiners_and_writes_the_archaic_sign():
    assert vistaar_compat("ശരി, പോകാം.") == "ശരി പോകാം"
    assert vistaar_compat("ശരി - പോകാം\u0964") == "ശരി പോകാം"
    assert vistaar_compat("സോഫ്റ്റ്\u200cവെയർ") == "സോഫ്റ്റ്വെയർ"
    assert vistaar_compat("പൗരൻ") == "പൌരൻ"
    assert vistaar_compat("അവന്\u200d") == "അവൻ"


def test_vistaars_form_leaves_curly_quotes_in_the_words_as_it_is_known_to():
    assert vistaar_compat("“ശരി”") == '"ശരി"'


def test_vistaars_form_survives_what_is_no_character():
    assert vistaar_compat("ശരി\ud800") == "ശരി"


def test_the_other_librarys_normaliser_is_loaded_by_the_form_that_needs_it_alone():
    code = (
        "import sys; from data_foundry.preprocessing.text import normalize, scoring_form, malayalam_ratio;"
        "scoring_form('ശരി.'); malayalam_ratio('ശരി'); assert not {'indicnlp', 'regex'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
