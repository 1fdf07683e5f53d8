r"""The rules of Malayalam text normalisation, as a table: what each one rewrites, on whose authority, with examples.

Two layers. "encoding" rules repair how a text is stored and keep what it says; they always run. "modern" rules are a
named orthography and clean-up profile: spellings of today, ASCII digits and quotes, no markup. A rule's level is "must"
(the standard demands it or no authority disagrees), "should" (a spelling convention that the Malayalam computing
community and Unicode's own notes agree on) or "policy" (a choice of this project).

Why not the normaliser of indic-nlp-library: it turns `വില: 100` (price: 100) into `വിലഃ 100`, takes the modern au sign
back to the archaic one, and drops the functional zero-width non-joiner of സോഫ്റ്റ്‌വെയർ.

The examples were written for this project; no native speaker has checked them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

ZWNJ, ZWJ = "\u200c", "\u200d"
VIRAMA = "\u0d4d"
CONSONANT = "\u0d15-\u0d3a"
VOWEL_SIGN = "\u0d3e-\u0d44\u0d46-\u0d48\u0d4a-\u0d4c\u0d57\u0d62\u0d63"
BLOCK = "\u0d00-\u0d7f"

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite: `pattern` to `replacement`, tried only where one of `guards` (none: a rare character) occurs.

    `examples` are (before, after) pairs of the whole normaliser under the profile that owns the rule.
    """

    name: str
    layer: str
    level: str
    source: str
    pattern: re.Pattern[str]
    replacement: Replacement
    examples: tuple[tuple[str, str], ...]
    guards: tuple[str, ...] = ()
    also_rare: bool = False


