"""One raw row in, its silver rows and its rejected rows out: the gates, in the order they are asked.

A row is kept if some engine could use it: a text (with whatever else it has), codec tokens with a text, or audio with
a district or dialect. Every other row is rejected with the first reason met: what the reader found, then the text and
its label, then the codec tokens, then the audio (broken, too long, too short, silent, clipped), then the text against
the audio's duration.

A recording with several timed chunks becomes one row per chunk. One without times that is longer than a segment may
be is cut at silences: its text belongs to no piece, so the pieces have none and are flagged `text_unaligned`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_foundry.config import AudioGates, TextGates
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.preprocessing import content, labels
from data_foundry.preprocessing.codec_tokens import check_codes
from data_foundry.preprocessing.quality import check_clip, check_clipping, check_speaking_rate, loudness
from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.sides import sides
from data_foundry.preprocessing.text import is_well_formed, normalize, script_counts
from data_foundry.records import SAMPLE_RATE, Rejected, RejectedRow, Seconds, row_id

if TYPE_CHECKING:
    from data_foundry.preprocessing.audio import Samples

Row = dict[str, Any]
_EMPTY: Row = dict.fromkeys(RejectedRow.model_fields)
_JUDGED_LETTERS = 10
"""A ratio over fewer letters says little: such a text is flagged, not rejected."""
_CHUNK_OVERRUN: Seconds = 0.1
"""By how much rounding lets a chunk end after its recording; one that ends later lost part of what its text says."""


@dataclass
class Standardizer:
    """Turns raw rows of one dataset into silver rows; counts what the text rules changed."""

    entry: DatasetEntry
    revision: str
    licence: str
    audio_gates: AudioGates
    text_gates: TextGates
    text_changes: Counter[str] = field(default_factory=Counter)

    def rows(self, raw: RawRow) -> Iterator[Row]:
        """Yield the rows that a raw row becomes, at least one; a rejected one has a `reason`, and no audio."""
        base = self._base(raw)
        try:
            if raw.fault is not None:
                raise raw.fault
            yield from self._accepted(raw, base)
        except Rejected as refusal:
            yield _refused(base, refusal)

    def _base(self, raw: RawRow) -> Row:
        value = raw.values.get
        dialect = value("dialect")
        return {
            **_EMPTY,
            "row_id": row_id(self.entry.repo_id, raw.source_file, raw.source_row),
            "dataset": self.entry.repo_id,
            "revision": self.revision,
            "source_file": raw.source_file,
            "source_row": raw.source_row,
            "source_split": raw.source_split,
            "speaker": labels.cell_text(value("speaker")),
            "gender": labels.gender(value("gender")),
            "district": labels.district(value("district")),
            "dialect": self.entry.canonical_label(dialect) if dialect is not None else None,
            "licence": self.licence,
            "flags": [],
            "content": [],
        }

    def _accepted(self, raw: RawRow, row: Row) -> Iterator[Row]:
        found = sides(self.entry, raw.values)
        chunks = _chunks(raw.values.get("chunks")) if raw.has_audio_column else []
        row["flags"] += found.flags
        row["text_raw"] = found.text
        self._label(raw, row)
        if len(chunks) < 2:
            self._text(row, found.text)
            self._judge_text(row)
        if found.translation is not None:
            row["translation"] = normalize(found.translation, self.text_gates.profile).text or None
            row["direction"] = found.direction if row["translation"] else None
        if raw.codes is not None:
            yield self._tokens(raw, row)
        elif raw.has_audio_column:
            yield from self._speech(raw, row, chunks)
        elif row["text"] is None:
            raise Rejected("empty_text", "the row has a text alone, and that is empty")
        else:
            yield row

    def _label(self, raw: RawRow, row: Row) -> None:
        """Give a label its canonical name. Raises Rejected(unknown_label | empty_label)."""
        for role in ("label", "dialect"):
            if role not in raw.values:
                continue
            as_found = raw.values[role]
            row[role] = self.entry.canonical_label(as_found)
            if row[role] is None and str(as_found if as_found is not None else "").strip():
                raise Rejected(f"unknown_{role}", f"{as_found!r} is not in the dataset's table of labels")
            if row[role] is None and role in self.entry.required:
                raise Rejected(f"empty_{role}", f"the cell of the {role} is empty")

    def _text(self, row: Row, text: str | None) -> None:
        """Normalise the text of a row and measure it."""
        normal = normalize(text or "", self.text_gates.profile)
        self.text_changes.update(normal.changes)
        row["text_raw"] = text
        row["text"] = normal.text or None
        if row["text"] is None:
            return
        malayalam, other = script_counts(normal.text)
        row["malayalam_ratio"] = round(malayalam / (malayalam + other), 6) if malayalam else 0.0
        if malayalam + other < _JUDGED_LETTERS:
            row["flags"].append("too_short_to_judge" if malayalam + other else "no_letters")
        if not is_well_formed(normal.text):
            row["flags"].append("ill_formed")
        if content.personal_data(normal.text):
            row["flags"].append("pii")

    def _judge_text(self, row: Row) -> None:
        """Hold a text to the share of Malayalam that the dataset's policy asks. Raises Rejected."""
        if row["text"] is None:
            return
        ratio, limit = row["malayalam_ratio"], self.text_gates.min_malayalam_ratio
        if ratio >= limit:
            return
        if self.entry.ratio_policy == "code_mixed":
            row["flags"].append("code_mixed" if ratio else "no_malayalam_script")
        elif not {"too_short_to_judge", "no_letters"} & set(row["flags"]):
            raise Rejected("low_malayalam_ratio", f"{ratio:.2f} of the letters are Malayalam, {limit:g} are asked")

    def _tokens(self, raw: RawRow, row: Row) -> Row:
        if row["text"] is None:
            raise Rejected("empty_text", "codec tokens without a text teach nothing")
        if self.entry.codec is None:
            raise Rejected("codec_unknown", "the dataset registry names no codec for these tokens")
        codes = raw.codes or []
        seconds = check_codes(codes, raw.values.get("encoded_len"), self.entry.codec)
        check_speaking_rate(row["text"], seconds, self.audio_gates)
        row["codes"], row["codec"] = codes, self.entry.codec.name
        return row

    def _speech(self, raw: RawRow, row: Row, chunks: list[Row]) -> Iterator[Row]:
        try:
            samples, row["source_rate"], opposite = self._decoded(raw)
        except Rejected as refusal:
            # Audio is the point of a speech dataset; elsewhere the text still serves.
            if "audio" in self.entry.required or not row["text_raw"]:
                raise
            if row["text"] is None:
                self._text(row, row["text_raw"])
                self._judge_text(row)
            if row["text"] is None:
                raise
            row["flags"].append(refusal.reason)
            yield row
            return
        if opposite:
            row["flags"].append("opposite_phase")
        longest = self.audio_gates.max_segment_seconds
        if len(chunks) > 1 or (chunks and len(samples) > longest * SAMPLE_RATE):
            yield from self._by_chunks(raw, row, samples, chunks)
        elif len(samples) > longest * SAMPLE_RATE:
            yield from self._by_silences(raw, row, samples, 0, len(samples), 0)
        else:
            yield self._clip(row, samples)

    def _decoded(self, raw: RawRow) -> tuple[Samples, int, bool]:
        from data_foundry.preprocessing.audio import decode, to_16k

        if raw.payload is None:
            raise Rejected("audio_missing", "the cell of the audio is empty")
        clip = decode(raw.payload, self.audio_gates.max_source_seconds)
        check_clipping(clip.samples, self.audio_gates)
        return to_16k(clip.samples, clip.rate), clip.rate, clip.opposite_phase

    def _by_chunks(self, raw: RawRow, row: Row, samples: Samples, chunks: list[Row]) -> Iterator[Row]:
        """Yield one row per timed chunk; a chunk that is too long itself is cut at silences."""
        number = 0
        for chunk in chunks:
            length = len(samples) / SAMPLE_RATE
            start, end = chunk["start"], min(chunk["end"], length)
            part = self._part(raw, row, number, start, end)
            part["flags"] = [flag for flag in row["flags"] if flag in ("opposite_phase",)]
            part["speaker"] = chunk["speaker"] or row["speaker"]
            part["text_raw"] = chunk["text"]
            try:
                if not 0 <= start < end or chunk["end"] > length + _CHUNK_OVERRUN:
                    raise Rejected("bad_chunk_times", f"{start:g} to {chunk['end']:g} s in a recording of {length:g} s")
                first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
                self._text(part, chunk["text"])
                self._judge_text(part)
                if end - start > self.audio_gates.max_segment_seconds:
                    pieces = list(self._by_silences(raw, part, samples, first, last, number))
                else:
                    pieces = [self._clip(part, samples[first:last])]
            except Rejected as refusal:
                pieces = [_refused(part, refusal)]
            yield from pieces
            number += len(pieces)

    def _by_silences(
        self, raw: RawRow, row: Row, samples: Samples, first: int, last: int, number: int
    ) -> Iterator[Row]:
        from data_foundry.preprocessing.segmentation import segments

        for place, (start, end) in enumerate(segments(samples[first:last], self.audio_gates.max_segment_seconds)):
            start, end = first + start, first + end
            part = self._part(raw, row, number + place, start / SAMPLE_RATE, end / SAMPLE_RATE)
            part["text"] = part["malayalam_ratio"] = part["translation"] = part["direction"] = None
            part["flags"] = [*row["flags"], "text_unaligned"]
            try:
                yield self._clip(part, samples[start:end])
            except Rejected as refusal:
                yield _refused(part, refusal)

    def _part(self, raw: RawRow, row: Row, number: int, start: Seconds, end: Seconds) -> Row:
        identity = row_id(self.entry.repo_id, raw.source_file, raw.source_row, number)
        return {**row, "row_id": identity, "segment_start": round(start, 6), "segment_end": round(end, 6)}

    def _clip(self, row: Row, samples: Samples) -> Row:
        """Hold a clip to the gates and put it into its row as WAV. Raises Rejected."""
        from data_foundry.preprocessing.audio import wav_bytes

        check_clip(loudness(samples), self.audio_gates)
        seconds = len(samples) / SAMPLE_RATE
        if row["text"] is not None:
            check_speaking_rate(row["text"], seconds, self.audio_gates)
        elif not (row["district"] or row["dialect"] or "text_unaligned" in row["flags"]):
            raise Rejected("empty_text", "audio with neither a text nor a district or dialect serves no engine")
        else:
            row["flags"] = [*row["flags"], "no_text"] if "text_unaligned" not in row["flags"] else row["flags"]
        row["duration"] = seconds
        row["audio"] = {"bytes": wav_bytes(samples), "path": f"{row['row_id']}.wav"}
        return row


def _refused(row: Row, refusal: Rejected) -> Row:
    return {**row, "audio": None, "reason": refusal.reason, "detail": refusal.detail or None}


def _chunks(value: Any) -> list[Row]:
    """Return timed chunks as dicts of start, end (seconds), text and speaker; [] where there are no times."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if not isinstance(value, list):
        return []
    chunks = []
    for item in value:
        start, end = (_first(item, names) for names in (("start", "start_time"), ("end", "end_time")))
        if not all(isinstance(time, int | float) and math.isfinite(time) for time in (start, end)):
            return []
        text = _first(item, ("text", "transcript", "sentence"))
        speaker = labels.cell_text(_first(item, ("speaker_id", "speaker")))
        chunks.append({"start": float(start), "end": float(end), "text": text, "speaker": speaker})
    return chunks


def _first(item: Any, names: tuple[str, ...]) -> Any:
    return next((item[name] for name in names if isinstance(item, dict) and item.get(name) is not None), None)
