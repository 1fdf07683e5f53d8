"""Lines to measure the content rules on: clean ones that could be mistaken, and planted ones with one thing to find.

All Malayalam here was written for this project; no native speaker has checked it. Every number is invented.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from benchmarks.content.number_lists import number_lists
from data_foundry.preprocessing.content.check_digits import luhn, verhoeff
from data_foundry.preprocessing.content.identifiers import HELPLINES
from sample.corpus import utterances
from sample.words import SLOTS, number_words, parse_fillers

# Kinds and sides of the bundled sample that are drawn from; their texts are half of the clean lines.
_SAMPLE = (
    ("everyday", "base"), ("headline", "base"), ("review", "base"), ("news", "train"), ("ivr", "train"),
    ("ivr", "test"), ("comment", "train"), ("dialect", "train"),
)  # fmt: skip

_NAMES = "രമേശ് സുനിത അനിൽ ഫാത്തിമ ജോസഫ് മേരി ഷാജി ലക്ഷ്മി അബ്ദുൾ ബിന്ദു രാജൻ ആയിഷ തോമസ് സൂര്യ മണി ശ്രദ്ധ മിനി ഹരിത കണ്ണൻ നായർ"
_MONTHS = [name for name, _ in parse_fillers(SLOTS["month"])]
_PLACES = [name for name, _ in parse_fillers(SLOTS["in_place"])]

# What looks like a number of a person and is none, and words on which careless rules stumble.
_TEMPLATES = """
{place} {year}-{month2}-{day2} തീയതിയിൽ യോഗം ചേരും
{day}/{month}/{year} മുതൽ {day}/{month}/{year} വരെ അവധിയാണ്
{month_name} {day}, {year} രാവിലെ {hour}:{minute2} ന് ബസ് പുറപ്പെടും
{year}, {year}, {year}, {year} വർഷങ്ങളിൽ പ്രളയം ഉണ്ടായി
{year} {year} {year} {year} എന്നീ വർഷങ്ങൾ
പിൻകോഡ് {pin} ആണ്
പിൻ {pin3} {pin3}, {place}
ആകെ {amount} രൂപ ചെലവായി
ബജറ്റ് {crore} കോടി രൂപയാണ്
₹ {big} അനുവദിച്ചു
ചെലവ് Rs. {big} ആയി
{tens} രൂപ {place} അനുവദിച്ചു
ശമ്പളം {pay}-{pay2} രൂപയാണ്
ശമ്പള സ്കെയിൽ {pay}-{pay2}
സ്കോർ {score}-{score}, {score}-{score}, {score}-{score}
ഇന്ത്യ {score3}/{digit}, ഓസ്ട്രേലിയ {score3}/{digit}
ടോൾ ഫ്രീ നമ്പർ 1800 {pin3} {four}
ടോൾ ഫ്രീ നമ്പർ 1800-{pin3}-{four} ലേക്ക് വിളിക്കൂ
1860 {pin3} {four} എന്ന നമ്പറിൽ വിളിക്കൂ
അടിയന്തരമായി {helpline} ൽ വിളിക്കുക
ടോക്കൺ നമ്പർ {four}, കൗണ്ടർ {digit}
വാർഡ് {score}, വീട്ടുനമ്പർ {four}/{digit}
{digit_word} {digit_word} {digit_word} {digit_word} എന്നാണ് പിൻ
ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒമ്പത് പത്ത്, {name} എണ്ണി
പത്ത് ഇരുപത് മുപ്പത് നാൽപ്പത് അമ്പത് അറുപത് എഴുപത് രൂപയുടെ നോട്ടുകൾ {name} എണ്ണി
{number_word} രൂപയും {number_word} പൈസയും {name} കൊടുത്തു
{name} {digit_word} മണിക്ക് {place} എത്തി
{score}, {score}, {score}, {score}, {score}, {score} എന്നിങ്ങനെയാണ് മാർക്ക്
അനുപാതം {digit}:{digit} ആണ്, ശതമാനം {score}.{score}
അക്കൗണ്ടിൽ {amount} രൂപ ബാക്കിയുണ്ട്
അക്കൗണ്ടിൽ {year} ൽ {big} രൂപ വന്നു
ഫ്ലൈറ്റ് AI {pin3}, ഗേറ്റ് {digit}
ട്രെയിൻ നമ്പർ {five} {place} നിർത്തും
ദേശീയപാത NH {score} വഴി {place} പോകാം
മോഡൽ XR{four} ന് {amount} രൂപ
{name} @ {place} {year}
#{year} @team{score} നന്ദി
{name}, {name}, {name} എന്നിവർ പങ്കെടുത്തു
പദ്ധതി പൂർത്തിയായി, {four} പേർക്ക് പ്രയോജനം ലഭിച്ചു
നമ്പറിൽ തെറ്റുണ്ട്, തീയതി {day}-{month}-{year} ആക്കുക
നിലമ്പൂർ, കരിപ്പൂർ, ബേപ്പൂർ വഴി {score} കിലോമീറ്റർ
ദലിത്, ആദിവാസി, മുസ്ലിം, ക്രിസ്ത്യൻ സമുദായങ്ങൾ {place} യോഗം ചേർന്നു
ട്രാൻസ്ജെൻഡർ വ്യക്തികൾക്കായി {crore} ലക്ഷം രൂപ
പട്ടിക്കുട്ടിയും കഴുതയും {place} കളിച്ചു, {name} ചിരിച്ചു
അന്ധർക്കും ബധിരർക്കും {amount} രൂപ പെൻഷൻ
യൂണിറ്റിന് {digit}.{score} രൂപ നിരക്കിൽ {pin3} യൂണിറ്റ്
അക്ഷാംശം {digit}.{five}{five}, രേഖാംശം {score}.{five}{five}
ഐ എസ് ബി എൻ 978-{digit}-{five}-{pin3}-{digit}
കേസ് നമ്പർ {four}/{year}, കോടതി {digit}
ജനസംഖ്യ {score},{score},{pin3} ആണ്
ജനസംഖ്യ {indian} ആണ്
വോട്ട് {five}, {five}, {five}
പി എൻ ആർ {long} ഉറപ്പായി
ഓർഡർ നമ്പർ {long} {place} എത്തി
കൺസൈൻമെന്റ് {unnamed} {place} എത്തി
കൺസ്യൂമർ നമ്പർ {long} ന് {amount} രൂപ
ഉയരം {pin3} മീറ്റർ, വീതി {score} മീറ്റർ
വോട്ടുകൾ {five} {five} എന്നിങ്ങനെ, {place}
{five} {five} വോട്ട് നേടി {name} ജയിച്ചു
{pay} {pay2} വോട്ട് വീതം {place}
{pay2} {pay} കാണികൾ {place} എത്തി
നറുക്ക് {four} {pin} ന് സമ്മാനം
ലോട്ടറി {four} {pin}, {place}
ഓർമശേഷി {power} {power} ബൈറ്റ്
{drill}, {name} ഉരുവിട്ടു
താപനില {score}.{digit} {score}.{digit} {score}.{digit} ഡിഗ്രി
സെർവർ {score}.{byte}.{score}.{byte} {place}
{big} രൂപ {name} അടച്ചു
500 ml {score} kg {four} രൂപ
മാർക്ക് {score} {score} {score} {score} {score}
{name} നേടിയത് {score} {score} {score} {score} {score}
സ്കോർ {score}-{score}-{score}-{score}-{score}
{place} {score}/{score}/{score}/{score}/{score} കിലോ
അളവ് {score}-{score}-{score}, {name}
ട്രെയിൻ {train}/{train} {place} നിർത്തും
ട്രെയിൻ നമ്പർ {train} {train}
{place} വഴി {train}-{train} എക്സ്പ്രസ്
ആകെ {five} {five} പേർ
വില {five}-{five}
ജനസംഖ്യ {four} {four} {score}
പിൻകോഡ് {pin} {pin}, {place}
മീറ്റർ റീഡിങ് {four} {four} {four}
ഗുണനപ്പട്ടിക: {table}
{name} ചൊല്ലി, {table}
ഒന്ന് മുതൽ: {odd}
"""
_PROMPTS = """
ബാലൻസ് അറിയാൻ {digit_word} അമർത്തുക
ദയവായി {score} സെക്കൻഡ് കാത്തിരിക്കൂ
താങ്കളുടെ ബിൽ തുക {amount} രൂപയാണ്
താങ്കൾക്ക് {digit_word} അമർത്തി തുടരാം
നിങ്ങളുടെ പരാതി നമ്പർ {four} ആണ്
നിങ്ങൾക്ക് {place} ഓഫീസിൽ വരാം
{name}, താങ്കളുടെ അപേക്ഷ സ്വീകരിച്ചു
നന്ദി, വീണ്ടും വിളിക്കണം
{month_name} {day} ന് മുമ്പ് പണം അടയ്ക്കണം
നീലേശ്വരം ഓഫീസ് {hour} മണിക്ക് തുറക്കും
നീണ്ട വരിയിൽ നിന്ന് മാറാൻ {digit_word} അമർത്തുക
വില കേൾക്കാൻ {digit_word} അമർത്തൂ
അമർത്തേണ്ട അക്കം {digit} ആണ്
"""


def _fill(template: str, rng: random.Random) -> str:
    draw: dict[str, Callable[[], Any]] = {
        "year": lambda: rng.randint(1947, 2030), "month": lambda: rng.randint(1, 12), "day": lambda: rng.randint(1, 28),
        "month2": lambda: f"{rng.randint(1, 12):02d}", "day2": lambda: f"{rng.randint(1, 28):02d}",
        "hour": lambda: rng.randint(1, 12), "minute2": lambda: f"{rng.randint(0, 59):02d}",
        "month_name": lambda: rng.choice(_MONTHS), "place": lambda: rng.choice(_PLACES),
        "name": lambda: rng.choice(_NAMES.split()),
        "pin": lambda: f"{rng.randint(670, 695)}{rng.randint(0, 999):03d}", "pin3": lambda: rng.randint(100, 999),
        "amount": lambda: rng.randint(10, 99_999), "crore": lambda: f"{rng.uniform(1, 999):.2f}",
        "big": lambda: rng.randint(10**6, 10**11), "tens": lambda: rng.randint(600, 999) * 10**7,
        "pay": lambda: rng.randint(10, 64) * 1000, "pay2": lambda: rng.randint(65, 99) * 1000,
        "score": lambda: rng.randint(10, 99), "score3": lambda: rng.randint(100, 450),
        "digit": lambda: rng.randint(1, 9),
        "four": lambda: rng.randint(1000, 9999), "five": lambda: rng.randint(10_000, 99_999),
        # A number that no word beside it explains may well be taken for a person's: one in four of these is long.
        "unnamed": lambda: _long(rng) if rng.random() < 0.25 else rng.randint(1000, 99_999_999),
        "long": lambda: _long(rng),
        "indian": lambda: f"{rng.randint(1, 9)},{rng.randint(10, 99)},{rng.randint(10, 99)},{rng.randint(100, 999)}",
        "power": lambda: 2 ** rng.randint(12, 16), "byte": lambda: rng.randint(100, 255),
        "train": lambda: rng.randint(66_000, 66_999) if rng.random() < 0.5 else rng.randint(10_000, 22_999),
        "table": lambda: _table(rng), "odd": lambda: " ".join(_said_number(one) for one in range(1, 20, 2)),
        "drill": lambda: _drill(rng.randint(2, 4), rng.randint(3, 5)),
        "helpline": lambda: rng.choice(list(HELPLINES)),
        "digit_word": lambda: number_words(rng.randint(0, 9))[0],
        "number_word": lambda: number_words(rng.randint(10, 9999))[0],
    }  # fmt: skip
    while "{" in template:
        before, _, rest = template.partition("{")
        slot, _, after = rest.partition("}")
        template = f"{before}{draw[slot]()}{after}"
    return template


def _drill(last: int, times: int) -> str:
    """Return a count from one to `last` said several times over, as children are taught it."""
    return " ".join(number_words(one)[0] for _ in range(times) for one in range(1, last + 1))


def _table(rng: random.Random) -> str:
    """Return some rows of a multiplication table, or of one of addition, as children say them."""
    one, rows, plus = rng.randint(2, 9), rng.randint(3, 5), rng.random() < 0.3
    results = [(one, other, one + other if plus else one * other) for other in range(1, rows + 1)]
    return rng.choice([", ", " "]).join(" ".join(map(_said_number, row)) for row in results)


def _said_number(number: int) -> str:
    return number_words(number)[0]


def _long(rng: random.Random) -> str:
    return _digits(rng, rng.choice([9, 10, 11, 12, 13, 14, 15, 16, 18]), "123456789")


def clean_lines(count: int, seed: int = 0) -> list[str]:
    """Return lines without anything to find: half from the bundled sample, an eighth lists of numbers in any shape.

    The others are written around numbers and names, as often from each template.
    """
    rng = random.Random(f"clean/{seed}")
    each = max(1, min(1250, count // 2 // len(_SAMPLE)))
    lines = [row.text for kind, side in _SAMPLE for row in utterances(kind, side, each, seed)]
    templates = _TEMPLATES.strip().splitlines()
    lines += number_lists(count // 8, seed)
    lines += [_fill(templates[place % len(templates)], rng) for place in range(count - len(lines))]
    rng.shuffle(lines)
    return lines


def clean_prompts(count: int, seed: int = 0) -> list[str]:
    """Return well-mannered prompts of a phone line."""
    rng = random.Random(f"prompts/{seed}")
    templates = _PROMPTS.strip().splitlines()
    return [_fill(templates[place % len(templates)], rng) for place in range(count)]


def unnamed_numbers(count: int, seed: int = 0) -> list[str]:
    """Return lines with a random number of 9 to 18 digits and no word that says what it is: the worst case."""
    rng = random.Random(f"unnamed/{seed}")
    return [f"കൺസൈൻമെന്റ് {_long(rng)} {rng.choice(_PLACES)} എത്തി" for _ in range(count)]


_FRAMES = (
    "എന്റെ നമ്പർ {} ആണ്",
    "{} എന്ന നമ്പറിൽ വിളിക്കൂ",
    "{}",
    "വിവരങ്ങൾക്ക്: {}.",
    "{}, നന്ദി",
    "കുറിച്ചോളൂ {} ശരിയല്ലേ",
    "വാർഡ് 12 {} 2026",
)
_WORD_SETS = (
    "പൂജ്യം ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒൻപത്", "പൂജ്യം ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒമ്പത്",
    "സീറോ വൺ ടു ത്രീ ഫോർ ഫൈവ് സിക്സ് സെവൻ എയ്റ്റ് നയൻ", "zero one two three four five six seven eight nine",
    "poojyam onnu randu moonnu naalu anchu aaru ezhu ettu onpathu", "Zero One Two Three Four Five Six Seven Eight Nine",
)  # fmt: skip
_ABUSE = "തായോളി|നായിന്റെ മോൻ|മൈര്|പുലയാടിമോൻ|കൂത്തിച്ചി|thayoli|Myre|naayinte mone"
_INSULTS = "മണ്ടൻ|വിഡ്ഢി|മരമണ്ടൻ|തെമ്മാടി|കഴുവേറി|വിഡ്ഢികൾ"


def planted_lines(rule: str, count: int, seed: int = 0) -> list[str]:
    """Return lines that each hold one thing for a rule to find. Raises KeyError for a rule without a way to plant."""
    rng = random.Random(f"{rule}/{seed}")
    make = _PLANTED[rule]
    return [make(rng) for _ in range(count)]


def _framed(make: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(_FRAMES).format(make(rng))


def _digits(rng: random.Random, count: int, first: str = "0123456789") -> str:
    return rng.choice(first) + "".join(rng.choice("0123456789") for _ in range(count - 1))


def _checked(rng: random.Random, count: int, first: str, test: Callable[[str], bool]) -> str:
    body = _digits(rng, count - 1, first)
    return next(body + last for last in "0123456789" if test(body + last))


def _split(digits: str, lengths: tuple[int, ...], mark: str) -> str:
    parts, place = [], 0
    for length in lengths:
        parts.append(digits[place : place + length])
        place += length
    return mark.join(parts)


def _in_malayalam(text: str) -> str:
    return text.translate({ord(str(digit)): 0x0D66 + digit for digit in range(10)})


def _mobile(rng: random.Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(["+971 5{} {} {}", "+9665{}{}{}", "00974 5{}{}{}"]).format(
            rng.randint(0, 9), rng.randint(100, 999), rng.randint(1000, 9999)
        )
    digits = _digits(rng, 9, "6789") + rng.choice("123456789")
    lengths = rng.choice(
        [(10,), (10,), (5, 5), (5, 5), (4, 6), (4, 3, 3), (3, 3, 4), (2, 3, 3, 2), (3, 2, 2, 3), (2,) * 5, (1,) * 10]
    )
    prefix = rng.choice(["", "", "+91 ", "+91-", "+91", "0", "91 ", "(+91) ", "0091 "])
    said = prefix + _split(digits, lengths, rng.choice([*"  --._·", " - "] if len(lengths) < 10 else [" ", "-", ", "]))
    said += rng.choice(["", "", "", "/46"]) if len(lengths) < 3 else ""
    return _in_malayalam(said) if rng.random() < 0.1 else said


_AREA_CODES = "471 474 468 477 481 484 487 491 483 495 497 4862 4936 4994 11 22 80 44"


def _landline(rng: random.Random) -> str:
    code = rng.choice(_AREA_CODES.split())
    digits = _digits(rng, 10 - len(code), "23456")
    if rng.random() < 0.3 and len(digits) == 7:
        digits = f"{digits[:3]} {digits[3:]}"
    prefix = rng.choice([f"0{code}-", f"0{code} ", f"(0{code}) ", f"0{code} - ", f"+91 {code} "])
    return prefix + digits


def _aadhaar(rng: random.Random) -> str:
    digits = _checked(rng, 12, "23456789", verhoeff)
    return rng.choice([digits, _split(digits, (4, 4, 4), " "), _split(digits, (4, 4, 4), "-")])


def _card(rng: random.Random) -> str:
    digits = _checked(rng, 16, "456", luhn)
    return rng.choice([digits, _split(digits, (4,) * 4, " "), _split(digits, (4,) * 4, "-")])


def _letters(rng: random.Random, count: int, of: str = "ABCDEFGHJKLMNPRSTUVWXYZ") -> str:
    return "".join(rng.choice(of) for _ in range(count))


def _pan(rng: random.Random) -> str:
    return f"{_letters(rng, 3)}{rng.choice('ABCFGHLJPT')}{_letters(rng, 1)}{_digits(rng, 4)}{_letters(rng, 1)}"


def _vehicle(rng: random.Random) -> str:
    mark, case = rng.choice(["", " ", "-"]), rng.choice([str.upper, str.upper, str.lower])
    state, office = rng.choice(["KL", "TN", "KA", "MH"]), f"{rng.randint(1, 73):02d}"
    return case(mark.join([state, office, _letters(rng, rng.randint(1, 2)), _digits(rng, 4)]))


def _account(rng: random.Random) -> str:
    word = rng.choice(["അക്കൗണ്ട് നമ്പർ", "അക്കൗണ്ട് നമ്പർ:", "A/c No.", "account number", "എന്റെ അക്കൗണ്ട്"])
    return f"{word} {_digits(rng, rng.randint(10, 17))}"


def _email(rng: random.Random) -> str:
    name = _letters(rng, 6, "abcdefghij") + rng.choice(["", ".k", "_1", "12"])
    return f"{name}@{rng.choice(['example.in', 'mail.example.com', 'example.org'])}"


def _upi(rng: random.Random) -> str:
    name = _letters(rng, 6, "abcdefghij")
    left = rng.choice([name, _digits(rng, 10, "6789"), f"{name}.{_digits(rng, 2)}"])
    return f"{left}@{rng.choice(['okaxis', 'oksbi', 'ybl', 'paytm', 'upi', 'ibl', 'okicici'])}"


def _spelled(rng: random.Random) -> str:
    words = rng.choice(_WORD_SETS).split()
    digits = [rng.choice(words[6:])] + [rng.choice(words) for _ in range(rng.choice([7, 9, 9, 9, 11]))]
    return rng.choice([" ", " ", ", "]).join(digits)


def _said(templates: str, of: str = "") -> Callable[[random.Random], str]:
    """Return a maker of lines from templates, where {} is one of the words; both lists are parted by bars."""
    return lambda rng: _fill(rng.choice(templates.split("|")).replace("{}", rng.choice(of.split("|"))), rng)


_PLANTED: dict[str, Callable[[random.Random], str]] = {
    "mobile_number": _framed(_mobile),
    "landline": _framed(_landline),
    "aadhaar": _framed(_aadhaar),
    "card": _framed(_card),
    "bank_account": _framed(_account),
    "pan": _framed(_pan),
    "vehicle": _framed(_vehicle),
    "email": _framed(_email),
    "ifsc": _framed(lambda rng: f"{_letters(rng, 4)}0{_digits(rng, 6)}"),
    "upi_id": _framed(_upi),
    "spelled_number": _framed(_spelled),
    "abuse": _said("എടാ {}|{} എന്ന് വിളിച്ചു|അവൻ ഒരു {} ആണ്", _ABUSE),
    "insult": _said("അവൻ ഒരു {} ആണ്|{} എന്ന് വിളിച്ചു", _INSULTS),
    "impolite_second_person": _said("നിന്റെ ബിൽ {amount} രൂപയാണ്|നിനക്ക് {place} വരാം|നീ {digit_word} അമർത്തുക"),
    "bare_imperative": _said("ബാലൻസ് അറിയാൻ {digit_word} അമർത്ത്|{score} സെക്കൻഡ് കാത്തിരിക്ക്|നമ്പർ പറയ്. നന്ദി"),
    "mixed_address": _said("താങ്കളുടെ ബിൽ നിങ്ങൾക്ക് {place} അടയ്ക്കാം|നിങ്ങളുടെ പരാതി {four} താങ്കൾക്ക് അറിയാം"),
}
