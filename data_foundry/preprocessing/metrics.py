"""What is counted and measured of a dataset while its rows pass: shares, hours, percentiles, flags, changes by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from data_foundry.preprocessing.audio_ledger import AudioLedger
from data_foundry.preprocessing.findings import finding
from data_foundry.preprocessing.readers import RawRow
from data_foundry.records import SAMPLE_RATE

EXAMPLES = 3
STEPS = {
    "duration": 0.01, "peak": 0.1, "clipping_share": 0.0001, "rms": 0.1, "speech_level": 0.1, "silence_share": 0.001,
    "snr": 0.1, "bandwidth": 10.0, "dc_offset": 0.0001, "speaking_rate": 0.01, "mos": 0.01,
}  # fmt: skip
"""The measures of a clip (see preprocessing.quality), and how finely each is counted for its percentiles."""

DEFINITIONS = {
    "raw_rows": "Rows of the raw dataset, files without a row among them.",
    "pieces_added_by_cutting": "Pieces of recordings that were cut, less the recordings, and texts that are kept apart "
    "from them: raw rows + these = rows in.",
    "silver_rows": "Accepted rows.",
    "silver_rows_by_split": "Accepted rows by the split that the source publishes.",
    "silver_hours": "Hours of accepted audio.",
    "silver_hours_by_split": "The same by split.",
    "codes_hours": "Hours of speech that accepted codec tokens stand for: frames over the codec's frames a second.",
    "audio": "Seconds of sound at 16 kHz, to the sample: decoded + repeated (in several timed chunks) = accepted + "
    "rejected (by reason) + outside_chunks (in no timed chunk: counted, no row). Recordings that were not decoded by "
    "reason, with the seconds that their headers declare, which nobody checked.",
    "malayalam_ratio_mean": "Mean, over accepted rows with a text, of Malayalam letters and marks among all.",
    "malayalam_ratio_met_share": "Share of accepted rows with a text whose ratio reaches text.min_malayalam_ratio.",
    "malayalam_fidelity": "Of the Malayalam aksharas in the texts of accepted rows as found, the share that "
    "standardization left unchanged or changed by a meaning-preserving rule; masked ones, and those of a text that "
    "belongs to no piece of its recording, are lost.",
    "measures": "5th, 50th and 95th percentile over accepted rows, of the measures that preprocessing.quality defines.",
    "rows_with": "Accepted rows in which a column is filled.",
    "labels": "Accepted rows by canonical label.",
    "flags": "Accepted rows by flag; a row may have several.",
    "rejected": "Rejected rows by reason; a row has one.",
    "text_changes": "How often each text rule changed a text, in accepted and rejected rows.",
    "duplicates": "Rows that say the same, or hold the same samples, as an earlier row of the dataset.",
    "rows_shared_with": "Accepted rows whose text (or samples) another dataset holds too, by dataset.",
    "content": "Content checks: lines flagged by rule, masked rows, coverage of identity terms. Evidence, no verdict.",
}


class SilverMetrics:
    """Running counts over the rows of one dataset; memory grows with its different labels and values, not its rows."""

    def __init__(self, min_malayalam_ratio: float) -> None:
        self.min_malayalam_ratio = min_malayalam_ratio
        self.raw_rows = 0
        self.audio = AudioLedger()
        self.rows: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.flags: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self.samples: Counter[str] = Counter()
        self.codes_seconds = 0.0
        self.with_: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.measures: dict[str, Counter[int]] = {name: Counter() for name in STEPS}
        self.ratio_sum = 0.0
        self.ratio_met = 0
        self.aksharas_kept = self.aksharas_found = 0

    def counted(self, raws: Iterable[RawRow]) -> Iterator[RawRow]:
        """Yield raw rows on, and count them."""
        for raw in raws:
            self.raw_rows += 1
            self.audio.expect(raw)
            yield raw

    def add(self, row: dict[str, Any]) -> None:
        """Count one row, accepted or rejected."""
        self.audio.add(row)
        self.changes.update(row["changes"])
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
            if row["codes"] is None:
                self.samples[row["source_split"]] += round(row["duration"] * SAMPLE_RATE)
            else:
                self.codes_seconds += row["duration"]
            for name, step in STEPS.items():
                if row[name] is not None:
                    self.measures[name][round(row[name] / step)] += 1
        if row["malayalam_ratio"] is not None:
            self.ratio_sum += row["malayalam_ratio"]
            self.ratio_met += row["malayalam_ratio"] >= self.min_malayalam_ratio
            self.with_["ratio"] += 1
        kept, found = row["aksharas"]
        self.aksharas_kept += kept
        self.aksharas_found += found

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

    def summary(self) -> dict[str, Any]:
        """Return the figures as the report states them (see DEFINITIONS); None for a mean over nothing.

        Raises FoundryError where the sound that came in is not the sound that went somewhere (see `audio_ledger`).
        """
        judged = self.with_["ratio"]
        hours = {split: round(count / SAMPLE_RATE / 3600, 4) for split, count in sorted(self.samples.items())}
        return {
            "raw_rows": self.raw_rows,
            "pieces_added_by_cutting": self.rows_in - self.raw_rows,
            "silver_rows": self.rows_out,
            "silver_rows_by_split": dict(sorted(self.rows.items())),
            "silver_hours": round(self.hours, 4),
            "silver_hours_by_split": hours,
            "codes_hours": round(self.codes_seconds / 3600, 4),
            "audio": self.audio.summary(),
            "malayalam_ratio_mean": round(self.ratio_sum / judged, 4) if judged else None,
            "malayalam_ratio_met_share": round(self.ratio_met / judged, 4) if judged else None,
            "malayalam_fidelity": round(self.aksharas_kept / self.aksharas_found, 6) if self.aksharas_found else None,
            "measures": {name: percentiles(self.measures[name], step) for name, step in STEPS.items()},
            "rows_with": {name: count for name, count in sorted(self.with_.items()) if name != "ratio"},
            "labels": dict(sorted(self.labels.items())),
            "flags": dict(sorted(self.flags.items())),
            "rejected": dict(sorted(self.rejected.items())),
            "text_changes": dict(sorted(self.changes.items())),
        }

    def findings(self) -> list[dict[str, Any]]:
        """Return what a person should know: rejected rows by reason with examples, and long clips without a text."""
        found = [
            finding(
                f"rejected_{reason}", f"{count} of {self.rows_in} rows were rejected: {reason}.", count,
                self.examples[reason], severity="warning",
            )
            for reason, count in sorted(self.rejected.items())
        ]  # fmt: skip
        if self.audio.outside_chunks:
            message = f"{self.audio.outside_chunks:.1f} s of sound lie in no timed chunk: they are in no row."
            found.append(finding("audio_outside_chunks", message, self.audio.recordings_with_sound_outside))
        told = {
            "text_unaligned": "Pieces of long clips carry no text: the dataset gives no times for it.",
            "duplicate_text": "Rows say the same as an earlier row.",
            "duplicate_audio": "Rows hold the same samples as an earlier row, with another text, label or speaker.",
        }
        return found + [finding(flag, told[flag], self.flags[flag]) for flag in told if self.flags[flag]]


def percentiles(counts: Counter[int], step: float) -> dict[str, float] | None:
    """Return p5, p50 and p95 of values counted in steps: the smallest counted value that such a share does not exceed.

    The nearest-rank definition, so each is a value that was met, to the step. None where nothing was counted.
    """
    total = counts.total()
    if not total:
        return None
    found: dict[str, float] = {}
    passed, wanted = 0, [5, 50, 95]
    for place, count in sorted(counts.items()):
        passed += count
        while wanted and passed * 100 >= wanted[0] * total:
            found[f"p{wanted.pop(0)}"] = round(place * step, 6)
    return found
