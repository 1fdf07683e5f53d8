"""What is counted and measured of a dataset while its rows pass: shares, hours, flags and changes by rule."""

from __future__ import annotations

from collections import Counter
from typing import Any

from data_foundry.records import SAMPLE_RATE

EXAMPLES = 3


class SilverMetrics:
    """Running counts over the rows of one dataset; memory does not grow with them."""

    def __init__(self, min_malayalam_ratio: float) -> None:
        self.min_malayalam_ratio = min_malayalam_ratio
        self.raw_rows = 0
        self.rows: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.flags: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.with_: Counter[str] = Counter()
        self.ratio_sum = 0.0
        self.ratio_met = 0

    def add(self, row: dict[str, Any]) -> None:
        """Count one row, accepted or rejected."""
        if row["reason"]:
            self.rejected[row["reason"]] += 1
            examples = self.examples.setdefault(row["reason"], [])
            if len(examples) < EXAMPLES:
                examples.append(f"{row['source_file']} row {row['source_row']}: {row['detail'] or row['reason']}")
            return
        self.rows[row["source_split"]] += 1
        self.flags.update(row["flags"])
        for name in ("text", "audio", "codes", "translation", "speaker", "district", "dialect", "label"):
            self.with_[name] += row[name] is not None
        if row["label"] is not None:
            self.labels[row["label"]] += 1
        if row["duration"] is not None:
            self.samples[row["source_split"]] += round(row["duration"] * SAMPLE_RATE)
        if row["malayalam_ratio"] is not None:
            self.ratio_sum += row["malayalam_ratio"]
            self.ratio_met += row["malayalam_ratio"] >= self.min_malayalam_ratio
            self.with_["ratio"] += 1

    @property
    def rows_out(self) -> int:
        return self.rows.total()

    @property
    def rows_in(self) -> int:
        """Raw rows, and for a recording that was cut its pieces instead of itself."""
        return self.rows_out + self.rejected.total()

    @property
    def hours(self) -> float:
        return self.samples.total() / SAMPLE_RATE / 3600

    def summary(self, text_changes: Counter[str]) -> dict[str, Any]:
        """Return the figures as the report states them; None for a mean over nothing."""
        judged = self.with_["ratio"]
        hours = {split: round(count / SAMPLE_RATE / 3600, 4) for split, count in sorted(self.samples.items())}
        return {
            "raw_rows": self.raw_rows,
            "pieces_added_by_cutting": self.rows_in - self.raw_rows,
            "silver_rows": self.rows_out,
            "silver_rows_by_split": dict(sorted(self.rows.items())),
            "silver_hours": round(self.hours, 4),
            "silver_hours_by_split": hours,
            "malayalam_ratio_mean": round(self.ratio_sum / judged, 4) if judged else None,
            "malayalam_ratio_met_share": round(self.ratio_met / judged, 4) if judged else None,
            "rows_with": {name: count for name, count in sorted(self.with_.items()) if name != "ratio"},
            "labels": dict(sorted(self.labels.items())),
            "flags": dict(sorted(self.flags.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "text_changes": dict(sorted(text_changes.items())),
        }

    def findings(self) -> list[dict[str, Any]]:
        """Return what a person should know: rejected rows by reason with examples, and long clips without a text."""
        found = [
            {
                "kind": f"rejected_{reason}",
                "severity": "warning",
                "message": f"{count} of {self.rows_in} rows were rejected: {reason}.",
                "count": count,
                "examples": self.examples[reason],
            }
            for reason, count in sorted(self.rejected.items())
        ]
        if unaligned := self.flags["text_unaligned"]:
            found.append(
                {
                    "kind": "text_unaligned",
                    "severity": "info",
                    "message": "Pieces of long clips carry no text: the dataset gives no times for it.",
                    "count": unaligned,
                    "examples": [],
                }
            )
        return found
