"""The case and plural endings under which a listed noun is looked for: a declared table, not a morphology.

The table was written for this project; no native speaker has checked it. Forms that nobody writes cost nothing.
"""

from __future__ import annotations

_CHILLU = {"ർ": "ര", "ൻ": "ന", "ൾ": "ള", "ൽ": "ല", "ൺ": "ണ"}
_AFTER_CHILLU = {
    "ർ": ("ക്ക്", "ക്കും", "ക്കായി"), "ൾ": ("ക്ക്", "ക്കും", "ക്കായി"), "ൻ": ("മാർ", "മാരുടെ"), "ൽ": (), "ൺ": (),
}  # fmt: skip
_CASES = ("െ", "ും", "ിൽ", "ിലെ", "ിലേക്ക്", "ിന്റെ", "ുടെ", "ുമായി", "ിനെ", "ോട്")
_AFTER_I = (
    "യിൽ", "യിലെ", "യിലേക്ക്", "യുടെ", "യെ", "യ്ക്ക്", "ക്ക്", "യും", "യായ", "യാണ്", "കൾ", "കളുടെ", "കളെ", "കൾക്ക്", "കളും",
)  # fmt: skip
_AFTER_U = ("വിൽ", "വിന്റെ", "വിനെ", "വും", "വായ", "വാണ്", "ക്കൾ", "ക്കളുടെ", "ക്കളെ", "ക്കൾക്ക്", "ക്കളും")
_AFTER_M = (
    "ം", "ത്ത്", "ത്തെ", "ത്തിൽ", "ത്തിലെ", "ത്തിന്റെ", "ത്തേക്ക്", "ത്തിന്", "മായ", "വും", "ങ്ങൾ", "ങ്ങളുടെ", "ങ്ങളെ", "ങ്ങൾക്ക്", "ങ്ങളും",
)  # fmt: skip


def inflected(noun: str) -> set[str]:
    """Return a noun with its declared endings, itself among them."""
    last = noun[-1]
    if last == "ം":
        return {noun[:-1] + ending for ending in _AFTER_M}
    if last in _CHILLU:
        base = noun[:-1] + _CHILLU[last]
        return {noun, *(base + ending for ending in _CASES), *(noun + ending for ending in _AFTER_CHILLU[last])}
    if last == "്":
        doubled = {noun[:-1] + "്" + "ട" + ending for ending in ("െ", "്", "േക്ക്")} if noun.endswith("ട്") else set()
        return {noun, noun[:-1] + "ു", *(noun[:-1] + ending for ending in _CASES), *doubled}
    if last in "ുൂ":
        return {noun, *(noun + ending for ending in _AFTER_U)}
    return {noun, *(noun + ending for ending in _AFTER_I)}
