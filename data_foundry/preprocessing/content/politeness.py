"""How a prompt addresses the caller: forms of "you", polite requests, and bare commands.

For speech that the phone line itself would say, never for callers. Malayalam has three everyday words for "you": നീ is
for children, friends and quarrels; നിങ്ങൾ is neutral and താങ്കൾ honorific. A request ends in -ുക, -ൂ or -ണം, or begins
with ദയവായി; the bare stem is an order. The tables were written for this project; no native speaker has checked them.
"""

from __future__ import annotations

import re
from collections import Counter

from data_foundry.preprocessing.content.rule import Found

_FAMILIAR = "നീ നിന്റെ നിനക്ക് നിന്നെ നിന്നോട് നിന്നിൽ നീയും നീയാണ് നിന്റെയും നിനക്കും നിന്നെയും നീയല്ലേ നീയോ എടാ എടീ ഡാ ഡീ എടോ"
_NEUTRAL = "നിങ്ങൾ നിങ്ങളുടെ നിങ്ങൾക്ക് നിങ്ങളെ നിങ്ങളോട് നിങ്ങളിൽ നിങ്ങളും നിങ്ങൾക്കും നിങ്ങളുടെയും നിങ്ങളാണ്"
_HONORIFIC = "താങ്കൾ താങ്കളുടെ താങ്കൾക്ക് താങ്കളെ താങ്കളോട് താങ്കളിൽ താങ്കളും താങ്കൾക്കും താങ്കളുടെയും താങ്കളാണ് അങ്ങ് അങ്ങയുടെ അങ്ങേയ്ക്ക്"
_ADDRESS = (
    dict.fromkeys(_FAMILIAR.split(), "impolite_second_person")
    | dict.fromkeys(_NEUTRAL.split(), "neutral")
    | dict.fromkeys(_HONORIFIC.split(), "honorific")
)
# Stems said alone as an order, at the end of a sentence. Left out: താ, വാ and പറ, which are also nouns.
_ORDERS = (
    "പറയ് പറയെടാ പറയെടീ ചെയ്യ് ചെയ് കൊട് കൊടുക്ക് തരെടാ വാടാ വാടീ പോടാ പോടീ പൊക്കോ നിൽക്ക് നില്ല് കേൾക്ക് അമർത്ത് ഇരിക്ക് വിളിക്ക് "
    "എടുക്ക് നോക്ക് തുറക്ക് അടയ്ക്ക് അടക്ക് പിടിക്ക് മിണ്ടാതിരി മിണ്ടരുത് കാത്തിരിക്ക് എഴുത് വായിക്ക്"
)
_REQUEST = re.compile("ദയവായി|ദയവു ?ചെയ്ത്|[\u0d15-\u0d39](?:ുക|ൂ|ണം|ണേ|ാമോ)$")
# Nouns that end as a request does.
_NOT_REQUESTS = "തുക ഗുണം പണം കാരണം വിവരണം ഉദാഹരണം പ്രമാണം നിർമാണം മരണം കൂ പൂ"

_WORD = re.compile("[\u0d00-\u0d7f\u200c]+")
_SENTENCE = re.compile(r"[^.?!\n]+")

COUNTS = (
    "lines", "honorific", "neutral", "polite_request", "impolite_second_person", "bare_imperative", "mixed_address",
)  # fmt: skip


def find_impolite(text: str, counts: Counter[str]) -> list[Found]:
    """Return familiar address, bare commands and mixed address in a prompt; count its forms into `counts` by line."""
    found: list[Found] = []
    seen: set[str] = {"lines"}
    polite: list[tuple[str, int, int]] = []
    for sentence in _SENTENCE.finditer(text):
        words = [
            (match[0], sentence.start() + match.start(), sentence.start() + match.end())
            for match in _WORD.finditer(sentence[0])
        ]
        for word, start, end in words:
            form = _ADDRESS.get(word)
            if form == "impolite_second_person":
                found.append(Found(form, start, end, "familiar second person"))
            elif form:
                polite.append((form, start, end))
            if form:
                seen.add(form)
        if not words:
            continue
        last, start, end = words[-1]
        if last in _ORDERS.split():
            found.append(Found("bare_imperative", start, end, "verb stem as an order"))
            seen.add("bare_imperative")
        if "ദയവ" in sentence[0] or (_REQUEST.search(last) and last not in _NOT_REQUESTS.split()):
            seen.add("polite_request")
    forms = {form for form, _, _ in polite}
    if len(forms) > 1:
        form, start, end = next(one for one in polite if one[0] != polite[0][0])
        found.append(Found("mixed_address", start, end, f"{form} after {polite[0][0]} address"))
        seen.add("mixed_address")
    counts.update(seen)
    return found
