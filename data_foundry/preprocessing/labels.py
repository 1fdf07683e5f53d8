"""Tables that give the labels of sources one spelling: classes, genders, the districts of Kerala. Nothing is guessed.

The Malayalam spellings were written for this project; no native speaker has checked them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.preprocessing.normalization import normalize
from data_foundry.records import Rejected

GENDERS = {
    **dict.fromkeys(("male", "m", "man", "boy", "പുരുഷൻ", "ആൺ"), "male"),
    **dict.fromkeys(("female", "f", "woman", "girl", "സ്ത്രീ", "പെൺ"), "female"),
    **dict.fromkeys(("other", "transgender", "non binary", "nonbinary", "ട്രാൻസ്ജെൻഡർ"), "other"),
}
# The fourteen districts by their official names, with older and other spellings that mean nothing else.
DISTRICTS = {
    "Thiruvananthapuram": ("trivandrum", "tiruvananthapuram", "thiruvanathapuram", "tvm", "തിരുവനന്തപുരം"),
    "Kollam": ("quilon", "കൊല്ലം"),
    "Pathanamthitta": ("pathanamthita", "pattanamtitta", "പത്തനംതിട്ട"),
    "Alappuzha": ("alleppey", "alapuzha", "alappuzha", "ആലപ്പുഴ"),
    "Kottayam": ("cottayam", "കോട്ടയം"),
    "Idukki": ("iduki", "ഇടുക്കി"),
    "Ernakulam": ("kochi", "cochin", "eranakulam", "എറണാകുളം", "കൊച്ചി"),
    "Thrissur": ("trichur", "thrissoor", "trissur", "തൃശ്ശൂർ", "തൃശൂർ"),
    "Palakkad": ("palghat", "palakad", "പാലക്കാട്"),
    "Malappuram": ("malapuram", "മലപ്പുറം"),
    "Kozhikode": ("calicut", "kozhikkode", "kozhikod", "കോഴിക്കോട്"),
    "Wayanad": ("wynad", "waynad", "wayanadu", "വയനാട്"),
    "Kannur": ("cannanore", "kannoor", "കണ്ണൂർ"),
    "Kasaragod": ("kasargod", "kasaragode", "kasargode", "kasarkode", "kasaragodu", "കാസർകോട്", "കാസർഗോഡ്", "കാസറഗോഡ്"),
}
_NOTHING = frozenset(("", "none", "null", "nan", "n/a", "na", "unknown", "-"))
_SEPARATORS = re.compile(r"[\s_\-./]+")
_DISTRICT_WORD = re.compile(r"\s*(?:district|dist|dt|ജില്ല)\.?$", re.IGNORECASE)


def cell_text(value: Any) -> str | None:
    """Return a cell as text without outer blanks, or None where it says nothing."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    text = "" if value is None or isinstance(value, dict) else str(value).strip()
    return None if text.lower() in _NOTHING else text


def gender(value: Any) -> str | None:
    """Return male, female or other, or None for an empty or unknown word."""
    return _GENDER_OF.get(_folded(cell_text(value) or ""))


def district(value: Any) -> str | None:
    """Return a district of Kerala in its present spelling; other places stay as they are found."""
    name = cell_text(value)
    return None if name is None else _district_of(name) or name


def unknown_labels(values: Mapping[str, Any]) -> list[str]:
    """Return flags for the cells of a row that say something no table knows: unknown_gender, unknown_district."""
    found = []
    if cell_text(values.get("gender")) is not None and gender(values.get("gender")) is None:
        found.append("unknown_gender")
    place = cell_text(values.get("district"))
    if place is not None and _district_of(place) is None:
        found.append("unknown_district")
    return found


def canonical_label(entry: DatasetEntry, role: str, value: Any) -> str | None:
    """Return the canonical name of a class label, or None for an empty cell.

    The dataset's table is asked as it stands, then with case, blanks, hyphens and underscores folded away. A dataset
    without a table has no names to hold a label to: its labels pass, stripped and in lower case.

    Raises Rejected(unknown_label) for a label that the table does not have.
    """
    name = cell_text_of_label(value)
    if name is None:
        return None
    if not entry.labels:
        return name.lower()
    found = entry.canonical_label(value) or _folded_table(entry.labels).get(_folded(name))
    if found is None:
        raise Rejected("unknown_label", f"the {role} {value!r} is not in the dataset's table of labels")
    return found


def cell_text_of_label(value: Any) -> str | None:
    """Return a label's cell as text, or None where it is empty; "unknown" is a label, and 1.0 is the class 1."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value != value:
        return None
    return str(value).strip() or None


def _district_of(name: str) -> str | None:
    return _DISTRICT_OF.get(_folded(_DISTRICT_WORD.sub("", name)))


def _folded(name: str) -> str:
    return _SEPARATORS.sub(" ", normalize(name).text).strip().casefold()


def _folded_table(table: Mapping[str, str]) -> dict[str, str]:
    return {_folded(name): canonical for name, canonical in (*((v, v) for v in table.values()), *table.items())}


_GENDER_OF = {_folded(word): name for word, name in GENDERS.items()}
_DISTRICT_OF = {_folded(alias): name for name, aliases in DISTRICTS.items() for alias in (name, *aliases)}
