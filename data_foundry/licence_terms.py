"""What the name of a licence tells: its restrictions, and whether rows under it may train a product for sale."""

from __future__ import annotations

import re
from collections.abc import Iterable

from data_foundry.dataset_registry import DATASET_REGISTRY

NON_COMMERCIAL = "licence_non_commercial"
UNKNOWN = "licence_unknown"

# Licences whose own text is known, and allows commercial use unless their name says otherwise.
KNOWN = ("cc0-", "cc-by-", "odc-by", "pddl", "apache-2.0", "mit", "isc", "bsd-", "cdla-permissive-")
# Tags that name no terms.
_UNNAMED = frozenset({"", "unknown", "other", "none"})
# What the words of a licence's name tell; a licence for research is none for a product.
CLAUSES = {
    "non_commercial": ("nc", "noncommercial", "non-commercial", "research"),
    "share_alike": ("sa", "sharealike", "share-alike"),
    "no_derivatives": ("nd", "noderivatives", "noderivs", "no-derivatives"),
}


def licence_names(statement: str | None) -> list[str]:
    """Return the licences that a statement names, in the Hub's spelling: "CC BY 4.0, MIT" -> cc-by-4.0 and mit."""
    parts = re.split(r",|\band\b", (statement or "").strip().lower())
    names = [re.sub(r"[\s_]+", "-", part.strip()) for part in parts]
    return [name for name in names if name not in _UNNAMED]


def clauses(statement: str) -> set[str]:
    """Return which of `CLAUSES` the name of a licence, or one of several names, tells of."""
    words = f"-{re.sub(r'[^a-z0-9]+', '-', statement.lower())}-"
    return {clause for clause, spellings in CLAUSES.items() if any(f"-{each}-" in words for each in spellings)}


def is_known(statement: str) -> bool:
    """Tell whether a statement names licences and the terms of each are known: what they leave out they allow."""
    names = licence_names(statement)
    return bool(names) and all(name.startswith(KNOWN) for name in names)


def strictest(statements: Iterable[str | None]) -> str | None:
    """Return the licence whose terms hold of what is made of all that stand under these, in the Hub's spelling.

    That is the one with every clause that any of them names; among such the one that asks for most (`_asks`), of one
    family the latest. Licences of several families that ask for about as much can't be ordered: all are named, as in
    "cc-by-4.0 and odc-by". None where the terms of one are not known, where no single one covers them all, where one
    forbids derivatives, which an adapter is, or where a share-alike one would have to give way to another.
    Read from the licences' names, which is no legal advice.
    """
    statements = list(statements)
    if not statements or not all(is_known(statement or "") for statement in statements):
        return None
    names = {name for statement in statements for name in licence_names(statement)}
    asked = set().union(*(clauses(name) for name in names))
    covering = [name for name in names if clauses(name) == asked]
    share_alike = [name for name in names if "share_alike" in clauses(name)]
    if not covering or "no_derivatives" in asked or not set(share_alike) <= set(covering):
        return None
    most = max(_asks(name) for name in covering)
    latest = {_family(name): name for name in sorted(covering) if _asks(name) == most}
    return " and ".join(sorted(latest.values()))


def _asks(licence: str) -> int:
    """Return how much a licence asks for, but for `CLAUSES`.

    0 nothing, 1 its notice, 2 its notice and what was changed (Apache), 3 attribution.
    """
    if licence.startswith(("cc0-", "pddl", "mit-0")):
        return 0
    if licence.startswith("apache-"):
        return 2
    return 3 if licence.startswith(("cc-by-", "odc-by")) else 1


def _family(licence: str) -> str:
    """Return a licence's name without its number: licences of one family are ordered by theirs."""
    return re.sub(r"-\d.*$", "", licence)


def refusal(dataset: str, licence: str) -> str | None:
    """Return why a row of this dataset and licence may not serve a commercial product, or None when it may.

    The registry's judgement of a dataset comes first; one that was not made (a custom licence, none stated) is unknown.
    It holds for the licence that was judged: another that is in force by now is judged by its name.
    """
    entry = DATASET_REGISTRY.get(dataset)
    if "non_commercial" in clauses(licence) or (entry is not None and entry.non_commercial):
        return NON_COMMERCIAL
    if not licence_names(licence) or (entry is not None and entry.non_commercial is None):
        return UNKNOWN
    judged = entry is not None and licence.strip().lower() == entry.licence
    return None if judged or is_known(licence) else UNKNOWN
