"""Mojibake: Malayalam in UTF-8 that somebody read as cp1252 or Latin-1, once or twice, and how to read it back.

Why not ftfy 6.3: on whole lines it repairs as well as this does, but it decides for a run of characters at once. Where
bytes are lost, as when a tool stripped the C1 controls, most of a line stays unread (0.42 of the letters came back,
0.80 here; `benchmarks/text`), and its other repairs (quotes, ligatures, widths) come along. Here each Malayalam
character is read back by itself, from the three bytes that can be nothing else; what is left over is flagged.
"""

from __future__ import annotations

import re


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


# What a byte from 0x80 on looks like to a reader of cp1252, and to one of Latin-1.
BYTE_OF = {_cp1252(b): b for b in range(0x80, 0x100)} | {chr(b): b for b in range(0x80, 0x100)}
_HIGH = "".join(re.escape(char) for char in BYTE_OF)
_TRAIL = "[" + "".join(re.escape(char) for char, byte in BYTE_OF.items() if byte < 0xC0) + "]"

ASCII_OF = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015", "-"),
    "\u2026": "...",
}

ONCE = re.compile(f"à[´µ]{_TRAIL}|â[€\x80]{_TRAIL}")
"""The three bytes E0 B4 xx or E0 B5 xx of one Malayalam letter, or E2 80 xx of a quote, dash or joiner."""
TWICE = re.compile(f"Ã[\xa0 ]Â[´µ](?:[{_HIGH}]|(?<=Ã) )+")
"""The same, read wrongly once more; a space stands where a tool put one for the no-break space that is byte A0."""
SIGN = re.compile(f"à[´µ]|Ã[\xa0 ]Â|â€|[ÃÂ][\x80-\xbf]|[à-ï]{_TRAIL}{_TRAIL}")
"""What unread mojibake looks like, of any script."""


def read_once(match: re.Match[str]) -> str:
    """Return the character that a match of ONCE stands for."""
    decoded = bytes(BYTE_OF[char] for char in match[0]).decode("utf-8")
    # Quotes and dashes go straight to ASCII: as themselves they could be read as trail bytes of one more round.
    return ASCII_OF.get(decoded, decoded)


def read_twice(match: re.Match[str]) -> str:
    """Return what a match of TWICE was before the second wrong reading, or the match itself where bytes are lost."""
    run = match[0].replace("Ã ", "Ã\xa0")
    try:
        before = bytes(BYTE_OF[char] for char in run).decode("utf-8")
    except UnicodeDecodeError:
        return match[0]
    return before if ONCE.search(before) else match[0]
