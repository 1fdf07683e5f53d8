"""What the content checks counted in one dataset, as the report states it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from data_foundry.preprocessing.content.abuse import LIST_RULES
from data_foundry.preprocessing.content.identity import CATEGORIES
from data_foundry.preprocessing.content.politeness import COUNTS
from data_foundry.preprocessing.findings import finding


@dataclass
class ContentCounts:
    """Running counts of the lines that were checked, also of those whose row another gate refused afterwards.

    A line is one text: a row's, or that of one timed piece of a recording. Memory grows with the lists of terms and not
    with the rows.
    """

    lines: int = 0
    lines_flagged: int = 0
    rows_masked: int = 0
    in_audio: int = 0
    masked_translations: int = 0
    translation_flags: Counter[str] = field(default_factory=Counter)
    rewritten_raw: int = 0
    raw_alone: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    terms: Counter[tuple[str, str]] = field(default_factory=Counter)
    prompts: Counter[str] = field(default_factory=Counter)

    def add_terms(self, terms: Iterable[tuple[str, str]]) -> None:
        """Count identity terms of one line: each term and each category once."""
        once = set(terms)
        self.terms.update(once)
        self.categories.update({category for category, _ in once})

    def summary(self) -> dict[str, Any]:
        """Return the counts as plain values; "prompts" is None where the dataset has none."""
        coverage = {
            category: {
                "lines": self.categories[category],
                "terms": {term: count for (own, term), count in sorted(self.terms.items()) if own == category},
            }
            for category in CATEGORIES
        }
        return {
            "lines_checked": self.lines,
            "lines_flagged": self.lines_flagged,
            "flags_by_rule": dict(sorted(self.flags.items())),
            "rows_masked": self.rows_masked,
            "rows_with_personal_data_in_audio": self.in_audio,
            "masked_translations": self.masked_translations,
            "translation_flags_by_rule": dict(sorted(self.translation_flags.items())),
            "raw_texts_rewritten": self.rewritten_raw,
            "rows_with_personal_data_in_raw_text_alone": self.raw_alone,
            "rows_excluded": dict(sorted(self.excluded.items())),
            "identity_coverage": coverage,
            "prompts": {name: self.prompts[name] for name in COUNTS} if self.prompts["lines"] else None,
        }

    def findings(self) -> list[dict[str, Any]]:
        """Return what a person should look at, as findings without an example: an example would repeat the data."""
        found = []
        if self.in_audio:
            found.append(
                finding(
                    "personal_data_in_audio",
                    "Recordings or codec tokens still say personal data that their text no longer shows.",
                    self.in_audio,
                    severity="warning",
                )
            )
        abuse = ("abuse", "insult", *LIST_RULES)
        if abusive := sum(counts[rule] for counts in (self.flags, self.translation_flags) for rule in abuse):
            found.append(
                finding(
                    "abuse",
                    "Texts hold words of an abuse list; a rule in content.exclude drops them.",
                    abusive,
                    severity="warning",
                )
            )
        impolite = sum(self.prompts[rule] for rule in ("impolite_second_person", "bare_imperative", "mixed_address"))
        if impolite:
            found.append(
                finding(
                    "impolite_prompts",
                    "Prompts address the caller below the line's manners.",
                    impolite,
                    severity="warning",
                )
            )
        if self.prompts["neutral"] and self.prompts["honorific"]:
            least = min(self.prompts["neutral"], self.prompts["honorific"])
            found.append(
                finding(
                    "mixed_prompts",
                    "Some prompts say നിങ്ങൾ and some താങ്കൾ: one line should say one.",
                    least,
                    severity="warning",
                )
            )
        return found
