"""Words that several kinds of sample text share: numbers, days, places of Kerala, family, food and things.

All Malayalam here was written for this project; no native speaker has checked it. A slot is a table of fillers,
``malayalam=english`` pairs parted by semicolons. A filler is a whole phrase with its case ending
(``കൊച്ചിയിൽ=in Kochi``), so templates rarely glue a suffix to a word.
"""

from __future__ import annotations

from functools import cache

_ONES = "പൂജ്യം ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒമ്പത് പത്ത് പതിനൊന്ന് പന്ത്രണ്ട് പതിമൂന്ന് പതിനാല് പതിനഞ്ച് പതിനാറ് പതിനേഴ് പതിനെട്ട് പത്തൊമ്പത്"
_ONES_EN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "ഇരുപത് മുപ്പത് നാൽപ്പത് അമ്പത് അറുപത് എഴുപത് എൺപത് തൊണ്ണൂറ്"
_TENS_JOIN = "ഇരുപത്തി മുപ്പത്തി നാൽപ്പത്തി അമ്പത്തി അറുപത്തി എഴുപത്തി എൺപത്തി തൊണ്ണൂറ്റി"
_TENS_EN = "twenty thirty forty fifty sixty seventy eighty ninety"
_HUNDREDS = "നൂറ് ഇരുന്നൂറ് മുന്നൂറ് നാനൂറ് അഞ്ഞൂറ് അറുനൂറ് എഴുനൂറ് എണ്ണൂറ് തൊള്ളായിരം"
_HUNDREDS_JOIN = "നൂറ്റി ഇരുന്നൂറ്റി മുന്നൂറ്റി നാനൂറ്റി അഞ്ഞൂറ്റി അറുനൂറ്റി എഴുനൂറ്റി എണ്ണൂറ്റി തൊള്ളായിരത്തി"
_THOUSANDS = "ആയിരം രണ്ടായിരം മൂവായിരം നാലായിരം അയ്യായിരം ആറായിരം ഏഴായിരം എണ്ണായിരം ഒമ്പതിനായിരം"
_VOWELS = {"ഒന്ന്": "യൊന്ന്", "അഞ്ച്": "യഞ്ച്", "ആറ്": "യാറ്", "ഏഴ്": "യേഴ്", "എട്ട്": "യെട്ട്", "ഒമ്പത്": "യൊമ്പത്"}


def number_words(number: int) -> tuple[str, str]:
    """Say a whole number from 0 to 9999 in Malayalam and in English.

    Raises ValueError outside that range.
    """
    if not 0 <= number <= 9999:
        raise ValueError(f"number_words: {number} is not between 0 and 9999")
    ones, ones_en = _ONES.split(), _ONES_EN.split()
    if number < 20:
        return ones[number], ones_en[number]
    if number < 100:
        ten, one = divmod(number, 10)
        if not one:
            return _TENS.split()[ten - 2], _TENS_EN.split()[ten - 2]
        last = _VOWELS.get(ones[one], ones[one])
        return _TENS_JOIN.split()[ten - 2] + last, f"{_TENS_EN.split()[ten - 2]}-{ones_en[one]}"
    if number < 1000:
        hundred, rest = divmod(number, 100)
        if not rest:
            return _HUNDREDS.split()[hundred - 1], f"{ones_en[hundred]} hundred"
        ml, en = number_words(rest)
        return f"{_HUNDREDS_JOIN.split()[hundred - 1]} {ml}", f"{ones_en[hundred]} hundred and {en}"
    thousand, rest = divmod(number, 1000)
    word = _THOUSANDS.split()[thousand - 1]
    if not rest:
        return word, f"{ones_en[thousand]} thousand"
    ml, en = number_words(rest)
    return f"{word.removesuffix('ം')}ത്തി {ml}", f"{ones_en[thousand]} thousand {en}"


