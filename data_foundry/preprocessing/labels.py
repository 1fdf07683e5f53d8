"""Tables that give the values of sources one spelling: genders and the districts of Kerala. Nothing is guessed."""

from __future__ import annotations

from typing import Any

GENDERS = {
    **dict.fromkeys(("male", "m", "man"), "male"),
    **dict.fromkeys(("female", "f", "woman"), "female"),
    **dict.fromkeys(("other", "transgender"), "other"),
}
DISTRICTS = {
    "Thiruvananthapuram": ("trivandrum",),
    "Kollam": ("quilon",),
    "Pathanamthitta": (),
    "Alappuzha": ("alleppey", "alapuzha"),
    "Kottayam": (),
    "Idukki": (),
    "Ernakulam": ("kochi", "cochin"),
    "Thrissur": ("trichur", "thrissoor"),
    "Palakkad": ("palghat",),
    "Malappuram": (),
    "Kozhikode": ("calicut",),
    "Wayanad": ("wynad",),
    "Kannur": ("cannanore",),
    "Kasaragod": ("kasargod", "kasaragode"),
}
_DISTRICT_OF = {alias: name for name, aliases in DISTRICTS.items() for alias in (name.lower(), *aliases)}


def cell_text(value: Any) -> str | None:
    """Return a cell as text without outer blanks, or None where it says nothing."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    text = "" if value is None or isinstance(value, dict) else str(value).strip()
    return text if text and text.lower() not in ("none", "null", "nan", "n/a", "na", "unknown") else None


def gender(value: Any) -> str | None:
    """Return male, female or other, or None for an empty or unknown word."""
    return GENDERS.get((cell_text(value) or "").lower())


def district(value: Any) -> str | None:
    """Return a district of Kerala in its present spelling; other places stay as they are found."""
    name = cell_text(value)
    if name is None:
        return None
    return _DISTRICT_OF.get(name.lower().removesuffix("district").strip(), name)
