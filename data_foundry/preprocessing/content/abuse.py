"""Abuse and insults by whole words: a short list of this project, and a list of the user's own.

Matching parts of words is wrong in Malayalam: the public 58-entry list in use elsewhere hits "completed" and "in the
number" that way. Here a word must be the entry, in one of the forms that stand in the table. The list was written for
this project and is under the project's licence; it is short, and no native speaker has checked or rated it, so it flags
for a person's eyes. A hit may be a quotation, a report on abuse, or a complaint about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from data_foundry.errors import FoundryError
from data_foundry.preprocessing.text import normalize

OWN_LIST = "own list, project licence, not natively checked"
LIST_RULES = frozenset({"abuse_list", "abuse_homograph"})
"""Under these the entries of a user's list are flagged, the second for those that are ordinary words too."""

# Rule -> entries; an entry is written with its forms, a space inside an entry as an underscore.
_OWN = {
    "abuse": """
        മൈര് മൈരേ മൈരൻ മൈരന്മാർ മൈരാ myre myran mairu mairan myru
        തായോളി തായോളികൾ തായോളീ thayoli thaayoli
        പൂറിമോൻ പൂറിമോനേ പൂറീ poorimon
        പുണ്ടച്ചി പുണ്ടച്ചിമോൻ pundachi pundachimon
        കുണ്ണ കുണ്ണേ kunna
        ഊമ്പാൻ_പോ ഊമ്പിയവൻ oombiyavan
        കൂത്തിച്ചി കൂത്തിച്ചിമോൻ കൂത്തിച്ചികൾ koothichi
        തേവിടിശ്ശി തേവിടിശ്ശികൾ thevidishi
        പുലയാടി പുലയാടിമോൻ പുലയാടിമോനേ pulayadi pulayadimon
        നായിന്റെ_മോൻ നായിന്റെ_മോനേ നായിന്റെമോൻ നായിന്റെമോനേ nayinte_mon naayinte_mone nayinte_mone
        പട്ടിയുടെ_മോൻ പട്ടീടെ_മോൻ pattiyude_mon
        തന്തയില്ലാത്തവൻ തന്തയില്ലാത്തവനേ thanthayillathavan
    """,
    "insult": """
        മണ്ടൻ മണ്ടന്മാർ മണ്ടാ mandan
        മരമണ്ടൻ മരമണ്ടന്മാർ maramandan
        വിഡ്ഢി വിഡ്ഢികൾ വിഡ്ഢീ viddi
        തെമ്മാടി തെമ്മാടികൾ thammadi themmadi
        ചെറ്റ ചെറ്റകൾ ചെറ്റേ
        നാറികൾ നാറീ
        കഴുവേറി കഴുവേറിമോൻ kazhuveri kazhuverimon
        മരക്കഴുത
    """,
}

# Ordinary words that public lists of abuse hold all the same: a user's entry among them is flagged apart.
HOMOGRAPHS = {
    "പട്ടി": "dog", "കഴുത": "donkey", "കുരങ്ങൻ": "monkey", "പന്നി": "pig", "തെണ്ടി": "beggar", "ശവം": "corpse",
    "വേശ്യ": "prostitute", "കണ്ടി": "a place name", "പറി": "pluck", "അണ്ടി": "nut", "മുല": "breast",
    "പൊട്ടൻ": "deaf man", "കറുപ്പൻ": "a name", "നാറി": "stank", "കുണ്ടി": "bottom", "പൂർ": "a part of place names",
    "patti": "dog; about", "mula": "breast; bamboo shoot",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: the rule that flags it, the words that follow the first, and what the evidence says."""

    rule: str
    rest: tuple[str, ...]
    evidence: str


Lexicon = dict[str, tuple[Entry, ...]]


@cache
def own_lexicon() -> Lexicon:
    """Return the project's list: first word of each form -> its entries."""
    lexicon: Lexicon = {}
    for rule, forms in _OWN.items():
        for form in forms.split():
            _add(lexicon, form.replace("_", " "), rule, OWN_LIST)
    return lexicon


def with_list(lexicon: Lexicon, path: Path, licence: str, allowed: tuple[str, ...] = ()) -> Lexicon:
    """Return a lexicon with the entries of a file added: one word or phrase a line, `#` starts a comment.

    Entries are normalised as texts are, and those in `allowed` left out. Raises FoundryError for a file that can't be
    read or holds no entry.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FoundryError(
            f"content.abuse_list {path} can't be read: {error}.", "Give a UTF-8 text file, one word or phrase a line."
        ) from None
    entries = {normalize(line.partition("#")[0]).text for line in lines} - {""}
    if not entries:
        raise FoundryError(f"content.abuse_list {path} holds no entry.", "Write one word or phrase a line.")
    innocent = {normalize(word).text for word in allowed}
    both = dict(lexicon)
    for entry in sorted(entries - innocent):
        rule = "abuse_homograph" if entry in HOMOGRAPHS else "abuse_list"
        _add(both, entry, rule, f"list {path.name}, licence {licence}")
    return both


def _add(lexicon: Lexicon, form: str, rule: str, evidence: str) -> None:
    spellings = {form} if not form.isascii() else {form.lower(), form.capitalize(), form.upper()}
    for spelling in spellings:
        first, *rest = spelling.split()
        lexicon[first] = (*lexicon.get(first, ()), Entry(rule, tuple(rest), evidence))
