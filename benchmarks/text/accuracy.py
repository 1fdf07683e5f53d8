"""Measure what the flags find and miss: romanised Malayalam against English, and mojibake against ftfy.

    python -m benchmarks.text.accuracy

The lines are the sample's: written for this project, checked by no native speaker. Other draws of these templates were
looked at while the word lists were made, so this is no blind test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from data_foundry.preprocessing.romanised import is_romanised
from data_foundry.preprocessing.text import normalize, text_flags
from sample.base_manglish import manglish
from sample.corpus import utterances

_TRANSLITERATED = (
    ("everyday", "control"),
    ("ivr", "test"),
    ("dialect", "test"),
    ("news", "test"),
    ("headline", "control"),
)
_ENGLISH = (("everyday", "base"), ("everyday", "control"), ("ivr", "train"), ("ivr", "test"))
_LINES = 150


def wilson(wrong: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, wrong / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def _row(name: str, texts: Sequence[str], expected: bool) -> None:
    distinct = sorted(set(texts))
    wrong = sum(is_romanised(text) is not expected for text in distinct)
    low, high = wilson(wrong, len(distinct))
    verdict = "romanised" if expected else "not"
    print(f"| {name} | {verdict} | {len(distinct)} | {wrong} | {wrong / len(distinct):.1%} ({low:.1%} to {high:.1%}) |")


def romanised() -> None:
    """Print the errors of `is_romanised` by kind of line."""
    print("| lines | should be | distinct | wrong | share, 95 % interval |\n|---|---|---|---|---|")
    for kind, side in _TRANSLITERATED:
        lines = utterances(kind, side, _LINES, seed=77)  # type: ignore[arg-type]
        spoken = [manglish(line.text) for line in lines]
        _row(f"{kind}, {side}, transliterated", spoken, True)
    for kind, side in _ENGLISH:
        _row(f"{kind}, {side}, English", [line.english for line in utterances(kind, side, _LINES, seed=77)], False)  # type: ignore[arg-type]
    for side in ("train", "test"):
        comments = [line for line in utterances("comment", side, 300, seed=77) if line.text.isascii()]  # type: ignore[arg-type]
        foreign = [line.text for line in comments if line.label == "not-malayalam"]
        _row(f"comments, {side}, Malayalam", [line.text for line in comments if line.label != "not-malayalam"], True)
        _row(f"comments, {side}, English, Hindi, Tamil", foreign, False)


def _cp1252(text: str) -> str:
    # The five bytes that cp1252 leaves undefined stay, as browsers and Windows keep them.
    return "".join(bytes([b]).decode("cp1252") if b not in b"\x81\x8d\x8f\x90\x9d" else chr(b) for b in text.encode())


def _latin1(text: str) -> str:
    return text.encode().decode("latin-1")


def _stripped(text: str) -> str:
    return "".join(char for char in _cp1252(text) if not "\x80" <= char < "\xa0")


DAMAGE: dict[str, Callable[[str], str]] = {
    "read as Latin-1": _latin1,
    "read as cp1252": _cp1252,
    "read as Latin-1 twice": lambda text: _latin1(_latin1(text)),
    "read as cp1252 twice": lambda text: _cp1252(_cp1252(text)),
    "read as cp1252, C1 controls stripped": _stripped,
    "none": str,
}


def _letters(text: str) -> int:
    return sum("\u0d00" <= char <= "\u0d7f" for char in text)


def mojibake() -> None:
    """Print how much of 200 lines of news each way of repair brings back."""
    try:
        import ftfy
    except ModuleNotFoundError:
        ftfy = None
        print("ftfy is not installed: its columns are left out")
    lines = [line.text for line in utterances("news", "test", 200, seed=77)]
    right = [normalize(line).text for line in lines]
    total = sum(map(_letters, right))
    print("| damage | ours: lines whole | letters | flagged, of lines not whole | ftfy: lines whole | letters |")
    print("|---|---|---|---|---|---|")
    for name, damage in DAMAGE.items():
        broken = [damage(line) for line in lines]
        ours = [normalize(text) for text in broken]
        missed = [normal for normal, line in zip(ours, right, strict=True) if normal.text != line]
        flagged = sum("mojibake" in text_flags(normal) for normal in missed)
        cells = [
            f"{len(lines) - len(missed)} of {len(lines)}",
            f"{sum(_letters(normal.text) for normal in ours) / total:.1%}",
            f"{flagged} of {len(missed)}",
        ]
        if ftfy:
            theirs = [ftfy.fix_text(text) for text in broken]
            # Told by its letters alone, since its spelling of quotes and signs is not ours.
            whole = sum(_letters(text) == _letters(line) for text, line in zip(theirs, lines, strict=True))
            letters = sum(map(_letters, theirs)) / sum(map(_letters, lines))
            cells += [f"{whole} of {len(lines)}", f"{letters:.1%}"]
        print("| " + " | ".join([name, *cells]) + " |")


if __name__ == "__main__":
    romanised()
    print()
    mojibake()
