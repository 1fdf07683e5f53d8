"""A bounded sample of audio payloads, seen by their headers: format, rate, channels, length, and what is broken."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_foundry.ingestion.findings import Findings

SAMPLED = 512
# A row group is read whole: of a file that is larger than this, only so many are.
SMALL_BYTES = 64 * 1024 * 1024
MOST_GROUPS = 64
LONG_SECONDS = 30.0
# Containers that libsndfile does not know and ffmpeg does: bytes at an offset.
_FOREIGN = {"MPEG-4 audio": (4, b"ftyp"), "Matroska or WebM": (0, b"\x1aE\xdf\xa3"), "AMR": (0, b"#!AMR")}
_NO_LENGTH = 2**40


@dataclass
class AudioProfile:
    """What the sampled payloads are: counts by form, seconds, and how many there are in all."""

    total: int = 0
    sampled: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    rates: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """Return the profile for metadata.json; lengths in seconds, of the sample."""
        known = self.seconds
        lengths = {"min": min(known), "mean": sum(known) / len(known), "max": max(known)} if known else {}
        return {
            "payloads": self.total,
            "sampled": self.sampled,
            "forms": dict(sorted(self.forms.items())),
            "seconds": {name: round(value, 3) for name, value in lengths.items()},
        }

    def add(self, payload: bytes | Path | None, where: str, findings: Findings) -> None:
        """Sniff one payload."""
        import soundfile

        self.sampled += 1
        head = _head(payload)
        if not head:
            findings.add("empty_audio", "warning", "Audio payloads are empty (in the sample).", where)
            return
        try:
            info = soundfile.info(io.BytesIO(payload) if isinstance(payload, bytes) else str(payload))
        except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
            foreign = next((name for name, (at, mark) in _FOREIGN.items() if head[at:].startswith(mark)), None)
            if foreign:
                self.forms[foreign] += 1
                text = f"Audio payloads need ffmpeg to be read, such as {foreign} (in the sample)."
                findings.add("audio_needs_ffmpeg", "info", text, where)
            else:
                reason = str(error).rpartition(": ")[2].strip() or type(error).__name__
                text = f"Audio payloads can't be read (in the sample): {reason}"
                findings.add("unreadable_audio", "warning", text, where)
            return
        self.forms[f"{info.format}/{info.subtype} {info.samplerate} Hz {info.channels} ch"] += 1
        self.rates[info.samplerate] += 1
        if info.frames > _NO_LENGTH:
            findings.add("audio_without_length", "info", "Audio headers state no length (in the sample).", where)
            return
        if info.frames == 0:
            findings.add("empty_audio", "warning", "Audio payloads are empty (in the sample).", where)
        elif _is_cut(payload, head):
            text = "WAV payloads are shorter than their headers say: they were cut off (in the sample)."
            findings.add("truncated_audio", "warning", text, where)
        self.seconds.append(info.frames / info.samplerate)
        if self.seconds[-1] > LONG_SECONDS:
            text = f"Clips are longer than {LONG_SECONDS:g} s and must be segmented (in the sample)."
            findings.add("long_audio", "info", text, where)

    def conclude(self, findings: Findings) -> None:
        """Add what only the whole sample shows."""
        if len(self.rates) > 1:
            rates = ", ".join(f"{rate} Hz" for rate in sorted(self.rates))
            findings.add("mixed_sample_rates", "info", f"Sample rates differ: {rates} (in the sample).")


def spread(count: int, sampled: int = SAMPLED) -> list[int]:
    """Return up to `sampled` indices of `count` things, evenly spread, the first one among them."""
    return sorted({index * count // sampled for index in range(sampled)}) if count > sampled else list(range(count))


def parquet_payloads(file: Any, column: str, sampled: int = SAMPLED) -> Iterator[tuple[int, bytes | None]]:
    """Yield (row, bytes) of evenly spread rows of a Parquet file's audio column, with one small batch in memory."""
    groups = file.metadata.num_row_groups
    rows = [file.metadata.row_group(group).num_rows for group in range(groups)]
    size = sum(file.metadata.row_group(group).total_byte_size for group in range(groups))
    chosen = spread(groups, groups if size <= SMALL_BYTES else MOST_GROUPS)
    picked = spread(sum(rows[group] for group in chosen), sampled)
    before = 0
    for group in chosen:
        wanted = {pick - before for pick in picked if before <= pick < before + rows[group]}
        before += rows[group]
        first, row = sum(rows[:group]), 0
        for batch in file.iter_batches(batch_size=16, row_groups=[group], columns=[column]) if wanted else ():
            for index in range(batch.num_rows):
                if row in wanted:
                    value = batch.column(0)[index].as_py()
                    yield first + row, value.get("bytes") if isinstance(value, dict) else value
                row += 1
            if row > max(wanted):
                break


def _head(payload: bytes | Path | None) -> bytes:
    if isinstance(payload, Path):
        with payload.open("rb") as file:
            return file.read(4096)
    return (payload or b"")[:4096]


def _is_cut(payload: bytes | Path | None, head: bytes) -> bool:
    """Tell whether a WAV's data chunk claims more bytes than there are; streamed headers claim an impossible length."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE" or payload is None:
        return False
    size = payload.stat().st_size if isinstance(payload, Path) else len(payload)
    at = 12
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if name == b"data":
            return length < 0x7FFF0000 and at + 8 + length > size
        at += 8 + length + length % 2
    return False