_AMOUNTS = (
    49, 99, 149, 199, 239, 249, 299, 349, 399, 499, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 600, 650, 700,
    750, 800, 850, 900, 1000, 1200, 1500, 2000, 2500, 3000, 3500, 4000, 5000, 120, 180, 220, 260, 320, 340, 410, 480,
)  # fmt: skip
_NUMBER_SLOTS: dict[str, tuple[int, ...]] = {
    "digit": tuple(range(10)),
    "key": tuple(range(1, 10)),
    "few": tuple(range(2, 13)),
    "hour": tuple(range(1, 13)),
    "price": (
        10,
        15,
        20,
        25,
        30,
        35,
        40,
        45,
        50,
        55,
        60,
        65,
        70,
        75,
        80,
        85,
        90,
        95,
        100,
        120,
        130,
        140,
        150,
        160,
        200,
    ),
    "amount": _AMOUNTS,
    "age": tuple(range(13, 90)),
    "heads": tuple(range(14, 60)),
    "units": tuple(range(110, 990, 10)) + tuple(range(1005, 2000, 45)),
}
_CLOCK = (  # part of the day, its English, the hours it goes with
    ("പുലർച്ചെ", "in the early morning", (3, 4, 5)),
    ("രാവിലെ", "in the morning", (6, 7, 8, 9, 10, 11)),
    ("ഉച്ചയ്ക്ക്", "in the afternoon", (12, 1, 2, 3)),
    ("വൈകുന്നേരം", "in the evening", (4, 5, 6, 7)),
    ("രാത്രി", "at night", (8, 9, 10, 11)),
)

