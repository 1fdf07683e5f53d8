"""Exact duplicates: rows that say the same text, or hold the same samples, in one dataset and across datasets.

A group is 16 hex digits of a hash of the content alone, so equal content has an equal group in every dataset. Two
texts are equal when their scoring forms are (punctuation, joiners and case apart) and their numbers, two clips when
their 16 kHz PCM16 samples are: the same recording as WAV and as FLAC is one.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from data_foundry.lake import Lake, Layer
from data_foundry.preprocessing.text import scoring_form
from data_foundry.records import Rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from data_foundry.config import Duplicates

GROUPS = ("text", "audio")
_MEANING = ("audio_group", "text_group", "translation", "label", "dialect", "district", "gender", "speaker")
"""Columns that say what the samples of a row are."""
Row = dict[str, Any]


def group(content: bytes) -> str:
    """Return the group of a content: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


_SIGN_OF_NUMBER = re.compile(r"(?<=\d)(?:[^\w\s]+(?=\d)| ?%)|(?<![\w.])[-\u2212.](?=\d)|[₹$€£] ?(?=\d)")
_NUMBER = re.compile(r"(?:(?<![\w.])[-\u2212.]|[₹$€£] ?)?\d+(?:[^\w\s]+\d+)*(?: ?%)?")
_THOUSANDS = re.compile(r"(?<=\d),(?=(?:\d\d,)*\d{3}(?!\d))")


def text_group(text: str | None) -> str | None:
    """Return the group of a normalised text, or None where there is nothing in it to compare.

    Punctuation inside numbers counts, and so do a minus, a point or the sign of a currency before them and a per cent
    sign after them (1.5, 5-10, 2:30, -5, .5, ₹5, 5%); a comma between thousands does not.
    To be asked of the masked text: by the group of an unmasked one, trying out numbers would find the masked one.
    """
    form = scoring_form(text or "")
    if not form:
        return None
    plain = _THOUSANDS.sub("", text or "")
    numbers = [found.replace(" ", "") for found in _NUMBER.findall(plain)] if _SIGN_OF_NUMBER.search(plain) else ()
    return group("\0".join((form, *numbers)).encode())


class SeenRows:
    """The groups of a dataset's accepted rows so far, in raw order.

    Memory: 85 MB for a million texts, 255 MB for a million clips with texts (measured).
    """

    def __init__(self, policy: Duplicates) -> None:
        self.policy = policy
        self._texts: set[int] = set()
        self._clips: set[int] = set()
        self._pairs: set[int] = set()
        self.rows: Counter[str] = Counter()

    def mark(self, row: Row) -> None:
        """Flag an accepted row that repeats an earlier one `duplicate_text` or `duplicate_audio`.

        Raises Rejected(duplicate_text | duplicate_audio) where the policy says drop; a rejected row is no row that a
        later one could repeat. Samples that come back with another text, translation, label, dialect, district,
        gender or speaker are never dropped: the row says something new, or one of the two is wrong and a person should
        see both.
        """
        text, audio = row["text_group"], row["audio_group"]
        words = int(text, 16) if text else None
        clip = int(audio, 16) if audio else None
        pair = int(_meaning(row), 16) if audio else None
        said, heard, repeated = words in self._texts, clip in self._clips, pair in self._pairs
        self.rows["text"] += said
        self.rows["audio"] += heard
        self.rows["conflicting"] += heard and not repeated
        if repeated and self.policy.audio == "drop":
            raise Rejected("duplicate_audio", "an earlier row holds the same samples with the same text")
        if said and self.policy.text == "drop":
            raise Rejected("duplicate_text", "an earlier row says the same")
        flags = ["duplicate_text"] * said + ["duplicate_audio"] * heard
        if flags:
            row["flags"] = [*row["flags"], *flags]
        for value, seen in ((words, self._texts), (clip, self._clips), (pair, self._pairs)):
            if value is not None:
                seen.add(value)

    def summary(self) -> dict[str, int]:
        """Return how many rows repeat an earlier one, kept and dropped alike."""
        return {
            "same_text_as_an_earlier_row": self.rows["text"],
            "same_audio_as_an_earlier_row": self.rows["audio"],
            "same_audio_with_another_meaning": self.rows["conflicting"],
        }


def _meaning(row: Row) -> str:
    """Return one group for the samples of a row together with all that the row says of them."""
    return group(repr([row[name] for name in _MEANING]).encode())


def shared_rows(lake: Lake, names: Collection[str]) -> dict[str, dict[str, dict[str, int]]]:
    """Return {dataset: {"text" | "audio": {other dataset: rows of the first whose group the other has too}}}.

    Reads the two group columns of these silver datasets, 8 bytes a row, and nothing else.
    """
    import numpy as np

    found: dict[str, dict[str, dict[str, int]]] = {}
    for kind in GROUPS:
        groups = {name: np.unique(_column(lake, name, f"{kind}_group"), return_counts=True) for name in names}
        for name, (values, counts) in groups.items():
            others = {
                other: int(counts[np.isin(values, groups[other][0], assume_unique=True)].sum())
                for other in names
                if other != name
            }
            found.setdefault(name, {})[kind] = {other: count for other, count in others.items() if count}
    return found


def _column(lake: Lake, name: str, column: str) -> NDArray[Any]:
    """Return a group column of a dataset's accepted rows as unsigned 64-bit numbers."""
    import numpy as np

    pieces = [np.frombuffer(bytes.fromhex(digits), dtype=">u8") for digits in _digits(lake, name, column)]
    return np.concatenate(pieces).astype("u8") if pieces else np.zeros(0, "u8")


def _digits(lake: Lake, name: str, column: str) -> Iterator[str]:
    import pyarrow.parquet as pq

    from data_foundry.preprocessing.silver_files import REJECTED

    for path in lake.files(Layer.SILVER, name):
        if path.parent.name == REJECTED:
            continue
        with path.open("rb") as handle:
            file = pq.ParquetFile(handle, buffer_size=1 << 16, pre_buffer=False)
            if column not in file.schema_arrow.names:
                continue
            for batch in file.iter_batches(batch_size=1 << 16, columns=[column]):
                yield "".join(value for value in batch.column(0).to_pylist() if value)


def across_finding(shared: Mapping[str, Mapping[str, int]]) -> dict[str, Any] | None:
    """Return the finding that tells a dataset's overlap with others, or None where there is none."""
    parts = [
        f"{count} rows share their {kind} with {other}"
        for kind in GROUPS
        for other, count in sorted(shared.get(kind, {}).items())
    ]
    if not parts:
        return None
    count = max(count for counts in shared.values() for count in counts.values())
    return {
        "kind": "duplicates_across_datasets", "severity": "info", "count": count, "examples": parts,
        "message": "Rows that another dataset holds too: equal content has an equal group id in both.",
    }  # fmt: skip
