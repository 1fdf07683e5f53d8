"""The content rules as a table: sources, examples on both sides, and what each was measured to do.

The figures come from `benchmarks/content`, and a test measures a part of them again. A rule may refuse rows (setting
`content.exclude`) only while the upper end of its false positives stays at or under five in 10,000 clean lines. The
examples were written for this project with invented numbers; no native speaker has checked them.
"""

from __future__ import annotations

from data_foundry.preprocessing.content.masking import PLACEHOLDERS
from data_foundry.preprocessing.content.rule import ContentRule, Measured

MAX_FALSE_POSITIVES_PER_10K = 5.0

_NNP = "National Numbering Plan 2003, Department of Telecommunications of India: ten digits after the prefix"
_LIST = "short list of this project, whole words in declared forms; not checked natively"
_FORMS = "table of this project; not checked natively"


def _personal(
    name: str, source: str, finds: tuple[str, ...], passes: tuple[str, ...], measured: Measured, limits: str
) -> ContentRule:
    return ContentRule(name, "personal_data", source, finds, passes, measured, PLACEHOLDERS[name], limits)


# fmt: off
RULES: tuple[ContentRule, ...] = (
    _personal(
        "mobile_number", f"{_NNP}, mobiles begin with 6 to 9",
        (
            "വിളിക്കൂ 90000 00001", "+91-90000-12045", "0 9000012045", "(+91) 9000012045", "9000 012 045",
            "9 0 0 0 0 1 2 0 4 5", "൯൦൦൦൦൧൨൦൪൫", "9000.012.045", "90.00.01.20.45", "90000_12045", "90-000-120-45",
            "900 00 12 045", "(900) 001-2045", "9000012045/46", "1234/9000012045", "90000 12045 കോടി",
            "വാട്സ്ആപ്പ് 9000012045 രൂപ 500", "500 രൂപ 9000012045", "9000012045 രൂപ, വിളിക്കൂ",
            "വോട്ട് 98470 12345, വിളിക്കൂ", "98470 12345 98470 54321 500 രൂപ", "പിൻ 695001 9847 012 345",
            "98470 - 12345", "9847 – 012345", "98470·12345", "9, 8, 4, 7, 0, 1, 2, 3, 4, 5", "984 7 012345",
            "+91.98470.12345", "വാർഡ് 12 98470 12345 2026",
            "വിളിക്കൂ 78-85-90-67-88", "+971 50 123 4567", "+966501234567", "00971501234567",
        ),
        (
            "9000000000 രൂപ", "ശമ്പളം 65000-95000", "5000000001", "2024-25 6500 7000", "9 8 7 6 5 4 3 2 1 0",
            "1800 425 1234", "സ്കോർ 78-65 91-88", "8453920123 രൂപ", "₹ 8453920123", "വോട്ടുകൾ 78456 65432",
            "98000 75000 വോട്ട്", "78456 65432 വോട്ടിന്", "65536 32768", "നറുക്ക് 6543 210987", "78.45 91.88 45",
            "98.123.12.123", "മാർക്ക് 78 85 90 67 88", "സ്കോർ 78-91-65-88-72", "65 70 75 80 85 കിലോ", "ട്രെയിൻ 66301/66302",
            "ആകെ 78456 65432 പേർ",
            "7000 8000 90", "മഴ 64999 - 74999", "വില 64999 74999", "വഴി 66301-66302 എക്സ്പ്രസ്", "താപനില 83.45-84.12-85",
            "രേഖാംശം 91.8613771018",
        ),
        Measured(120_000, 39, 1_200, 1_189),
        "a reference number or two counts of five digits are flagged too; not found where no country code, zero or "
        "word of calling speaks for it: pairs of digits, groups with dots, strokes or spaced hyphens, odd groups in a "
        "longer row, and what stands beside a counted noun; and letters among the digits (9847O12345)",
    ),
    _personal(
        "landline", f"{_NNP}, a 0 and the area code before the subscriber",
        ("0471-2345678", "(0484) 234 5678", "04952345678", "+91 471 2345678", "വാർഡ് 5 0471 2345678"),
        ("01-02-2024", "00471", "കോഡ് 0471", "1860 266 1234"),
        Measured(120_000, 0, 1_200, 1_200), "not found without its area code: six to eight digits are many things",
    ),
    _personal(
        "aadhaar", "UIDAI: 12 digits, the first 2 to 9, the last a Verhoeff check digit",
        (
            "2345 6789 0124", "234567890124", "ആധാർ 2345/6789/0124", "ആധാർ 2345.6789.0124", "234567890124 രൂപ",
            "2345 6789-0124", "ആധാർ 2345 6789 0124 2026", "വാർഡ് 12 2345 6789 0124", "2345 6789 0124 2345 6789 0124",
        ),
        (
            "2345 6789 0123", "1234 5678 9012", "2345 6789 0124 5678", "₹ 234567890124", "ആകെ 2345 6789 0124",
            "2003 2006 2017",
        ),
        Measured(120_000, 8, 1_200, 1_193),
        "one in ten other numbers of 12 digits passes the check digit; beside other groups of four that are no years, "
        "or with dots or strokes, only where a word names it",
    ),
    _personal(
        "card", "ISO/IEC 7812-1: 15 or 16 digits that pass the Luhn test, first digit 3 to 6 or 8",
        (
            "4111 1111 1111 1111", "378282246310005", "card 4111.1111.1111.1111", "4111111111111111 രൂപ",
            "4111 1111 1111 1111 12/28 123",
        ),
        ("4111 1111 1111 1112", "1234 5678 9012 3456"),
        Measured(120_000, 2, 1_200, 1_200), "one in ten other numbers of 16 digits passes the Luhn test",
    ),
    _personal(
        "bank_account", "Reserve Bank of India: account numbers have no common form; 9 to 18 digits after the word",
        (
            "അക്കൗണ്ട് നമ്പർ 12345678901", "A/c no. 1234 5678 901", "അക്കൗണ്ടിലേക്ക് 12345678901 അയക്കുക",
            "അക്കൗണ്ടിന്റെ നമ്പർ 12345678901",
        ),
        ("അക്കൗണ്ടിൽ 100000000 രൂപ", "അക്കൗണ്ട് 4500 രൂപ", "account 2024"),
        Measured(120_000, 0, 1_200, 1_179), "only beside the word account",
    ),
    _personal(
        "pan", "Income Tax Rules 1962, rule 114: five letters (the fourth of eleven kinds), four digits, a letter",
        ("PAN ABCPE1234F", "abcpe1234f"), ("ABCDE1234F", "ABCPE12345", "XABCPE1234F"),
        Measured(120_000, 0, 1_200, 1_200), "a product code of the same shape is flagged too",
    ),
    _personal(
        "ifsc", "Reserve Bank of India: four letters of the bank, a zero, six characters of the branch",
        ("IFSC SBIN0070123",), ("SBIN1070123", "COVID0VACCINE"),
        Measured(120_000, 0, 1_200, 1_200), "names a branch, a person only with the account",
    ),
    _personal(
        "vehicle", "Central Motor Vehicles Rules 1989, rule 50: state, office, series, number",
        ("KL-07-AB-1234", "KL07AB1234", "TN 9 C 1234", "kl 07 ab 1234"),
        ("KL 2024", "NH 66 AB 1234", "G20 2023", "as 10 am 1230", "500 ml 10 kg 1000"),
        Measured(120_000, 0, 1_200, 1_200), "marks of the Bharat series (22 BH 1234 AB) are not found",
    ),
    _personal(
        "email", "RFC 5321 in its common form: local part, domain, top level",
        ("a.b@example.in", "എഴുതൂ: help+1@mail.example.com"), ("വില 900 രൂപ @ കട", "@example", "a@b"),
        Measured(120_000, 0, 1_200, 1_200), "addresses said in words (at, dot) are not found",
    ),
    _personal(
        "upi_id", "NPCI: virtual payment address; handles as the apps announce them, others beside the word UPI",
        ("rani@okaxis", "9000012045@ybl", "UPI: rani@newbank"), ("rani@newbank", "12@20", "a.b@example.in"),
        Measured(120_000, 0, 1_200, 1_200),
        "handles change; an unlisted one is found only beside the name of a service",
    ),
    _personal(
        "spelled_number", "digit words of this project, Malayalam and English in both scripts; not checked natively",
        (
            "ഒൻപത് പൂജ്യം രണ്ട് എട്ട് നാല് ഏഴ് ഒന്ന് ആറ്", "ഒമ്പതു, എട്ടു, നാലു, ഏഴു, രണ്ടു, ആറു, മൂന്നു, അഞ്ചാണ്",
            "nine zero two eight four seven one six", "onpathu poojyam randu ettu naalu ezhu onnu aaru",
            "നയൻ സീറോ ടു എയ്റ്റ് ഫോർ സെവൻ വൺ സിക്സ്", "ഡബിൾ എട്ട് ട്രിപ്പിൾ നാല് ഏഴ് ഒന്ന് ആറ്",
            "തൊണ്ണൂറ്റിയെട്ട് നാൽപ്പത്തിയേഴ് പന്ത്രണ്ട് മുപ്പത്തിനാല് അമ്പത്തിയാറ്",
            "ninety-eight forty-seven zero twelve thirty-four five", "nine eight four seven oh one two six four five",
            "നയൻ എയ്റ്റ് ഫോർ സെവൻ ഓ വൺ ടൂ സിക്സ് ഫോർ ഫൈവ്", "ഒൻപത് എട്ട് നാല് ഏഴ്... പൂജ്യം ഒന്ന് രണ്ട്... ആറ് നാല് അഞ്ച്",
            "തൊണ്ണൂറ്റി എട്ട് നാല്പത്തി ഏഴ് പൂജ്യം ഒന്ന് ഇരുപത്തി മൂന്ന് നാല്പത്തി അഞ്ച്",
        ),
        (
            "ഒന്ന് രണ്ട് മൂന്ന് നാല് അഞ്ച് ആറ് ഏഴ് എട്ട് ഒമ്പത് പത്ത്", "പത്ത് ഇരുപത് മുപ്പത് നാൽപ്പത് അമ്പത് അറുപത്", "ഒൻപത് പൂജ്യം രണ്ട് എട്ട്",
            "ഒന്ന് രണ്ട് ഒന്ന് രണ്ട് ഒന്ന് രണ്ട് ഒന്ന് രണ്ട്", "one two three one two three one two three",
            "ഒന്ന് എട്ട് പൂജ്യം പൂജ്യം നാല് രണ്ട് അഞ്ച് ഒന്ന് രണ്ട് മൂന്ന് നാല്",
            "രണ്ട് ഒന്ന് രണ്ട്, രണ്ട് രണ്ട് നാല്, രണ്ട് മൂന്ന് ആറ്, രണ്ട് നാല് എട്ട്",
        ),
        Measured(120_000, 0, 1_200, 1_200),
        "digits and words mixed are not found, nor digits with an ending of address (എട്ടേ); fewer than eight "
        "digits pass",
    ),
    ContentRule(
        "abuse", "abuse", _LIST, ("നായിന്റെ മോൻ", "Thayoli"), ("നായിന്റെ വാൽ", "പൂർത്തിയായി", "നമ്പറിൽ", "നിലമ്പൂർ"),
        Measured(120_000, 0, 1_200, 1_200), limits="short and unrated; quotations are flagged too",
    ),
    ContentRule(
        "insult", "abuse", _LIST, ("മണ്ടൻ", "വിഡ്ഢികൾ"), ("മണ്ട", "ചേട്ടാ", "chetta"),
        Measured(120_000, 0, 1_200, 1_200), limits="mild words that stand in stories and jokes too",
    ),
    ContentRule(
        "impolite_second_person", "prompts", _FORMS,
        ("നിന്റെ ബിൽ അടച്ചോ", "നീ കാത്തിരിക്കുക"), ("താങ്കളുടെ ബിൽ", "നിങ്ങൾ", "നീല നിറം", "നിന്ന്"),
        Measured(120_000, 0, 1_200, 1_200), limits="for prompts only; a quotation inside a prompt is flagged too",
    ),
    ContentRule(
        "bare_imperative", "prompts", _FORMS, ("ഒന്ന് അമർത്ത്", "നമ്പർ പറയ്."), ("അമർത്തുക", "അമർത്തൂ", "ദയവായി കാത്തിരിക്കണം"),
        Measured(120_000, 0, 1_200, 1_200), limits="for prompts only; the listed verbs, at the end of a sentence",
    ),
    ContentRule(
        "mixed_address", "prompts", _FORMS, ("താങ്കളുടെ ബിൽ നിങ്ങൾക്ക് അടയ്ക്കാം",), ("താങ്കളുടെ ബിൽ താങ്കൾക്ക് അടയ്ക്കാം",),
        Measured(120_000, 0, 1_200, 1_200),
        limits="within one prompt; over a dataset the counts of both forms are reported",
    ),
)
# fmt: on
