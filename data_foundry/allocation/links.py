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

# Where a scanned row keeps the digest of its codec tokens and the scoring form of its text, next to the silver columns.
CODES_DIGEST = "codes_digest"
TEXT_FORM = "text_form"


@dataclass(frozen=True)
class Link:
    """One kind of link.

    `method` tells a person how equality was decided. `key` gives a row's key; without one the kind is found by
    comparing all rows with each other. A weak link joins what was said, not who said it. `columns` are the gold columns
    from which anyone can decide it again.
    """

    method: str
    columns: tuple[str, ...]
    key: Callable[[Row], int] | None = None
    weak: bool = False


def digest(*parts: str | bytes) -> int:
    """Return a 64-bit key of its parts, never 0; parts do not run into each other."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hashed.update(len(data).to_bytes(8, "little"))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "little") or 1


def text_key(text: str | None, form: str | None = None) -> int:
    """Return the key of a text's scoring form (or of the text itself where nothing is left of it), 0 without a text.

    `form` is the scoring form where it is known already.
    """
    text = (text or "").strip()
    return digest((scoring_form(text) if form is None else form) or text) if text else 0


def group_key(group: str | None) -> int:
    """Return the key of a group of silver (16 hex digits of a hash), 0 without one."""
    return (int(group, 16) or 1) if group else 0


def _within_dataset(kind: str) -> Callable[[Row], int]:
    return lambda row: digest(kind, row["dataset"], row[kind]) if row[kind] else 0


LINKS: dict[str, Link] = {
    "speaker": Link(
        "same speaker id within a dataset (ids of two datasets do not tell of each other)",
        ("dataset", "speaker"),
        _within_dataset("speaker"),
    ),
    "recording": Link(
        "cut from the same source row (file and row)",
        ("dataset", "source_file", "source_row"),
        lambda row: digest("recording", row["dataset"], row["source_file"], str(row["source_row"])),
    ),
    "document": Link("same source document within a dataset", ("dataset", "document"), _within_dataset("document")),
    "audio": Link("the same 16 kHz samples", ("audio",), lambda row: group_key(row["audio_group"])),
    "codes": Link("the same codec tokens", ("codes",), lambda row: row[CODES_DIGEST] or 0),
    "prompt": Link(
        "same prompt or author's template within a dataset", ("dataset", "prompt"), _within_dataset("prompt"), weak=True
    ),
    "text": Link(
        "same text after normalisation, without case, punctuation and joiners",
        ("text",),
        lambda row: text_key(row["text"], row[TEXT_FORM]),
        weak=True,
    ),
    "translation": Link(
        "same English side after normalisation, without case and punctuation",
        ("translation",),
        lambda row: text_key(row["translation"]),
        weak=True,
    ),
    "near_text": Link("nearly the same text: see allocation.near_text", ("text",), weak=True),
    "near_audio": Link("nearly the same sound: see allocation.near_audio", ("audio",), weak=True),
}


def anchor(links: Mapping[str, int]) -> int:
    """Return the key that decides a row's side when it stands alone: of its speaker, text, sound or origin.

    `links` are the row's own keys by kind, of which the first in that order counts. The anchor does not depend on which
    other rows there are, so more rows of a speaker or a text leave it where it was.
    """
    return links.get("speaker") or links["text"] or links.get("audio") or links["recording"]


def identity(row: Row, columns: Sequence[str]) -> int:
    """Return the key of a row's values in the columns (audio and codes by content): equal for one example twice.

    A row of text alone is known by its text; one whose samples nobody hashed, by itself.
    """
    return digest(json.dumps([_CONTENTS[column](row) if column in _CONTENTS else row[column] for column in columns]))


_CONTENTS: dict[str, Callable[[Row], Any]] = {
    "audio": lambda row: row["audio_group"] or (row["text"] if row["duration"] is None else [row["row_id"]]),
    "codes": lambda row: row[CODES_DIGEST],
}


def codes_digests(column: Any) -> list[int | None]:
    """Return the digest of each row's codec tokens, None without any; `column` is an Arrow array of lists of lists."""
    found: list[int | None] = []
    for layers in column:
        values = layers.values
        if values is None or not len(values):
            found.append(None)
            continue
        lengths = values.value_lengths().to_numpy(zero_copy_only=False)
        found.append(digest("codes", lengths.astype("<i8").tobytes(), values.flatten().to_numpy().tobytes()))
    return found


def components(columns: Iterable[np.ndarray], rows: int) -> np.ndarray:
    """Return for each row the smallest row number among all rows it is linked to, over any chain of links.

    `columns` are arrays of keys (uint64, one per row, 0: none); `rows` is their length.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    heads: list[np.ndarray] = []
    tails: list[np.ndarray] = []
    for keys in columns:
        present = np.flatnonzero(keys)
        _, first, inverse = np.unique(keys[present], return_index=True, return_inverse=True)
        head = present[first][inverse]
        linked = head != present
        heads.append(head[linked].astype(np.int32))
        tails.append(present[linked].astype(np.int32))
    if not sum(map(len, heads)):
        return np.arange(rows)
    ends = (np.concatenate(heads), np.concatenate(tails))
    graph = coo_array((np.ones(len(ends[0]), dtype=bool), ends), shape=(rows, rows))
    _, labels = connected_components(graph, directed=False)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse]
