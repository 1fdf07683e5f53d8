"""What the texts and labels of a dataset are, added up block by block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from data_foundry.dataset_entry import DatasetEntry
from data_foundry.ingestion.columns import is_empty, lengths, malayalam_ratios
from data_foundry.ingestion.findings import Findings

# Roles that hold written language; which of them is the Malayalam side is told by script where a dataset has two.
TEXT_ROLES = ("text", "source_text", "translation")
MOSTLY_MALAYALAM = 0.70
MOST_UNKNOWN_LABELS = 20
LONGEST_LABEL = 32
LONG = "(long)"


class TextMeasures:
    """The Malayalam ratio of the right column, and rows whose sides are empty, swapped or alike."""

    def __init__(self, entry: DatasetEntry, findings: Findings) -> None:
        self.entry, self.findings = entry, findings
        self.with_text = self.mostly = 0
        self.ratio_sum = 0.0
        self.bins = np.zeros(10, dtype=np.int64)

    def add(self, sides: Mapping[str, Any], path: str, first: int) -> None:
        """Measure a block of rows from row `first` on: {role: trimmed strings}."""

        def found(kind: str, message: str, mask: np.ndarray) -> None:
            self.findings.add_rows(kind, "warning", message, path, (np.flatnonzero(mask) + first).tolist())

        there = {role: lengths(side) > 0 for role, side in sides.items()}
        ratios = {role: malayalam_ratios(side) for role, side in sides.items()}
        has_text = np.logical_or.reduce(list(there.values()))
        if "text" in there:
            found("empty_text", "Rows have no text.", ~there["text"])
        if self.entry.ratio_policy == "malayalam_side":
            best = np.maximum.reduce(list(ratios.values()))
            found("no_malayalam_side", "Rows have no Malayalam script on any side.", has_text & (best == 0))
            if self.entry.direction and len(sides) > 1:
                both = np.logical_and.reduce([ratio > MOSTLY_MALAYALAM for ratio in ratios.values()])
                found("no_english_side", "Rows have Malayalam script on every side.", both)
                found("equal_sides", "Rows say the same on both sides.", _equal(sides) & has_text)
            if self.entry.direction == "ml-en" and {"text", "translation"} <= ratios.keys():
                swapped = ratios["translation"] > ratios["text"]
                found("swapped_sides", "Rows have the Malayalam side in the English column.", swapped)
        else:
            best = ratios.get("text", np.zeros(len(has_text)))
        measured = best[has_text]
        self.with_text += len(measured)
        self.ratio_sum += float(measured.sum())
        self.mostly += int((measured >= MOSTLY_MALAYALAM).sum())
        self.bins += np.histogram(measured, bins=10, range=(0.0, 1.0))[0]

    def shares(self, rows: int) -> dict[str, tuple[float, int]]:
        """Return {metric: (part, whole)} of what was added; `rows` is how many the dataset has."""
        return {
            "content_ratio": (self.ratio_sum, self.with_text),
            "mostly_malayalam_share": (self.mostly, self.with_text),
            "text_share": (self.with_text, rows),
        }

    def histogram(self) -> dict[str, int]:
        """Return how many rows with text lie in each tenth of the ratio."""
        return {f"{low / 10:.1f}-{(low + 1) / 10:.1f}": count for low, count in enumerate(self.bins.tolist()) if count}


class LabelCounts:
    """Rows by canonical label, and what stands in the label column that the registry does not know."""

    def __init__(self, entry: DatasetEntry, findings: Findings) -> None:
        self.entry, self.findings = entry, findings
        self.known = 0
        self._labels: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()

    def add(self, values: Sequence[Any], path: str, first: int) -> None:
        """Count a block of rows from row `first` on."""
        canonical: dict[Any, str | None] = {}
        empty, unknown = [], []
        for row, value in enumerate(values, start=first):
            if is_empty(value):
                empty.append(row)
                continue
            # An unhashable label (a list) is looked up by its text.
            key = value if isinstance(value, str | int | float | bool) else str(value)
            if key not in canonical:
                canonical[key] = self.entry.canonical_label(key)
            label = canonical[key]
            self._labels[label or "(unknown)"] += 1
            if label is None:
                unknown.append(row)
                self._count_unknown(str(key).strip())
            else:
                self.known += 1
        self.findings.add_rows("empty_label", "warning", "Rows have no label.", path, empty)
        text = "Rows have a label that the registry does not know."
        self.findings.add_rows("unknown_label", "warning", text, path, unknown)

    def counts(self) -> dict[str, int]:
        """Return rows by canonical label; "(unknown)" stands for all others."""
        return dict(sorted(self._labels.items()))

    def unknown_counts(self) -> dict[str, int]:
        """Return rows by label as found, for those outside the registry; nothing where they are too many for labels."""
        return dict(sorted(self._unknown.items())) if len(self._unknown) <= MOST_UNKNOWN_LABELS else {}

    def _count_unknown(self, name: str) -> None:
        # What is long is no label but a text that slipped into the column, and is not repeated.
        name = name if len(name) <= LONGEST_LABEL else LONG
        if name in self._unknown or len(self._unknown) <= MOST_UNKNOWN_LABELS:
            self._unknown[name] += 1


def _equal(sides: Mapping[str, Any]) -> np.ndarray:
    first, *others = sides.values()
    return np.logical_and.reduce([pc.equal(first, side).to_numpy(zero_copy_only=False) for side in others])
