"""A plain transliteration of Malayalam into Latin letters, roughly as people type it; no native speaker checked it."""

from __future__ import annotations


def _table(entries: str) -> dict[str, str]:
    """Read "letter sound letter sound ..." into a table."""
    parts = entries.split()
    return dict(zip(parts[::2], parts[1::2], strict=True))


CONSONANTS = _table(
    "ക k ഖ kh ഗ g ഘ gh ങ ng ച ch ഛ chh ജ j ഝ jh ഞ nj ട t ഠ th ഡ d ഢ dh ണ n ത th ഥ th ദ d ധ dh ന n "
    "പ p ഫ f ബ b ഭ bh മ m യ y ര r റ r ല l ള l ഴ zh വ v ശ sh ഷ sh സ s ഹ h"
)
SIGNS = _table("ാ a ി i ീ ee ു u ൂ oo ൃ ru െ e േ e ൈ ai ൊ o ോ o ൗ au")
VOWELS = _table("അ a ആ aa ഇ i ഈ ee ഉ u ഊ oo ഋ ru എ e ഏ e ഐ ai ഒ o ഓ o ഔ au")
CHILLUS = _table("ൺ n ൻ n ർ r ൽ l ൾ l ൿ k ം m")
VIRAMA = "്"
DOUBLED = {"റ്റ": "tt", "ന്റ": "nt", "ങ്ക": "nk", "ഞ്ച": "nch"}


def manglish(text: str) -> str:
    """Return the text with its Malayalam letters in Latin ones; anything else stays as it is.

    A consonant without a vowel sign takes "a", a word-final virama becomes "u": മോശമാണ് -> moshamaanu.
    """
    out: list[str] = []
    place = 0
    while place < len(text):
        cluster = text[place : place + 3]
        if cluster in DOUBLED:
            sound, place = DOUBLED[cluster], place + 3
        elif text[place] in CONSONANTS:
            sound, place = CONSONANTS[text[place]], place + 1
        else:
            letter = text[place]
            out.append(VOWELS.get(letter) or CHILLUS.get(letter) or ("" if letter in "\u200c\u200d" else letter))
            place += 1
            continue
        following = text[place] if place < len(text) else ""
        if following == VIRAMA:
            place += 1
            last = place == len(text) or not "\u0d00" <= text[place] <= "\u0d7f"
            sound += "u" if last and text[place : place + 1] != "\u200c" else ""
        elif following in SIGNS and following:
            place += 1
            sound += "aa" if following == "ാ" and text[place : place + 1] == "ണ" else SIGNS[following]
        else:
            sound += "a"
        out.append(sound)
    return "".join(out)