def _table(pairs: dict[str, str]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    longest_first = sorted(pairs, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), lambda match: pairs[match[0]]


def _surrogates(match: re.Match[str]) -> str:
    pair = match[0]
    return pair.encode("utf-16", "surrogatepass").decode("utf-16") if len(pair) == 2 else "\ufffd"


_ENTITIES = {"lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " ", "zwnj": ZWNJ, "zwj": ZWJ}


def _entity(match: re.Match[str]) -> str:
    name = match[1]
    if name is None:
        return "&"
    if not name.startswith("#"):
        return _ENTITIES[name]
    point = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    return chr(point) if 0 < point < 0x110000 and not 0xD800 <= point < 0xE000 else "\ufffd"


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


_BYTE_OF = {_cp1252(b): b for b in range(0x80, 0x100)} | {chr(b): b for b in range(0x80, 0x100)}
_TRAIL = "[" + "".join(re.escape(char) for char, byte in _BYTE_OF.items() if byte < 0xC0) + "]"
_ASCII_OF = {
    **dict.fromkeys("\u201c\u201d\u201e\u201f", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015", "-"),
    "\u2026": "...",
}


def _mojibake(match: re.Match[str]) -> str:
    decoded = bytes(_BYTE_OF[char] for char in match[0]).decode("utf-8")
    # Quotes and dashes go straight to ASCII: as themselves they could be read as trail bytes of one more round.
    return _ASCII_OF.get(decoded, decoded)


def _nfc(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", match[0])


_CHILLU = dict(zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True))


def _chillu(match: re.Match[str]) -> str:
    return _CHILLU[match[1]]


def _joiner(match: re.Match[str]) -> str:
    before, run, after = match[1], match[2], match[3]
    if not before and not after:
        return match[0]
    keeps = before == VIRAMA and after and "\u0d15" <= after <= "\u0d3a" and ZWNJ in run
    return before + (ZWNJ if keeps else "")


_VOWEL_LETTERS = _table({"ഇൗ": "ഈ", "ഉൗ": "ഊ", "എെ": "ഐ", "ഒാ": "ഓ", "ഒൗ": "ഔ", "ഇൌ": "ഈ", "ഉൌ": "ഊ", "ഒൌ": "ഔ"})
_SIGN_ORDER = _table({"ാെ": "ൊ", "ാേ": "ോ", "െെ": "ൈ"})
_QUOTES = _table(_ASCII_OF)
_DIGITS = _table({chr(0x0D66 + digit): str(digit) for digit in range(10)})

_NOISE = (
    r"(?:persistent-noise(?:-start|-end)?|background[ -]noise|noises?|breath(?:ing)?|laugh(?:ter|s|ing)?|cough(?:ing)?|"
    r"music|silence|pause|inaudible|unintelligible|unk|applause|hesitation|overlap|clears throat|click|beep)"
)
_CONTROLS = (
    "\x00-\x08\x0e-\x1b\x7f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffc"
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
)
_SPACES = "\t\n\x0b\x0c\r\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

# fmt: off
RULES: tuple[Rule, ...] = (
    Rule(
        "surrogate", "encoding", "must", "Unicode 15 s3.8: a lone surrogate is no character",
        re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]"), _surrogates,
        (("ശരി\ud83d\ude00", "ശരി\U0001f600"), ("ശരി\ud800", "ശരി\ufffd")),
    ),
    Rule(
        "entity", "encoding", "must", "HTML named and numeric character references, also escaped more than once",
        re.compile(
            r"&(?:amp;|#0*38;|#[xX]0*26;)*(lt|gt|quot|apos|nbsp|zwnj|zwj|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
            r"|&(?:amp;|#0*38;|#[xX]0*26;)+"
        ), _entity,
        (("ബിൽ &amp;amp; റീചാർജ്", "ബിൽ & റീചാർജ്"), ("ബിൽ&nbsp;തുക", "ബിൽ തുക"), ("&#3374;ഴ", "മഴ")),
        guards=("&",),
    ),
    Rule(
        "control", "encoding", "must", "Unicode 15 ch. 23: controls, bidi marks, soft hyphen, ZWSP, BOM, noncharacters",
        re.compile(f"[{_CONTROLS}]"), "",
        (("\ufeffനമസ്കാരം", "നമസ്കാരം"), ("മല\u00adയാളം", "മലയാളം"), ("മല\u200bയാളം", "മലയാളം"), ("വില\u200e 10", "വില 10")),
    ),
    Rule(
        "nfc", "encoding", "must", "UAX #15; never NFKC, which rewrites m² and ½",
        re.compile("(?s).+"), _nfc,
        (("കെ\u0d3eടി", "കൊടി"), ("കേ\u0d3eട്ടയം", "കോട്ടയം"), ("cafe\u0301", "café")),
        guards=("െ\u0d3e", "െ\u0d57", "േ\u0d3e"), also_rare=True,
    ),
    Rule(
        "mojibake", "encoding", "must", "UTF-8 read as cp1252 or Latin-1; repaired only where it decodes to Malayalam",
        re.compile(f"à[´µ]{_TRAIL}|â[€\x80]{_TRAIL}"), _mojibake,
        (("à´®à´´", "മഴ"), ("à´µà´¿à´² â€“ 100", "വില - 100")),
        guards=("à´", "àµ"),
    ),
    Rule(
        "c1_control", "encoding", "must", "Unicode 15 ch. 23; after mojibake, whose trail bytes they are",
        re.compile("[\x80-\x84\x86-\x9f]"), "",
        (("മഴ\x90", "മഴ"),),
    ),
    Rule(
        "space", "encoding", "must", "Unicode 15 ch. 6: every space, tab and line break is one space, none at the ends",
        re.compile(f"[ {_SPACES}]*[{_SPACES}][ {_SPACES}]*|  +"), " ",
        (("വില\u00a0100", "വില 100"), ("ഒന്ന്\nരണ്ട്", "ഒന്ന് രണ്ട്"), ("ഒന്ന്   രണ്ട്", "ഒന്ന് രണ്ട്")),
        guards=("  ",), also_rare=True,
    ),
    Rule(
        "reserved_danda", "encoding", "must", "Unicode 15 s12.1: U+0D64 and U+0D65 are reserved for U+0964 and U+0965",
        re.compile("[\u0d64\u0d65]"), lambda match: chr(ord(match[0]) - 0x400),
        (("ശരി\u0d64", "ശരി\u0964"),),
    ),
    Rule(
        "legacy_chillu", "encoding", "must", "Unicode 5.1 notes; ക is an addition of nisaba, MediaWiki and libindic",
        re.compile(f"([ണനരലളക]){VIRAMA}{ZWJ}[{ZWNJ}{ZWJ}]*"), _chillu,
        (("അവന്\u200d", "അവൻ"), ("കാല്\u200d", "കാൽ"), ("വാക്\u200d", "വാൿ"), ("അവന്", "അവന്")),
        guards=(ZWJ,),
    ),
    Rule(
        "joiner", "encoding", "must", "UAX #31 s2.3: beside Malayalam only virama + ZWNJ + consonant means anything",
        re.compile(f"([{BLOCK}]?)([{ZWNJ}{ZWJ}]+)(?=([{BLOCK}]?))"), _joiner,
        (
            ("അവൻ\u200c", "അവൻ"), ("തമിഴ്\u200dനാട്", "തമിഴ്നാട്"),
            ("സോഫ്റ്റ്\u200cവെയർ", "സോഫ്റ്റ്\u200cവെയർ"),
            ("\U0001f469\u200d\U0001f4bb ശരി", "\U0001f469\u200d\U0001f4bb ശരി"),
        ),
        guards=(ZWNJ, ZWJ),
    ),
    Rule(
        "vowel_letter", "encoding", "must", "Unicode 15 table 12-34, do not use; nisaba visual_rewrite",
        *_VOWEL_LETTERS, (("ഇൗ വഴി", "ഈ വഴി"), ("ഒാണം", "ഓണം"), ("എെക്യം", "ഐക്യം")),
        guards=("ഇൗ", "ഉൗ", "എെ", "ഒാ", "ഒൗ", "ഇൌ", "ഉൌ", "ഒൌ"),
    ),
    Rule(
        "vowel_sign_order", "encoding", "must", "nisaba visual_rewrite; libindic tests",
        *_SIGN_ORDER, (("കാെടി", "കൊടി"), ("കെെ", "കൈ")),
        guards=("ാെ", "ാേ", "െെ"),
    ),
    Rule(
        "doubled_mark", "encoding", "must", "nisaba: a non-spacing sign typed twice shows once",
        re.compile(f"([ുൂൃൄ{VIRAMA}])\\1+"), r"\1",
        (("വീട്\u0d4d", "വീട്"), ("കുു", "കു")),
        guards=("ുു", "ൂൂ", "ൃൃ", "ൄൄ", VIRAMA * 2),
    ),
    Rule(
        "nta", "encoding", "must", "two encodings of one sign; NA + virama + RRA is the de facto one (L2/19-345)",
        re.compile(f"ൻ{VIRAMA}റ"), f"ന{VIRAMA}റ",
        (("എൻ്റെ", "എന്റെ"), ("ഹെൻറി", "ഹെൻറി")),
        guards=(f"ൻ{VIRAMA}റ",),
    ),
    Rule(
        "markup", "modern", "policy", "tags of HTML and of transcribers (IndicVoices) are not said",
        re.compile(
            rf"\(?<{_NOISE}>\)?|[\[(] ?{_NOISE} ?[\])]|<{_NOISE}(?![\w-])"
            r"|</?[A-Za-z][A-Za-z0-9_-]{0,40}(?: [A-Za-z-]{1,40}=[^<>]{0,200})? ?/?>", re.IGNORECASE,
        ), " ",
        (
            ("ശരി <breathing> നന്ദി", "ശരി നന്ദി"), ("(<Persistent-noise-end> ഹലോ", "ഹലോ"), ("ഹലോ [laugh]", "ഹലോ"),
            ('<a href="x">ബിൽ</a>', "ബിൽ"), ("2 <3 ശരി", "2 <3 ശരി"),
        ),
        guards=("<", "[", "("),
    ),
    Rule(
        "url", "modern", "policy", "a web address is not said; the raw text keeps it",
        re.compile(r"(?:[hH][tT]{2}[pP][sS]?://|(?<![!-~])(?:www|WWW)\.)[!-;=?-~]+"), " ",
        (("കാണുക https://example.in/a?b=1 നന്ദി", "കാണുക നന്ദി"), ("www.example.in നോക്കൂ", "നോക്കൂ")),
        guards=("://", "www.", "WWW."),
    ),
    Rule(
        "dot_reph", "modern", "should", "Unicode 13 p. 512 through nisaba; libindic",
        re.compile(f"ൎ(യ{VIRAMA}യ)?"), lambda match: f"ര{VIRAMA}യ" if match[1] else "ർ",
        (("ഭാൎയ്യ", "ഭാര്യ"), ("സൎക്കാർ", "സർക്കാർ")),
        guards=("ൎ",),
    ),
    Rule(
        "au_sign", "modern", "should", "Unicode 13 p. 508 through nisaba: U+0D57 alone is modern practice",
        re.compile("ൌ"), "ൗ", (("പൌരൻ", "പൗരൻ"),), guards=("ൌ",),
    ),
    Rule(
        "samvruthokaram", "modern", "should", "Unicode 13 p. 510 through nisaba: the half u is a virama alone",
        re.compile(f"ു{VIRAMA}"), VIRAMA, (("അതു്", "അത്"),), guards=(f"ു{VIRAMA}",),
    ),
    Rule(
        "final_nte", "modern", "policy", "SMC: word-final ൻറെ is always the genitive ന്റെ; ൻറ elsewhere may be n-r",
        re.compile(f"ൻറെ(?![{BLOCK}])"), f"ന{VIRAMA}റെ",
        (("അവൻറെ വീട്", "അവന്റെ വീട്"), ("എൻറോൾ", "എൻറോൾ")),
        guards=("ൻറെ",),
    ),
    Rule(
        "look_alike_anusvara", "modern", "should", "UTS #39 confusables: zero or Latin o typed for the anusvara",
        re.compile(f"(?<=[{CONSONANT}ാിീുൂൃെേൈൗ])(?:൦(?![൦-൯0-9])|o(?![A-Za-z0-9]))"), "ം",
        (("കേരള൦", "കേരളം"), ("തിരുവനന്തപുരo", "തിരുവനന്തപുരം"), ("൧൦", "10")),
        guards=("൦", "o"),
    ),
    Rule(
        "digit", "modern", "policy", "ASCII digits are 99.9 % of use; archaic numbers and fractions stay",
        *_DIGITS, (("൨൦൨൫", "2025"), ("൰", "൰")),
    ),
    Rule(
        "quote", "modern", "policy", "libindic, indic-nlp and mlnormalize: ASCII quotes, hyphens and dots",
        *_QUOTES, (("“ശരി”", '"ശരി"'), ("1–5", "1-5"), ("ശരി…", "ശരി...")),
    ),
    Rule(
        "visarga", "modern", "policy", "libindic: the only two words where a colon stands for the visarga",
        re.compile(f"ദു:ഖ|(?<![{BLOCK}])നമ:(?!\\S)"), lambda match: match[0].replace(":", "ഃ"),
        (("ദു:ഖം", "ദുഃഖം"), ("വില: 100", "വില: 100")),
        guards=("ദു:ഖ", "നമ:"),
    ),
)
# fmt: on
