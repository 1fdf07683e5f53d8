"""Coverage of identity terms: how many lines of a dataset speak of which communities, counted and never judged.

To drop lines because they name a community deletes the community from the data; to count them shows who is missing.
The list was written for this project from everyday vocabulary, the fourteen districts of Kerala, the headings of the
state's own lists of communities (Scheduled Castes, Scheduled Tribes, Other Backward Classes) and the Rights of Persons
with Disabilities Act 2016; no native speaker has checked it. Terms are looked for as whole words with the endings of
`inflection`. A listed word may mean something else, so a count is a hint at coverage and proves nothing of one line.
"""

from __future__ import annotations

from functools import cache

from data_foundry.preprocessing.content.inflection import inflected

_TERMS = {
    "religion": (
        "ഹിന്ദു മുസ്ലിം മുസ്‌ലിം ക്രിസ്ത്യാനി ക്രിസ്ത്യൻ ക്രൈസ്തവർ ക്രൈസ്തവ സിഖ് സിഖുകാർ ജൈനർ ബൗദ്ധർ ജൂതർ യഹൂദർ ഇസ്ലാം ഇസ്‌ലാം "
        "നിരീശ്വരവാദി മതം മതവിശ്വാസം അമ്പലം ക്ഷേത്രം മസ്ജിദ് ചർച്ച് ഗുരുദ്വാര സിനഗോഗ് ഓണം വിഷു പെരുന്നാൾ റംസാൻ റമദാൻ ഈദ് ബക്രീദ് "
        "ക്രിസ്മസ് ക്രിസ്തുമസ് ഈസ്റ്റർ ദീപാവലി നബിദിനം"
    ),
    "community": (
        "ജാതി സമുദായം സമുദായങ്ങൾ ദളിത് ദലിത് ദളിതർ ദലിതർ ആദിവാസി ഗോത്രം ഗോത്രവർഗം പട്ടികജാതി പട്ടികവർഗം ഈഴവ ഈഴവർ തിയ്യ തിയ്യർ "
        "നായർ നമ്പൂതിരി ബ്രാഹ്മണർ ബ്രാഹ്മണൻ പുലയർ പറയർ കുറവർ വിശ്വകർമ്മ ധീവര ധീവരർ മുക്കുവർ നാടാർ പണിയർ കുറിച്യർ കാട്ടുനായ്ക്കർ "
        "ഇരുളർ മുതുവാൻ അതിഥിത്തൊഴിലാളി"
    ),
    "gender": (
        "സ്ത്രീ സ്ത്രീകൾ വനിത വനിതാ വനിതകൾ പുരുഷൻ പുരുഷന്മാർ പെൺകുട്ടി ആൺകുട്ടി ട്രാൻസ്ജെൻഡർ ട്രാൻസ്‌ജെൻഡർ അമ്മ അച്ഛൻ ചേച്ചി ചേട്ടൻ "
        "സഹോദരി സഹോദരൻ ഭാര്യ ഭർത്താവ്"
    ),
    "disability": (
        "ഭിന്നശേഷി ഭിന്നശേഷിക്കാർ ഭിന്നശേഷിക്കാരൻ ഭിന്നശേഷിക്കാരി അന്ധൻ അന്ധർ ബധിരൻ ബധിരർ ബധിര മൂകർ കാഴ്ചപരിമിതർ കേൾവിപരിമിതർ "
        "ഓട്ടിസം വീൽചെയർ വികലാംഗർ വൈകല്യം ആംഗ്യഭാഷ"
    ),
    "region": (
        "തിരുവനന്തപുരം കൊല്ലം പത്തനംതിട്ട ആലപ്പുഴ കോട്ടയം ഇടുക്കി എറണാകുളം തൃശൂർ തൃശ്ശൂർ പാലക്കാട് മലപ്പുറം കോഴിക്കോട് വയനാട് കണ്ണൂർ "
        "കാസർകോട് കാസർഗോഡ് കൊച്ചി മലബാർ തിരുവിതാംകൂർ തിരുവിതാംകൂറ് കേരളം മലയാളി പ്രവാസി ലക്ഷദ്വീപ് മാഹി തമിഴ്നാട് ബംഗാളി"
    ),
    "age": (
        "കുട്ടി കുട്ടികൾ കുഞ്ഞ് ശിശു ബാലൻ ബാലിക കൗമാരം യുവാവ് യുവതി യുവാക്കൾ വയോധികൻ വയോധിക വയോജനങ്ങൾ മുതിർന്നവർ വൃദ്ധൻ വൃദ്ധ "
        "മുത്തശ്ശി മുത്തശ്ശൻ അപ്പൂപ്പൻ അമ്മൂമ്മ"
    ),
}
CATEGORIES = tuple(_TERMS)
# One count for spellings of one word.
_SAME = {
    "മുസ്‌ലിം": "മുസ്ലിം", "ഇസ്‌ലാം": "ഇസ്ലാം", "ദലിത്": "ദളിത്", "ദലിതർ": "ദളിതർ", "തൃശ്ശൂർ": "തൃശൂർ", "കാസർഗോഡ്": "കാസർകോട്",
    "ട്രാൻസ്‌ജെൻഡർ": "ട്രാൻസ്ജെൻഡർ", "ക്രിസ്തുമസ്": "ക്രിസ്മസ്", "റമദാൻ": "റംസാൻ", "തിരുവിതാംകൂറ്": "തിരുവിതാംകൂർ", "വനിതാ": "വനിത",
}  # fmt: skip


@cache
def identity_terms() -> dict[str, tuple[str, str]]:
    """Return the form as written -> (category, term) of every listed term with its declared endings."""
    forms: dict[str, tuple[str, str]] = {}
    for category, terms in _TERMS.items():
        for term in terms.split():
            for form in inflected(term):
                forms.setdefault(form, (category, _SAME.get(term, term)))
    return forms
