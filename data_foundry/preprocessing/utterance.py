"""One raw row in, its silver rows and its rejected rows out: the gates, in the order they are asked.

A row is kept if some engine could use it: a text (with whatever else it has), codec tokens with a text, or audio with
a district or dialect. Every other row is rejected with the first reason met: what the reader found, then the label,
the text (its share of Malayalam, then its content), then the codec tokens or the audio (broken, then its measures).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from data_foundry.config import AudioGates, TextGates
from data_foundry.dataset_entry import DatasetEntry
from data_foundry.errors import FoundryError
from data_foundry.preprocessing import labels
from data_foundry.preprocessing.audio_ledger import Undecoded, promises_recording
from data_foundry.preprocessing.chunks import Chunk, placed, read_chunks
from data_foundry.preprocessing.codec_tokens import check_codes
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.duplicates import text_group
from data_foundry.preprocessing.quality import check_measures, check_speaking_rate, measure_flags
from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.sides import cell_string, sides
from data_foundry.preprocessing.silver_audio import SilverAudio
from data_foundry.preprocessing.speech import Piece
from data_foundry.preprocessing.text import (
    fidelity,
    is_well_formed,
    malayalam_aksharas,
    normalize,
    script_counts,
    text_flags,
)
from data_foundry.records import Rejected, RejectedRow, row_id

Row = dict[str, Any]
_EMPTY: Row = dict.fromkeys(RejectedRow.model_fields)
_JUDGED_LETTERS = 3
"""A ratio over fewer letters says little: such a text is flagged, and rejected only where none is Malayalam."""


@dataclass
class Standardizer:
    """Turns raw rows of one dataset into silver rows.

    Besides the columns of silver a row carries what is counted and goes no further: `changes` (how often each text rule
    changed it), `aksharas` (kept and found, see `text.fidelity`), `spoken` (its text before masking, for its length),
    and in one row of each recording `recording` (see `audio_ledger`).
    """

    entry: DatasetEntry
    revision: str
    licence: str
    audio_gates: AudioGates
    text_gates: TextGates
    reviewer: Reviewer

    def rows(self, raw: RawRow, heard: Iterator[SilverAudio]) -> Iterator[Row]:
        """Yield the rows that a raw row becomes, at least one; a rejected one has a `reason`, and no audio.

        `heard` gives the pieces of the row's recording; it is asked only where the row has an audio column.
        """
        base = self._base(raw)
        try:
            if raw.fault is not None:
                raise raw.fault
            yield from self._accepted(raw, base, heard)
        except Rejected as refusal:
            yield self._refused({**base, "recording": _undecoded(raw, refusal)}, refusal)

    def _base(self, raw: RawRow) -> Row:
        value = raw.values.get
        return {
            **_EMPTY,
            "row_id": row_id(self.entry.repo_id, raw.source_file, raw.source_row),
            "dataset": self.entry.repo_id,
            "revision": self.revision,
            # As it is, whatever it says: by it the row is found again in the raw data.
            "source_file": raw.source_file,
            "source_row": raw.source_row,
            "source_split": raw.source_split,
            "speaker": self.reviewer.pseudonym(labels.cell_text(value("speaker"))),
            "gender": labels.gender(value("gender")),
            "district": self.reviewer.masked_raw(labels.district(value("district"))),
            "prompt": self.reviewer.pseudonym(labels.cell_text(value("prompt"))),
            "document": self.reviewer.pseudonym(labels.cell_text(value("document"))),
            "licence": self.licence,
            "flags": [*raw.flags, *labels.unknown_labels(raw.values)],
            "recording": None,
            **_no_text(),
        }

    def _accepted(self, raw: RawRow, row: Row, heard: Iterator[SilverAudio]) -> Iterator[Row]:
        found = sides(self.entry, raw.values)
        row["flags"] += found.flags
        # A row that is refused before its text is looked at keeps a raw text without personal data, too.
        row["text_raw"] = self.reviewer.masked_raw(found.text)
        self._labels(raw, row)
        chunks = read_chunks(raw.values.get("chunks")) if raw.has_audio_column else []
        # One column may be known as the text and as its chunks.
        text = None if chunks and raw.values.get("text") == raw.values["chunks"] else found.text
        if not placed(chunks):
            self._text(raw, row, text)
            if chunks:
                self._unplaced(row, text, chunks)
        if found.translation is not None:
            translation = normalize(found.translation, self.text_gates.profile).text
            row["translation"] = translation or None
            row["direction"] = found.direction if translation else None
            self.reviewer.review_translation(row)
        if raw.codes is not None:
            yield self._tokens(raw, row)
        elif raw.has_audio_column:
            yield from self._speech(raw, row, text, chunks if placed(chunks) else [], heard)
        elif row["text"] is None:
            raise Rejected("empty_text", "the row has a text alone, and that is empty")
        else:
            yield row

    def _unplaced(self, row: Row, text: str | None, chunks: list[Chunk]) -> None:
        """Flag a row whose chunks have no times: what they say is the raw text of a row that has no other."""
        row["flags"].append("chunks_without_times")
        if text is None:
            row["text_raw"] = self.reviewer.masked_raw(cell_string([chunk.text for chunk in chunks]))

    def _labels(self, raw: RawRow, row: Row) -> None:
        """Give labels their canonical names. Raises Rejected(unknown_label | empty_label)."""
        for role in ("label", "dialect"):
            if role in raw.values:
                # A dataset without a table of labels takes what its cells say, and a shifted one says anything.
                row[role] = self.reviewer.masked_raw(labels.canonical_label(self.entry, role, raw.values[role]))
                if row[role] is None and role in self.entry.required:
                    raise Rejected("empty_label", f"the cell of the {role} is empty")

    def _text(self, raw: RawRow, row: Row, found: str | None) -> None:
        """Normalise the text of a row, measure it, and hold it to its gates. Raises Rejected."""
        normal = normalize(found or "", self.text_gates.profile)
        row["text_raw"] = found
        row["text"] = normal.text or None
        row["changes"] = normal.changes
        if row["text"] is None or found is None:
            self.reviewer.review(row, spoken=False)
            return
        kept, total = fidelity(found, normal)
        row["spoken"] = normal.text
        malayalam, other = script_counts(normal.text)
        row["flags"] += text_flags(normal, (malayalam, other))
        row["malayalam_ratio"] = round(malayalam / (malayalam + other), 6) if malayalam else 0.0
        if malayalam + other < _JUDGED_LETTERS:
            row["flags"].append("too_short_to_judge" if malayalam + other else "no_letters")
        if not is_well_formed(normal.text):
            row["flags"].append("ill_formed")
        spoken = raw.has_audio_column or raw.codes is not None
        # After the ratio, since the names that stand for what is masked are written in Latin letters.
        self.reviewer.review(row, spoken=spoken, prompt=raw.codes is not None)
        hidden = malayalam_aksharas(normal.text) - malayalam_aksharas(row["text"]) if row["text"] != normal.text else 0
        row["aksharas"] = (max(0, kept - hidden), total)
        row["text_group"] = text_group(row["text"])
        self._judge_ratio(row)

    def _judge_ratio(self, row: Row) -> None:
        ratio, limit = row["malayalam_ratio"], self.text_gates.min_malayalam_ratio
        if ratio >= limit or self.entry.ratio_policy == "code_mixed":
            return
        if "no_letters" in row["flags"]:
            raise Rejected("empty_text", "the text has no letters")
        if ratio == 0 or "too_short_to_judge" not in row["flags"]:
            raise Rejected("low_malayalam_ratio", f"{ratio:.2f} of the letters are Malayalam, {limit:g} are asked")

    def _tokens(self, raw: RawRow, row: Row) -> Row:
        if row["text"] is None:
            raise Rejected("empty_text", "codec tokens without a text teach nothing")
        if self.entry.codec is None:
            raise FoundryError(
                f"{self.entry.repo_id} holds codec tokens, and the dataset registry names no codec for them.",
                "Name the codec that made them in its entry.",
            )
        codes = raw.codes or []
        seconds = check_codes(codes, raw.values.get("encoded_len"), self.entry.codec)
        check_speaking_rate(row["spoken"], seconds, self.audio_gates)
        row["codes"], row["codec"], row["duration"] = codes, self.entry.codec.name, seconds
        return row

    def _speech(
        self, raw: RawRow, row: Row, found: str | None, chunks: list[Chunk], heard: Iterator[SilverAudio]
    ) -> Iterator[Row]:
        """Yield the rows of a recording's pieces, and of a text that serves without its audio where that fails it.

        Audio is the point of a speech dataset; elsewhere the text still serves, with what it is a pair with, flagged
        with the reason for that: `text_apart` of several pieces, or that of a refused recording or piece.
        """
        serves = found is not None and "audio" not in self.entry.required and (bool(chunks) or row["text"] is not None)
        # A translation is of all chunks together, so of none of them.
        apart = dict.fromkeys(["text_apart"] if len(chunks) > 1 and row["translation"] is not None else [])
        number = 0
        try:
            for sound in heard:
                number = sound.place.number + 1
                part = self._part(raw, row, found, chunks, sound)
                try:
                    part = self._clip(self._with_text(raw, part, found, chunks, sound.place), sound)
                except Rejected as refusal:
                    apart[refusal.reason] = None
                    yield self._refused(part, refusal)
                    continue
                if serves and "text_unaligned" in part["flags"]:
                    apart["text_apart"] = None
                    part |= {"text_raw": None, "aksharas": (0, 0)}
                yield part
        except Rejected as refusal:
            if not serves or number:
                raise
            row["recording"] = _undecoded(raw, refusal)
            apart[refusal.reason] = None
        if serves and apart:
            yield self._text_apart(raw, row, found, number, [*apart])

    def _text_apart(self, raw: RawRow, row: Row, found: str | None, number: int, reasons: list[str]) -> Row:
        """Return the row of a text without its recording, of which there are `number` rows already."""
        row = {**row, "flags": [*row["flags"]]}
        if number:
            row["row_id"] = row_id(self.entry.repo_id, raw.source_file, raw.source_row, number)
            row["changes"] = {}
        if row["text"] is None:
            try:
                self._text(raw, row, found)
            except Rejected as refusal:
                return self._refused(row, refusal)
        row["flags"] += reasons
        return row

    def _part(self, raw: RawRow, row: Row, found: str | None, chunks: list[Chunk], sound: SilverAudio) -> Row:
        """Return the row of a piece: its place, its speaker, its measures, and as yet the row's text."""
        piece = sound.place
        part = {**row, "flags": [*row["flags"], *piece.flags], "source_rate": piece.rate, "recording": piece.coverage}
        if sound.measures is not None:
            part |= sound.measures.columns()
        if piece.start is not None and piece.end is not None:
            part["row_id"] = row_id(self.entry.repo_id, raw.source_file, raw.source_row, piece.number)
            part["segment_start"], part["segment_end"] = round(piece.start, 6), round(piece.end, 6)
        if piece.chunk is not None:
            # What the row says beside its chunks, such as a translation, is of all of them together.
            kept = ("translation", "direction") if len(chunks) == 1 else ()
            part |= {**_no_text(), **{name: row[name] for name in kept}}
            part["speaker"] = self.reviewer.pseudonym(piece.chunk.speaker) or row["speaker"]
            says = found if piece.number == 0 and _untexted(chunks) else cell_string(piece.chunk.text)
            part["text_raw"] = self.reviewer.masked_raw(says)
        return part

    def _with_text(self, raw: RawRow, part: Row, found: str | None, chunks: list[Chunk], piece: Piece) -> Row:
        """Give a piece the text that was spoken in it; one that belongs to no single piece goes. Raises Rejected."""
        if piece.refusal is not None:
            raise piece.refusal
        text, aligned, first = found, piece.aligned, piece.first
        if piece.chunk is not None and not _untexted(chunks):
            text = cell_string(piece.chunk.text)
        elif len(chunks) > 1 and found is not None:
            # Times without texts, beside a text of all of them.
            aligned, first = False, piece.number == 0
        if part["text"] is None and text is not None:
            self._text(raw, part, text)
        if not aligned:
            # The text is lost to silver, which one row says: what was found of it is there, and nothing kept.
            lost = {"text_raw": part["text_raw"], "aksharas": (0, part["aksharas"][1])} if first else {}
            part |= {**_no_text(), "text_raw": None, **lost, "flags": [*part["flags"], "text_unaligned"]}
        return part

    def _clip(self, row: Row, sound: SilverAudio) -> Row:
        """Hold a piece to the gates and put it into its row as WAV. Raises Rejected."""
        measures = sound.measures
        assert measures is not None
        if row["text"] is not None:
            # What was masked is still spoken.
            measures = measures.with_text(row["spoken"])
            row["speaking_rate"] = measures.speaking_rate
        check_measures(measures, self.audio_gates)
        row["flags"] = [*row["flags"], *measure_flags(measures, self.audio_gates)]
        if row["text"] is None and "text_unaligned" not in row["flags"]:
            if not (row["district"] or row["dialect"]):
                if "chunks_without_times" in row["flags"]:
                    raise Rejected("bad_chunk_times", "none of its chunks has a start and an end")
                raise Rejected("empty_text", "audio with neither a text nor a district or dialect serves no engine")
            row["flags"].append("no_text")
        row["audio"] = {"bytes": sound.wav, "path": f"{row['row_id']}.wav"}
        row["audio_group"], row["audio_fingerprint"] = sound.group, sound.fingerprint
        return row

    def _refused(self, row: Row, refusal: Rejected) -> Row:
        """Return a refused row, its detail masked: it may quote a cell or the name of a file."""
        return refused(row, Rejected(refusal.reason, self.reviewer.masked_raw(refusal.detail) or ""))


def refused(row: Row, refusal: Rejected) -> Row:
    """Return a row as it stands among the rejected: with the reason, without its audio."""
    return {**row, "audio": None, "reason": refusal.reason, "detail": refusal.detail or None}


def _undecoded(raw: RawRow, refusal: Rejected) -> Undecoded | None:
    """Return what the ledger says of the recording of a row that did not get to its sound."""
    if not promises_recording(raw):
        return None
    from data_foundry.preprocessing.decoding import declared_seconds

    return Undecoded(refusal.reason, None if raw.payload is None else declared_seconds(raw.payload))


def _untexted(chunks: list[Chunk]) -> bool:
    return not any(cell_string(chunk.text) for chunk in chunks)


def _no_text() -> Row:
    """Return what the columns that are about a text hold where there is none."""
    columns = ("text", "spoken", "malayalam_ratio", "text_group", "translation", "direction", "speaking_rate")
    return {**dict.fromkeys(columns), "content": [], "changes": {}, "aksharas": (0, 0)}
