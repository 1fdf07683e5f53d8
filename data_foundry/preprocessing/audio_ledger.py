"""The audio ledger of a dataset: where every sample of its recordings went, in samples at 16 kHz.

    decoded + repeated = accepted + rejected (by reason) + outside_chunks

`decoded` is the length of the recordings, `accepted` and `rejected` that of the rows they became. Sound in no timed
chunk (`outside_chunks`) is no row: nobody says what is spoken there, and no gate judged it. Sound in several chunks
(`repeated`) is in a row of each, so it counts once more for every chunk beyond the first. The decoder gives `decoded`,
the samples in the rows give their lengths, the times of the chunks the other two: that they agree is no tautology, and
is checked before silver is published.

A recording that was not decoded (its row was refused before, or nothing can read it) is counted apart, with the length
that its header declares, or as one of unknown length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from data_foundry.errors import FoundryError
from data_foundry.records import SAMPLE_RATE, Seconds

if TYPE_CHECKING:
    from data_foundry.preprocessing.readers import RawRow


class Coverage(NamedTuple):
    """What the pieces of a decoded recording cover of it, in samples at 16 kHz."""

    decoded: int
    outside_chunks: int = 0
    repeated: int = 0

    @classmethod
    def of(cls, decoded: int, ranges: Iterable[tuple[int, int]]) -> Coverage:
        """Return the coverage of a recording by (start, end) sample ranges within it, in any order."""
        covered = reached = total = 0
        for start, end in sorted(ranges):
            covered += max(0, end - max(start, reached))
            reached = max(reached, end)
            total += end - start
        return cls(decoded, decoded - covered, total - covered)


class Undecoded(NamedTuple):
    """A recording that was not decoded: why, and how long its header says it is; None where that is unknown."""

    reason: str
    declared: Seconds | None = None


def promises_recording(raw: RawRow) -> bool:
    """Return whether a raw row should have a recording, be it there or not; codec tokens are none."""
    return raw.has_audio_column and raw.codes is None


class AudioLedger:
    """Running sums over the recordings of one dataset and the rows they became."""

    def __init__(self) -> None:
        self.recordings_with_sound_outside = 0
        self._expected = 0
        self._recordings = 0
        self._total = Coverage(0)
        self._accepted = 0
        self._rejected: Counter[str] = Counter()
        self._undecoded: Counter[str] = Counter()
        self._undecoded_seconds: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()

    def expect(self, raw: RawRow) -> None:
        """Take note of a raw row; where it should have a recording, a row must account for that."""
        self._expected += promises_recording(raw)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the sound of a row; its `recording`, in one row per recording, says where that went."""
        recording = row["recording"]
        if isinstance(recording, Coverage):
            self._recordings += 1
            self._total = Coverage(*map(sum, zip(self._total, recording, strict=True)))
            self.recordings_with_sound_outside += recording.outside_chunks > 0
        elif isinstance(recording, Undecoded):
            self._undecoded[recording.reason] += 1
            self._undecoded_seconds[recording.reason] += round((recording.declared or 0) * SAMPLE_RATE)
            self._unknown[recording.reason] += recording.declared is None
        # The sound that codec tokens stand for is not there.
        samples = round((row["duration"] or 0) * SAMPLE_RATE) if row.get("codes") is None else 0
        if not row["reason"]:
            self._accepted += samples
        elif samples:
            self._rejected[row["reason"]] += samples

    @property
    def outside_chunks(self) -> Seconds:
        return self._total.outside_chunks / SAMPLE_RATE

    def summary(self) -> dict[str, Any]:
        """Return the ledger in seconds. Raises FoundryError where it does not add up."""
        self._check()
        undecoded = {
            reason: {
                "recordings": count,
                "declared_seconds": round(self._undecoded_seconds[reason] / SAMPLE_RATE, 3),
                "of_unknown_length": self._unknown[reason],
            }
            for reason, count in sorted(self._undecoded.items())
        }
        return {
            "recordings": self._recordings,
            "decoded": self._total.decoded / SAMPLE_RATE,
            "repeated": self._total.repeated / SAMPLE_RATE,
            "accepted": self._accepted / SAMPLE_RATE,
            "rejected": {reason: samples / SAMPLE_RATE for reason, samples in sorted(self._rejected.items())},
            "outside_chunks": self.outside_chunks,
            "undecoded": undecoded,
        }

    def _check(self) -> None:
        """Raise FoundryError unless every recording, and every sample of those that were decoded, went somewhere."""
        counted = self._recordings + self._undecoded.total()
        into = self._total.decoded + self._total.repeated
        out = self._accepted + self._rejected.total() + self._total.outside_chunks
        if counted != self._expected or into != out:
            raise FoundryError(
                f"The audio does not add up: {counted} of {self._expected} recordings are accounted for, and "
                f"{into} samples went in, but {out} came out (rejected: {dict(self._rejected)}).",
                "This is a defect of standardization, unless a file changed meanwhile: run it again, then report it.",
            )