SLOTS: dict[str, str] = {
    "day_f": "ഇന്ന്=today; നാളെ=tomorrow; മറ്റന്നാൾ=the day after tomorrow; അടുത്ത ആഴ്ച=next week; "
    "അടുത്ത മാസം=next month; നാളെ രാവിലെ=tomorrow morning; ഇന്ന് വൈകുന്നേരം=this evening; "
    "നാളെ രാത്രി=tomorrow night",
    "day_p": "ഇന്നലെ=yesterday; മിനിഞ്ഞാന്ന്=the day before yesterday; കഴിഞ്ഞ ആഴ്ച=last week; "
    "കഴിഞ്ഞ മാസം=last month; ഇന്ന് രാവിലെ=this morning; ഇന്നലെ രാത്രി=last night; "
    "ഇന്നലെ വൈകുന്നേരം=yesterday evening; കഴിഞ്ഞ വർഷം=last year",
    "since": "ഇന്നലെ മുതൽ=since yesterday; രാവിലെ മുതൽ=since morning; തിങ്കളാഴ്ച മുതൽ=since Monday; "
    "രണ്ട് ദിവസമായി=for two days; മൂന്ന് മണിക്കൂറായി=for three hours; ഒരാഴ്ചയായി=for a week; "
    "ഇന്നലെ രാത്രി മുതൽ=since last night; ഉച്ച മുതൽ=since noon; കുറേ നേരമായി=for a long time; "
    "അഞ്ച് ദിവസമായി=for five days",
    "part": "രാവിലെ=in the morning; ഉച്ചയ്ക്ക്=at noon; വൈകുന്നേരം=in the evening; രാത്രി=at night; പുലർച്ചെ=at dawn",
    "weekday": "ഞായറാഴ്ച=on Sunday; തിങ്കളാഴ്ച=on Monday; ചൊവ്വാഴ്ച=on Tuesday; ബുധനാഴ്ച=on Wednesday; "
    "വ്യാഴാഴ്ച=on Thursday; വെള്ളിയാഴ്ച=on Friday; ശനിയാഴ്ച=on Saturday",
    "month": "ജനുവരി=January; ഫെബ്രുവരി=February; മാർച്ച്=March; ഏപ്രിൽ=April; മേയ്=May; ജൂൺ=June; ജൂലൈ=July; "
    "ഓഗസ്റ്റ്=August; സെപ്റ്റംബർ=September; ഒക്ടോബർ=October; നവംബർ=November; ഡിസംബർ=December",
    "month_of": "ജനുവരിയിലെ=for January; ഫെബ്രുവരിയിലെ=for February; മാർച്ചിലെ=for March; ഏപ്രിലിലെ=for April; "
    "മേയിലെ=for May; ജൂണിലെ=for June; ജൂലൈയിലെ=for July; ഓഗസ്റ്റിലെ=for August; "
    "സെപ്റ്റംബറിലെ=for September; ഒക്ടോബറിലെ=for October; നവംബറിലെ=for November; "
    "ഡിസംബറിലെ=for December; കഴിഞ്ഞ മാസത്തെ=for last month; ഈ മാസത്തെ=for this month",
    "ordinal": "ഒന്നാം=first; രണ്ടാം=second; മൂന്നാം=third; നാലാം=fourth; അഞ്ചാം=fifth; ആറാം=sixth; ഏഴാം=seventh; "
    "എട്ടാം=eighth; ഒമ്പതാം=ninth; പത്താം=tenth; പതിനൊന്നാം=eleventh; പന്ത്രണ്ടാം=twelfth; "
    "പതിനാലാം=fourteenth; പതിനഞ്ചാം=fifteenth; ഇരുപതാം=twentieth; ഇരുപത്തിയഞ്ചാം=twenty-fifth; "
    "മുപ്പതാം=thirtieth",
    "in_place": "തിരുവനന്തപുരത്ത്=in Thiruvananthapuram; കൊല്ലത്ത്=in Kollam; പത്തനംതിട്ടയിൽ=in Pathanamthitta; "
    "ആലപ്പുഴയിൽ=in Alappuzha; കോട്ടയത്ത്=in Kottayam; ഇടുക്കിയിൽ=in Idukki; എറണാകുളത്ത്=in Ernakulam; "
    "കൊച്ചിയിൽ=in Kochi; തൃശൂരിൽ=in Thrissur; പാലക്കാട്ട്=in Palakkad; മലപ്പുറത്ത്=in Malappuram; "
    "കോഴിക്കോട്ട്=in Kozhikode; വയനാട്ടിൽ=in Wayanad; കണ്ണൂരിൽ=in Kannur; കാസർകോട്ട്=in Kasaragod",
    "to_place": "തിരുവനന്തപുരത്തേക്ക്=to Thiruvananthapuram; കൊല്ലത്തേക്ക്=to Kollam; "
    "ആലപ്പുഴയിലേക്ക്=to Alappuzha; കോട്ടയത്തേക്ക്=to Kottayam; ഇടുക്കിയിലേക്ക്=to Idukki; "
    "കൊച്ചിയിലേക്ക്=to Kochi; തൃശൂരിലേക്ക്=to Thrissur; പാലക്കാട്ടേക്ക്=to Palakkad; "
    "മലപ്പുറത്തേക്ക്=to Malappuram; കോഴിക്കോട്ടേക്ക്=to Kozhikode; വയനാട്ടിലേക്ക്=to Wayanad; "
    "കണ്ണൂരിലേക്ക്=to Kannur; കാസർകോട്ടേക്ക്=to Kasaragod",
    "in_town": "മൂന്നാറിൽ=in Munnar; ഗുരുവായൂരിൽ=in Guruvayur; ആലുവയിൽ=in Aluva; തിരൂരിൽ=in Tirur; "
    "തലശ്ശേരിയിൽ=in Thalassery; വടകരയിൽ=in Vadakara; പാലായിൽ=in Pala; അടൂരിൽ=in Adoor; "
    "കായംകുളത്ത്=in Kayamkulam; നെയ്യാറ്റിൻകരയിൽ=in Neyyattinkara; ചാലക്കുടിയിൽ=in Chalakudy; "
    "പൊന്നാനിയിൽ=in Ponnani; കൽപ്പറ്റയിൽ=in Kalpetta; തൊടുപുഴയിൽ=in Thodupuzha; കൊച്ചിയിൽ=in Kochi; "
    "കോട്ടയത്ത്=in Kottayam; തൃശൂരിൽ=in Thrissur; കണ്ണൂരിൽ=in Kannur",
    "to_town": "മൂന്നാറിലേക്ക്=to Munnar; ഗുരുവായൂരിലേക്ക്=to Guruvayur; ആലുവയിലേക്ക്=to Aluva; "
    "തിരൂരിലേക്ക്=to Tirur; തലശ്ശേരിയിലേക്ക്=to Thalassery; വടകരയിലേക്ക്=to Vadakara; "
    "പാലായിലേക്ക്=to Pala; അടൂരിലേക്ക്=to Adoor; കായംകുളത്തേക്ക്=to Kayamkulam; "
    "ചാലക്കുടിയിലേക്ക്=to Chalakudy; പൊന്നാനിയിലേക്ക്=to Ponnani; തൊടുപുഴയിലേക്ക്=to Thodupuzha; "
    "കൊച്ചിയിലേക്ക്=to Kochi; കൊല്ലത്തേക്ക്=to Kollam; കണ്ണൂരിലേക്ക്=to Kannur",
    "from_city": "തിരുവനന്തപുരത്ത് നിന്ന്=from Thiruvananthapuram; എറണാകുളത്ത് നിന്ന്=from Ernakulam; "
    "തൃശൂരിൽ നിന്ന്=from Thrissur; കോഴിക്കോട്ട് നിന്ന്=from Kozhikode; ചെന്നൈയിൽ നിന്ന്=from Chennai; "
    "മുംബൈയിൽ നിന്ന്=from Mumbai; ദുബായിൽ നിന്ന്=from Dubai; മൈസൂരിൽ നിന്ന്=from Mysore",
    "person": "അമ്മ=mother; അച്ഛൻ=father; ചേട്ടൻ=elder brother; ചേച്ചി=elder sister; അനിയൻ=younger brother; "
    "അനിയത്തി=younger sister; മുത്തശ്ശി=grandmother; മുത്തശ്ശൻ=grandfather; അമ്മാവൻ=uncle; "
    "അമ്മായി=aunt; ടീച്ചർ=the teacher; അയൽക്കാരൻ=the neighbour; ഡോക്ടർ=the doctor; "
    "എന്റെ കൂട്ടുകാരൻ=my friend",
    "to_person": "അമ്മയ്ക്ക്=mother; അച്ഛന്=father; ചേട്ടന്=elder brother; ചേച്ചിക്ക്=elder sister; "
    "അനിയന്=younger brother; അനിയത്തിക്ക്=younger sister; മുത്തശ്ശിക്ക്=grandmother; "
    "മുത്തശ്ശന്=grandfather; അമ്മാവന്=uncle; അമ്മായിക്ക്=aunt; ടീച്ചർക്ക്=the teacher; "
    "എന്റെ കൂട്ടുകാരന്=my friend",
    "with_person": "അമ്മയോടൊപ്പം=with mother; അച്ഛനോടൊപ്പം=with father; ചേട്ടനോടൊപ്പം=with elder brother; "
    "ചേച്ചിയോടൊപ്പം=with elder sister; അനിയനോടൊപ്പം=with younger brother; "
    "മുത്തശ്ശിയോടൊപ്പം=with grandmother; കൂട്ടുകാരോടൊപ്പം=with friends; അമ്മാവനോടൊപ്പം=with uncle",
    "food": "ദോശ=dosa; പുട്ട്=puttu; ഇഡ്ഡലി=idli; അപ്പം=appam; മീൻകറി=fish curry; സാമ്പാർ=sambar; "
    "പായസം=payasam; ചപ്പാത്തി=chapati; ബിരിയാണി=biryani; അവിയൽ=aviyal; കഞ്ഞി=rice gruel; ഉപ്പുമാവ്=upma",
    "grocery": "അരി=rice; പഞ്ചസാര=sugar; ഉള്ളി=onions; തക്കാളി=tomatoes; മാങ്ങ=mangoes; മീൻ=fish; ഗോതമ്പ്=wheat; "
    "ഉരുളക്കിഴങ്ങ്=potatoes; പയർ=beans; പഴം=bananas; മുന്തിരി=grapes; കാരറ്റ്=carrots",
    "thing": "പുസ്തകം=book; കുട=umbrella; സാരി=sari; സൈക്കിൾ=bicycle; വാച്ച്=watch; കസേര=chair; മേശ=table; "
    "ബാഗ്=bag; വിളക്ക്=lamp; കണ്ണട=pair of glasses; ഷർട്ട്=shirt; പേന=pen; മാല=necklace; ക്യാമറ=camera",
}


@cache
def fillers(slot: str) -> tuple[tuple[str, str], ...]:
    """The (Malayalam, English) fillers of a shared slot, in a fixed order.

    Raises KeyError for a slot nobody defined.
    """
    if slot == "clock":
        return tuple(
            (f"{part} {number_words(hour)[0]} മണി", f"{number_words(hour)[1]} {part_en}")
            for part, part_en, hours in _CLOCK
            for hour in hours
        )
    if slot in _NUMBER_SLOTS:
        return tuple(number_words(number) for number in _NUMBER_SLOTS[slot])
    return parse_fillers(SLOTS[slot])


def parse_fillers(table: str) -> tuple[tuple[str, str], ...]:
    """Read ``malayalam=english; malayalam=english`` into pairs; a filler without ``=`` has an empty English side."""
    pairs = (entry.strip().partition("=") for entry in table.split(";"))
    return tuple((ml.strip(), en.strip()) for ml, _, en in pairs if ml.strip())
