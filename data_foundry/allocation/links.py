"""What ties two rows together, so that they must stand on one side of a split: same speaker, text, recording, sound.

A link is a 64-bit key; rows with an equal key are linked, key 0 means that the row has none. At 1e6 rows two different
values share a key with a probability of about 3e-8, and the price would be a row on a more careful side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_foundry.engines.spec import Row
from data_foundry.preprocessing.text import scoring_form

if TYPE_CHECKING:
    import numpy as np

# Where a scanned row keeps the digest of its audio bytes, next to the silver columns.
AUDIO_DIGEST = "audio_digest"


@dataclass(frozen=True)
class Link:
    """One kind of link. `method` tells a person how equality was decided; a weak link joins only what was said, not who
    said it."""

    key: Callable[[Row], int]
    method: str
    weak: bool = False


def digest(*parts: str | bytes) -> int:
    """Return a 64-bit key of its parts, never 0; parts do not run into each other."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "little") or 1


def text_key(text: str | None) -> int:
    """Return the key of a text's scoring form (or of the text itself where nothing is left of it), 0 without a text."""
    text = (text or "").strip()
    return digest(scoring_form(text) or text) if text else 0


def _speaker(row: Row) -> int:
    return digest("speaker", row["dataset"], row["speaker"]) if row["speaker"] else 0


def _recording(row: Row) -> int:
    return digest("recording", row["dataset"], row["source_file"], str(row["source_row"]))


def _audio(row: Row) -> int:
    return row[AUDIO_DIGEST] or 0


def _codes(row: Row) -> int:
    return digest("codes", json.dumps(row["codes"])) if row["codes"] else 0


LINKS: dict[str, Link] = {
    "speaker": Link(_speaker, "same speaker id within a dataset"),
    "recording": Link(_recording, "cut from the same source row (file and row)"),
    "audio": Link(_audio, "the same 16 kHz audio, byte for byte"),
    "codes": Link(_codes, "the same codec tokens"),
    "text": Link(
        lambda row: text_key(row["text"]),
        "same text after normalisation, without case, punctuation and joiners",
        weak=True,
    ),
    "translation": Link(
        lambda row: text_key(row["translation"]),
        "same English side after normalisation, without case and punctuation",
        weak=True,
    ),
}


def anchor(links: Mapping[str, int]) -> int:
    """Return the key that decides a row's side when it stands alone: of its speaker, else its text, else its origin.

    `links` are the row's own keys by kind. The anchor does not depend on which other rows there are, so more rows of a
    speaker or a text leave it where it was.
    """
    return links.get("speaker") or links["text"] or links["recording"]


def identity(row: Row, columns: Sequence[str]) -> int:
    """Return the key of a row's values in the columns (audio and codes by content): equal for one example twice."""
    contents: dict[str, Callable[[], Any]] = {"audio": lambda: row[AUDIO_DIGEST], "codes": lambda: row["codes"]}
    return digest(json.dumps([contents.get(column, lambda c=column: row[c])() for column in columns]))


def components(columns: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Return for each row the smallest row number among all rows it is linked to, over any chain of links.

    `columns` are arrays of keys (uint64, one per row, 0: none); `rows` is their length. Union-find, near linear time.
    """
    import numpy as np

    parent = list(range(rows))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for keys in columns:
        present = np.flatnonzero(keys)
        _, first, inverse = np.unique(keys[present], return_index=True, return_inverse=True)
        heads = present[first][inverse]
        linked = heads != present
        for row, head in zip(present[linked].tolist(), heads[linked].tolist(), strict=True):
            a, b = root(row), root(head)
            parent[max(a, b)] = min(a, b)
    return np.fromiter((root(row) for row in range(rows)), dtype=np.int64, count=rows)
