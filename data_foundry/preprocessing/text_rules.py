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
from itertools import groupby

from data_foundry.preprocessing import mojibake

ZWNJ, ZWJ = "\u200c", "\u200d"
VIRAMA = "\u0d4d"
CONSONANT = "\u0d15-\u0d3a"
VOWEL = "\u0d05-\u0d14\u0d60\u0d61"
VOWEL_SIGN = "\u0d3e-\u0d44\u0d46-\u0d48\u0d4a-\u0d4c\u0d57\u0d62\u0d63"
CHILLU = "\u0d54-\u0d56\u0d7a-\u0d7f"
BLOCK = "\u0d00-\u0d7f"

EVERYDAY = (
    f" -~{ZWNJ}\u0d02\u0d03\u0d05-\u0d0c\u0d0e-\u0d10\u0d12-\u0d39\u0d3e-\u0d44\u0d46-\u0d48\u0d4a\u0d4b\u0d4d\u0d57"
    "\u0d7a-\u0d7f"
)
"""Characters on which no rule can act alone; every other one is called rare."""

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite: `pattern` to `replacement`.

    It is tried where a rare character of the class `rare` or one of the strings `guards` occurs; a rule on a `pair` of
    signs only where two signs, or a vowel letter and a sign, stand together at all. `keeps` says why the reading stays
    the same; it is empty for a rule that takes words away. `examples` are (before, after) pairs of the whole
    normaliser under the profile that owns the rule.
    """

    name: str
    layer: str
    level: str
    source: str
    pattern: re.Pattern[str]
    replacement: Replacement
    examples: tuple[tuple[str, str], ...]
    keeps: str
    guards: tuple[str, ...] = ()
    rare: str = ""
    pair: bool = False


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


# Rare characters that NFC neither changes nor joins to the one before: spaces, punctuation, joiners, digits, emoji.
INERT = (
    "\u00a0-\u00bf\u0d4c\u0d4e\u0d66-\u0d6f\u200b-\u2029\u202f-\u206f\ufe0f\ufeff\ufffd"
    "\ud800-\udfff\U0001f000-\U0001faff"
)
_ACTIVE = f"[^{EVERYDAY}{INERT}]"
NFC_PLACES = re.compile(
    "(?s)െ[\u0d3e\u0d57]|േ\u0d3e"
    # An active character with the letter and the viramas before it; a virama starts a match only at its run's head.
    f"|(?:[^{VIRAMA}]|(?<!{VIRAMA})){VIRAMA}*+{_ACTIVE}(?:{_ACTIVE}|{VIRAMA})*+"
)


_LONG_RUN = 64


def _nfc(match: re.Match[str]) -> str:
    run = match[0]
    if len(run) > _LONG_RUN:
        # unicodedata orders marks by insertion, which is quadratic in a flood of them; on ordered marks it is linear.
        marked = groupby(run, key=lambda char: unicodedata.combining(char) > 0)
        run = "".join("".join(sorted(part, key=unicodedata.combining) if marks else part) for marks, part in marked)
    return unicodedata.normalize("NFC", run)


_CHILLU = dict(zip("ണനരലളക", "ൺൻർൽൾൿ", strict=True))


def _chillu(match: re.Match[str]) -> str:
    return _CHILLU[match[1]]


def _joiner(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    before, after = text[start - 1 : start], text[end : end + 1]
    if not _is_malayalam(before) and not _is_malayalam(after):
        return match[0]
    return ZWNJ if before == VIRAMA and "\u0d15" <= after <= "\u0d3a" and ZWNJ in match[0] else ""


def _is_malayalam(char: str) -> bool:
    return "\u0d00" <= char <= "\u0d7f"


def compose(text: str) -> str:
    """Return the NFC form of a text, for which only the places that NFC can change are looked at."""
    return NFC_PLACES.sub(_nfc, text)


_VOWEL_LETTERS = _table({"ഇൗ": "ഈ", "ഉൗ": "ഊ", "എെ": "ഐ", "ഒാ": "ഓ", "ഒൗ": "ഔ", "ഇൌ": "ഈ", "ഉൌ": "ഊ", "ഒൌ": "ഔ"})
_SIGN_ORDER = _table({"ാെ": "ൊ", "ാേ": "ോ", "െെ": "ൈ"})
_QUOTES = _table(mojibake.ASCII_OF)
_DIGITS = _table({chr(0x0D66 + digit): str(digit) for digit in range(10)})

_HEARD = (
    r"persistent-noise(?:-start|-end)?|background[ -]noise|noises?|breath(?:ing)?|laugh(?:ter|s|ing)?|cough(?:ing)?|"
    r"music|silence|inaudible|unintelligible|unk|applause|hesitation|overlap|clears throat"
)
_NOISE = f"(?:{_HEARD}|pause|click|beep)"  # in square brackets those three are buttons, in parentheses any is a gloss
MARKUP = re.compile(
    rf"\(?<{_NOISE}>\)?|</?[A-Za-z][A-Za-z0-9_-]{{0,40}}(?: [A-Za-z-]{{1,40}}=[^<>]{{0,200}})? ?/?>"
    r"|<!--(?:[^-]|-(?!->)){0,1000}-->|<\|[A-Za-z0-9_-]{1,40}\|>"
    rf"|\[ ?(?:{_HEARD}) ?\]|<{_NOISE}(?: [a-z0-9.,:=/'\"-]{{1,30}}>|(?![\w-]))",
    re.IGNORECASE,
)
_DOMAINS = ("com", "in", "org", "net", "be", "ly", "me", "gl", "co")  # of addresses that come without a scheme
_ADDRESS = (
    r"\((?:[hH][tT]{2}[pP][sS]?://|(?:www|WWW)\.)[!-'*-;=?-~]+\)"
    # A path may go on in Malayalam after a sign of its own; elsewhere an address ends where ASCII does.
    r"|(?:[hH][tT]{2}[pP][sS]?://|(?<![!-'*-~])(?:www|WWW)\.)"
    rf"(?:[!-;=?-~]|(?<=[/_={BLOCK}{ZWNJ}{ZWJ}-])[{BLOCK}{ZWNJ}{ZWJ}])+"
    rf"|(?<![!-'*-~])[A-Za-z0-9-]{{1,40}}(?:\.[A-Za-z0-9-]{{1,40}}){{0,2}}\.(?:{'|'.join(_DOMAINS)})/[!-;=?-~]*"
)
_CONTROLS = (
    "\x00-\x08\x0e-\x1b\x7f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffc"
    "\U000e0000-\U000e007f"  # tags: letters nobody sees, in which a text can hide another
    + "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
)
_SPACES = "\t\n\x0b\x0c\r\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"

_BEFORE_VISARGA = ("ദു", "നി", "മന", "പുന", "അന്ത", "പ്രാത", "അധ", "സ്വത")

_STORED = "the same characters, stored in another way"
_INVISIBLE = "nothing that is seen or said"
_SPELLING = "the same word in the spelling of today"
_SIGN = "the same sign, written with another character"
_REPAIR = "the word that was meant, since the characters as found spell none"

# fmt: off
RULES: tuple[Rule, ...] = (
    Rule(
        "surrogate", "encoding", "must", "Unicode 15 s3.8: a lone surrogate is no character",
        re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]"), _surrogates,
        (("ശരി\ud83d\ude00", "ശരി\U0001f600"), ("ശരി\ud800", "ശരി\ufffd")),
        keeps=_STORED, rare="\ud800-\udfff",
    ),
    Rule(
        "mojibake_twice", "encoding", "must", "UTF-8 read as cp1252 or Latin-1, written, and read so again",
        mojibake.TWICE, mojibake.read_twice,
        (("Ã\u00a0Â´Â®Ã\u00a0Â´Â´", "മഴ"), ("Ã Â´Â® 5", "മ 5"), ("Ã Â´", "Ã Â´")),
        keeps=_STORED, rare="Ã",
    ),
    Rule(
        "mojibake", "encoding", "must", "UTF-8 read as cp1252 or Latin-1; repaired only where it decodes to Malayalam",
        mojibake.ONCE, mojibake.read_once,
        (
            ("à´®à´´", "മഴ"), ("à´µà´¿à´² â€“ 100", "വില - 100"), ("à´\u00ad", "ഭ"), ("â€“ 100", "â€“ 100"),
            ("cafÃ©", "cafÃ©"),
        ),
        keeps=_STORED, guards=("à´", "àµ"),
    ),
    Rule(
        "entity", "encoding", "must", "HTML named and numeric character references, also escaped more than once",
        re.compile(
            r"&(?:amp;|#0{0,9}38;|#[xX]0{0,9}26;)*(lt|gt|quot|apos|nbsp|zwnj|zwj|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});"
            r"|&(?:amp;|#0{0,9}38;|#[xX]0{0,9}26;)+"
        ), _entity,
        (("ബിൽ &amp;amp; റീചാർജ്", "ബിൽ & റീചാർജ്"), ("ബിൽ&nbsp;തുക", "ബിൽ തുക"), ("&#3374;ഴ", "മഴ")),
        guards=("&",),
        keeps=_STORED,
    ),
    Rule(
        "control", "encoding", "must", "Unicode 15 ch. 23: controls, bidi marks, soft hyphen, ZWSP, BOM, noncharacters",
        re.compile(f"[{_CONTROLS}]"), "",
        (
            ("\ufeffനമസ്കാരം", "നമസ്കാരം"), ("മല\u00adയാളം", "മലയാളം"), ("മല\u200bയാളം", "മലയാളം"), ("വില\u200e 10", "വില 10"),
            ("ശരി\U000e0061\U000e0062", "ശരി"),
        ),
        keeps=_INVISIBLE, rare=_CONTROLS,
    ),
    Rule(
        "nfc", "encoding", "must", "UAX #15; never NFKC, which rewrites m² and ½",
        NFC_PLACES, _nfc,
        (("കെ\u0d3eടി", "കൊടി"), ("കേ\u0d3eട്ടയം", "കോട്ടയം"), ("cafe\u0301", "café")),
        guards=("െ\u0d3e", "െ\u0d57", "േ\u0d3e"),
        keeps=_STORED, rare=f"^{EVERYDAY}{INERT}", pair=True,
    ),
    Rule(
        "c1_control", "encoding", "must", "Unicode 15 ch. 23; after mojibake, whose trail bytes they are",
        re.compile("[\x80-\x84\x86-\x9f]"), "",
        (("മഴ\x90", "മഴ"),),
        keeps=_INVISIBLE, rare="\x80-\x84\x86-\x9f",
    ),
    Rule(
        "space", "encoding", "must", "Unicode 15 ch. 6: every space, tab and line break is one space, none at the ends",
        re.compile(f"[ {_SPACES}]{{2,}}|[{_SPACES}]"), " ",
        (("വില\u00a0100", "വില 100"), ("ഒന്ന്\nരണ്ട്", "ഒന്ന് രണ്ട്"), ("ഒന്ന്   രണ്ട്", "ഒന്ന് രണ്ട്")),
        guards=("  ",),
        keeps=_INVISIBLE, rare=_SPACES,
    ),
    Rule(
        "reserved_danda", "encoding", "must", "Unicode 15 s12.1: U+0D64 and U+0D65 are reserved for U+0964 and U+0965",
        re.compile("[\u0d64\u0d65]"), lambda match: chr(ord(match[0]) - 0x400),
        (("ശരി\u0d64", "ശരി\u0964"),),
        keeps=_SIGN, rare="\u0d64\u0d65",
    ),
    Rule(
        "legacy_chillu", "encoding", "must", "Unicode 5.1 notes; ക is an addition of nisaba, MediaWiki and libindic",
        re.compile(f"([ണനരലളക]){VIRAMA}{ZWJ}[{ZWNJ}{ZWJ}]*"), _chillu,
        (("അവന്\u200d", "അവൻ"), ("കാല്\u200d", "കാൽ"), ("വാക്\u200d", "വാൿ"), ("അവന്", "അവന്")),
        keeps=_STORED, rare=ZWJ,
    ),
    Rule(
        "joiner", "encoding", "must", "UAX #31 s2.3: beside Malayalam only virama + ZWNJ + consonant means anything",
        re.compile(f"[{ZWNJ}{ZWJ}]+"), _joiner,
        (
            ("അവൻ\u200c", "അവൻ"), ("തമിഴ്\u200dനാട്", "തമിഴ്നാട്"),
            ("സോഫ്റ്റ്\u200cവെയർ", "സോഫ്റ്റ്\u200cവെയർ"),
            ("\U0001f469\u200d\U0001f4bb ശരി", "\U0001f469\u200d\U0001f4bb ശരി"),
        ),
        guards=(ZWNJ,),
        keeps=_INVISIBLE, rare=ZWJ,
    ),
    Rule(
        "vowel_letter", "encoding", "must", "Unicode 15 table 12-34, do not use; nisaba visual_rewrite",
        *_VOWEL_LETTERS, (("ഇൗ വഴി", "ഈ വഴി"), ("ഒാണം", "ഓണം"), ("എെക്യം", "ഐക്യം")),
        guards=("ഇൗ", "ഉൗ", "എെ", "ഒാ", "ഒൗ", "ഇൌ", "ഉൌ", "ഒൌ"),
        keeps=_STORED, pair=True,
    ),
    Rule(
        "vowel_sign_order", "encoding", "must", "nisaba visual_rewrite; libindic tests",
        *_SIGN_ORDER, (("കാെടി", "കൊടി"), ("കെെ", "കൈ")),
        guards=("ാെ", "ാേ", "െെ"),
        keeps=_STORED, pair=True,
    ),
    Rule(
        "doubled_mark", "encoding", "must", "nisaba: a non-spacing sign typed twice shows once",
        re.compile(f"([ുൂൃൄ{VIRAMA}])\\1+"), r"\1",
        (("വീട്\u0d4d", "വീട്"), ("കുു", "കു")),
        guards=("ുു", "ൂൂ", "ൃൃ", "ൄൄ", VIRAMA * 2),
        keeps=_INVISIBLE, pair=True,
    ),
    Rule(
        "nta", "encoding", "must", "two encodings of one sign; NA + virama + RRA is the de facto one (L2/19-345)",
        re.compile(f"ൻ{VIRAMA}റ"), f"ന{VIRAMA}റ",
        (("എൻ്റെ", "എന്റെ"), ("ഹെൻറി", "ഹെൻറി")),
        guards=(f"ൻ{VIRAMA}റ",),
        keeps=_STORED, pair=True,
    ),
    Rule(
        "markup", "modern", "policy", "tags of HTML and of transcribers (IndicVoices) are not said",
        MARKUP, " ",
        (
            ("ശരി <breathing> നന്ദി", "ശരി നന്ദി"), ("(<Persistent-noise-end> ഹലോ", "ഹലോ"), ("ഹലോ [laugh]", "ഹലോ"),
            ('<a href="x">ബിൽ</a>', "ബിൽ"), ("2 <3 ശരി", "2 <3 ശരി"), ("സംഗീതം (Music) വിഭാഗം", "സംഗീതം (Music) വിഭാഗം"),
            ("(pause) ബട്ടൺ", "(pause) ബട്ടൺ"), ("[Click] ചെയ്യൂ", "[Click] ചെയ്യൂ"), ("(silence) മോഡ്", "(silence) മോഡ്"),
            ("<Noise/> ഹലോ", "ഹലോ"), ("<laugh type='x'> ഹലോ", "ഹലോ"), ("<pause 0.5> ഹലോ", "ഹലോ"),
            ("<|endoftext|> ഹലോ", "ഹലോ"), ("ശരി <!-- ഇത് --> ഹലോ", "ശരി ഹലോ"), ("<ശബ്ദം> ഹലോ", "<ശബ്ദം> ഹലോ"),
            ("<pay the bill> ഹലോ", "<pay the bill> ഹലോ"),
        ),
        guards=("<", "["),
        keeps="",
    ),
    Rule(
        "url", "modern", "policy", "a web address is not said; the raw text keeps it",
        re.compile(_ADDRESS), " ",
        (
            ("കാണുക https://example.in/a?b=1 നന്ദി", "കാണുക നന്ദി"), ("www.example.in നോക്കൂ", "നോക്കൂ"),
            ("(www.example.com) നോക്കൂ", "നോക്കൂ"), ("youtu.be/abc നോക്കൂ", "നോക്കൂ"), ("വില 1.5/2", "വില 1.5/2"),
            ("https://example.org/wiki/മലയാളം നോക്കൂ", "നോക്കൂ"), ("http://example.inമഴ", "മഴ"),
        ),
        guards=("://", "www.", "WWW.", *(f".{domain}/" for domain in _DOMAINS)),
        keeps="",
    ),
    Rule(
        "dot_reph", "modern", "should", "Unicode 13 p. 512 through nisaba; libindic",
        re.compile(f"ൎ(യ{VIRAMA}യ)?"), lambda match: f"ര{VIRAMA}യ" if match[1] else "ർ",
        (("ഭാൎയ്യ", "ഭാര്യ"), ("സൎക്കാർ", "സർക്കാർ")),
        keeps=_SPELLING, rare="ൎ",
    ),
    Rule(
        "au_sign", "modern", "should", "Unicode 13 p. 508 through nisaba: U+0D57 alone is modern practice",
        re.compile("ൌ"), "ൗ", (("പൌരൻ", "പൗരൻ"),),
        keeps=_SPELLING, rare="ൌ",
    ),
    Rule(
        "samvruthokaram", "modern", "should", "Unicode 13 p. 510 through nisaba: the half u is a virama alone",
        # Before a consonant the sign of the u kept the two apart; now the non-joiner does.
        re.compile(f"ു{VIRAMA}(?=([{CONSONANT}])?)"), lambda match: VIRAMA + ZWNJ if match[1] else VIRAMA,
        (
            ("അതു്", "അത്"), ("അതു് മാത്രം", "അത് മാത്രം"), ("അതു്മാത്രം", "അത്\u200cമാത്രം"),
            ("പാലു്കാരൻ", "പാല്\u200cകാരൻ"), ("അതു്\u200cമാത്രം", "അത്\u200cമാത്രം"),
        ),
        guards=(f"ു{VIRAMA}",),
        keeps=_SPELLING, pair=True,
    ),
    Rule(
        "final_nte", "modern", "policy",
        "SMC: word-final ൻറെ is the genitive ന്റെ, and so with a clitic (-യും, -യാണ്, -ത്); ൻറ elsewhere may be n-r",
        re.compile(f"ൻറ(?=െ(?![{BLOCK}])|െയ(?!{VIRAMA})|േത)"), f"ന{VIRAMA}റ",
        (
            ("അവൻറെ വീട്", "അവന്റെ വീട്"), ("അവൻറെയും എൻറെയാണ്", "അവന്റെയും എന്റെയാണ്"), ("അവൻറേതാണ്", "അവന്റേതാണ്"),
            ("അവന്\u200dറെയും", "അവന്റെയും"), ("എൻറോൾ", "എൻറോൾ"), ("എൻറെയ്ഞ്ച്", "എൻറെയ്ഞ്ച്"),
        ),
        guards=("ൻറെ", "ൻറേത"),
        keeps=_SPELLING,
    ),
    Rule(
        "look_alike_anusvara", "modern", "should", "UTS #39 confusables: zero or Latin o typed for the anusvara",
        re.compile(
            f"[൦o](?<=[{CONSONANT}\u0d3e-\u0d43\u0d46-\u0d48\u0d57].)(?:(?<=൦)(?![൦-൯0-9])|(?<=o)(?![A-Za-z0-9]))"
        ), "ം",
        (("കേരള൦", "കേരളം"), ("തിരുവനന്തപുരo", "തിരുവനന്തപുരം"), ("൧൦", "10")),
        guards=("o",),
        keeps=_REPAIR, rare="൦",
    ),
    Rule(
        "digit", "modern", "policy", "ASCII digits are 99.9 % of use; archaic numbers and fractions stay",
        *_DIGITS, (("൨൦൨൫", "2025"), ("൰", "൰")),
        keeps=_SIGN, rare="\u0d66-\u0d6f",
    ),
    Rule(
        "quote", "modern", "policy", "libindic, indic-nlp and mlnormalize: ASCII quotes, hyphens and dots",
        *_QUOTES, (("“ശരി”", '"ശരി"'), ("1–5", "1-5"), ("ശരി…", "ശരി...")),
        keeps=_SIGN, rare="\u2010-\u201f\u2026",
    ),
    Rule(
        "visarga", "modern", "policy",
        "a colon typed for the visarga: ദുഃഖ and നമഃ as in libindic; listed heads of compounds before k, kh, p, ph, s",
        re.compile(
            f"ദു:ഖ|(?<![{BLOCK}])(?:(?:നമ|പുന):(?!\\S)|(?:{'|'.join(_BEFORE_VISARGA)}):(?=[കഖപഫശഷസ]))"
        ), lambda match: match[0].replace(":", "ഃ"),
        (
            ("ദു:ഖം", "ദുഃഖം"), ("മന:പൂർവ്വം", "മനഃപൂർവ്വം"), ("പുന:പരിശോധന", "പുനഃപരിശോധന"), ("പുന:", "പുനഃ"),
            ("അന്ത:പുരം", "അന്തഃപുരം"), ("നി:ശബ്ദം", "നിഃശബ്ദം"), ("വില: 100", "വില: 100"), ("പേര്:സീത", "പേര്:സീത"),
        ),
        guards=("ദു:ഖ", "നമ:", *(f"{part}:" for part in _BEFORE_VISARGA)),
        keeps=_REPAIR,
    ),
)
# fmt: on
